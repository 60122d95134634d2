//! Name resolution: the office asks its resolver, the resolver asks the world.

use std::net::IpAddr;

use super::network::{Host, outside, server, server6, service, staff, staff6};
use super::packet::{ICMP, icmp_error, length, udp};
use super::trace::{MILLI, SECOND, Trace};

/// The resolver's place among the servers.
const RESOLVER: u8 = 53;

const DNS: u16 = 53;

const A: u16 = 1;
const TXT: u16 = 16;
const AAAA: u16 = 28;
const ANY: u16 = 255;

/// A name in the wire form of RFC 1035.
fn encoded(name: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    for label in name.split('.') {
        octets.push(u8::try_from(label.len()).expect("a label is short"));
        octets.extend(label.bytes());
    }
    octets.push(0);
    octets
}

fn query(id: u16, name: &str, kind: u16) -> Vec<u8> {
    let mut octets = message(id, 0x0100, 0);
    octets.extend(encoded(name));
    octets.extend(kind.to_be_bytes());
    octets.extend([0, 1]);
    octets
}

/// An answer: the question again, then records of that name, each a type and data.
fn answer(id: u16, name: &str, kind: u16, records: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let mut octets = message(id, 0x8180, length(records.len()));
    octets.extend(encoded(name));
    octets.extend(kind.to_be_bytes());
    octets.extend([0, 1]);
    for (kind, data) in records {
        octets.extend([0xc0, 12]);
        octets.extend(kind.to_be_bytes());
        octets.extend([0, 1, 0, 0, 0x0e, 0x10]);
        octets.extend(length(data.len()).to_be_bytes());
        octets.extend(data);
    }
    octets
}

fn message(id: u16, flags: u16, answers: u16) -> Vec<u8> {
    [id, flags, 1, answers, 0, 0].map(u16::to_be_bytes).concat()
}

/// Finds an address for a client. Returns when the client knows it.
pub(crate) fn look_up(
    trace: &mut Trace,
    time: u64,
    client: Host,
    name: &str,
    address: IpAddr,
) -> u64 {
    let resolver = if client.address.is_ipv4() { server(RESOLVER) } else { server6(RESOLVER) };
    let (kind, data) = match address {
        IpAddr::V4(address) => (A, address.octets().to_vec()),
        IpAddr::V6(address) => (AAAA, address.octets().to_vec()),
    };
    let id = trace.random.u16();
    let port = trace.random.port();
    trace.udp(time, [client, resolver], [port, DNS], &query(id, name, kind));
    let known = time + 300 + u64::from(trace.random.below(24_000));
    let answer = answer(id, name, kind, &[(kind, data)]);
    trace.udp(known, [resolver, client], [DNS, port], &answer);
    known
}

/// What the resolver does not know it asks, and names that nothing follows from.
pub(crate) fn resolution(trace: &mut Trace) {
    for number in 0..60_u8 {
        let time = u64::from(trace.random.below(108)) * SECOND + u64::from(number) * 7919;
        let name = format!("cdn{number}.example.net");
        let address = service(100 + number).address;
        let (id, port) = (trace.random.u16(), trace.random.port());
        let authority = outside([203, 0, 113, 200 + number % 8].into());
        let question = query(id, &name, A);
        let answer = answer(id, &name, A, &[(A, vec![198, 51, 100, 100 + number])]);
        trace.udp(time, [server(RESOLVER), authority], [port, DNS], &question);
        trace.udp(time + 19 * MILLI, [authority, server(RESOLVER)], [DNS, port], &answer);
        let client = 20 + number % 30;
        let client = if number % 3 == 0 { staff6(client) } else { staff(client) };
        look_up(trace, time + 40 * MILLI, client, &name, address);
    }
}

/// Somebody asks open resolvers in the victim's name: it gets answers that it never asked for,
/// each many times as big as the question. The questions do not come by here.
pub(crate) fn amplification(trace: &mut Trace) {
    let victim = server(25);
    for resolver in 0..RESOLVERS_ABUSED {
        let from = service(10 + resolver);
        // Some are much busier than others, and some keep to sizes that need no fragments.
        let answers = 112 / (u64::from(resolver) + 2);
        let records = if resolver % 4 == 3 { 4 } else { 14 };
        for number in 0..answers {
            let spread = 14 * SECOND * number / answers;
            let time = 60 * SECOND + spread + u64::from(trace.random.below(200_000));
            let text = |_| {
                let text = trace.random.message(b"\xffv=spf1 ip4:", 256);
                (TXT, text)
            };
            let records: Vec<_> = (0..records).map(text).collect();
            let id = trace.random.u16();
            let answer = answer(id, "example.org", ANY, &records);
            let ports = [DNS, VICTIM_PORT];
            let header = trace.udp(time, [from, victim], ports, &answer);
            // The victim complains, but not each time.
            if number % 16 == 0 {
                let refused = icmp_error(3, 3, &header, udp(ports, &answer));
                trace.send(time + 400, victim, from, ICMP, refused);
            }
        }
    }
}

const RESOLVERS_ABUSED: u8 = 24;

/// The attacker has to name a port of the victim; 80 passes many filters.
const VICTIM_PORT: u16 = 80;
