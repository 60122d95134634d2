//! What an independent consumer reads from a topic.

use std::collections::BTreeSet;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::broker::Broker;
use crate::distribution::distribution;
use crate::replay::delivered;
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
    let lines = ask(broker, &[topic]);
    lines.lines().map(|line| Message(serde_json::from_str(line).expect("a line is one"))).collect()
}

/// What the documents of a topic come to.
#[derive(Debug, PartialEq, Eq)]
pub struct Sums {
    pub messages: u64,
    /// Different documents.
    pub ids: u64,
    pub packets: u64,
    pub octets: u64,
    /// Messages of each partition.
    pub partitions: Vec<u64>,
}

pub fn sums(broker: &Broker, topic: &str) -> Sums {
    let sums: Value = serde_json::from_str(&ask(broker, &[topic, "sums"])).expect("it is JSON");
    let number = |value: &Value| value.as_u64().expect("a number");
    Sums {
        messages: number(&sums["messages"]),
        ids: number(&sums["ids"]),
        packets: number(&sums["packets"]),
        octets: number(&sums["octets"]),
        partitions: sums["partitions"].as_array().expect("a list").iter().map(number).collect(),
    }
}

fn ask(broker: &Broker, arguments: &[&str]) -> String {
    let distribution = distribution().expect("the broker runs");
    let output = Command::new("python3")
        .arg(support::root().join("tests/kafka/consume.py"))
        .arg(broker.address())
        .args(arguments)
        .env("PYTHONPATH", &distribution.python)
        .output()
        .expect("python can be started");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).expect("JSON is text")
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

/// The run has delivered all of its documents, and each is in the topic once.
#[track_caller]
pub fn assert_delivered(run: &Run, broker: &Broker, flows: u32) {
    assert_eq!(run.status, 0, "{}", run.stderr);
    assert_eq!(delivered(run, "accepted"), u64::from(flows), "{}", run.stats);
    assert_complete(&consume(broker, "flows"), run);
}
