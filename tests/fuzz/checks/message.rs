//! Flow records decoded from octets, through an exporter, and back through a decoder that is not
//! ours: what comes out is what went in, and sequence numbers count what they should.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::net::UdpSocket;

use exporter::{Context, Destination, ExportCounts, Exporter};
use flow::{
    Batch, DetailsIndex, FlowDirection, FlowEndReason, FlowKey, FlowRecord, IpVersion, RecordTally,
    Tags, Timestamp,
};
use netflow_parser::static_versions::v5::V5;
use netflow_parser::variable_versions::ipfix::{FlowSetBody as IpfixBody, IPFix};
use netflow_parser::variable_versions::v9::{FlowSetBody as V9Body, V9};
use netflow_parser::{FieldValue, IpfixField, NetflowPacket, NetflowParser};

use super::input::Input;

/// More do not find more.
const RECORDS_MAX: usize = 100;

/// 2024-05-06T07:08:09.123Z
const BEGIN: u64 = 1_714_979_289_123;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// An uptime has 32 bits of milliseconds, and a message may be under way for some minutes before it
/// is full. A start that is older than the rest may be clamped.
const AGE_MS_MAX: u64 = (1 << 32) - 10 * 60 * 1000;

/// Records, and how they were sent.
struct Sent {
    scheme: &'static str,
    records: Vec<FlowRecord>,
    messages: Vec<Vec<u8>>,
    counts: ExportCounts,
}

/// The messages of an input, as other checks begin with them.
pub fn messages(octets: &[u8]) -> Vec<Vec<u8>> {
    send(octets).messages
}

/// Settings of the output (4), then records.
fn send(octets: &[u8]) -> Sent {
    let mut input = Input::new(octets);
    let scheme = input.pick(&["netflow5", "netflow9", "ipfix", "ipfix-file"]);
    let mtu = input.pick(&[1500, 576, 600, 1280, 9000]);
    let refresh = input.pick(&["", "&template-packets=1", "&template-packets=3"]);
    let uptime = input.pick(&[None, Some(BEGIN - 1000), Some(BEGIN - 20 * DAY_MS), Some(0)]);
    let context = Context {
        uptime_start: uptime.map(Timestamp::from_millis),
        observation_domain_id: 7,
        name: "check".to_owned(),
        version: "0".to_owned(),
        ..Context::default()
    };
    let records = records(&mut input);
    let (messages, counts) = match scheme {
        "ipfix-file" => through_a_file(&context, &records),
        "netflow5" => through_udp(&format!("?mtu={mtu}&pps=0"), scheme, &context, &records),
        _ => through_udp(&format!("?mtu={mtu}&pps=0{refresh}"), scheme, &context, &records),
    };
    Sent { scheme, records, messages, counts }
}

/// As [`messages`]: what other decoders read is what was sent.
pub fn check(octets: &[u8]) {
    let Sent { scheme, records, messages, counts } = send(octets);
    let given = tally(&records);
    assert_eq!(given, counts.sent + counts.not_exportable);
    let decoded = decode(&messages);
    let can_be_said =
        |record: &&FlowRecord| scheme != "netflow5" || record.key.ip_version == IpVersion::V4;
    let mut sent = decoded.iter();
    for record in records.iter().filter(can_be_said) {
        if scheme == "netflow5" {
            compare_parts(record, &mut sent);
        } else {
            let message = sent.next().expect("each record is in a message");
            compare(&expected(record, scheme == "netflow9"), message);
        }
    }
    assert!(sent.next().is_none(), "nothing else is in a message");
}

/// A record of a message: numbers by information element, times in milliseconds since the epoch,
/// and the time that the header gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Said {
    elements: BTreeMap<u16, u128>,
    start: u64,
    end: u64,
    now: u64,
}

/// Records as a table hands them over. Only a clock that was set back makes export times decrease.
fn records(input: &mut Input<'_>) -> Vec<FlowRecord> {
    let mut records = Vec::new();
    let mut now = BEGIN;
    while !input.is_empty() && records.len() < RECORDS_MAX {
        let step = u64::from(input.u16());
        now = match input.u8() {
            0..100 => now,
            100..200 => now + step,
            200..220 => now + step * 1000,
            220..240 => now.saturating_sub(step),
            240..248 => now + 25 * DAY_MS + step,
            _ => now.saturating_sub(DAY_MS + 1 + step * 1000),
        };
        let age = match input.u8() {
            0..200 => u64::from(input.u16()),
            200..250 => u64::from(input.u32() >> 4),
            _ => u64::from(input.u32()) * 2,
        };
        let start = now.saturating_sub(age);
        let end = start + (now - start) * u64::from(input.u8()) / 255;
        let packets = match input.u8() {
            0..200 => u64::from(input.u16()).max(1),
            _ => input.u64().max(1) >> (input.u8() % 64),
        };
        records.push(FlowRecord {
            key: key(input),
            packets: packets.max(1),
            octets: packets.saturating_mul(u64::from(input.u16())) & ((1 << 48) - 1),
            start: Timestamp::from_millis(start),
            end: Timestamp::from_millis(end),
            exported: Timestamp::from_millis(now),
            vlan_id: input.u16(),
            direction: input.pick(&[FlowDirection::Ingress, FlowDirection::Egress]),
            tcp_control_bits: input.u8(),
            minimum_ttl: input.u8(),
            maximum_ttl: input.u8(),
            end_reason: input.pick(&FlowEndReason::ALL),
            tags: Tags::NONE,
            details: DetailsIndex::NONE,
        });
    }
    // Parts of NetFlow v5 records have 32 bits: keep their number small.
    records.iter_mut().for_each(|record| record.packets = record.packets.min(1 << 36));
    records.iter_mut().for_each(|record| record.octets = record.octets.min(1 << 36));
    records
}

fn key(input: &mut Input<'_>) -> FlowKey {
    let ip_version = input.pick(&[IpVersion::V4, IpVersion::V4, IpVersion::V6]);
    let mut address = || match ip_version {
        IpVersion::V4 => {
            let [a, b, c, d] = input.array();
            let mut octets = [0; 16];
            octets[..4].copy_from_slice(&[a, b, c, d]);
            octets
        }
        IpVersion::V6 => input.array(),
    };
    FlowKey {
        ip_version,
        source: address(),
        destination: address(),
        source_port: input.u16(),
        destination_port: input.u16(),
        protocol: input.pick(&[6, 17, 1, 58, 132, 0, 255]),
        type_of_service: input.u8(),
        interface: match input.u8() {
            0..200 => input.u8().into(),
            _ => input.u32(),
        },
    }
}

fn tally(records: &[FlowRecord]) -> RecordTally {
    let mut tally = RecordTally::default();
    records.iter().for_each(|record| tally.count(record));
    tally
}

fn open(output: &str, context: &Context) -> Box<dyn Exporter> {
    let destination: Destination = output.parse().expect("an output");
    destination.open(context).expect("the output opens")
}

fn through_udp(
    settings: &str,
    scheme: &str,
    context: &Context,
    records: &[FlowRecord],
) -> (Vec<Vec<u8>>, ExportCounts) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port of the loopback interface");
    socket.set_nonblocking(true).expect("a socket can be asked without waiting");
    let at = socket.local_addr().expect("a bound socket has an address");
    let mut exporter = open(&format!("{scheme}://{at}/{settings}"), context);
    let mut messages = Vec::new();
    // What is sent over the loopback interface is there at once; a buffer holds that of some.
    for batch in records.chunks(10) {
        exporter.export(&Batch::from(batch)).expect("UDP takes everything");
        receive(&socket, &mut messages);
    }
    exporter.finish().expect("UDP takes everything");
    receive(&socket, &mut messages);
    let counts = exporter.counts();
    assert_eq!(counts.messages, messages.len() as u64);
    let octets: u64 = messages.iter().map(|message| message.len() as u64).sum();
    assert_eq!(counts.octets, octets);
    (messages, counts)
}

fn receive(socket: &UdpSocket, messages: &mut Vec<Vec<u8>>) {
    let mut buffer = [0; 65_536];
    loop {
        match socket.recv(&mut buffer) {
            Ok(length) => messages.push(buffer[..length].to_vec()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(error) => panic!("{error}"),
        }
    }
}

fn through_a_file(context: &Context, records: &[FlowRecord]) -> (Vec<Vec<u8>>, ExportCounts) {
    let folder = tempfile::tempdir().expect("a folder for the check");
    let path = folder.path().join("flows.ipfix");
    let mut exporter = open(&format!("ipfix-file:{}", path.display()), context);
    exporter.export(&Batch::from(records)).expect("there is room for the file");
    exporter.finish().expect("there is room for the file");
    let file = fs::read(path).expect("the file was written");
    let mut messages = Vec::new();
    let mut rest = &file[..];
    while let [_, _, high, low, ..] = *rest {
        let (message, others) = rest.split_at(u16::from_be_bytes([high, low]).into());
        messages.push(message.to_vec());
        rest = others;
    }
    assert!(rest.is_empty(), "a file is whole messages");
    (messages, exporter.counts())
}

/// The records of flows in messages, whose sequence numbers must be right.
fn decode(messages: &[Vec<u8>]) -> Vec<Said> {
    let mut parser = NetflowParser::default();
    let mut said = Vec::new();
    let mut sequence = 0;
    for octets in messages {
        let result = parser.parse_bytes(octets);
        assert!(result.error.is_none(), "{:?}", result.error);
        assert_eq!(result.packets.len(), 1);
        for packet in result.packets {
            let (claimed, counted) = match packet {
                NetflowPacket::V5(packet) => (packet.header.flow_sequence, v5(&packet, &mut said)),
                NetflowPacket::V9(packet) => {
                    (packet.header.sequence_number, v9(&packet, &mut said))
                }
                NetflowPacket::IPFix(packet) => {
                    (packet.header.sequence_number, ipfix(&packet, &mut said))
                }
                other => panic!("{other:?}"),
            };
            assert_eq!(claimed, sequence);
            sequence += counted;
        }
    }
    said
}

/// Adds the flows of a datagram and gives their number.
fn v5(packet: &V5, said: &mut Vec<Said>) -> u32 {
    let header = &packet.header;
    let now = u64::from(header.unix_secs) * 1000 + u64::from(header.unix_nsecs / 1_000_000);
    assert_eq!(usize::from(header.count), packet.flowsets.len());
    for flow in &packet.flowsets {
        let mut elements = BTreeMap::new();
        for (id, value) in [
            (8, u128::from(flow.src_addr.to_bits())),
            (12, flow.dst_addr.to_bits().into()),
            (7, flow.src_port.into()),
            (11, flow.dst_port.into()),
            (4, flow.protocol_number.into()),
            (5, flow.tos.into()),
            (6, flow.tcp_flags.into()),
            (10, flow.input.into()),
            (14, flow.output.into()),
            (2, flow.d_pkts.into()),
            (1, flow.d_octets.into()),
        ] {
            elements.insert(id, value);
        }
        let zeros = (flow.next_hop.to_bits(), flow.src_as, flow.dst_as, flow.pad2);
        assert_eq!(zeros, (0, 0, 0, 0));
        let (start, end) = since_boot(now, header.sys_up_time, flow.first, flow.last);
        said.push(Said { elements, start, end, now });
    }
    header.count.into()
}

/// Adds the flows of a packet and gives 1: the sequence counts packets.
fn v9(packet: &V9, said: &mut Vec<Said>) -> u32 {
    let header = &packet.header;
    let now = u64::from(header.unix_secs) * 1000;
    let mut records = 0;
    for set in &packet.flowsets {
        records += match &set.body {
            V9Body::Template(set) => set.templates.len(),
            V9Body::OptionsTemplate(set) => set.templates.len(),
            V9Body::OptionsData(set) => set.fields.len(),
            V9Body::Data(set) => {
                for fields in &set.fields {
                    let mut elements = numbers(fields, |field| u16::from(*field));
                    let [first, last] = [22, 21].map(|id| {
                        let time = elements.remove(&id).expect("both times are there");
                        u32::try_from(time).expect("uptimes have 32 bits")
                    });
                    let (start, end) = since_boot(now, header.sys_up_time, first, last);
                    said.push(Said { elements, start, end, now });
                }
                set.fields.len()
            }
            other => panic!("{other:?}"),
        };
    }
    assert_eq!(usize::from(header.count), records);
    1
}

/// Adds the flows of a message and gives the number of data records, those of options included.
fn ipfix(message: &IPFix, said: &mut Vec<Said>) -> u32 {
    let now = u64::from(message.header.export_time) * 1000;
    let mut data_records = 0;
    for set in &message.flowsets {
        data_records += match &set.body {
            IpfixBody::Template(_)
            | IpfixBody::Templates(_)
            | IpfixBody::OptionsTemplate(_)
            | IpfixBody::OptionsTemplates(_) => 0,
            IpfixBody::OptionsData(set) => set.fields.len(),
            IpfixBody::Data(set) => {
                for fields in &set.fields {
                    let mut elements = numbers(fields, ipfix_number);
                    let [start, end] = [152, 153].map(|id| {
                        let time = elements.remove(&id).expect("both times are there");
                        u64::try_from(time).expect("times have 64 bits")
                    });
                    said.push(Said { elements, start, end, now });
                }
                set.fields.len()
            }
            other => panic!("{other:?}"),
        };
    }
    u32::try_from(data_records).expect("a message has few records")
}

/// First and last, in milliseconds since the epoch.
fn since_boot(now: u64, uptime: u32, first: u32, last: u32) -> (u64, u64) {
    assert!(first <= last, "{first} {last}");
    let boot = now.checked_sub(uptime.into()).expect("it booted after the epoch");
    (boot + u64::from(first), boot + u64::from(last))
}

fn numbers<F: std::fmt::Debug>(
    fields: &[(F, FieldValue)],
    number: impl Fn(&F) -> u16,
) -> BTreeMap<u16, u128> {
    let mut elements = BTreeMap::new();
    for (field, value) in fields {
        let mut octets = Vec::new();
        value.write_be_bytes(&mut octets).expect("a value has octets");
        let value = octets.iter().fold(0, |number, &octet| number << 8 | u128::from(octet));
        assert!(elements.insert(number(field), value).is_none(), "{field:?} is there twice");
    }
    elements
}

fn ipfix_number(field: &IpfixField) -> u16 {
    let known = ELEMENTS.into_iter().find(|&id| IpfixField::new(id, None) == *field);
    known.unwrap_or_else(|| panic!("{field:?} is not expected"))
}

/// All elements of flow records.
const ELEMENTS: [u16; 24] =
    [1, 2, 4, 5, 6, 7, 8, 10, 11, 12, 14, 27, 28, 32, 52, 53, 58, 60, 61, 136, 139, 152, 153, 161];

/// What a message with templates has to say of a record. NetFlow v9 has no duration.
fn expected(record: &FlowRecord, is_v9: bool) -> Said {
    let key = &record.key;
    let is_v6 = key.ip_version == IpVersion::V6;
    let (addresses, icmp) = if is_v6 { ([27, 28], 58) } else { ([8, 12], 1) };
    let is_icmp = key.protocol == icmp;
    let is_sent = record.direction == FlowDirection::Egress;
    let number = |address: [u8; 16]| {
        let number = u128::from_be_bytes(address);
        if is_v6 { number } else { number >> 96 }
    };
    let duration = record.end.millis_since(record.start).min(u32::MAX.into());
    let mut elements = BTreeMap::from([
        (addresses[0], number(key.source)),
        (addresses[1], number(key.destination)),
        (7, key.source_port.into()),
        (11, key.destination_port.into()),
        (4, key.protocol.into()),
        (5, key.type_of_service.into()),
        (6, record.tcp_control_bits.into()),
        (60, key.ip_version.number().into()),
        (1, record.octets.into()),
        (2, record.packets.into()),
        (10, if is_sent { 0 } else { key.interface.into() }),
        (14, if is_sent { key.interface.into() } else { 0 }),
        (58, record.vlan_id.into()),
        (if is_v6 { 139 } else { 32 }, if is_icmp { key.destination_port.into() } else { 0 }),
        (136, record.end_reason.number().into()),
        (61, is_sent.into()),
        (52, record.minimum_ttl.into()),
        (53, record.maximum_ttl.into()),
        (161, duration.into()),
    ]);
    if is_v9 {
        elements.remove(&161);
    }
    Said {
        elements,
        start: record.start.as_millis(),
        end: record.end.as_millis(),
        now: record.exported.as_millis(),
    }
}

fn compare(expected: &Said, said: &Said) {
    assert_eq!(expected.elements, said.elements);
    compare_times(expected, said);
}

/// Times are exact, but for those that uptimes cannot say.
fn compare_times(expected: &Said, said: &Said) {
    let can_be_said = |time: u64| said.now.abs_diff(time) < AGE_MS_MAX;
    if can_be_said(expected.start) {
        assert_eq!((expected.start, expected.end), (said.start, said.end), "{expected:?} {said:?}");
    }
}

/// NetFlow v5 splits a record whose counters do not fit in 32 bits.
fn compare_parts<'a>(record: &FlowRecord, said: &mut impl Iterator<Item = &'a Said>) {
    let whole = expected(record, true);
    let interfaces = [(10, record.ingress_interface()), (14, record.egress_interface())];
    let mut rest = [record.octets, record.packets].map(u128::from);
    let count = record.octets.max(record.packets).div_ceil(u32::MAX.into()).max(1);
    for _ in 0..count {
        let part = said.next().expect("each part is in a datagram");
        let mut elements = whole.elements.clone();
        // What the form of a record has no place for.
        elements.retain(|id, _| ![32, 52, 53, 58, 60, 61, 136].contains(id));
        for (id, number) in interfaces {
            elements.insert(id, u16::try_from(number).unwrap_or(0).into());
        }
        for (id, rest) in [1, 2].into_iter().zip(&mut rest) {
            let share = part.elements[&id];
            *rest = rest.checked_sub(share).expect("parts are not more than the whole");
            elements.insert(id, share);
        }
        compare(&Said { elements, ..whole.clone() }, part);
    }
    assert_eq!(rest, [0, 0], "the parts add up");
}
