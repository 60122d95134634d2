//! What an independent consumer reads from a topic.

use std::collections::BTreeSet;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::broker::Broker;
use crate::install::installed;
use crate::support::{self, Run};

/// A message as the consumer has it.
#[derive(Clone, Debug)]
pub struct Message(Value);

impl Message {
    pub fn number(&self, name: &str) -> u64 {
        self.0[name].as_u64().unwrap_or_else(|| panic!("no {name} in {}", self.0))
    }

    /// Null is none.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0[name].as_str()
    }

    /// The value of a message that is no document.
    pub fn octets(&self) -> Vec<u8> {
        STANDARD.decode(self.text("message").expect("it is no document")).expect("it is Base64")
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.0["headers"][name].as_str()
    }
}

/// All messages of a topic.
pub fn consume(broker: &Broker, topic: &str) -> Vec<Message> {
    let installed = installed().expect("the broker runs");
    let output = Command::new("python3")
        .arg(support::root().join("tests/kafka/consume.py"))
        .args([&broker.address(), topic])
        .env("PYTHONPATH", &installed.python)
        .output()
        .expect("python can be started");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let lines = String::from_utf8(output.stdout).expect("JSON is text");
    lines.lines().map(|line| Message(serde_json::from_str(line).expect("a line is one"))).collect()
}

/// Each document that a run sent is there once, with all packets and octets.
#[track_caller]
pub fn assert_complete(messages: &[Message], run: &Run) {
    let ids: BTreeSet<_> = messages.iter().map(|message| message.text("id")).collect();
    assert_eq!(ids.len(), messages.len(), "documents are there twice");
    assert!(!ids.contains(&None), "a document has no id");
    let sum = |name| messages.iter().map(|message| message.number(name)).sum::<u64>();
    let has = [messages.len() as u64, sum("packets"), sum("octets")];
    let sent = ["records", "packets", "octets"];
    let sent = sent.map(|count| run.count(&format!("outputs.0.sent.{count}")));
    assert_eq!(has, sent, "{}", run.stats);
    run.assert_conservation();
}
