//! A trace with names: visits of sites, each with a DNS question and a connection of TLS or QUIC.
//!
//! Nine of ten questions are answered. Nine of ten ClientHellos are as long as those of browsers
//! that offer a key of ML-KEM, in two segments; the others fit one. A ServerHello follows, and data
//! that is as good as encrypted. One of three connections is of QUIC: the hello in one or two
//! Initial packets, then one of the server.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;

use anyhow::Result;
use rustls::Side;
use sample::random::Random;

use super::initial::{PIECE, Sender};
use super::trace::{Sums, Trace, cached, put_header, put_packet};

/// Visits of the trace, of which so many go on at the same time.
const VISITS: u32 = 100_000;
const AT_ONCE: u32 = 50;

/// Packets per second of the trace clock.
const RATE: u64 = 200_000;

/// Octets of the header of a TLS record.
const RECORD_HEADER: usize = 5;

/// Octets of TCP payload of a full packet.
const SEGMENT: usize = 1400;

const TCP: u8 = 6;
const UDP: u8 = 17;

/// The trace. Uses an existing file.
pub(super) fn make(folder: &Path) -> Result<Trace> {
    cached(&folder.join(format!("sites-{VISITS}.pcap")), write)
}

fn write(path: &Path) -> io::Result<Sums> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    put_header(&mut out)?;
    let mut sums = Sums::default();
    for first in (0..VISITS).step_by(AT_ONCE as usize) {
        let visits: Vec<_> = (first..first + AT_ONCE).map(visit).collect();
        let longest = visits.iter().map(|visit| visit.frames.len()).max().unwrap_or(0);
        for at in 0..longest {
            for frame in visits.iter().filter_map(|visit| visit.frames.get(at)) {
                put_packet(&mut out, sums.packets * 1_000_000 / RATE, frame)?;
                let octets = frame.len() as u64 - 14;
                sums.packets += 1;
                sums.octets += octets;
                sums.padded_octets += octets.max(46);
            }
        }
        sums.flows += visits.iter().map(|visit| visit.flows).sum::<u64>();
    }
    // Data that is not on the disk yet would disturb the measurement.
    out.into_inner()?.sync_all()?;
    Ok(sums)
}

/// The packets of a visit.
struct Visit {
    frames: Vec<Vec<u8>>,
    flows: u64,
}

/// Both ends of a conversation.
#[derive(Clone, Copy)]
struct Ends {
    addresses: [[u8; 4]; 2],
    ports: [u16; 2],
}

fn visit(number: u32) -> Visit {
    let mut random = Random::seeded(number.into());
    let [_, a, b, c] = number.to_be_bytes();
    let (client, port) = ([10, a, b, c], 1024 + random.u16() % 60_000);
    let name = format!("host{}.site{}.example.com", random.below(100), random.below(20_000));
    let server = [198, 18, random.u16().to_be_bytes()[0], random.u16().to_be_bytes()[0]];
    let mut frames = Vec::new();
    let dns = Ends { addresses: [client, [10, 255, 0, 53]], ports: [port, 53] };
    frames.push(dns.datagram(true, &question(number, &name)));
    let is_answered = random.below(10) > 0;
    if is_answered {
        frames.push(dns.datagram(false, &answer(number, &name, server)));
    }
    let site = Ends { addresses: [client, server], ports: [port, 443] };
    let hello = client_hello(&name, if random.below(10) > 0 { 1216 } else { 32 });
    let exchanges = random.between(2, 8);
    if number.is_multiple_of(3) {
        quic(&mut frames, site, u64::from(number).to_be_bytes(), &hello, exchanges);
    } else {
        tls(&mut frames, site, &hello, exchanges);
    }
    Visit { frames, flows: 3 + u64::from(is_answered) }
}

/// The packets of a connection of TLS.
fn tls(frames: &mut Vec<Vec<u8>>, tls: Ends, hello: &[u8], exchanges: u32) {
    frames.push(tls.segment(true, 0x02, 0, &[]));
    frames.push(tls.segment(false, 0x12, 0, &[]));
    frames.push(tls.segment(true, 0x10, 1, &[]));
    let mut sequence = 1;
    for part in hello.chunks(SEGMENT) {
        frames.push(tls.segment(true, 0x18, sequence, part));
        sequence += u32::try_from(part.len()).expect("a segment is short");
    }
    frames.push(tls.segment(false, 0x18, 1, &server_hello()));
    for part in 1..=exchanges {
        frames.push(tls.segment(true, 0x10, sequence, &[]));
        frames.push(tls.segment(false, 0x10, part * 1400, &encrypted()));
    }
    frames.push(tls.segment(true, 0x11, sequence, &[]));
    frames.push(tls.segment(false, 0x11, 20_000, &[]));
}

/// The packets of a connection of QUIC with a hello in a TLS record.
fn quic(frames: &mut Vec<Vec<u8>>, ends: Ends, id: [u8; 8], hello: &[u8], exchanges: u32) {
    let [client, server] = [Side::Client, Side::Server].map(|side| Sender { id, side });
    // In place of records there are frames.
    for (number, piece) in (0_u8..).zip(hello[RECORD_HEADER..].chunks(PIECE)) {
        let offset = usize::from(number) * PIECE;
        frames.push(ends.datagram(true, &client.initial(piece, offset, number)));
    }
    let answer = &server_hello()[RECORD_HEADER..PIECE];
    frames.push(ends.datagram(false, &server.initial(answer, 0, 0)));
    for _ in 0..exchanges {
        frames.push(ends.datagram(true, &[0x4c; 40]));
        frames.push(ends.datagram(false, &[0x5a; 1250]));
    }
}

impl Ends {
    fn datagram(self, is_forward: bool, payload: &[u8]) -> Vec<u8> {
        self.frame(is_forward, UDP, &[&count16(8 + payload.len())[..], &[0, 0]].concat(), payload)
    }

    fn segment(self, is_forward: bool, bits: u8, sequence: u32, payload: &[u8]) -> Vec<u8> {
        let mut header = sequence.to_be_bytes().to_vec();
        header.extend([0, 0, 0, 1, 0x50, bits, 0xff, 0xff, 0, 0, 0, 0]);
        self.frame(is_forward, TCP, &header, payload)
    }

    /// With a transport header whose ports are before `header`.
    fn frame(self, is_forward: bool, protocol: u8, header: &[u8], payload: &[u8]) -> Vec<u8> {
        let (from, to) = if is_forward { (0, 1) } else { (1, 0) };
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0];
        frame.extend(count16(20 + 4 + header.len() + payload.len()));
        frame.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
        frame.extend(self.addresses[from]);
        frame.extend(self.addresses[to]);
        frame.extend(self.ports[from].to_be_bytes());
        frame.extend(self.ports[to].to_be_bytes());
        frame.extend(header);
        frame.extend(payload);
        frame
    }
}

fn count16(count: usize) -> [u8; 2] {
    u16::try_from(count).expect("packets are short").to_be_bytes()
}

fn vector16(octets: &[u8]) -> Vec<u8> {
    [&count16(octets.len())[..], octets].concat()
}

fn question(id: u32, name: &str) -> Vec<u8> {
    let [_, _, high, low] = id.to_be_bytes();
    let mut message = vec![high, low, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        message.push(u8::try_from(label.len()).expect("labels are short"));
        message.extend(label.as_bytes());
    }
    message.extend([0, 0, 1, 0, 1]);
    message
}

fn answer(id: u32, name: &str, address: [u8; 4]) -> Vec<u8> {
    let mut message = question(id, name);
    message[2..4].copy_from_slice(&[0x81, 0x80]);
    message[7] = 1;
    message.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
    message.extend(address);
    message
}

/// A hello as browsers send it, in a record, with a key of so many octets.
fn client_hello(name: &str, key: usize) -> Vec<u8> {
    let name = vector16(&[&[0][..], &vector16(name.as_bytes())].concat());
    let key = [&[0x11, 0xec][..], &vector16(&vec![0x5a; key])].concat();
    let extensions: [(u16, Vec<u8>); 12] = [
        (0x1a1a, Vec::new()),
        (0, name),
        (23, Vec::new()),
        (10, vector16(&[0x2a, 0x2a, 0x11, 0xec, 0, 29, 0, 23, 0, 24])),
        (11, vec![1, 0]),
        (35, Vec::new()),
        (16, vector16(b"\x02h2\x08http/1.1")),
        (5, vec![1, 0, 0, 0, 0]),
        (13, vector16(&[4, 3, 8, 4, 4, 1, 5, 3, 8, 5, 5, 1, 8, 6, 6, 1])),
        (51, vector16(&key)),
        (43, vec![6, 0x3a, 0x3a, 3, 4, 3, 3]),
        (0xfe0d, vec![0x77; 250]),
    ];
    let extensions: Vec<u8> = extensions
        .iter()
        .flat_map(|(kind, content)| [&kind.to_be_bytes()[..], &vector16(content)].concat())
        .collect();
    let mut body = vec![3, 3];
    body.extend([0x33; 32]);
    body.push(32);
    body.extend([0x44; 32]);
    let ciphers = [
        0x4a4a_u16, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013,
        0xc014, 0x9c, 0x9d, 0x2f, 0x35,
    ];
    body.extend(vector16(&ciphers.map(u16::to_be_bytes).concat()));
    body.extend([1, 0]);
    body.extend(vector16(&extensions));
    handshake(1, &body)
}

/// A ServerHello of TLS 1.3, and the beginning of a record that fills the segment.
fn server_hello() -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([0x55; 32]);
    body.push(32);
    body.extend([0x44; 32]);
    body.extend([0x13, 1, 0]);
    body.extend(vector16(&[0, 43, 0, 2, 3, 4]));
    let mut segment = handshake(2, &body);
    segment.extend([20, 3, 3, 0, 1, 1, 23, 3, 3, 0x10, 0]);
    segment.resize(SEGMENT, 0xa7);
    segment
}

fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
    let message = [&[kind, 0][..], &vector16(body)].concat();
    [&[22, 3, 1][..], &vector16(&message)].concat()
}

fn encrypted() -> Vec<u8> {
    let mut segment = vec![23, 3, 3, 5, 0x73];
    segment.resize(SEGMENT, 0x9c);
    segment
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_hellos_need_two_segments_and_lengths_are_right() {
        let (mut of_two, mut of_two_datagrams) = (0, 0);
        for number in 0..1500 {
            let visit = visit(number);
            if number % 3 == 0 {
                let is_client = |frame: &&Vec<u8>| frame[42] & 0xf0 == 0xc0 && frame[36] == 1;
                let initials = visit.frames.iter().filter(is_client).count();
                of_two_datagrams += u32::from(initials == 2);
            } else {
                let is_hello = |frame: &&Vec<u8>| frame.get(54..57) == Some(&[22, 3, 1]);
                let hello = visit.frames.iter().position(|frame| is_hello(&frame)).unwrap();
                of_two += u32::from(visit.frames[hello].len() == 54 + SEGMENT);
            }
            for frame in &visit.frames {
                assert_eq!(frame[16..18], count16(frame.len() - 14));
            }
        }
        assert!((850..950).contains(&of_two), "{of_two}");
        assert!((425..475).contains(&of_two_datagrams), "{of_two_datagrams}");
    }
}
