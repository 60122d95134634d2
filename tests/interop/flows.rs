//! Records of flows: the program's documents, and what collectors report.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::Value;

use crate::support::flows::Flow;

/// The counts of all records that otherwise say the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub packets: u64,
    pub octets: u64,
    pub records: u64,
}

/// Records, in no order: what they say but for their counts, which are apart. What a protocol or a
/// collector cannot say is 0 on both sides.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Flows(BTreeMap<Flow, Counts>);

impl Flows {
    pub fn of_documents(documents: &[Value]) -> Self {
        let split = |flow: Flow| {
            let counts = Counts::of_record(flow.packets, flow.octets);
            (Flow { packets: 0, octets: 0, ..flow }, counts)
        };
        documents.iter().map(|document| split(Flow::of(document))).collect()
    }

    /// These flows as a protocol or a collector can say them.
    pub fn seen(&self, as_seen: impl Fn(Flow) -> Flow) -> Self {
        let mut seen = Self::default();
        for (flow, counts) in &self.0 {
            seen.add(as_seen(flow.clone()), *counts);
        }
        seen
    }

    pub fn only(&self, keep: impl Fn(&Flow) -> bool) -> Self {
        let kept = self.0.iter().filter(|(flow, _)| keep(flow));
        Self(kept.map(|(flow, counts)| (flow.clone(), *counts)).collect())
    }

    /// What NetFlow v5 can say: no IPv6, no VLAN, no TTLs, no end reason.
    pub fn said_by_netflow5(&self) -> Self {
        let plain = |flow| Flow { vlan: 0, ttl: (0, 0), end_reason: 0, ..flow };
        self.only(|flow| !is_ipv6(flow)).seen(plain)
    }

    /// With counts that are so many times as large.
    pub fn times(mut self, factor: u64) -> Self {
        for counts in self.0.values_mut() {
            counts.packets *= factor;
            counts.octets *= factor;
        }
        self
    }

    /// NetFlow v5 counts in 32 bits: more takes several records.
    pub fn split_at_32_bits(mut self) -> Self {
        for counts in self.0.values_mut() {
            counts.records = counts.octets.div_ceil(u32::MAX.into()).max(counts.records);
        }
        self
    }

    /// Whatever number of records a collector has made of them.
    pub fn merged(mut self) -> Self {
        self.0.values_mut().for_each(|counts| counts.records = 1);
        self
    }

    pub fn records(&self) -> u64 {
        self.0.values().map(|counts| counts.records).sum()
    }

    fn add(&mut self, flow: Flow, counts: Counts) {
        self.0.entry(flow).or_default().add(counts);
    }
}

impl Counts {
    pub fn of_record(packets: u64, octets: u64) -> Self {
        Self { packets, octets, records: 1 }
    }

    fn add(&mut self, other: Self) {
        self.packets += other.packets;
        self.octets += other.octets;
        self.records += other.records;
    }
}

impl FromIterator<(Flow, Counts)> for Flows {
    fn from_iter<I: IntoIterator<Item = (Flow, Counts)>>(records: I) -> Self {
        let mut flows = Self::default();
        records.into_iter().for_each(|(flow, counts)| flows.add(flow, counts));
        flows
    }
}

/// Fails with the flows that differ.
#[track_caller]
pub fn assert_reported(expected: &Flows, reported: &Flows) {
    let without = |one: &Flows, other: &Flows| -> Vec<String> {
        let lacking = one.0.iter().filter(|(flow, counts)| other.0.get(flow) != Some(counts));
        lacking.map(|(flow, counts)| format!("{flow:?} {counts:?}")).collect()
    };
    assert!(
        expected == reported,
        "expected and not reported:\n{}\nreported and not expected:\n{}",
        without(expected, reported).join("\n"),
        without(reported, expected).join("\n")
    );
}

pub fn is_ipv6(flow: &Flow) -> bool {
    flow.source.contains(':')
}

/// The fields of a JSON object, which must be there.
pub struct Fields<'a>(pub &'a Value);

impl<'a> Fields<'a> {
    pub fn has(&self, pointer: &str) -> bool {
        self.0.pointer(pointer).is_some()
    }

    pub fn text(&self, pointer: &str) -> &'a str {
        self.value(pointer).as_str().unwrap_or_else(|| panic!("{pointer} is no text: {}", self.0))
    }

    /// An address as the program writes it.
    pub fn address(&self, pointer: &str) -> String {
        let address: IpAddr = self.text(pointer).parse().expect("an address");
        address.to_string()
    }

    /// A number, also one that is written as text.
    pub fn number(&self, pointer: &str) -> u64 {
        let value = self.value(pointer);
        let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
        number.unwrap_or_else(|| panic!("{pointer} is no number: {}", self.0))
    }

    /// A number, 0 where it is not said.
    pub fn number_if_any(&self, pointer: &str) -> u64 {
        if self.has(pointer) { self.number(pointer) } else { 0 }
    }

    fn value(&self, pointer: &str) -> &'a Value {
        self.0.pointer(pointer).unwrap_or_else(|| panic!("no {pointer} in {}", self.0))
    }
}
