//! Messages of exporters, made by hand, and a collector that keeps what it gives.

use std::net::SocketAddr;
use std::sync::Arc;

use collect::{Collector, Counts, ExporterReport, Limits, Sink};
use flow::{Details, ExportProtocol, Exporter, FlowRecord, Timestamp};

/// 2024-05-06T07:08:09Z
pub const NOW: u32 = 1_714_979_289;

/// Records with their exporters.
#[derive(Default)]
pub struct Given(pub Vec<(Arc<Exporter>, FlowRecord, Details)>);

impl Sink for Given {
    fn record(&mut self, exporter: &Arc<Exporter>, record: FlowRecord, details: Details) {
        self.0.push((Arc::clone(exporter), record, details));
    }
}

/// A collector, and what it gave.
pub struct Session {
    collector: Collector,
    pub given: Given,
    /// Milliseconds after [`NOW`].
    pub after_ms: u64,
}

impl Session {
    pub fn new() -> Self {
        Self::with(Limits::default())
    }

    pub fn with(limits: Limits) -> Self {
        Self { collector: Collector::new(limits), given: Given::default(), after_ms: 0 }
    }

    /// Takes a datagram of the usual exporter.
    pub fn take(&mut self, datagram: &[u8]) -> &mut Self {
        self.take_from("192.0.2.1:2055", datagram)
    }

    pub fn take_from(&mut self, from: &str, datagram: &[u8]) -> &mut Self {
        self.take_of(from.parse().unwrap(), datagram)
    }

    pub fn take_of(&mut self, from: SocketAddr, datagram: &[u8]) -> &mut Self {
        let received = Timestamp::from_millis(u64::from(NOW) * 1000 + self.after_ms);
        self.collector.datagram(from, received, datagram, &mut self.given);
        self.assert_conservation();
        self
    }

    /// Takes a message that came over a connection. False if it is malformed.
    pub fn take_over(&mut self, connection: u64, message: &[u8]) -> bool {
        let received = Timestamp::from_millis(u64::from(NOW) * 1000 + self.after_ms);
        let from = "192.0.2.1:40000".parse().unwrap();
        let is_good =
            self.collector.message_of(connection, from, received, message, &mut self.given);
        self.assert_conservation();
        is_good
    }

    pub fn finish(&mut self) -> Counts {
        self.collector.finish();
        self.assert_conservation();
        self.counts()
    }

    pub fn counts(&self) -> Counts {
        self.collector.counts()
    }

    pub fn exporters(&self) -> Vec<ExporterReport> {
        self.collector.exporters(usize::MAX)
    }

    pub fn records(&self) -> Vec<FlowRecord> {
        self.given.0.iter().map(|(_, record, _)| *record).collect()
    }

    /// The only record so far.
    #[track_caller]
    pub fn only(&self) -> (FlowRecord, Details) {
        assert_eq!(self.given.0.len(), 1, "{:?}", self.counts());
        (self.given.0[0].1, self.given.0[0].2.clone())
    }

    fn assert_conservation(&self) {
        let counts = self.counts();
        let decoded = counts.netflow5 + counts.netflow9 + counts.ipfix + counts.sflow;
        assert_eq!(counts.datagrams, decoded + counts.malformed + counts.unknown_version);
        assert_eq!(counts.records, self.given.0.len() as u64);
        let is_sample = |exporter: &Exporter| exporter.protocol == ExportProtocol::Sflow5;
        let samples = self.given.0.iter().filter(|(exporter, ..)| is_sample(exporter)).count();
        let others = counts.sflow_not_ip + counts.sflow_unreadable + counts.sflow_other_headers;
        let known = samples as u64 + others;
        assert!((known..=known + counts.unmeterable).contains(&counts.sflow_samples), "{counts:?}");
        let packets = self.given.0.iter().map(|(_, record, _)| record.packets);
        assert_eq!(counts.packets, packets.fold(0, u64::saturating_add));
    }
}

/// An octet string of numbers.
pub fn be16(numbers: &[u16]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
}

pub fn be32(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
}

/// A set of any id.
pub fn set(id: u16, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len() + 4).unwrap();
    [be16(&[id, length]), content.to_vec()].concat()
}

/// A Template Record; numbers above 32,767 are of enterprise 9.
pub fn template(id: u16, fields: &[(u16, u16)]) -> Vec<u8> {
    let count = u16::try_from(fields.len()).unwrap();
    [be16(&[id, count]), specifiers(fields)].concat()
}

/// An Options Template Record of IPFIX.
pub fn options_template(id: u16, scope: u16, fields: &[(u16, u16)]) -> Vec<u8> {
    let count = u16::try_from(fields.len()).unwrap();
    [be16(&[id, count, scope]), specifiers(fields)].concat()
}

fn specifiers(fields: &[(u16, u16)]) -> Vec<u8> {
    let one = |(number, length): &(u16, u16)| {
        let enterprise = if *number > 0x7fff { be32(&[9]) } else { Vec::new() };
        [be16(&[*number, *length]), enterprise].concat()
    };
    fields.iter().flat_map(one).collect()
}

/// A message of IPFIX in domain 7.
pub fn ipfix(sequence: u32, sets: &[Vec<u8>]) -> Vec<u8> {
    ipfix_of(7, sequence, sets)
}

pub fn ipfix_of(domain: u32, sequence: u32, sets: &[Vec<u8>]) -> Vec<u8> {
    let sets = sets.concat();
    let length = u16::try_from(sets.len() + 16).unwrap();
    [be16(&[10, length]), be32(&[NOW, sequence, domain]), sets].concat()
}

/// A message of NetFlow v9 in domain 7, 1,000 s after the start of its exporter. The count is
/// wrong, as many exporters have it.
pub fn netflow9(sequence: u32, sets: &[Vec<u8>]) -> Vec<u8> {
    [be16(&[9, 999]), be32(&[1_000_000, NOW, sequence, 7]), sets.concat()].concat()
}

/// Addresses, ports, protocol, octets, packets.
pub const FIELDS: [(u16, u16); 7] = [(8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (1, 4), (2, 4)];

/// A record of [`FIELDS`] from this source port.
pub fn flow(port: u16) -> Vec<u8> {
    let addresses = [192, 0, 2, 10, 198, 51, 100, 20];
    [&addresses[..], &be16(&[port, 443]), &[6], &be32(&[1500, 3])].concat()
}

/// A datagram of sFlow from sub agent 7 of the agent 198.51.100.9.
pub fn sflow(sequence: u32, samples: &[Vec<u8>]) -> Vec<u8> {
    let count = u32::try_from(samples.len()).unwrap();
    let head = [be32(&[5, 1]), vec![198, 51, 100, 9], be32(&[7, sequence, 60_000, count])];
    [head.concat(), samples.concat()].concat()
}

/// A sample of this format, or a record of one. Padding follows.
pub fn sflow_part(format: u32, content: &[u8]) -> Vec<u8> {
    [be32(&[format]), opaque(content)].concat()
}

/// A flow sample from interface 3 to 4, of one in 512 packets.
pub fn flow_sample(records: &[Vec<u8>]) -> Vec<u8> {
    let count = u32::try_from(records.len()).unwrap();
    sflow_part(1, &[be32(&[1, 3, 512, 9000, 2, 3, 4, count]), records.concat()].concat())
}

/// The first octets of a packet that had this many, 4 of which are not in them.
pub fn raw_header(protocol: u32, length: u32, octets: &[u8]) -> Vec<u8> {
    sflow_part(1, &[be32(&[protocol, length, 4]), opaque(octets)].concat())
}

fn opaque(content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap();
    let padding = vec![0; content.len().wrapping_neg() % 4];
    [be32(&[length]), content.to_vec(), padding].concat()
}
