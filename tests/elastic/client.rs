//! Requests of a test to an engine, and what it answers.

use std::time::Duration;

use serde_json::{Value, json};
use ureq::Agent;
use ureq::http::Request;

/// How long an answer may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A client of one node.
#[derive(Clone, Debug)]
pub struct Client {
    agent: Agent,
    url: String,
}

/// An answer. The status is not judged.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    /// Null where it is no JSON.
    pub body: Value,
}

impl Reply {
    /// The body of a request that succeeded.
    #[track_caller]
    pub fn done(self) -> Value {
        assert!((200..300).contains(&self.status), "{}: {}", self.status, self.body);
        self.body
    }

    /// The status of each item of a `_bulk` request.
    #[track_caller]
    pub fn item_statuses(&self) -> Vec<u64> {
        let items = self.body["items"].as_array().unwrap_or_else(|| panic!("items: {self:?}"));
        let status = |item: &Value| item["create"]["status"].as_u64().expect("items have a status");
        items.iter().map(status).collect()
    }
}

impl Client {
    pub fn new(url: &str) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .proxy(None)
            .build();
        Self { agent: config.into(), url: url.to_owned() }
    }

    /// Sends a request; says why there is no answer.
    pub fn send(
        &self,
        method: &str,
        path: &str,
        kind: &str,
        body: Vec<u8>,
    ) -> Result<Reply, ureq::Error> {
        let request = Request::builder().method(method).uri(format!("{}{path}", self.url));
        let request = request.header("content-type", kind).body(body)?;
        // An engine reads bodies of every method.
        let config = self.agent.configure_request(request).allow_non_standard_methods(true);
        let mut response = self.agent.run(config.build())?;
        let status = response.status().as_u16();
        let body = response.body_mut().read_to_vec()?;
        Ok(Reply { status, body: serde_json::from_slice(&body).unwrap_or(Value::Null) })
    }

    #[track_caller]
    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Reply {
        let body = body.map_or_else(Vec::new, |body| body.to_string().into_bytes());
        let reply = self.send(method, path, "application/json", body);
        reply.unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, None)
    }

    #[track_caller]
    pub fn put(&self, path: &str, body: &Value) -> Reply {
        self.ask("PUT", path, Some(body))
    }

    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> Reply {
        self.ask("POST", path, Some(body))
    }

    #[track_caller]
    pub fn delete(&self, path: &str) -> Reply {
        self.ask("DELETE", path, None)
    }

    /// Sends actions and documents, a line each.
    #[track_caller]
    pub fn bulk(&self, lines: impl Into<Vec<u8>>) -> Reply {
        let reply = self.send("POST", "/_bulk", "application/x-ndjson", lines.into());
        reply.unwrap_or_else(|error| panic!("_bulk: {error}"))
    }

    /// Makes all that an index has taken so far visible to searches.
    #[track_caller]
    pub fn refresh(&self, index: &str) {
        self.ask("POST", &format!("/{index}/_refresh"), None).done();
    }

    /// The number of documents that searches see.
    #[track_caller]
    pub fn count(&self, index: &str) -> u64 {
        let body = self.get(&format!("/{index}/_count")).done();
        body["count"].as_u64().unwrap_or_else(|| panic!("count: {body}"))
    }

    /// The sum of a number field over all documents that searches see.
    #[track_caller]
    pub fn sum(&self, index: &str, field: &str) -> f64 {
        let search = json!({"size": 0, "aggs": {"sum": {"sum": {"field": field}}}});
        let body = self.post(&format!("/{index}/_search"), &search).done();
        body["aggregations"]["sum"]["value"].as_f64().unwrap_or_else(|| panic!("sum: {body}"))
    }

    #[track_caller]
    pub fn put_index_template(&self, name: &str, template: &Value) {
        self.put(&format!("/_index_template/{name}"), template).done();
    }
}
