//! Kafka.

use super::batches::{
    CONNECTIONS, DEAD_LETTER, GIVE_UP, MEMORY, NAMESPACE, PASSWORD_FILE, RUN, SPOOL, SPOOL_FULL,
    SPOOL_MAX, USER,
};
use super::tls::CA;
use super::{
    EVENTS, FIELDS, GEO, NAMES, ODID, OPTIONS, Opened, Output, Request, Setting, Settings,
    TargetForm, wants_dns_events,
};
use crate::transport::Host;

/// Settings of both outputs. That of TLS is the last.
const SETTINGS: &[&Setting] = &[
    &ODID,
    &NAMESPACE,
    &FORMAT,
    &NAMES,
    &EVENTS,
    &OPTIONS,
    &PARTITION_KEY,
    &COMPRESSION,
    &FIELDS,
    &GEO,
    &USER,
    &PASSWORD_FILE,
    &SASL,
    &BATCH,
    &MESSAGE_MAX,
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
];

pub(super) const KAFKA: Output = Output {
    scheme: "kafka",
    meaning: "documents or IPFIX into Kafka; in builds with its feature",
    settings: SETTINGS.split_at(SETTINGS.len() - 1).0,
    writes_documents: true,
    target: TargetForm::Topic(KAFKA_PORT, |request, hosts, topic| {
        open(request, hosts, topic, Tls::No)
    }),
    sampling_interval_max: u32::MAX,
};

pub(super) const KAFKA_TLS: Output = Output {
    scheme: "kafka+tls",
    meaning: "the same under TLS",
    settings: SETTINGS,
    writes_documents: true,
    target: TargetForm::Topic(KAFKA_TLS_PORT, |request, hosts, topic| {
        open(request, hosts, topic, Tls::Yes)
    }),
    sampling_interval_max: u32::MAX,
};

const KAFKA_PORT: u16 = 9092;
const KAFKA_TLS_PORT: u16 = 9093;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tls {
    No,
    Yes,
}

pub(super) const FORMAT: Setting = Setting::text(
    "format",
    "json: a document for each flow; ipfix: messages with templates",
    |text| ["json", "ipfix"].contains(&text),
)
.default("json");

const PARTITION_KEY: Setting =
    Setting::text("key", "Kafka: partition by conversation, exporter or none", |text| {
        ["conversation", "exporter", "none"].contains(&text)
    })
    .default("none");

const COMPRESSION: Setting = Setting::text("compression", "zstd, lz4, snappy or none", |text| {
    ["zstd", "lz4", "snappy", "none"].contains(&text)
})
.default("zstd");

const BATCH: Setting = Setting::size(
    "batch",
    "Kafka: octets of messages that are collected, and then sent",
    10_000..=50_000_000,
)
.default("5M");

const SASL: Setting =
    Setting::text("sasl", "SASL: plain, scram-sha-256 or scram-sha-512", |text| {
        ["plain", "scram-sha-256", "scram-sha-512"].contains(&text)
    })
    .default("plain")
    .needs("user");

/// Brokers accept 1 MB by default, headers included.
const MESSAGE_MAX: Setting = Setting::size(
    "message-max",
    "octets of a message, and of a request for a partition",
    1_000..=100_000_000,
)
.default("1M");

/// Room for the templates and a record with the longest names.
const IPFIX_MESSAGE_MIN: usize = 8_000;

const TIMEOUT: Setting =
    Setting::duration("timeout", "Kafka: how long a message may be under way").default("2m");

/// Error for a build without Kafka.
pub(super) const NOT_BUILT: &str = "this program was built without Kafka; it has it when built by \
                                    cargo build --release --package probe --features kafka";

/// Error for a build without TLS for Kafka.
const NO_TLS: &str = "this program was built without TLS and SCRAM for Kafka; it has them when \
                      built by cargo build --release --package probe --features kafka-tls";

/// Checks the scheme, and settings that exclude each other.
pub(super) fn check(scheme: &str, settings: &Settings) -> Result<(), String> {
    let needs_tls = scheme == KAFKA_TLS.scheme || settings.string(&SASL) != "plain";
    if needs_tls && !cfg!(feature = "kafka-tls") {
        return Err(NO_TLS.to_owned());
    }
    let is = |setting, value: &str| settings.string(setting) == value;
    if is(&FORMAT, "ipfix") && is(&PARTITION_KEY, "conversation") {
        return Err("key=conversation needs format=json: a message of IPFIX has many flows".into());
    }
    if is(&FORMAT, "ipfix") && wants_dns_events(settings) {
        return Err("events=dns needs format=json: IPFIX has flows only".into());
    }
    if is(&FORMAT, "ipfix") && settings.size(&MESSAGE_MAX) < IPFIX_MESSAGE_MIN {
        return Err(
            "format=ipfix needs message-max=8k or more: each message has its templates".into()
        );
    }
    Ok(())
}

/// Checks the name of a topic.
pub(super) fn check_topic(topic: &str) -> Result<(), String> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    match topic.chars().find(|&c| !is_allowed(c)) {
        _ if topic.is_empty() => Err("no topic: it is the path, as in //HOST/TOPIC".to_owned()),
        _ if topic.len() > 249 || topic == "." || topic == ".." => {
            Err(format!("{topic} cannot be the name of a topic"))
        }
        Some(other) => Err(format!("{other:?} cannot be in the name of a topic")),
        None => Ok(()),
    }
}

#[cfg(not(feature = "kafka"))]
fn open(request: &Request<'_>, _hosts: &[Host], _topic: &str, _tls: Tls) -> Opened {
    let problem = format!("{}: {NOT_BUILT}", request.name);
    Err(crate::error::ExportError::NotOpened(problem))
}

#[cfg(feature = "kafka")]
fn open(request: &Request<'_>, hosts: &[Host], topic: &str, tls: Tls) -> Opened {
    built::open(request, hosts, topic, tls)
}

#[cfg(feature = "kafka")]
mod built {
    use std::path::PathBuf;

    use super::*;
    use crate::error::ExportError;
    use crate::json::{DocumentExporter, DocumentSettings};
    use crate::kafka::{KafkaSettings, KafkaSink, PartitionKey, Value};
    use crate::message::SelfContained;
    use crate::output::batches::{Kind, id_prefix, outbox, password};
    use crate::transport::Transport;

    /// The formats of its batches in a spool; see [`OutboxSettings::format`].
    const DOCUMENTS: u8 = 1;
    const MESSAGES: u8 = 2;

    /// Variable with the password, if no file is given.
    const PASSWORD_VARIABLE: &str = "FLOWPROBE_KAFKA_PASSWORD";

    pub(super) fn open(request: &Request<'_>, hosts: &[Host], topic: &str, tls: Tls) -> Opened {
        let settings = request.settings;
        let context = request.context;
        let security = security(settings, tls)
            .map_err(|problem| ExportError::NotOpened(format!("{}: {problem}", request.name)))?;
        let is_ipfix = settings.string(&FORMAT) == "ipfix";
        let outbox = outbox(
            request,
            Kind {
                unit: if is_ipfix { "messages" } else { "documents" },
                thread: "kafka",
                format: if is_ipfix { MESSAGES } else { DOCUMENTS },
                // The library knows the state of each broker.
                hosts: 1,
                batch: &BATCH,
            },
        );
        let kafka = KafkaSettings {
            brokers: hosts.iter().map(Host::to_string).collect::<Vec<_>>().join(","),
            topic: topic.to_owned(),
            compression: settings.string(&COMPRESSION),
            message_octets: settings.size(&MESSAGE_MAX),
            octets_under_way: outbox.batch_octets.saturating_mul(outbox.connections as usize),
            timeout: settings.duration(&TIMEOUT),
            value: if is_ipfix { Value::Ipfix } else { Value::Document },
            agent: context.name.clone(),
            version: context.version.clone(),
            security,
        };
        let key = match settings.string(&PARTITION_KEY).as_str() {
            "conversation" => PartitionKey::Conversation,
            "exporter" => {
                let domain = request.observation_domain_id();
                PartitionKey::Exporter(format!("{}/{domain}", context.name))
            }
            _ => PartitionKey::None,
        };
        let sink = KafkaSink::open(kafka, hosts, key, outbox)?;
        if is_ipfix {
            let encoder = SelfContained(request.ipfix(sink.message_limit()));
            return Ok(request.messages(encoder, sink, None));
        }
        let documents = DocumentSettings {
            id_prefix: Some(id_prefix(request)),
            ..request.documents(settings.string(&NAMESPACE))
        };
        Ok(Box::new(DocumentExporter::new(documents, sink)))
    }

    /// Settings of librdkafka for TLS and SASL.
    fn security(settings: &Settings, tls: Tls) -> Result<Vec<(&'static str, String)>, String> {
        let user = settings.given::<String>(&USER);
        let protocol = match (&user, tls) {
            (None, Tls::No) => "plaintext",
            (None, Tls::Yes) => "ssl",
            (Some(_), Tls::No) => "sasl_plaintext",
            (Some(_), Tls::Yes) => "sasl_ssl",
        };
        let mut security = vec![("security.protocol", protocol.to_owned())];
        if let Some(user) = user {
            let password = password(settings, PASSWORD_VARIABLE)?;
            security.push(("sasl.mechanisms", settings.string(&SASL).to_uppercase()));
            security.push(("sasl.username", user));
            security.push(("sasl.password", password));
        }
        if let Some(path) = settings.given::<PathBuf>(&CA) {
            security.push(("ssl.ca.location", path.display().to_string()));
        }
        Ok(security)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn user_without_a_password_is_refused() {
            let user = ("user".to_owned(), "me".to_owned());
            let settings = Settings::new(&KAFKA, [user]).unwrap();
            let problem = "user needs password-file, or FLOWPROBE_KAFKA_PASSWORD";
            assert_eq!(security(&settings, Tls::No), Err(problem.to_owned()));
        }
    }
}
