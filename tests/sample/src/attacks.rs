//! Attacks: a scan and what follows from it, a worm, a flood.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use super::connection::{Connection, Route, Side};
use super::files::{FILE_SERVER, SMB};
use super::network::{Host, gateway, outside, server, staff, stranger};
use super::packet::{ACK, ICMP, SYN, Segment, icmp_error};
use super::trace::{MILLI, SECOND, Trace};
use super::web::{HTTPS, WEB_SERVER};

/// Who scans, and then tries passwords.
const SCANNER: u8 = 66;

/// The server that the scan finds a login at.
const LOGIN_SERVER: u8 = 22;

/// The servers that are switched on.
const SERVERS: [u8; 8] = [4, FILE_SERVER, 11, LOGIN_SERVER, 25, 53, WEB_SERVER, 81];

const SSH: u16 = 22;
const REMOTE_DESKTOP: u16 = 3389;

/// A SYN as no operating system sends it: made by hand, without options.
fn attempt(ports: [u16; 2], sequence: u32, window: u16) -> Segment<'static> {
    Segment { ports, sequence, acknowledgement: 0, flags: SYN, window, options: &[] }
}

/// One port of all addresses of the servers' network.
pub(crate) fn horizontal_scan(trace: &mut Trace) {
    let from = stranger(SCANNER);
    for number in 1..=254_u8 {
        let time = 8 * SECOND + u64::from(number) * 24 * MILLI + trace.random.around(3 * MILLI);
        let route = Route::inward(from, server(number), REMOTE_DESKTOP);
        if SERVERS.contains(&number) {
            Connection::refused(trace, time, route);
            continue;
        }
        let ports = [trace.random.port(), REMOTE_DESKTOP];
        let segment = attempt(ports, trace.random.u32(), 1024);
        let header = trace.tcp(time, [from, server(number)], &segment, &[]);
        // The switch finds nobody there and says so, but not each time.
        if number % 16 == 0 {
            let nobody_there = icmp_error(3, 1, &header, segment.with(&[]));
            let switch = gateway(server(1), server(1).address);
            trace.send(time + 900 * MILLI, switch, from, ICMP, nobody_there);
        }
    }
}

/// All ports up to 320 of one server, in no order; at two of them somebody listens.
pub(crate) fn vertical_scan(trace: &mut Trace) {
    let mut ports: Vec<u16> = (1..=320).collect();
    for last in (1..ports.len()).rev() {
        let bound = u32::try_from(last + 1).expect("320 at most");
        let other = usize::try_from(trace.random.below(bound)).expect("less than the bound");
        ports.swap(last, other);
    }
    for (number, port) in (0..).zip(ports) {
        let time = 20 * SECOND + number * 31 * MILLI + trace.random.around(8 * MILLI);
        let route = Route::inward(stranger(SCANNER), server(LOGIN_SERVER), port);
        if port == SSH || port == 111 {
            Connection::open(trace, time, route).reset(Side::Client);
        } else {
            Connection::refused(trace, time, route);
        }
    }
}

/// One password after the other, several at a time.
pub(crate) fn password_guesses(trace: &mut Trace) {
    for number in 0..32 {
        let time = 36 * SECOND + number * 1800 * MILLI + trace.random.around(400 * MILLI);
        let route = Route::inward(stranger(SCANNER), server(LOGIN_SERVER), SSH);
        let mut connection = Connection::open(trace, time, route);
        connection.say(Side::Server, b"SSH-2.0-OpenSSH_9.2p1\r\n", 23);
        connection.say(Side::Client, b"SSH-2.0-libssh2_1.11.0\r\n", 24);
        // Lists of algorithms, then keys.
        connection.say(Side::Server, &[0, 0, 4, 0x34, 6, 20], 1080);
        connection.say(Side::Client, &[0, 0, 3, 0xdc, 5, 20], 992);
        connection.say(Side::Client, &[0, 0, 0, 0x2c, 6, 30], 48);
        connection.say(Side::Server, &[0, 0, 1, 0x04, 8, 31], 280);
        connection.say(Side::Client, &[0, 0, 0, 0x0c, 10, 21], 16);
        for (request, answer) in [(44, 44), (68, 52), (148, 52)] {
            connection.say(Side::Client, &[], request);
            connection.wait(60 * MILLI);
            connection.say(Side::Server, &[], answer);
        }
        connection.wait(2 * SECOND);
        connection.close(Side::Client);
    }
}

/// From one computer to many: it tries addresses all over, infects the neighbours that it finds,
/// and they do the same.
pub(crate) fn worm(trace: &mut Trace) {
    let neighbours = [23, 27, 29, 34, 38, 41, 45, 50];
    spread(trace, staff(66), 38 * SECOND, 320, &neighbours);
    for (number, neighbour) in (1..).zip(neighbours) {
        spread(trace, staff(neighbour), 52 * SECOND + number * 4 * SECOND, 40, &[]);
    }
}

/// An infected computer tries so many addresses.
fn spread(trace: &mut Trace, from: Host, begin: u64, tries: usize, neighbours: &[u8]) {
    let tried = distinct(tries, || {
        let [a, b, c, _] = trace.random.u32().to_be_bytes();
        // Half of them in its own network, where only the neighbours exist.
        if c & 1 == 0 { [10, 10, a | 1, b] } else { [198, 18 | a & 1, b, c] }
    });
    for (number, address) in (0..).zip(tried) {
        let time = begin + number * 150 * MILLI + trace.random.around(80 * MILLI);
        let to = match address.octets()[0] {
            10 => Host { address: address.into(), ..gateway(from, address.into()) },
            _ => outside(address.into()),
        };
        Connection::attempt(trace, time, Route::local(from, to, SMB), 1);
    }
    for (number, &neighbour) in (1..).zip(neighbours) {
        infect(trace, begin + number * 1700 * MILLI, from, staff(neighbour));
    }
}

/// An old dialect, a hole in it, and the worm itself.
fn infect(trace: &mut Trace, time: u64, from: Host, to: Host) {
    let mut connection = Connection::open(trace, time, Route::local(from, to, SMB));
    let mut negotiate = b"\0\0\0\x2f\xffSMB\x72".to_vec();
    negotiate.resize(36, 0);
    negotiate.extend(b"\0\x0c\0\x02NT LM 0.12\0");
    connection.say(Side::Client, &negotiate, negotiate.len());
    connection.say(Side::Server, b"\0\0\0\x55\xffSMB\x72", 89);
    connection.say(Side::Client, b"\0\0\x10\x4e\xffSMB\x33", 4178);
    connection.say(Side::Server, b"\0\0\0\x23\xffSMB\x33", 39);
    connection.say(Side::Client, b"\0\0\x7f\x00\xffSMB\x33", 32_516);
    connection.wait(300 * MILLI);
    connection.reset(Side::Client);
}

/// Connections that nobody means to make, each from another address that nobody has. The server
/// answers until it has no place for more; then its visitors find it silent.
pub(crate) fn flood(trace: &mut Trace) {
    let target = server(WEB_SERVER);
    let sources = distinct(FLOOD, || {
        // Addresses for benchmarks (RFC 2544).
        let [a, b, c, _] = trace.random.u32().to_be_bytes();
        [198, 18 | a & 1, b, c]
    });
    for (number, address) in (0..).zip(sources) {
        let time = 77 * SECOND + number * 5600 + trace.random.around(5000);
        let ttl = u8::try_from(trace.random.between(40, 120)).expect("at most 119");
        let from = outside(address.into()).with_ttl(ttl);
        let (port, sequence) = (trace.random.port(), trace.random.u32());
        trace.tcp(time, [from, target], &attempt([port, HTTPS], sequence, 512), &[]);
        if number < BACKLOG {
            let answer = Segment {
                ports: [HTTPS, port],
                sequence: trace.random.u32(),
                acknowledgement: sequence.wrapping_add(1),
                flags: SYN | ACK,
                window: 64_240,
                options: &[2, 4, 5, 0xb4],
            };
            // Nobody is there to answer, so the server says it again.
            for after in [200, SECOND, 3 * SECOND] {
                trace.tcp(time + after, [target, from], &answer, &[]);
            }
        }
    }
}

/// Sources of the flood.
const FLOOD: usize = 2000;

/// Half-open connections that the server keeps.
const BACKLOG: u64 = 128;

/// So many addresses, in the order in which they were made.
fn distinct(count: usize, mut make: impl FnMut() -> [u8; 4]) -> Vec<Ipv4Addr> {
    let mut seen = BTreeSet::new();
    let mut addresses = Vec::with_capacity(count);
    while addresses.len() < count {
        let address = Ipv4Addr::from(make());
        if seen.insert(address) {
            addresses.push(address);
        }
    }
    addresses
}
