//! Elasticsearch and OpenSearch.

use std::path::PathBuf;

use super::batches::{
    CONNECTIONS, DEAD_LETTER, GIVE_UP, Kind, MEMORY, NAMESPACE, PASSWORD_FILE, RUN, SPOOL,
    SPOOL_FULL, SPOOL_MAX, USER, id_prefix, outbox, password, variable,
};
use super::tls::{CA, CERT, FINGERPRINT, KEY, tls};
use super::{
    EVENTS, FIELDS, GEO, ODID, OPTIONS, Opened, Output, Request, Setting, Settings, TargetForm,
    wants_dns_events,
};
use crate::cluster::Cluster;
use crate::elastic::{
    ClientSettings, Credentials, ElasticSettings, ElasticSink, IndexPattern, alert_stream,
    dns_stream, flow_stream,
};
use crate::error::{ExportError, sentence};
use crate::json::DocumentExporter;
use crate::secret;
use crate::tls::TlsSettings;
use crate::transport::Host;

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

const INDEX: Setting = Setting::text(
    "index",
    "index instead of the data stream, by the time of the flow's end: flows-%Y.%m.%d",
    |text| IndexPattern::new(text).is_some(),
);

const PIPELINE: Setting = Setting::text("pipeline", "ingest pipeline of the cluster", |_| true);

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

const TIMEOUT: Setting = Setting::duration("timeout", "how long a request may take").default("90s");

fn open(request: &Request<'_>, hosts: &[Host], tls: Option<&TlsSettings>) -> Opened {
    let settings = request.settings;
    let not_opened =
        |problem: String| ExportError::NotOpened(format!("{}: {problem}", request.name));
    let namespace = settings.string(&NAMESPACE);
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
        id_prefix: id_prefix(request),
        alert_target: alert_stream(&namespace),
        dns_target: dns_stream(&namespace),
        index: index.or(named),
        outbox: outbox(
            request,
            Kind {
                unit: "documents",
                thread: "elastic",
                format: BULK,
                hosts: hosts.len(),
                batch: &BATCH,
            },
        ),
    })?;
    Ok(Box::new(DocumentExporter::new(request.documents(namespace), sink)))
}

/// The format of its batches in a spool.
const BULK: u8 = 0;

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

/// The cluster of an output with these settings.
pub(super) fn cluster(
    url: &str,
    settings: &Settings,
    hosts: &[Host],
    has_tls: bool,
) -> Result<Cluster, String> {
    let tls = has_tls.then(|| tls(settings));
    let client = client(settings, hosts, tls.as_ref())?;
    let namespace = settings.string(&NAMESPACE);
    Cluster::new(url, client, namespace, index(settings), wants_dns_events(settings))
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
        Some(path) => Some(secret::read(&path, "API key")?),
        None => variable(API_KEY_VARIABLE),
    };
    Ok(key.map(Credentials::ApiKey))
}

/// Variables with the password and the API key, if no file is given.
const PASSWORD_VARIABLE: &str = "FLOWPROBE_ELASTIC_PASSWORD";
const API_KEY_VARIABLE: &str = "FLOWPROBE_ELASTIC_API_KEY";
