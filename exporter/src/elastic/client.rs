//! Requests to a cluster, and the meaning of the answers.

use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use rustls::ClientConfig;
use ureq::http::{Response, StatusCode, header};
use ureq::{Agent, Body, Error, Proxy};

use super::engine::Engine;
use super::reply::{BLOCKED, FILTER_PATH, NOT_ALLOWED, NOT_KNOWN, outcomes, problem};
use crate::batches::{Answer, Batch, Client, HostIndex};
use crate::error::sentence;
use crate::http::{self, words};
use crate::transport::Host;

/// Timeout of a connection attempt.
const CONNECT: Duration = Duration::from_secs(5);
/// Timeout of the request that checks a host.
const QUESTION: Duration = Duration::from_secs(5);
/// Maximum octets of an answer, and the addition for each document of the request. An item of an
/// answer has 25 octets, or 300 with an error.
const ANSWER_MAX: u64 = 64 << 10;
const ITEM_MAX: u64 = 4 << 10;

/// Settings of the connection to a cluster.
#[derive(Clone)]
pub(crate) struct ClientSettings {
    pub(crate) hosts: Vec<Host>,
    /// Settings of HTTPS; `None` for HTTP.
    pub(crate) tls: Option<Arc<ClientConfig>>,
    pub(crate) credentials: Option<Credentials>,
    /// Replaces the proxy of the environment.
    pub(crate) proxy: Option<String>,
    /// The data stream or index, unless each action names one.
    pub(crate) target: Option<String>,
    /// The ingest pipeline.
    pub(crate) pipeline: Option<String>,
    /// 0: no compression; 1: fastest; 9: smallest.
    pub(crate) gzip: u32,
    /// Timeout of a request.
    pub(crate) timeout: Duration,
}

impl ClientSettings {
    /// An HTTP agent with these settings, without credentials.
    ///
    /// # Errors
    ///
    /// The proxy is not a URL.
    pub(crate) fn agent(&self) -> Result<Agent, String> {
        let mut config = http::config(self.timeout)
            .timeout_connect(Some(CONNECT))
            .max_idle_connections(64)
            .max_idle_connections_per_host(64);
        if let Some(proxy) = &self.proxy {
            let proxy = Proxy::new(proxy).map_err(|_error| format!("{proxy} is not a proxy"))?;
            config = config.proxy(Some(proxy));
        }
        Ok(http::agent(config, self.tls.clone()))
    }

    /// The URL of each host.
    pub(crate) fn bases(&self) -> Vec<String> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        self.hosts.iter().map(|host| format!("{scheme}://{host}")).collect()
    }
}

/// Credentials of the client.
#[derive(Clone)]
pub(crate) enum Credentials {
    Basic {
        user: String,
        password: String,
    },
    /// `ID:KEY`, or its Base64 form.
    ApiKey(String),
}

impl Credentials {
    /// The value of the Authorization header field.
    pub(crate) fn authorization(&self) -> String {
        match self {
            Self::Basic { user, password } => {
                format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
            }
            Self::ApiKey(key) if key.contains(':') => format!("ApiKey {}", STANDARD.encode(key)),
            Self::ApiKey(key) => format!("ApiKey {key}"),
        }
    }
}

/// A client of a cluster, shared by all threads.
pub(super) struct ElasticClient {
    agent: Agent,
    bases: Vec<String>,
    path: String,
    authorization: Option<String>,
    gzip: Compression,
    /// Documents go to a data stream. An own index works with every version.
    needs_data_streams: bool,
    was_asked: Vec<AtomicBool>,
}

impl ElasticClient {
    /// # Errors
    ///
    /// A proxy that is not a URL.
    pub(super) fn new(settings: &ClientSettings) -> Result<Self, String> {
        let target = settings.target.iter().map(|target| format!("/{}", encoded(target)));
        let pipeline = settings.pipeline.iter();
        let pipeline = pipeline.map(|pipeline| format!("&pipeline={}", encoded(pipeline)));
        let path =
            target.chain([format!("/_bulk?filter_path={FILTER_PATH}")]).chain(pipeline).collect();
        Ok(Self {
            agent: settings.agent()?,
            bases: settings.bases(),
            path,
            authorization: settings.credentials.as_ref().map(Credentials::authorization),
            gzip: Compression::new(settings.gzip),
            needs_data_streams: settings.target.is_some(),
            was_asked: settings.hosts.iter().map(|_| false.into()).collect(),
        })
    }

    /// Requests the host's name and version.
    fn root(&self, host: HostIndex) -> Result<Response<Body>, Error> {
        let mut request = self.agent.get(format!("{}/", self.bases[host]));
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        request.config().timeout_global(Some(QUESTION)).build().call()
    }

    /// The body in gzip; `None` if compression is off.
    fn compressed(&self, body: &[u8]) -> io::Result<Option<Vec<u8>>> {
        if self.gzip == Compression::none() {
            return Ok(None);
        }
        let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 8), self.gzip);
        encoder.write_all(body)?;
        encoder.finish().map(Some)
    }
}

impl Client for ElasticClient {
    fn base(&self, host: HostIndex) -> &str {
        &self.bases[host]
    }

    fn send(&self, host: HostIndex, batch: &Batch) -> (Answer, u64) {
        let compressed = match self.compressed(batch.body()) {
            Ok(compressed) => compressed,
            Err(error) => return (Answer::Failed(sentence(&error)), 0),
        };
        let body = compressed.as_deref().unwrap_or_else(|| batch.body());
        let mut request = self
            .agent
            .post(format!("{}{}", self.bases[host], self.path))
            .header(header::CONTENT_TYPE, "application/x-ndjson");
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        if compressed.is_some() {
            request = request.header(header::CONTENT_ENCODING, "gzip");
        }
        let answer = match request.send(body) {
            Ok(response) => answer(response, batch.len()),
            Err(error) => failure(&error),
        };
        (answer, body.len() as u64)
    }

    /// Checks that a host answers and has data streams. A host that refuses the request passes: a
    /// user with the right to write may have no right to read this.
    fn ask(&self, host: HostIndex) -> Result<(), Answer> {
        let mut response = self.root(host).map_err(|error| failure(&error))?;
        if response.status() == StatusCode::OK {
            let body = response.body_mut().with_config().limit(ANSWER_MAX).read_to_vec();
            let body = body.ok().and_then(|body| serde_json::from_slice(&body).ok());
            return match body.as_ref().and_then(Engine::of) {
                Some(engine) if self.needs_data_streams && !engine.has_data_streams => {
                    Err(Answer::Blocked(format!(
                        "{engine} has no data streams; ?index=flows-%Y.%m.%d writes into an index \
                         a day"
                    )))
                }
                _ => Ok(()),
            };
        }
        match answer(response, 0) {
            Answer::Failed(_) | Answer::Items(_) | Answer::Blocked(_) | Answer::Denied(_) => Ok(()),
            trouble @ (Answer::TooLarge | Answer::Cut(_) | Answer::Busy(..) | Answer::Stop(_)) => {
                Err(trouble)
            }
        }
    }

    fn ask_first(&self, host: HostIndex) -> Result<(), Answer> {
        if self.was_asked[host].swap(true, Ordering::Relaxed) { Ok(()) } else { self.ask(host) }
    }

    fn letter(&self, entry: &[u8]) -> String {
        let text = String::from_utf8_lossy(entry);
        let mut lines = text.lines();
        let (action, document) = (lines.next().unwrap_or("null"), lines.next().unwrap_or("null"));
        format!("\"action\":{action},\"document\":{document}")
    }

    fn shutdown(&self) {
        self.agent.clone().shutdown();
    }
}

/// Encodes a part of a path or query.
fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// Interprets a response to a request with this many documents.
fn answer(mut response: Response<Body>, documents: usize) -> Answer {
    let status = response.status();
    let retry_after = retry_after(&response);
    let limit = ANSWER_MAX + documents as u64 * ITEM_MAX;
    let body = match response.body_mut().with_config().limit(limit).read_to_vec() {
        Ok(body) => body,
        Err(error) => return Answer::Failed(words(&error)),
    };
    if status == StatusCode::OK {
        let garbage = || Answer::Failed("the answer is not that of a bulk request".to_owned());
        return outcomes(&body, documents).map_or_else(garbage, Answer::Items);
    }
    let reason = match problem(&body) {
        problem if problem.is_empty() => format!("HTTP status {}", status.as_u16()),
        problem => format!("HTTP status {}, {problem}", status.as_u16()),
    };
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => Answer::TooLarge,
        StatusCode::TOO_MANY_REQUESTS => Answer::Busy(reason, retry_after),
        _ if status.is_server_error() => Answer::Busy(reason, retry_after),
        // The whole cluster is read-only: this is temporary.
        StatusCode::FORBIDDEN if reason.contains(BLOCKED) => Answer::Busy(reason, retry_after),
        StatusCode::UNAUTHORIZED => Answer::Denied(format!("{NOT_KNOWN}: {reason}")),
        StatusCode::FORBIDDEN => Answer::Denied(format!("{NOT_ALLOWED}: {reason}")),
        _ => Answer::Blocked(reason),
    }
}

/// Delay that the server asks for: seconds, or the time until a date (RFC 9110 section 10.2.3).
fn retry_after(response: &Response<Body>) -> Option<Duration> {
    let value = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
    Some(date.duration_since(Timestamp::now()).try_into().unwrap_or_default())
}

fn failure(error: &Error) -> Answer {
    let is_cut = |kind| {
        matches!(
            kind,
            ErrorKind::BrokenPipe
                | ErrorKind::ConnectionReset
                | ErrorKind::ConnectionAborted
                | ErrorKind::UnexpectedEof
        )
    };
    if let Error::Io(problem) = error
        && is_cut(problem.kind())
    {
        Answer::Cut(words(error))
    } else {
        Answer::Failed(words(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_as_the_cluster_reads_them() {
        let basic = Credentials::Basic { user: "me".into(), password: "a:b".into() };
        assert_eq!(basic.authorization(), "Basic bWU6YTpi");
        for key in ["id:key", "aWQ6a2V5"] {
            assert_eq!(Credentials::ApiKey(key.into()).authorization(), "ApiKey aWQ6a2V5");
        }
    }
}
