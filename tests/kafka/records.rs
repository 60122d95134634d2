//! What is sent is what an independent consumer reads.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::broker::Broker;
use crate::consumer::{assert_complete, consume};
use crate::replay::{capture, replay};
use crate::support;
use crate::support::ipfix::{OCTETS, PACKETS, number, session};

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
    u64::try_from(now.as_millis()).expect("it is long before the end of time")
}

#[test]
fn each_codec_is_read_by_an_independent_consumer() {
    let Some(broker) = Broker::shared() else { return };
    for codec in ["none", "lz4", "snappy", "zstd"] {
        broker.create(codec, 3, &[]);
        let begin = now();
        let run =
            replay(&support::office(), &broker.output(codec, &format!("compression={codec}")));
        assert_eq!(run.status, 0, "{}", run.stderr);
        let messages = consume(broker, codec);
        assert_eq!(messages.len() as u64, run.count("outputs.0.delivery.accepted"), "{codec}");
        assert_complete(&messages, &run);
        for message in &messages {
            // The capture is from another day: retention looks at these times.
            assert!((begin..=now()).contains(&message.number("timestamp")), "{message:?}");
            assert_eq!(message.header("content-type"), Some("application/json"));
            assert_eq!(message.header("agent"), Some("test"));
            assert!(message.header("flowprobe-version").is_some());
            assert_eq!(message.text("key"), None);
        }
        let (stored, plain) = (broker.stored(codec), broker.stored("none"));
        assert!(codec == "none" || stored * 3 < plain, "{codec}: {stored} of {plain} octets");
    }
}

/// Each message is understood alone: it has its templates.
#[test]
fn ipfix_messages_are_read_each_alone() {
    let Some(broker) = Broker::shared() else { return };
    broker.create("ipfix", 4, &[]);
    let run = replay(&support::office(), &broker.output("ipfix", "format=ipfix"));
    assert_eq!(run.status, 0, "{}", run.stderr);
    run.assert_conservation();
    let (mut partitions, mut flows) = (BTreeSet::new(), [0; 3]);
    for message in consume(broker, "ipfix") {
        assert_eq!(message.header("content-type"), Some("application/ipfix"));
        partitions.insert(message.number("partition"));
        let parsed = session(&message.octets());
        assert!(parsed.len() == 1 && parsed[0].has_templates());
        for flow in parsed[0].flows() {
            flows[0] += 1;
            flows[1] += number(flow, PACKETS);
            flows[2] += number(flow, OCTETS);
        }
    }
    assert!(partitions.len() > 1, "{partitions:?}");
    let sent = ["records", "packets", "octets"];
    let sent = sent.map(|count| run.count(&format!("outputs.0.sent.{count}")));
    assert_eq!(flows, sent, "{}", run.stats);
    assert_eq!(flows[1..], ["packets", "octets"].map(|of| run.count(&format!("metered.{of}"))));
}

#[test]
fn both_directions_of_a_conversation_are_in_one_partition() {
    let Some(broker) = Broker::shared() else { return };
    broker.create("conversations", 8, &[]);
    let run = replay(&support::office(), &broker.output("conversations", "key=conversation"));
    assert_eq!(run.status, 0, "{}", run.stderr);
    let messages = consume(broker, "conversations");
    assert_complete(&messages, &run);
    let mut partitions = BTreeMap::<_, (BTreeSet<_>, u32)>::new();
    for message in &messages {
        let key = message.text("key");
        assert!(key.is_some() && key == message.text("conversation"), "{message:?}");
        // As other producers have it.
        assert_eq!(message.number("partition"), message.number("of_key"), "{message:?}");
        let (of_key, flows) = partitions.entry(key).or_default();
        of_key.insert(message.number("partition"));
        *flows += 1;
    }
    assert!(partitions.values().all(|(partitions, _)| partitions.len() == 1), "{partitions:?}");
    assert!(partitions.values().any(|(_, flows)| *flows > 1), "no conversation has two flows");
}

#[test]
fn messages_without_a_key_are_spread_evenly() {
    let Some(broker) = Broker::shared() else { return };
    for topic in ["spread", "one"] {
        broker.create(topic, 8, &[]);
    }
    let folder = support::scratch();
    let file = capture(&folder, 20_000);
    let run = replay(&file, &broker.output("spread", ""));
    let messages = consume(broker, "spread");
    assert_complete(&messages, &run);
    let mut counts = [0; 8];
    messages.iter().for_each(|message| counts[message.number("partition") as usize] += 1);
    assert!(counts.iter().all(|count| (2000..=3000).contains(count)), "{counts:?}");
    // All of an exporter are in one.
    let run = replay(&file, &broker.output("one", "key=exporter"));
    let messages = consume(broker, "one");
    assert_complete(&messages, &run);
    let partitions: BTreeSet<_> =
        messages.iter().map(|message| message.number("partition")).collect();
    assert_eq!(partitions.len(), 1, "{partitions:?}");
    assert_eq!(messages[0].text("key"), Some("test/1"));
}
