//! What an engine does with documents, as far as an output of documents sees it.

use std::collections::HashSet;
use std::fmt::{self, Debug, Formatter};
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use super::filter::filter;
use super::request::Request;
use super::step::Answer;

/// A document that came in a `_bulk` request.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Its place in the request, from 0.
    pub place: usize,
    /// `create` or `index`.
    pub action: String,
    pub index: String,
    pub id: String,
    /// Null where it is no JSON.
    pub document: Value,
}

/// The error of an item.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub status: u16,
    pub kind: &'static str,
    pub reason: &'static str,
}

impl Refusal {
    /// The queue of the engine is full.
    pub const TOO_MANY: Self = Self {
        status: 429,
        kind: "es_rejected_execution_exception",
        reason: "rejected execution of coordinating operation",
    };

    /// The document is no JSON.
    const NO_JSON: Self = Self {
        status: 500,
        kind: "not_x_content_exception",
        reason: "Compressor detection can only be called on some xcontent bytes",
    };

    /// A step of the ingest pipeline fails.
    pub const PIPELINE: Self = Self {
        status: 500,
        kind: "fail_processor_exception",
        reason: "this address is not welcome",
    };

    /// The cluster has no room for another index.
    pub const SHARDS: Self = Self {
        status: 400,
        kind: "validation_exception",
        reason: "this action would add [2] shards, but this cluster has [1]/[1] maximum open",
    };

    /// The document does not fit its index.
    pub const MAPPING: Self = Self {
        status: 400,
        kind: "document_parsing_exception",
        reason: "[1:2] failed to parse field [source.ip] of type [ip]",
    };
}

type Rule = dyn FnMut(&Item) -> Option<Refusal> + Send;

/// The documents of all indices, and what is not taken.
#[derive(Default)]
pub struct Bulk {
    documents: Vec<Item>,
    /// Index and identifier of each.
    known: HashSet<(String, String)>,
    rule: Option<Box<Rule>>,
    body_max: Option<usize>,
}

impl Debug for Bulk {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bulk").field("documents", &self.documents).finish_non_exhaustive()
    }
}

impl Bulk {
    pub fn refuse(&mut self, rule: impl FnMut(&Item) -> Option<Refusal> + Send + 'static) {
        self.rule = Some(Box::new(rule));
    }

    pub fn limit_bodies(&mut self, octets: usize) {
        self.body_max = Some(octets);
    }

    pub fn documents(&self) -> &[Item] {
        &self.documents
    }

    pub fn answer(&mut self, request: &Request) -> Answer {
        let path = request.path();
        match request.method() {
            "GET" | "HEAD" if path == "/" => Answer::json(200, &root()),
            "POST" | "PUT" if path == "/_bulk" || path.ends_with("/_bulk") => self.take(request),
            "PUT" => Answer::json(200, &json!({"acknowledged": true})),
            _ => Answer::error(404, "resource_not_found_exception", path),
        }
    }

    fn take(&mut self, request: &Request) -> Answer {
        let kind = request.header("content-type").unwrap_or_default();
        let kinds = ["application/x-ndjson", "application/json"];
        if !kinds.contains(&kind.split(';').next().unwrap_or_default()) {
            let error = format!("Content-Type header [{kind}] is not supported");
            return Answer::json(406, &json!({"error": error, "status": 406}));
        }
        let octets = request.content().map_or(0, |content| content.len());
        if self.body_max.is_some_and(|most| octets > most) {
            return Answer::status(413);
        }
        let items = match items(request) {
            Ok(items) => items,
            Err((kind, reason)) => return Answer::error(400, kind, &reason),
        };
        let results: Vec<_> = items.into_iter().map(|item| self.take_item(item)).collect();
        let errors = results.iter().any(|(is_error, _)| *is_error);
        let items: Vec<_> = results.into_iter().map(|(_, result)| result).collect();
        let body = json!({"took": 1, "errors": errors, "items": items});
        match request.parameter("filter_path") {
            Some(paths) => Answer::json(200, &filter(&body, &paths.replace("%2C", ","))),
            None => Answer::json(200, &body),
        }
    }

    /// Takes one. Whether it is an error, and what is answered.
    fn take_item(&mut self, item: Item) -> (bool, Value) {
        let refusal = match &mut self.rule {
            _ if item.document.is_null() => Some(Refusal::NO_JSON),
            Some(rule) => rule(&item),
            None => None,
        };
        let Item { action, index, id, .. } = item.clone();
        let result = |mut rest: Value| {
            rest["_index"] = Value::from(index.clone());
            rest["_id"] = Value::from(id.clone());
            json!({ action.clone(): rest })
        };
        let error = |status: u16, kind: &str, reason: &str| {
            result(json!({"status": status, "error": {"type": kind, "reason": reason}}))
        };
        if let Some(Refusal { status, kind, reason }) = refusal {
            return (true, error(status, kind, reason));
        }
        if !self.known.insert((index.clone(), id.clone())) {
            if action == "index" {
                self.documents.retain(|known| (&known.index, &known.id) != (&index, &id));
                self.documents.push(item);
                return (false, result(json!({"status": 200, "result": "updated"})));
            }
            let reason =
                format!("[{id}]: version conflict, document already exists (current version [1])");
            return (true, error(409, "version_conflict_engine_exception", &reason));
        }
        self.documents.push(item);
        (false, result(json!({"status": 201, "result": "created"})))
    }
}

/// The answer by which a client knows the engine.
fn root() -> Value {
    json!({
        "name": "scripted",
        "cluster_name": "tests",
        "version": {"number": "8.19.0", "build_flavor": "default"},
        "tagline": "You Know, for Search",
    })
}

/// The documents of a request, or the type and the reason of what is wrong with it.
fn items(request: &Request) -> Result<Vec<Item>, (&'static str, String)> {
    let text = text(request).map_err(|reason| (ILLEGAL, reason))?;
    if text.is_empty() {
        return Err(("parse_exception", "request body is required".to_owned()));
    }
    let Some(text) = text.strip_suffix('\n') else {
        let reason = "The bulk request must be terminated by a newline [\\n]";
        return Err((ILLEGAL, reason.to_owned()));
    };
    // In the path there may be an index for all.
    let for_all = request.path().trim_end_matches("_bulk").trim_matches('/');
    let mut items: Vec<Item> = Vec::new();
    let mut lines = text.split('\n').filter(|line| !line.is_empty());
    // An action at the end without a document is passed over.
    while let (Some(line), Some(document)) = (lines.next(), lines.next()) {
        let place = items.len();
        let (action, about) = action(line, place)?;
        let index = about["_index"].as_str().unwrap_or(for_all).to_owned();
        if index.is_empty() {
            return Err((INVALID, format!("Validation Failed: {}: index is missing;", place + 1)));
        }
        let id = about["_id"].as_str().map_or_else(made_up, str::to_owned);
        let document = serde_json::from_str(document).unwrap_or(Value::Null);
        items.push(Item { place, action, index, id, document });
    }
    if items.is_empty() {
        return Err((INVALID, "Validation Failed: 1: no requests added;".to_owned()));
    }
    Ok(items)
}

const ILLEGAL: &str = "illegal_argument_exception";
const INVALID: &str = "action_request_validation_exception";

fn text(request: &Request) -> Result<String, String> {
    let content = request.content().map_err(|error| error.to_string())?;
    String::from_utf8(content).map_err(|error| error.to_string())
}

/// What to do with the document of the next line, and its metadata.
fn action(line: &str, place: usize) -> Result<(String, Value), (&'static str, String)> {
    let value: Value = serde_json::from_str(line)
        .map_err(|error| ("x_content_parse_exception", error.to_string()))?;
    let first = value.as_object().and_then(|members| members.iter().next());
    match first {
        Some((action, about)) if matches!(action.as_str(), "create" | "index") => {
            Ok((action.clone(), about.clone()))
        }
        _ => {
            let number = place * 2 + 1;
            Err((ILLEGAL, format!("Malformed action/metadata line [{number}]: {line}")))
        }
    }
}

/// An identifier for a document without one, which no other document has.
fn made_up() -> String {
    static MADE_UP: AtomicU64 = AtomicU64::new(0);
    format!("made-up-{}", MADE_UP.fetch_add(1, Ordering::Relaxed))
}
