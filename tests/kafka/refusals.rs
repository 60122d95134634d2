//! What a broker refuses: some documents, or all.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::broker::Broker;
use crate::consumer::{assert_complete, consume};
use crate::replay::{delivered, replay};
use crate::support::{self, Run};

/// A run that gave up at once, with this reason. Each record is counted.
#[track_caller]
pub fn assert_gave_up(run: &Run, reason: &str) {
    assert_eq!(run.status, 1, "{}", run.stderr);
    assert!(run.stderr.contains(reason), "{}", run.stderr);
    assert_eq!(run.count("outputs.0.sent.records"), 0, "{}", run.stats);
    assert!(run.count("outputs.0.failed.records") > 0, "{}", run.stats);
    run.assert_conservation();
}

#[test]
fn topic_that_does_not_exist_ends_a_run() {
    let Some(broker) = Broker::shared() else { return };
    let run = replay(&support::office(), &broker.output("nowhere", ""));
    assert_gave_up(&run, "the topic nowhere does not exist");
}

#[test]
fn missing_right_ends_a_run() {
    let authorizer =
        "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer";
    let settings = [authorizer, "allow.everyone.if.no.acl.found=true"];
    let Some(broker) = Broker::start_with(&settings) else { return };
    broker.create("closed", 1, &[]);
    broker.deny_writes("closed");
    let run = replay(&support::office(), &broker.output("closed", ""));
    assert_gave_up(&run, "no right to write into the topic closed");
}

/// A broker that asks who it is: the right password is taken, and a wrong one ends the run.
#[test]
fn user_has_a_password() {
    let login = "org.apache.kafka.common.security.plain.PlainLoginModule required \
                 username=\"broker\" password=\"b\" user_broker=\"b\" user_probe=\"secret\";";
    let login = format!("listener.name.plaintext.plain.sasl.jaas.config={login}");
    let settings = [
        "listener.security.protocol.map=PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
        "sasl.enabled.mechanisms=PLAIN",
        "sasl.mechanism.inter.broker.protocol=PLAIN",
        "auto.create.topics.enable=true",
        &login,
    ];
    let Some(broker) = Broker::start_with(&settings) else { return };
    let folder = support::scratch();
    let output = |password: &str| {
        let file = support::write(&folder, "password", password.as_bytes());
        broker.output("flows", &format!("user=probe&password-file={}", file.display()))
    };
    let run = replay(&support::office(), &output("secret"));
    assert_eq!(run.status, 0, "{}", run.stderr);
    assert_eq!(delivered(&run, "accepted"), run.count("outputs.0.sent.records"));
    run.assert_conservation();
    let run = replay(&support::office(), &output("not-it"));
    assert_gave_up(&run, "Authentication failed");
    assert!(!run.stderr.contains("not-it"), "{}", run.stderr);
}

/// Documents that are too large for the topic are kept, and the others arrive.
#[test]
fn documents_that_are_too_large_are_kept_with_the_reason() {
    let Some(broker) = Broker::shared() else { return };
    broker.create("narrow", 2, &["max.message.bytes=2000"]);
    let folder = support::scratch();
    let dead = folder.path().join("dead");
    let settings = format!("compression=none&dead-letter={}", dead.display());
    let run = replay(&support::office(), &broker.output("narrow", &settings));
    assert_eq!(run.status, 1, "a dead letter is a loss: {}", run.stderr);
    let messages = consume(broker, "narrow");
    assert_complete(&messages, &run);
    let kept = delivered(&run, "dead_lettered");
    assert!(kept > 0 && !messages.is_empty(), "{}", run.stats);
    assert_eq!(run.count("outputs.0.dead_lettered.records"), kept);
    let arrived: BTreeSet<_> = messages.iter().map(|message| message.text("id")).collect();
    let lines = fs::read_to_string(dead).unwrap();
    assert_eq!(lines.lines().count() as u64, kept);
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).expect("a line is JSON");
        assert_eq!(line["error"]["type"], "message_too_large", "{line}");
        assert!(line["document"].to_string().len() > 1500, "{line}");
        assert!(!arrived.contains(&line["document"]["event"]["id"].as_str()), "{line}");
    }
}

/// The largest message that the program sends is a setting.
#[test]
fn documents_that_are_too_large_for_the_setting_are_counted() {
    let Some(broker) = Broker::shared() else { return };
    broker.create("limited", 2, &[]);
    let run = replay(&support::office(), &broker.output("limited", "message-max=1000"));
    assert_eq!(delivered(&run, "accepted"), 0, "{}", run.stats);
    assert_eq!(delivered(&run, "refused"), run.count("outputs.0.failed.records"));
    run.assert_conservation();
}
