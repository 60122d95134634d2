//! Datagrams as a router sends them: one with the template, then those with 24 records each.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use sample::random::Random;

use crate::trace::{BEGIN_SECONDS, put_header, put_packet};

/// Records of a datagram: what fits an Ethernet packet.
pub(super) const RECORDS: u32 = 24;

/// The protocol of the datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Netflow9,
    Ipfix,
}

/// Datagrams, and the sums of what is in them.
#[derive(Debug)]
pub(super) struct Load {
    pub(super) protocol: Protocol,
    pub(super) datagrams: Vec<Vec<u8>>,
    /// Records, packets, octets.
    pub(super) sums: [u64; 3],
}

/// The template: number and length of each field. Those of NetFlow v9 are those of Cisco's "flow
/// record netflow-original", in IPFIX times are absolute.
const FIELDS: [(u16, u16); 17] = [
    (1, 4),
    (2, 4),
    (4, 1),
    (5, 1),
    (6, 1),
    (7, 2),
    (8, 4),
    (9, 1),
    (10, 4),
    (11, 2),
    (12, 4),
    (13, 1),
    (14, 4),
    (16, 4),
    (17, 4),
    (61, 1),
    (136, 1),
];
const TIMES: [(Protocol, [(u16, u16); 2]); 2] =
    [(Protocol::Netflow9, [(22, 4), (21, 4)]), (Protocol::Ipfix, [(152, 8), (153, 8)])];
const TEMPLATE: u16 = 260;
const DOMAIN: u32 = 7;

/// sysUpTime at the begin of the trace clock.
const UPTIME_MS: u32 = 1_000_000_000;

/// Datagrams of a second by the clock in them.
const RATE: u32 = 10_000;

/// Networks of the flows, each of an Autonomous System.
const NETWORKS: u32 = 4096;

impl Protocol {
    pub(super) const ALL: [Self; 2] = [Self::Netflow9, Self::Ipfix];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Netflow9 => "NetFlow v9",
            Self::Ipfix => "IPFIX",
        }
    }

    fn fields(self) -> impl Iterator<Item = (u16, u16)> {
        let times = TIMES.into_iter().filter(move |(protocol, _)| *protocol == self);
        FIELDS.into_iter().chain(times.flat_map(|(_, times)| times))
    }

    /// A message with one set, of this number of records so far.
    fn message(self, number: u32, set: u16, content: &[u8]) -> Vec<u8> {
        let (seconds, records) = (number / RATE, number.saturating_sub(1) * RECORDS);
        let time = BEGIN_SECONDS + seconds;
        let length = |header: usize| {
            u16::try_from(header + content.len()).expect("datagrams are short").to_be_bytes()
        };
        let mut message = Vec::new();
        match self {
            Self::Netflow9 => {
                let count = if set == 0 { 1 } else { RECORDS };
                message.extend((9 << 16 | count).to_be_bytes());
                for word in [UPTIME_MS + seconds * 1000, time, number, DOMAIN] {
                    message.extend(word.to_be_bytes());
                }
            }
            Self::Ipfix => {
                message.extend([[0, 10], length(16 + 4)].concat());
                for word in [time, records, DOMAIN] {
                    message.extend(word.to_be_bytes());
                }
            }
        }
        message.extend([set.to_be_bytes(), length(4)].concat());
        message.extend(content);
        message
    }

    fn template(self) -> Vec<u8> {
        let mut content = Vec::new();
        let count = u16::try_from(self.fields().count()).expect("few fields");
        [TEMPLATE, count].into_iter().for_each(|word| content.extend(word.to_be_bytes()));
        for (number, length) in self.fields() {
            content.extend([number.to_be_bytes(), length.to_be_bytes()].concat());
        }
        let set = match self {
            Self::Netflow9 => 0,
            Self::Ipfix => 2,
        };
        self.message(0, set, &content)
    }
}

impl Load {
    pub(super) fn new(protocol: Protocol, datagrams: u32) -> Self {
        let mut random = Random::named(protocol.name());
        let mut sums = [0; 3];
        let mut all = vec![protocol.template()];
        for number in 1..=datagrams {
            let mut content = Vec::new();
            for _ in 0..RECORDS {
                put_record(protocol, number / RATE, &mut random, (&mut content, &mut sums));
            }
            content.resize(content.len().next_multiple_of(4), 0);
            all.push(protocol.message(number, TEMPLATE, &content));
        }
        Self { protocol, datagrams: all, sums }
    }

    /// Writes a capture of the datagrams.
    pub(super) fn capture(&self, folder: &Path) -> Result<PathBuf> {
        let path = folder.join(format!("{:?}.pcap", self.protocol));
        let file = File::create(&path).with_context(|| format!("making {}", path.display()))?;
        let mut out = BufWriter::with_capacity(1 << 20, file);
        put_header(&mut out)?;
        for (number, datagram) in (0..).zip(&self.datagrams) {
            let of = |headers: usize| u16::try_from(headers + datagram.len()).map(u16::to_be_bytes);
            let [[a, b], [c, d]] = [of(20 + 8)?, of(8)?];
            let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
            frame.extend([0x45, 0, a, b, 0, 0, 0x40, 0, 64, 17, 0, 0]);
            frame.extend(Ipv4Addr::LOCALHOST.octets().repeat(2));
            frame.extend([8, 7, 8, 7, c, d, 0, 0]);
            frame.extend(datagram);
            put_packet(&mut out, number * 1_000_000 / u64::from(RATE), &frame)?;
        }
        out.flush()?;
        Ok(path)
    }
}

/// A record: a flow that ended in this second.
fn put_record(
    protocol: Protocol,
    second: u32,
    random: &mut Random,
    (content, sums): (&mut Vec<u8>, &mut [u64; 3]),
) {
    let (source, destination) = (random.below(NETWORKS), random.below(NETWORKS));
    let [a, b, c, d] = random.u32().to_be_bytes();
    let packets = 1 + random.below(100);
    let octets = packets * (40 + random.below(1400));
    let end = second * 1000 + random.below(1000);
    let duration = random.below(15_000);
    for (number, length) in protocol.fields() {
        let value: u64 = match number {
            1 => octets.into(),
            2 => packets.into(),
            4 => 6,
            6 => 0x1b,
            7 => (1024 + u32::from(a) * 200 + u32::from(b)).into(),
            8 => (10 << 24 | source << 8 | u32::from(c)).into(),
            12 => (172 << 24 | destination << 8 | u32::from(d)).into(),
            9 | 13 => 24,
            10 | 14 => (1 + u32::from(number + u16::from(a)) % 48).into(),
            11 => 443,
            16 => (64_512 + source % 500).into(),
            17 => (64_512 + destination % 500).into(),
            136 => 3,
            21 => (UPTIME_MS + end).into(),
            22 => (UPTIME_MS + end - duration).into(),
            152 => u64::from(BEGIN_SECONDS) * 1000 + u64::from(end) - u64::from(duration),
            153 => u64::from(BEGIN_SECONDS) * 1000 + u64::from(end),
            _ => 0,
        };
        content.extend(&value.to_be_bytes()[8 - usize::from(length)..]);
    }
    for (sum, more) in sums.iter_mut().zip([1, packets, octets]) {
        *sum += u64::from(more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_as_long_as_they_say_and_fit_a_packet() {
        for protocol in Protocol::ALL {
            let load = Load::new(protocol, 3);
            assert_eq!((load.datagrams.len(), load.sums[0]), (4, 72));
            let record: usize = protocol.fields().map(|(_, length)| usize::from(length)).sum();
            let header = if protocol == Protocol::Ipfix { 16 } else { 20 };
            for datagram in &load.datagrams[1..] {
                assert!(datagram.len() <= 1472, "{}", datagram.len());
                assert_eq!(datagram.len(), (header + 4 + 24 * record).next_multiple_of(4));
                let at =
                    |at: usize| usize::from(u16::from_be_bytes([datagram[at], datagram[at + 1]]));
                assert_eq!((at(header), at(header + 2)), (260, datagram.len() - header));
                assert!(protocol == Protocol::Netflow9 || at(2) == datagram.len());
            }
        }
    }
}
