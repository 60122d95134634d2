//! The cluster's reply to a request, and the outcome of each document.

use serde::Deserialize;

use crate::batches::Outcome;

/// Parts of the answer to a bulk request that are requested. The status is needed in each item:
/// items without members would be left out, and positions would shift.
pub(super) const FILTER_PATH: &str =
    "errors,items.*.status,items.*.error.type,items.*.error.reason,items.*.error.caused_by";

#[derive(Debug, Deserialize)]
struct Reply {
    #[serde(default)]
    items: Vec<Item>,
}

/// An item has one member, named after the action.
#[derive(Debug, Deserialize)]
struct Item {
    #[serde(alias = "index")]
    create: Status,
}

#[derive(Debug, Deserialize)]
struct Status {
    status: u16,
    error: Option<Problem>,
}

#[derive(Debug, Default, Deserialize)]
struct Problem {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    reason: Option<String>,
    /// The cause of the error, which is often more precise.
    #[serde(default)]
    caused_by: Option<Box<Self>>,
}

impl Problem {
    /// The reason, and the reason of the innermost cause.
    fn reasons(&self) -> Option<String> {
        let mut innermost = self;
        while let Some(cause) = &innermost.caused_by {
            innermost = cause;
        }
        let cause = innermost.reason.as_ref().filter(|_| self.caused_by.is_some());
        match (&self.reason, cause) {
            (Some(reason), Some(cause)) if !reason.contains(cause) => {
                Some(format!("{reason}: {cause}"))
            }
            (reason, cause) => reason.as_ref().or(cause).cloned(),
        }
    }
}

/// Reads the answer to a bulk request with this many documents. `None` if it is not such an answer.
pub(super) fn outcomes(answer: &[u8], documents: usize) -> Option<Vec<Outcome>> {
    let reply: Reply = serde_json::from_slice(answer).ok()?;
    if reply.items.len() != documents {
        return None;
    }
    let mut outcomes: Vec<_> = reply.items.into_iter().map(|item| outcome(item.create)).collect();
    if let Some(reason) = common_argument(&outcomes) {
        outcomes.fill(Outcome::Blocked(reason));
    }
    Some(outcomes)
}

fn outcome(Status { status, error }: Status) -> Outcome {
    let error = error.unwrap_or_default();
    let (reason, kind) = (error.reasons(), error.kind);
    match status {
        200..=299 => Outcome::Accepted,
        409 => Outcome::Duplicate,
        500 if kind == NOT_JSON => Outcome::Refused { kind, reason: reason.unwrap_or_default() },
        429 | 503 => Outcome::Retry(sentence(&kind, reason.as_deref())),
        500.. => Outcome::Failed { kind, reason: reason.unwrap_or_default() },
        403 if kind == BLOCKED => Outcome::Blocked(sentence(&kind, reason.as_deref())),
        401 => denied(NOT_KNOWN, &kind, reason.as_deref()),
        403 => denied(NOT_ALLOWED, &kind, reason.as_deref()),
        404 => Outcome::Blocked(sentence(&kind, reason.as_deref())),
        _ if is_blocking(&kind, reason.as_deref()) => {
            Outcome::Blocked(sentence(&kind, reason.as_deref()))
        }
        _ => Outcome::Refused { kind, reason: reason.unwrap_or_default() },
    }
}

fn denied(what: &str, kind: &str, reason: Option<&str>) -> Outcome {
    Outcome::Denied(format!("{what}: {}", sentence(kind, reason)))
}

/// What status 401 means, and 403 if nothing is blocked.
pub(super) const NOT_KNOWN: &str = "the cluster does not accept the user's credentials";
pub(super) const NOT_ALLOWED: &str = "the user may not write there";

/// Error type of an index or a cluster that is read-only. It has status 403, and passes.
pub(super) const BLOCKED: &str = "cluster_block_exception";

/// Error type for a document that is not JSON. Elasticsearch 8 answers with status 500, although no
/// later attempt can succeed.
const NOT_JSON: &str = "not_x_content_exception";

/// Types of errors with status 400 that concern the index, not a document. The last one is that of
/// a cluster that has its maximum number of shards, so that it makes no more indexes.
const BLOCKING: [&str; 5] = [
    "index_closed_exception",
    "invalid_index_name_exception",
    "invalid_alias_name_exception",
    "index_template_missing_exception",
    "validation_exception",
];

/// The reason of an illegal argument that concerns the request begins with this.
const NO_PIPELINE: &str = "pipeline with id [";

fn is_blocking(kind: &str, reason: Option<&str>) -> bool {
    let has_no_pipeline = || reason.is_some_and(|reason| reason.starts_with(NO_PIPELINE));
    BLOCKING.contains(&kind) || kind == ILLEGAL_ARGUMENT && has_no_pipeline()
}

const ILLEGAL_ARGUMENT: &str = "illegal_argument_exception";

/// The reason of an illegal argument that all documents of a batch (two or more) have: it concerns
/// the request, such as an ingest pipeline that does not exist.
fn common_argument(outcomes: &[Outcome]) -> Option<String> {
    let [Outcome::Refused { kind, reason }, _, ..] = outcomes else { return None };
    let is_common =
        kind == ILLEGAL_ARGUMENT && outcomes.iter().all(|outcome| *outcome == outcomes[0]);
    is_common.then(|| sentence(kind, Some(reason)))
}

fn sentence(kind: &str, reason: Option<&str>) -> String {
    match reason {
        Some(reason) if !reason.is_empty() => format!("{kind}: {reason}"),
        _ => kind.to_owned(),
    }
}

/// The error of an answer with a status of 400 or more, if it has one: `type: reason`.
pub(crate) fn problem(answer: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Answer {
        error: Error,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Error {
        Structured(Problem),
        Text(String),
    }
    match serde_json::from_slice(answer) {
        Ok(Answer { error: Error::Structured(problem) }) => {
            sentence(&problem.kind, problem.reasons().as_deref())
        }
        Ok(Answer { error: Error::Text(text) }) => text,
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(status: u16, kind: &str) -> String {
        let error = format!(r#","error":{{"type":"{kind}","reason":"r"}}"#);
        let error = if kind.is_empty() { String::new() } else { error };
        format!(r#"{{"create":{{"status":{status}{error}}}}}"#)
    }

    fn read(items: &[String]) -> Option<Vec<Outcome>> {
        let answer = format!(r#"{{"took":3,"errors":true,"items":[{}]}}"#, items.join(","));
        outcomes(answer.as_bytes(), items.len())
    }

    #[test]
    fn each_item_says_what_became_of_its_document() {
        let refused = |kind: &str| Outcome::Refused { kind: kind.to_owned(), reason: "r".into() };
        let cases = [
            (item(201, ""), Outcome::Accepted),
            (item(409, "version_conflict_engine_exception"), Outcome::Duplicate),
            (
                item(429, "es_rejected_execution_exception"),
                retry("es_rejected_execution_exception"),
            ),
            (item(503, "unavailable_shards_exception"), retry("unavailable_shards_exception")),
            (item(500, "fail_processor_exception"), failed("fail_processor_exception")),
            (item(400, "document_parsing_exception"), refused("document_parsing_exception")),
            (item(400, "illegal_argument_exception"), refused("illegal_argument_exception")),
            (item(500, "not_x_content_exception"), refused("not_x_content_exception")),
            (item(403, "cluster_block_exception"), blocked("cluster_block_exception")),
            (item(403, "security_exception"), denied(NOT_ALLOWED, "security_exception", Some("r"))),
            (item(401, "security_exception"), denied(NOT_KNOWN, "security_exception", Some("r"))),
            (item(404, "index_not_found_exception"), blocked("index_not_found_exception")),
            (item(400, "index_closed_exception"), blocked("index_closed_exception")),
            (item(400, "validation_exception"), blocked("validation_exception")),
        ];
        let (items, expected): (Vec<_>, Vec<_>) = cases.into_iter().unzip();
        assert_eq!(read(&items), Some(expected));
    }

    fn retry(kind: &str) -> Outcome {
        Outcome::Retry(format!("{kind}: r"))
    }

    fn failed(kind: &str) -> Outcome {
        Outcome::Failed { kind: kind.to_owned(), reason: "r".to_owned() }
    }

    fn blocked(kind: &str) -> Outcome {
        Outcome::Blocked(format!("{kind}: r"))
    }

    #[test]
    fn argument_that_is_illegal_in_all_documents_is_about_the_request() {
        let illegal = || item(400, "illegal_argument_exception");
        let all = blocked("illegal_argument_exception");
        assert_eq!(read(&[illegal(), illegal()]), Some(vec![all.clone(), all]));
    }

    #[test]
    fn other_answers_are_none() {
        assert_eq!(outcomes(b"{}", 1), None);
        assert_eq!(outcomes(b"", 1), None);
        assert_eq!(outcomes(b"<html>", 1), None);
        assert_eq!(outcomes(br#"{"items":[{"create":{"status":201}}]}"#, 2), None);
    }

    #[test]
    fn problem_of_a_whole_request() {
        let structured = br#"{"error":{"type":"t","reason":"r"},"status":403}"#;
        assert_eq!(problem(structured), "t: r");
        let caused = br#"{"error":{"type":"t","reason":"r","caused_by":{"type":"u","reason":"s",
            "caused_by":{"type":"v","reason":"the field is wrong"}}},"status":400}"#;
        assert_eq!(problem(caused), "t: r: the field is wrong");
        assert_eq!(problem(br#"{"error":"text"}"#), "text");
        assert_eq!(problem(b"<html>"), "");
    }
}
