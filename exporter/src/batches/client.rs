//! The interface of a service for the threads that send batches.

use std::time::Duration;

use super::batch::Batch;
use super::hosts::HostIndex;

/// A client of a service, shared by all threads.
pub(crate) trait Client: Send + Sync {
    /// The name of a host, for messages.
    fn base(&self, host: HostIndex) -> &str;

    /// Checks a host that failed.
    ///
    /// # Errors
    ///
    /// The host failed; see [`Answer`].
    fn ask(&self, host: HostIndex) -> Result<(), Answer>;

    /// Checks a host before its first batch. If this fails, the host is in doubt and is checked
    /// again.
    ///
    /// # Errors
    ///
    /// The host failed; see [`Answer`].
    fn ask_first(&self, host: HostIndex) -> Result<(), Answer>;

    /// Sends a batch. Also returns the octets that were sent.
    fn send(&self, host: HostIndex, batch: &Batch) -> (Answer, u64);

    /// A refused entry of a batch as members of a JSON object.
    fn letter(&self, entry: &[u8]) -> String;

    /// Ends all requests in flight. No further request is possible.
    fn shutdown(&self);
}

/// Result of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Each document has an outcome.
    Items(Vec<Outcome>),
    /// The body was too large.
    TooLarge,
    /// The connection ended while the body was sent. Some servers do that if the body is too large.
    Cut(String),
    /// The service is overloaded. The time is the delay that it asks for, if it does.
    Busy(String, Option<Duration>),
    /// No answer, or an invalid one.
    Failed(String),
    /// No request can succeed until an operator solves the problem.
    Blocked(String),
    /// The user may not write there. A replay gives up if this is so several times.
    Denied(String),
    /// No request can succeed, and a run that begins with it gives up: a wrong name or a missing
    /// right.
    #[cfg_attr(not(feature = "kafka"), expect(dead_code, reason = "only brokers say this"))]
    Stop(String),
}

impl Answer {
    /// Why the user may not write all or some documents.
    pub(super) fn denial(&self) -> Option<&str> {
        if let Self::Denied(reason) = self {
            return Some(reason);
        }
        let Self::Items(outcomes) = self else { return None };
        outcomes.iter().find_map(|outcome| {
            if let Outcome::Denied(reason) = outcome { Some(reason.as_str()) } else { None }
        })
    }
}

/// Outcome of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was written.
    Accepted,
    /// It was already there from an earlier attempt.
    Duplicate,
    /// A later attempt may succeed. The reason of the error, if it has one.
    Retry(String),
    /// The service failed at this document. If that goes on while it accepts others, the document
    /// is the cause. The type of the error and its reason.
    Failed { kind: String, reason: String },
    /// It can never be written. The type and the reason of the error.
    Refused { kind: String, reason: String },
    /// No document can be written until an operator solves the problem. The reason of the error.
    Blocked(String),
    /// The user may not write it. The reason of the error.
    Denied(String),
}
