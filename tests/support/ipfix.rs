//! A parser of IPFIX messages (RFC 7011), independent of the exporter.

use std::collections::BTreeMap;

/// A message.
#[derive(Clone, Debug)]
pub struct Message {
    pub export_time: u32,
    pub sequence: u32,
    pub domain: u32,
    pub sets: Vec<Set>,
}

/// A set: its ID, and its records if it is a Data Set.
#[derive(Clone, Debug)]
pub struct Set {
    pub id: u16,
    pub records: Vec<Record>,
}

/// Values by the number of their information element.
pub type Record = BTreeMap<u16, Vec<u8>>;

const TEMPLATE_SET: u16 = 2;
const OPTIONS_TEMPLATE_SET: u16 = 3;

/// Information elements that the tests use.
pub const OCTETS: u16 = 1;
pub const PACKETS: u16 = 2;
pub const FLOW_END_REASON: u16 = 136;

impl Message {
    /// Flow records: those with an end reason.
    pub fn flows(&self) -> impl Iterator<Item = &Record> {
        let records = self.sets.iter().flat_map(|set| &set.records);
        records.filter(|record| record.contains_key(&FLOW_END_REASON))
    }

    /// Number of Data Records of any kind, which the sequence number counts.
    pub fn data_records(&self) -> usize {
        self.sets.iter().map(|set| set.records.len()).sum()
    }

    pub fn has_templates(&self) -> bool {
        self.sets.iter().any(|set| set.id == TEMPLATE_SET)
    }
}

/// A value as a number.
pub fn number(record: &Record, element: u16) -> u64 {
    record[&element].iter().fold(0, |sum, &octet| sum << 8 | u64::from(octet))
}

/// Parses a session: consecutive messages, with templates before their Data Sets.
pub fn session(octets: &[u8]) -> Vec<Message> {
    let mut templates = BTreeMap::new();
    let mut messages = Vec::new();
    let mut rest = octets;
    while !rest.is_empty() {
        assert_eq!(u16_at(rest, 0), 10, "the version of IPFIX");
        let length = usize::from(u16_at(rest, 2));
        let (message, later) = rest.split_at_checked(length).expect("whole messages");
        rest = later;
        messages.push(Message {
            export_time: u32_at(message, 4),
            sequence: u32_at(message, 8),
            domain: u32_at(message, 12),
            sets: sets(&message[16..], &mut templates),
        });
    }
    messages
}

/// The octets of the complete messages at the beginning of a session that was cut.
pub fn whole_messages(octets: &[u8]) -> &[u8] {
    let mut end = 0;
    while octets.len() >= end + 4 && octets.len() >= end + usize::from(u16_at(octets, end + 2)) {
        end += usize::from(u16_at(octets, end + 2));
    }
    &octets[..end]
}

/// Element and length of each field.
type Template = Vec<(u16, usize)>;

fn sets(mut rest: &[u8], templates: &mut BTreeMap<u16, Template>) -> Vec<Set> {
    let mut sets = Vec::new();
    while !rest.is_empty() {
        let (id, length) = (u16_at(rest, 0), usize::from(u16_at(rest, 2)));
        assert!(length >= 4, "a set is longer than its header");
        let (set, later) = rest.split_at_checked(length).expect("a whole set");
        rest = later;
        let records = match id {
            TEMPLATE_SET | OPTIONS_TEMPLATE_SET => {
                learn(&set[4..], id == OPTIONS_TEMPLATE_SET, templates);
                Vec::new()
            }
            _ => records(&set[4..], templates.get(&id).expect("a template came before")),
        };
        sets.push(Set { id, records });
    }
    sets
}

/// Template Records: ID, count, for options the count of scope fields, then element and length of
/// each.
fn learn(mut rest: &[u8], options: bool, templates: &mut BTreeMap<u16, Template>) {
    let header = if options { 6 } else { 4 };
    while rest.len() >= header && u16_at(rest, 0) >= 256 {
        let (id, count) = (u16_at(rest, 0), usize::from(u16_at(rest, 2)));
        let fields = &rest[header..header + 4 * count];
        let field = |field: &[u8]| (u16_at(field, 0), usize::from(u16_at(field, 2)));
        templates.insert(id, fields.chunks(4).map(field).collect());
        rest = &rest[header + 4 * count..];
    }
}

fn records(mut rest: &[u8], template: &Template) -> Vec<Record> {
    let length: usize = template.iter().map(|(_, length)| length).sum();
    let mut records = Vec::new();
    while rest.len() >= length {
        let mut record = Record::new();
        for &(element, length) in template {
            let (value, later) = rest.split_at(length);
            record.insert(element, value.to_vec());
            rest = later;
        }
        records.push(record);
    }
    assert!(rest.iter().all(|&octet| octet == 0), "padding is zeros");
    records
}

fn u16_at(octets: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([octets[at], octets[at + 1]])
}

fn u32_at(octets: &[u8], at: usize) -> u32 {
    u32::from(u16_at(octets, at)) << 16 | u32::from(u16_at(octets, at + 2))
}
