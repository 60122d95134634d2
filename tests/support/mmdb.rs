//! Databases in MaxMind's file format for tests.
//!
//! A file consists of a binary search tree over the bits of addresses, the records to which its
//! leaves refer, and a description of the file.

use std::collections::HashMap;
use std::net::IpAddr;

use serde_json::{Value, json};

/// Build time of all databases.
pub const BUILD_EPOCH: u64 = 1_767_225_600;

/// Octets between the tree and the data.
const SEPARATOR: usize = 16;

/// Numbers in the description of a file, and their types: 16, 32 and 64 bits.
const DESCRIPTION: [(&str, u8); 6] = [
    ("binary_format_major_version", 5),
    ("binary_format_minor_version", 5),
    ("build_epoch", 9),
    ("ip_version", 5),
    ("node_count", 6),
    ("record_size", 5),
];

/// Target of a branch of the tree.
#[derive(Clone, Copy, Debug)]
enum Branch {
    Nothing,
    Node(usize),
    /// The offset in the data.
    Record(usize),
}

/// A database of networks, each with its record. A network may be within another one.
pub fn database(kind: &str, bits_of_record: usize, networks: &[(String, Value)]) -> Vec<u8> {
    let mut data = Data::default();
    let mut tree = vec![[Branch::Nothing; 2]];
    let mut sorted: Vec<_> = networks.iter().map(|(cidr, value)| (path(cidr), value)).collect();
    sorted.sort_by_key(|(path, _)| path.len());
    for (path, value) in sorted {
        let record = data.record(value);
        insert(&mut tree, &path, record);
    }
    let count = tree.len();
    let mut file = Vec::new();
    for node in &tree {
        let numbers = node.map(|branch| match branch {
            Branch::Nothing => count,
            Branch::Node(index) => index,
            Branch::Record(offset) => count + SEPARATOR + offset,
        });
        put_node(numbers, bits_of_record, &mut file);
    }
    file.extend([0; SEPARATOR]);
    file.extend(data.octets);
    file.extend(b"\xab\xcd\xefMaxMind.com");
    let mut metadata = Data::default();
    metadata.put(&json!({
        "binary_format_major_version": 2,
        "binary_format_minor_version": 0,
        "build_epoch": BUILD_EPOCH,
        "database_type": kind,
        "description": {"en": "made for a test"},
        "ip_version": 6,
        "languages": ["en"],
        "node_count": count,
        "record_size": bits_of_record,
    }));
    file.extend(metadata.octets);
    file
}

/// The bits of a network's prefix. IPv4 is in ::/96.
fn path(cidr: &str) -> Vec<usize> {
    let (address, length) = cidr.split_once('/').expect("a prefix has a length");
    let length: usize = length.parse().expect("it is a number");
    let (bits, length) = match address.parse().expect("an address") {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()), length + 96),
        IpAddr::V6(v6) => (v6.to_bits(), length),
    };
    (0..length).map(|index| usize::from(bits >> (127 - index) & 1 == 1)).collect()
}

/// Networks with shorter prefixes come first, so an existing record belongs to a network around the
/// new one.
fn insert(tree: &mut Vec<[Branch; 2]>, path: &[usize], record: usize) {
    let (last, way) = path.split_last().expect("a network is not everything");
    let mut node = 0;
    for &bit in way {
        node = match tree[node][bit] {
            Branch::Node(next) => next,
            around @ (Branch::Nothing | Branch::Record(_)) => {
                tree.push([around; 2]);
                let next = tree.len() - 1;
                tree[node][bit] = Branch::Node(next);
                next
            }
        };
    }
    tree[node][*last] = Branch::Record(record);
}

fn put_node([left, right]: [usize; 2], bits: usize, out: &mut Vec<u8>) {
    let [left, right] = [left, right].map(|number| u32::try_from(number).unwrap().to_be_bytes());
    match bits {
        24 => out.extend([&left[1..], &right[1..]].concat()),
        28 => {
            out.extend(&left[1..]);
            out.push(left[0] << 4 | right[0]);
            out.extend(&right[1..]);
        }
        32 => out.extend([left, right].concat()),
        other => panic!("records of {other} bits"),
    }
}

/// The data section. Equal records are written once, and long texts too.
#[derive(Default)]
struct Data {
    octets: Vec<u8>,
    records: HashMap<String, usize>,
    texts: HashMap<String, usize>,
}

impl Data {
    /// The offset of a record.
    fn record(&mut self, value: &Value) -> usize {
        let text = value.to_string();
        if let Some(offset) = self.records.get(&text) {
            return *offset;
        }
        let offset = self.octets.len();
        self.put(value);
        self.records.insert(text, offset);
        offset
    }

    fn put(&mut self, value: &Value) {
        match value {
            Value::Object(members) => {
                self.control(7, members.len());
                for (name, value) in members {
                    self.text(name);
                    match DESCRIPTION.iter().find(|(described, _)| described == name) {
                        Some((_, kind)) => self.whole(*kind, value.as_u64().expect("a number")),
                        None => self.put(value),
                    }
                }
            }
            Value::Array(values) => {
                self.control(11, values.len());
                values.iter().for_each(|value| self.put(value));
            }
            Value::String(text) => self.text(text),
            Value::Bool(flag) => self.control(14, usize::from(*flag)),
            Value::Number(number) => match (number.as_u64(), number.as_f64()) {
                (Some(whole), _) => {
                    self.whole(if whole <= u32::MAX.into() { 6 } else { 9 }, whole);
                }
                (None, real) => {
                    self.control(3, 8);
                    self.octets.extend(real.expect("a number").to_be_bytes());
                }
            },
            Value::Null => panic!("there is no null"),
        }
    }

    /// A whole number of this type, without leading zeros.
    fn whole(&mut self, kind: u8, number: u64) {
        let octets = number.to_be_bytes();
        let octets = &octets[octets.iter().take_while(|octet| **octet == 0).count()..];
        self.control(kind, octets.len());
        self.octets.extend(octets);
    }

    /// A text, or a pointer to an earlier copy of it.
    fn text(&mut self, text: &str) {
        if let Some(offset) = self.texts.get(text) {
            self.octets.push(0b0011_1000);
            self.octets.extend(u32::try_from(*offset).unwrap().to_be_bytes());
            return;
        }
        if text.len() > 4 {
            self.texts.insert(text.to_owned(), self.octets.len());
        }
        self.control(2, text.len());
        self.octets.extend(text.as_bytes());
    }

    /// Writes the type of a value and its size.
    fn control(&mut self, kind: u8, size: usize) {
        let (size, more) = match size {
            0..29 => (u8::try_from(size).unwrap(), Vec::new()),
            29..285 => (29, vec![u8::try_from(size - 29).unwrap()]),
            _ => (30, u16::try_from(size - 285).unwrap().to_be_bytes().to_vec()),
        };
        if kind < 8 {
            self.octets.push(kind << 5 | size);
        } else {
            self.octets.extend([size, kind - 7]);
        }
        self.octets.extend(more);
    }
}
