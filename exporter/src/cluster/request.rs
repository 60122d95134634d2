//! A request, which can be shown or sent, and its reply.

use std::fmt::{self, Display};

use serde_json::Value;
use ureq::Agent;
use ureq::http::{self, header};

use crate::elastic::problem;
use crate::http::words;

/// The longest answer that is read, in octets.
const ANSWER_MAX: u64 = 64 << 20;

/// The boundary of a form with a file. No line of a dashboard contains it.
const BOUNDARY: &str = "flowprobe-7d1c0a5e9b3f";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Put,
    Post,
    Delete,
}

#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    /// Path with query.
    pub(super) path: String,
    body: Body,
    /// Headers in addition to those of the body.
    headers: Vec<(&'static str, &'static str)>,
}

#[derive(Clone, Debug)]
enum Body {
    None,
    Json(Value),
    /// A form with one file.
    File(&'static str, &'static str),
}

impl Request {
    pub(super) fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), body: Body::None, headers: Vec::new() }
    }

    pub(super) fn json(self, body: Value) -> Self {
        Self { body: Body::Json(body), ..self }
    }

    /// A form with the file of this name and content.
    pub(super) fn file(self, name: &'static str, content: &'static str) -> Self {
        Self { body: Body::File(name, content), ..self }
    }

    pub(super) fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    /// # Errors
    ///
    /// There was no answer.
    pub(super) fn send(
        &self,
        agent: &Agent,
        base: &str,
        authorization: Option<&str>,
    ) -> Result<Reply, Problem> {
        let (kind, body) = self.body.octets();
        let mut request =
            http::Request::builder().method(self.method.name()).uri(format!("{base}{}", self.path));
        for (name, value) in &self.headers {
            request = request.header(*name, *value);
        }
        if let Some(kind) = kind {
            request = request.header(header::CONTENT_TYPE, kind);
        }
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let request = request.body(body).map_err(|error| Problem::new(error.to_string()))?;
        // A DELETE request has an empty body here.
        let request = agent.configure_request(request).allow_non_standard_methods(true).build();
        let no_answer = |error| Problem::new(words(&error));
        let mut response = agent.run(request).map_err(no_answer)?;
        let status = response.status().as_u16();
        let body = response.body_mut().with_config().limit(ANSWER_MAX).read_to_vec();
        Ok(Reply { status, body: body.map_err(no_answer)? })
    }
}

/// Format of Kibana's console. For a file only name and size are shown.
impl Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}", self.method.name(), self.path)?;
        match &self.body {
            Body::None => Ok(()),
            Body::Json(body) => writeln!(f, "{body:#}"),
            Body::File(name, content) => {
                writeln!(f, "# form with the file {name}, {} octets", content.len())
            }
        }
    }
}

impl Method {
    fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Put => "PUT",
            Self::Post => "POST",
            Self::Delete => "DELETE",
        }
    }
}

impl Body {
    /// The content type, and the octets of the body.
    fn octets(&self) -> (Option<String>, Vec<u8>) {
        match self {
            Self::None => (None, Vec::new()),
            Self::Json(body) => (Some("application/json".to_owned()), body.to_string().into()),
            Self::File(name, content) => {
                let head = format!(
                    "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; \
                     filename=\"{name}\"\r\nContent-Type: application/ndjson\r\n\r\n"
                );
                let body = format!("{head}{content}\r\n--{BOUNDARY}--\r\n");
                (Some(format!("multipart/form-data; boundary={BOUNDARY}")), body.into())
            }
        }
    }
}

/// A reply.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    body: Vec<u8>,
}

impl Reply {
    /// The body of a successful reply.
    ///
    /// # Errors
    ///
    /// It did not.
    pub(super) fn done(self) -> Result<Value, Problem> {
        if (200..300).contains(&self.status) {
            return Ok(serde_json::from_slice(&self.body).unwrap_or(Value::Null));
        }
        let status = self.status;
        let text = match problem(&self.body) {
            problem if problem.is_empty() => format!("HTTP status {status}"),
            problem => format!("HTTP status {status}, {problem}"),
        };
        Err(Problem { status: Some(status), text })
    }

    /// True if the server does not support this request.
    pub(super) fn is_unknown(&self) -> bool {
        let body = String::from_utf8_lossy(&self.body);
        matches!(self.status, 400 | 405) && body.contains("no handler found for uri")
            || self.status == 405
            || self.status == 400 && body.contains("contains unrecognized parameter")
    }
}

/// A request that did not succeed.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    /// If there was an answer.
    status: Option<u16>,
    pub(super) text: String,
}

impl Problem {
    /// One without an answer.
    pub(super) fn new(text: String) -> Self {
        Self { status: None, text }
    }

    /// The same, of what is at this address or has this name.
    pub(super) fn of(self, name: &str) -> Self {
        Self { text: format!("{name}: {}", self.text), ..self }
    }

    /// What to do about it, where that is known. `right` is what a user needs for such a request.
    pub(super) fn remedy(&self, right: &str) -> Option<String> {
        let remedy = match self.status {
            None => ADDRESS,
            Some(401) => CREDENTIALS,
            // A block of the cluster, such as that of a full disk, has this status too.
            Some(403) if !self.text.contains("cluster_block_exception") => {
                return Some(format!("the user needs {right}"));
            }
            Some(_) => return None,
        };
        Some(remedy.to_owned())
    }
}

const ADDRESS: &str = "check the address, the port, and the scheme: elastic+https or elastic+http";
const CREDENTIALS: &str =
    "give the user and password-file, or api-key-file, as settings of the URL";
