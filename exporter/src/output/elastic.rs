//! Elasticsearch and OpenSearch.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::tcp::{CA, CERT, FINGERPRINT, KEY, tls};
use super::{
    EVENTS, GEO, ODID, OPTIONS, Opened, Output, Request, Setting, Settings, TargetForm,
    wants_dns_events,
};
use crate::batches::{OutboxSettings, SpoolSettings};
use crate::cluster::Cluster;
use crate::elastic::{
    ClientSettings, Credentials, ElasticSettings, ElasticSink, IndexPattern, alert_stream,
    dns_stream, flow_stream,
};
use crate::error::{ExportError, sentence};
use crate::json::{DocumentExporter, DocumentSettings, Fields};
use crate::secret::warn_of_readers;
use crate::spool::WhenFull;
use crate::transport::{Host, TlsSettings};

/// Settings of both outputs. Those of TLS are the last.
const SETTINGS: &[&Setting] = &[
    &ODID,
    &NAMESPACE,
    &INDEX,
    &EVENTS,
    &OPTIONS,
    &FIELDS,
    &GEO,
    &PIPELINE,
    &USER,
    &PASSWORD_FILE,
    &API_KEY_FILE,
    &PROXY,
    &GZIP,
    &BATCH,
    &MEMORY,
    &CONNECTIONS,
    &TIMEOUT,
    &GIVE_UP,
    &SPOOL,
    &SPOOL_MAX,
    &SPOOL_FULL,
    &DEAD_LETTER,
    &RUN,
    &CA,
    &FINGERPRINT,
    &CERT,
    &KEY,
];

/// Number of settings for TLS.
const OF_TLS: usize = 4;

pub(super) const ELASTIC_HTTP: Output = Output {
    scheme: "elastic+http",
    meaning: "documents into Elasticsearch or OpenSearch, by the bulk API",
    settings: SETTINGS.split_at(SETTINGS.len() - OF_TLS).0,
    writes_documents: true,
    target: TargetForm::Hosts(ELASTIC_PORT, |request, hosts| open(request, hosts, None)),
    sampling_interval_max: u32::MAX,
};

pub(super) const ELASTIC_HTTPS: Output = Output {
    scheme: "elastic+https",
    meaning: "the same under TLS",
    settings: SETTINGS,
    writes_documents: true,
    target: TargetForm::Hosts(ELASTIC_PORT, |request, hosts| {
        open(request, hosts, Some(&tls(request.settings)))
    }),
    sampling_interval_max: u32::MAX,
};

const ELASTIC_PORT: u16 = 9200;

pub(super) const NAMESPACE: Setting =
    Setting::text("namespace", "the data stream is logs-netflow.log-NAMESPACE", |text| {
        let is_allowed = |c: char| c.is_alphanumeric() && !c.is_uppercase() || "._".contains(c);
        text.len() <= 100 && text.chars().all(is_allowed)
    })
    .default("default");

const INDEX: Setting = Setting::text(
    "index",
    "index instead of the data stream, by the time of the flow's end: flows-%Y.%m.%d",
    |text| IndexPattern::new(text).is_some(),
);

pub(super) const FIELDS: Setting =
    Setting::text("fields", "full, or lean: without related and what netflow.* repeats", |text| {
        ["full", "lean"].contains(&text)
    })
    .default("full");

const PIPELINE: Setting = Setting::text("pipeline", "ingest pipeline of the cluster", |_| true);

pub(super) const USER: Setting =
    Setting::text("user", "name for authentication", |text| !text.contains(':'));

pub(super) const PASSWORD_FILE: Setting =
    Setting::path("password-file", "file with the password of the user").needs("user");

const API_KEY_FILE: Setting =
    Setting::path("api-key-file", "file with an API key: ID:KEY, or that in Base64");

/// A password is refused, because other users would see it in the list of processes.
const PROXY: Setting =
    Setting::text("proxy", "URL of a proxy; that of the environment by default", |text| {
        !text.contains('@')
    });

const GZIP: Setting =
    Setting::number("gzip", "compression of requests; 0 is none", 0..=9).default("1");

const BATCH: Setting =
    Setting::size("batch", "octets of a request before compression", 10_000..=50_000_000)
        .default("5M");

pub(super) const MEMORY: Setting =
    Setting::size("memory", "octets of requests that wait in memory", 100_000..=100_000_000_000)
        .default("64M");

pub(super) const CONNECTIONS: Setting =
    Setting::number("connections", "most requests under way; their number adapts", 1..=64)
        .default("8");

const TIMEOUT: Setting = Setting::duration("timeout", "how long a request may take").default("90s");

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

fn open(request: &Request<'_>, hosts: &[Host], tls: Option<&TlsSettings>) -> Opened {
    let settings = request.settings;
    let not_opened =
        |problem: String| ExportError::NotOpened(format!("{}: {problem}", request.name));
    let namespace = settings.string(&NAMESPACE);
    let domain = request.observation_domain_id();
    let run = run(request);
    let index = index(settings);
    let stream = flow_stream(&namespace);
    // A document in the spool names its stream, because the next run may have another one.
    let named = settings.given::<PathBuf>(&SPOOL).map(|_| IndexPattern::literal(&stream));
    let client = ClientSettings {
        target: index.is_none().then_some(stream),
        pipeline: settings.given(&PIPELINE),
        gzip: settings.number(&GZIP),
        ..client(settings, hosts, tls).map_err(not_opened)?
    };
    let sink = ElasticSink::open(ElasticSettings {
        client,
        id_prefix: format!("{domain:x}-{run}-"),
        alert_target: alert_stream(&namespace),
        dns_target: dns_stream(&namespace),
        index: index.or(named),
        outbox: OutboxSettings {
            name: request.name.to_owned(),
            unit: "documents",
            thread: "elastic",
            format: BULK,
            hosts: hosts.len(),
            batch_octets: settings.size(&BATCH),
            memory_octets: settings.size(&MEMORY),
            connections: settings.number(&CONNECTIONS),
            dead_letters: settings.given(&DEAD_LETTER),
            in_use: Arc::clone(&request.context.files),
            patience: request.context.patience,
            give_up: settings.duration(&GIVE_UP),
            spool: spool(settings),
        },
    })?;
    let documents = DocumentSettings {
        geo: settings.string(&GEO) == "on",
        fields: if settings.string(&FIELDS) == "lean" { Fields::Lean } else { Fields::Full },
        ..request.documents(namespace, domain)
    };
    Ok(Box::new(DocumentExporter::new(documents, sink)))
}

/// The format of its batches in a spool.
const BULK: u8 = 0;

/// Settings of the spool.
pub(super) fn spool(settings: &Settings) -> Option<SpoolSettings> {
    settings.given(&SPOOL).map(|directory| SpoolSettings {
        directory,
        octets_max: settings.size(&SPOOL_MAX) as u64,
        when_full: match settings.string(&SPOOL_FULL).as_str() {
            "newest" => WhenFull::DropNewest,
            _ => WhenFull::DropOldest,
        },
    })
}

/// Settings of the connection to the cluster.
fn client(
    settings: &Settings,
    hosts: &[Host],
    tls: Option<&TlsSettings>,
) -> Result<ClientSettings, String> {
    let tls = tls.map(|tls| tls.config().map_err(|error| sentence(&error))).transpose()?;
    Ok(ClientSettings {
        hosts: hosts.to_vec(),
        tls,
        credentials: credentials(settings)?,
        proxy: settings.given(&PROXY),
        target: None,
        pipeline: None,
        gzip: 0,
        timeout: settings.duration(&TIMEOUT),
    })
}

/// The name of the run in ids of documents. An output that is opened by a reload counts from 0
/// again, so that it has another name.
pub(super) fn run(request: &Request<'_>) -> String {
    let run = request.settings.given::<String>(&RUN);
    let run = run.unwrap_or_else(|| request.context.run.clone());
    match request.context.change {
        0 => run,
        change => format!("{run}-{change}"),
    }
}

/// The cluster of an output with these settings.
pub(super) fn cluster(
    settings: &Settings,
    hosts: &[Host],
    has_tls: bool,
) -> Result<Cluster, String> {
    let tls = has_tls.then(|| tls(settings));
    let client = client(settings, hosts, tls.as_ref())?;
    let namespace = settings.string(&NAMESPACE);
    Cluster::new(client, namespace, index(settings), wants_dns_events(settings))
}

/// The index that takes the place of the data stream.
fn index(settings: &Settings) -> Option<IndexPattern> {
    settings.given::<String>(&INDEX).and_then(|text| IndexPattern::new(&text))
}

/// Credentials come from files or the environment: the list of processes does not show them.
fn credentials(settings: &Settings) -> Result<Option<Credentials>, String> {
    let file = |setting| settings.given::<PathBuf>(setting);
    if let Some(user) = settings.given(&USER) {
        if file(&API_KEY_FILE).is_some() {
            return Err("user and api-key-file cannot both be given".to_owned());
        }
        let password = password(settings, PASSWORD_VARIABLE)?;
        return Ok(Some(Credentials::Basic { user, password }));
    }
    let key = match file(&API_KEY_FILE) {
        Some(path) => Some(secret(&path, "API key")?),
        None => variable(API_KEY_VARIABLE),
    };
    Ok(key.map(Credentials::ApiKey))
}

/// The password of the user, from its file, or else from this environment variable.
pub(super) fn password(settings: &Settings, name: &str) -> Result<String, String> {
    match settings.given::<PathBuf>(&PASSWORD_FILE) {
        Some(path) => secret(&path, "password"),
        None => variable(name).ok_or_else(|| format!("user needs password-file, or {name}")),
    }
}

/// The value of an environment variable that is not empty.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Reads the first line of a file.
fn secret(path: &Path, what: &str) -> Result<String, String> {
    let text = fs::read_to_string(path)
        .map_err(|error| format!("cannot read {}: {}", path.display(), sentence(&error)))?;
    warn_of_readers(path, what);
    let line = text.lines().next().unwrap_or_default().trim();
    if line.is_empty() { Err(format!("{} is empty", path.display())) } else { Ok(line.to_owned()) }
}

/// Variables with the password and the API key, if no file is given.
const PASSWORD_VARIABLE: &str = "FLOWPROBE_ELASTIC_PASSWORD";
const API_KEY_VARIABLE: &str = "FLOWPROBE_ELASTIC_API_KEY";
