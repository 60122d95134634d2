//! What an error of the library means for a message.

use rdkafka::error::RDKafkaErrorCode;

use super::receipts::Trouble;
use crate::batches::Outcome;

/// True if no message can be written until an operator solves the problem: the topic does not
/// exist, or a right is missing.
pub(super) fn needs_operator(code: RDKafkaErrorCode) -> bool {
    is_missing(code)
        || matches!(
            code,
            RDKafkaErrorCode::Authentication
                | RDKafkaErrorCode::ClusterAuthorizationFailed
                | RDKafkaErrorCode::InvalidTopic
                | RDKafkaErrorCode::SaslAuthenticationFailed
                | RDKafkaErrorCode::TopicAuthorizationFailed
        )
}

impl Trouble {
    /// True if no broker can be reached until an operator solves the problem. The library has one
    /// code for all errors of TLS, and one of them is a broker that goes away meanwhile.
    pub(super) fn needs_operator(&self) -> bool {
        needs_operator(self.code)
            || self.code == RDKafkaErrorCode::SSL && self.reason.contains("certificate")
    }
}

/// True if the topic does not exist, or not yet.
pub(super) fn is_missing(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::UnknownPartition
            | RDKafkaErrorCode::UnknownTopic
            | RDKafkaErrorCode::UnknownTopicOrPartition
    )
}

/// True if the message, or a request with others and it, is too large.
pub(super) fn is_too_large(code: RDKafkaErrorCode) -> bool {
    code == RDKafkaErrorCode::MessageSizeTooLarge
}

/// The outcome of a message that failed.
pub(super) fn outcome(code: RDKafkaErrorCode, topic: &str, trouble: Option<&Trouble>) -> Outcome {
    let refused = |kind: &str| Outcome::Refused { kind: kind.to_owned(), reason: code.to_string() };
    if is_too_large(code) {
        return refused("message_too_large");
    }
    // A later attempt may succeed, if no operator is needed.
    #[expect(clippy::wildcard_enum_match_arm, reason = "there are more than a hundred errors")]
    match code {
        RDKafkaErrorCode::InvalidRecord => refused("invalid_record"),
        RDKafkaErrorCode::InvalidTimestamp => refused("invalid_timestamp"),
        RDKafkaErrorCode::PurgeQueue
        | RDKafkaErrorCode::PurgeInflight
        | RDKafkaErrorCode::QueueFull => Outcome::Retry(code.to_string()),
        _ => Outcome::Blocked(reason(code, topic, trouble)),
    }
}

/// Text for an error.
pub(super) fn reason(code: RDKafkaErrorCode, topic: &str, trouble: Option<&Trouble>) -> String {
    match trouble {
        _ if is_missing(code) => format!("the topic {topic} does not exist"),
        _ if code == RDKafkaErrorCode::TopicAuthorizationFailed => {
            format!("no right to write into the topic {topic}")
        }
        Some(trouble) => trouble.reason.clone(),
        None => code.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificate_that_is_not_trusted_needs_an_operator() {
        let trouble =
            |reason: &str| Trouble { code: RDKafkaErrorCode::SSL, reason: reason.to_owned() };
        let untrusted = "SSL handshake failed: certificate verify failed: broker certificate could \
                         not be verified, verify that ssl.ca.location is correctly configured";
        assert!(trouble(untrusted).needs_operator());
        assert!(!trouble("SSL handshake failed: Disconnected").needs_operator());
    }

    #[test]
    fn errors_stop_wait_or_concern_one_message() {
        let of = |code| outcome(code, "flows", None);
        let blocked = |text: &str| Outcome::Blocked(text.to_owned());
        let missing = of(RDKafkaErrorCode::UnknownTopicOrPartition);
        assert_eq!(missing, blocked("the topic flows does not exist"));
        let right = of(RDKafkaErrorCode::TopicAuthorizationFailed);
        assert_eq!(right, blocked("no right to write into the topic flows"));
        assert!(matches!(of(RDKafkaErrorCode::PurgeInflight), Outcome::Retry(_)));
        let large = of(RDKafkaErrorCode::MessageSizeTooLarge);
        assert!(matches!(large, Outcome::Refused { kind, .. } if kind == "message_too_large"));
        let reason = "b1:9092: Connection refused".to_owned();
        let trouble = Trouble { code: RDKafkaErrorCode::BrokerTransportFailure, reason };
        let waits = outcome(RDKafkaErrorCode::MessageTimedOut, "flows", Some(&trouble));
        assert_eq!(waits, blocked("b1:9092: Connection refused"));
    }
}
