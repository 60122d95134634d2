//! Settings of outputs into services that acknowledge each document: clusters and brokers.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Request, Setting, Settings};
use crate::batches::{OutboxSettings, SpoolSettings};
use crate::secret;
use crate::spool::WhenFull;

pub(super) const NAMESPACE: Setting =
    Setting::text("namespace", "the data stream is logs-netflow.log-NAMESPACE", |text| {
        let is_allowed = |c: char| c.is_alphanumeric() && !c.is_uppercase() || "._".contains(c);
        text.len() <= 100 && text.chars().all(is_allowed)
    })
    .default("default");

pub(super) const USER: Setting =
    Setting::text("user", "name for authentication", |text| !text.contains(':'));

pub(super) const PASSWORD_FILE: Setting =
    Setting::path("password-file", "file with the password of the user").needs("user");

pub(super) const MEMORY: Setting =
    Setting::size("memory", "octets of requests that wait in memory", 100_000..=100_000_000_000)
        .default("64M");

pub(super) const CONNECTIONS: Setting =
    Setting::number("connections", "most requests under way; their number adapts", 1..=64)
        .default("8");

pub(super) const GIVE_UP: Setting =
    Setting::duration("give-up", "a replay ends when nothing is accepted for this time")
        .default("5m");

pub(super) const SPOOL: Setting =
    Setting::folder("spool", "directory for documents that the cluster does not take yet");

pub(super) const SPOOL_MAX: Setting =
    Setting::size("spool-max", "octets of documents in the spool", 1_000_000..=100_000_000_000_000)
        .default("10G")
        .needs("spool");

pub(super) const SPOOL_FULL: Setting = Setting::text(
    "spool-full",
    "which documents a full spool drops: the oldest or the newest",
    |text| ["oldest", "newest"].contains(&text),
)
.default("oldest")
.needs("spool");

pub(super) const DEAD_LETTER: Setting = Setting::written_path(
    "dead-letter",
    "file for documents that the cluster refuses, with the reason",
);

pub(super) const RUN: Setting = Setting::text(
    "run",
    "name of this run in ids; by default of input and settings, else random",
    |text| {
        text.len() <= 100 && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
    },
);

/// What the batches of an output are, and where they go.
pub(super) struct Kind {
    /// What the service takes, for messages.
    pub(super) unit: &'static str,
    /// The name of threads.
    pub(super) thread: &'static str,
    /// The format of batches in a spool. Each kind has its own.
    pub(super) format: u8,
    /// Number of hosts of the service.
    pub(super) hosts: usize,
    /// The setting of the octets of a batch.
    pub(super) batch: &'static Setting,
}

/// The settings of batches of this kind.
pub(super) fn outbox(request: &Request<'_>, kind: Kind) -> OutboxSettings {
    let Kind { unit, thread, format, hosts, batch } = kind;
    let Request { name, settings, context } = request;
    OutboxSettings {
        name: (*name).to_owned(),
        unit,
        thread,
        format,
        hosts,
        batch_octets: settings.size(batch),
        memory_octets: settings.size(&MEMORY),
        connections: settings.number(&CONNECTIONS),
        dead_letters: settings.given(&DEAD_LETTER),
        in_use: Arc::clone(&context.files),
        patience: context.patience,
        give_up: settings.duration(&GIVE_UP),
        spool: spool(settings),
    }
}

/// Settings of the spool.
fn spool(settings: &Settings) -> Option<SpoolSettings> {
    settings.given(&SPOOL).map(|directory| SpoolSettings {
        directory,
        octets_max: settings.size(&SPOOL_MAX) as u64,
        when_full: match settings.string(&SPOOL_FULL).as_str() {
            "newest" => WhenFull::DropNewest,
            _ => WhenFull::DropOldest,
        },
    })
}

/// The beginning of the ids of documents: the probe and the run. An output that is opened by a
/// reload counts from 0 again, so that its run has another name.
pub(super) fn id_prefix(request: &Request<'_>) -> String {
    let run = request.settings.given::<String>(&RUN);
    let run = run.unwrap_or_else(|| request.context.run.clone());
    let domain = request.observation_domain_id();
    match request.context.change {
        0 => format!("{domain:x}-{run}-"),
        change => format!("{domain:x}-{run}-{change}-"),
    }
}

/// The password of the user, from its file, or else from this environment variable.
pub(super) fn password(settings: &Settings, name: &str) -> Result<String, String> {
    match settings.given::<PathBuf>(&PASSWORD_FILE) {
        Some(path) => secret::read(&path, "password"),
        None => variable(name).ok_or_else(|| format!("user needs password-file, or {name}")),
    }
}

/// The value of an environment variable that is not empty.
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
