mod shuffled;

use super::*;
use crate::quic::tests::{crypto, initial};
use crate::tls::tests::{browser, records};

fn all() -> Kinds {
    Kinds { dns: true, tls: true, quic: true, http: true, ..Kinds::default() }
}

fn reader() -> Reader<u64> {
    Reader::new(all(), 1 << 20)
}

fn tcp(conversation: u64, sequence: u32, payload: &[u8], time_ms: u64) -> Segment<'_, u64> {
    Segment {
        conversation,
        is_forward: true,
        transport: Transport::Tcp { sequence },
        ports: (40_000, 443),
        payload,
        is_cut: false,
        time_ms,
    }
}

fn udp(ports: (u16, u16), payload: &[u8]) -> Segment<'_, u64> {
    Segment { transport: Transport::Udp, ports, ..tcp(1, 0, payload, 0) }
}

fn name(found: Option<Found>) -> Option<String> {
    match found? {
        Found::Dns(transaction) => transaction.question.map(|it| it.name.to_string()),
        Found::Hello { hello, .. } => hello.server_name.map(|name| name.to_string()),
        Found::ServerHello(hello) => Some(hello.cipher.to_string()),
        Found::Request(request) => request.host.map(|host| host.to_string()),
        Found::Response(response) => Some(response.status.to_string()),
    }
}

const HOST: Option<&str> = Some("www.example.com");

#[test]
fn a_hello_in_two_segments_is_found_wherever_it_is_cut() {
    let stream = records(&browser().message(), 1 << 14);
    for cut in 4..stream.len() {
        for sequence in [7, u32::MAX - 3] {
            let mut reader = reader();
            let (first, second) = stream.split_at(cut);
            let behind = sequence.wrapping_add(u32::try_from(cut).unwrap());
            assert_eq!(reader.read(&tcp(1, sequence, first, 0)), None, "{cut}");
            // Another conversation, the other direction, and the same piece again.
            assert_eq!(reader.read(&tcp(2, behind, second, 1)), None);
            let back = Segment { is_forward: false, ..tcp(1, behind, second, 1) };
            assert_eq!(reader.read(&back), None);
            assert_eq!(reader.read(&tcp(1, sequence, first, 2)), None);
            let found = reader.read(&tcp(1, behind, second, 3));
            assert_eq!(name(found).as_deref(), HOST, "{cut}");
            let counts = reader.counts();
            assert_eq!(counts, PayloadCounts { tls: 1, ..PayloadCounts::default() }, "{cut}");
        }
    }
}

#[test]
fn lost_and_differing_pieces_never_give_another_name() {
    let stream = records(&browser().message(), 1 << 14);
    let mut changed = stream.clone();
    changed[100..140].fill(b'x');
    let piece = |from: usize, to: usize| (u32::try_from(from).unwrap(), &stream[from..to]);
    let mut reader = reader();
    for (sequence, octets) in [piece(0, 60), piece(90, 150)] {
        assert_eq!(reader.read(&tcp(1, sequence, octets, 0)), None);
    }
    assert_eq!(reader.read(&tcp(1, 95, &changed[95..stream.len()], 0)), None);
    let (sequence, octets) = piece(60, 90);
    assert_eq!(name(reader.read(&tcp(1, sequence, octets, 0))).as_deref(), HOST);
    assert_eq!(reader.counts().hello_overlap, 1);
    // Without its middle it is waited for, and then forgotten.
    assert_eq!(reader.read(&tcp(2, 0, piece(0, 60).1, 10)), None);
    assert_eq!(reader.read(&tcp(2, 90, &stream[90..], 11)), None);
    assert_eq!(reader.read(&tcp(2, 60, piece(60, 90).1, 5011)), None);
    assert_eq!(reader.counts().hello_timed_out, 1);
}

#[test]
fn quic_hellos_come_in_several_datagrams() {
    let stream = browser().message();
    let id = b"chosenid";
    let (first, second) = stream.split_at(stream.len() / 2);
    let offset = u16::try_from(first.len()).unwrap();
    let datagram = |offset, octets: &[u8]| {
        let mut frames = crypto(offset, octets);
        frames.resize(1200, 0);
        initial(&frames, id, id)
    };
    let mut reader = reader();
    assert_eq!(reader.read(&udp((4000, 443), &datagram(offset, second))), None);
    let found = reader.read(&udp((4000, 443), &datagram(0, first)));
    assert_eq!(name(found).as_deref(), HOST);
    assert_eq!(reader.counts(), PayloadCounts { quic: 1, ..PayloadCounts::default() });
    let mut other = datagram(0, &stream);
    other[1..5].copy_from_slice(&[0xfa, 0xce, 0xb0, 0x02]);
    assert_eq!(reader.read(&udp((4000, 443), &other)), None);
    assert_eq!(reader.counts().quic_version, 1);
    // Version Negotiation, a connection id that is too long, and what only looks like QUIC.
    other[1..5].fill(0);
    assert_eq!(reader.read(&udp((4000, 443), &other)), None);
    other[1..6].copy_from_slice(&[0xfa, 0xce, 0xb0, 0x02, 21]);
    assert_eq!(reader.read(&udp((4000, 443), &other)), None);
    other[0] &= 0xbf;
    assert_eq!(reader.read(&udp((4000, 443), &other)), None);
    assert_eq!(reader.counts().quic_version, 1);
    // A packet that is longer than its datagram, and one that the capture has cut.
    let whole = datagram(0, &stream);
    let long = udp((4000, 443), &whole[..1200]);
    let cut = Segment { is_cut: true, ..long };
    assert_eq!((reader.read(&long), reader.read(&cut)), (None, None));
    assert_eq!((reader.counts().malformed, reader.counts().truncated), (1, 1));
    // What the server sends has other keys.
    let mut sealed = datagram(0, &stream);
    sealed[1100] ^= 1;
    assert_eq!(reader.read(&udp((443, 4000), &sealed)), None);
    assert_eq!(reader.counts().quic_sealed, 1);
}

#[test]
fn dns_is_read_at_its_port_and_http_at_any() {
    let mut reader = reader();
    let question = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03www\x07example\x03com\0\0\x01\0\x01";
    assert_eq!(name(reader.read(&udp((4000, 53), question))).as_deref(), HOST);
    assert_eq!(reader.read(&udp((4000, 5353), question)), None);
    let framed = [&[0, 33][..], question].concat();
    let at_53 = Segment { ports: (4000, 53), ..tcp(1, 0, &framed, 0) };
    assert_eq!(name(reader.read(&at_53)).as_deref(), HOST);
    let head = b"GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n";
    assert_eq!(name(reader.read(&tcp(1, 0, head, 0))).as_deref(), HOST);
    let (first, second) = head.split_at(20);
    assert_eq!(reader.read(&tcp(1, 0, first, 0)), None);
    assert_eq!(name(reader.read(&tcp(1, 20, second, 0))).as_deref(), HOST);
    let status = b"HTTP/1.1 404 Not Found\r\n\r\n";
    assert_eq!(name(reader.read(&tcp(1, 0, status, 0))).as_deref(), Some("404"));
    // What the capture has cut is not waited for.
    let cut = Segment { is_cut: true, ..tcp(9, 0, &head[..30], 0) };
    assert_eq!(name(reader.read(&cut)), None);
    let expected = PayloadCounts { dns: 2, http: 4, truncated: 1, ..PayloadCounts::default() };
    assert_eq!(reader.counts(), expected);
}

#[test]
fn what_is_not_whole_is_counted_whether_the_rest_is_told_or_not() {
    let question = b"\x12\x34\x81\x80\0\x01\0\x01\0\0\0\0\x03www\x07example\x03com\0\0\x01\0\x01";
    let answer = [&question[..], b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x01"].concat();
    let head = b"GET / HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: x\r\n\r\n";
    let dns = |length: usize| udp((53, 4000), &answer[..length]);
    let http = |length: usize| tcp(1, 0, &head[..length], 0);
    let length = answer.len();
    let name_ends = question.len();
    for (segment, is_cut, name_of, counted) in [
        (dns(length), true, HOST, (0, 0)),
        (dns(length - 1), true, HOST, (0, 1)),
        (dns(name_ends - 1), true, None, (0, 1)),
        // Nothing is missing: the message contradicts itself.
        (dns(length - 1), false, HOST, (0, 0)),
        (dns(name_ends - 1), false, None, (1, 0)),
        (dns(11), false, None, (1, 0)),
        (http(head.len()), true, HOST, (0, 0)),
        (http(head.len() - 1), true, HOST, (0, 1)),
        (http(20), true, None, (0, 1)),
        (http(10), true, None, (0, 1)),
    ] {
        let mut reader = reader();
        let found = reader.read(&Segment { is_cut, ..segment });
        assert_eq!(name(found).as_deref(), name_of, "{segment:?}");
        let counts = reader.counts();
        assert_eq!((counts.malformed, counts.truncated), counted, "{segment:?}");
    }
}

#[test]
fn protocols_that_were_not_asked_for_are_not_read() {
    let mut reader = Reader::new(Kinds { dns: true, ..Kinds::default() }, 1 << 20);
    let stream = records(&browser().message(), 1 << 14);
    assert_eq!(reader.read(&tcp(1, 0, &stream, 0)), None);
    assert_eq!(reader.counts(), PayloadCounts::default());
    assert!(!Kinds::default().any());
}

#[test]
fn a_million_half_hellos_take_no_more_memory() {
    let stream = records(&browser().message(), 1 << 14);
    let (half, rest) = stream.split_at(200);
    let memory = 1 << 20;
    let mut reader = Reader::new(all(), memory);
    let mut found = 0;
    for number in 0..1_000_000_u64 {
        // Within what is parsed in a second.
        let time_ms = number / 100;
        assert_eq!(reader.read(&tcp(number, 0, half, time_ms)), None);
        if number % 1000 == 0 {
            let whole = u64::MAX - number;
            assert_eq!(reader.read(&tcp(whole, 0, half, time_ms)), None);
            found += u64::from(reader.read(&tcp(whole, 200, rest, time_ms)).is_some());
        }
        assert!(reader.hellos.memory() <= memory, "{number}");
    }
    assert_eq!(found, 1000);
    let counts = reader.counts();
    assert!(counts.hello_evicted > 900_000, "{counts:?}");
    assert_eq!((counts.skipped, counts.tls), (0, 1000));
}

#[test]
fn a_connection_begins_without_what_was_unfinished() {
    let stream = records(&browser().message(), 1 << 14);
    let (half, rest) = stream.split_at(200);
    let mut reader = reader();
    assert!(!reader.knows_any());
    assert_eq!(reader.read(&tcp(1, 0, half, 0)), None);
    assert!(reader.knows_any() && !reader.begin(&1));
    assert_eq!(reader.read(&tcp(1, 200, rest, 1)), None);
    assert_eq!(reader.read(&tcp(1, 0, half, 2)), None);
    assert!(reader.read(&tcp(1, 200, rest, 3)).is_some());
    assert!(reader.begin(&1));
    let counts = reader.counts();
    assert_eq!((counts.hello_replaced, counts.hello_timed_out), (1, 0));
    // The other side opens the same conversation.
    assert_eq!(reader.read(&tcp(1, 0, half, 4)), None);
    assert_eq!(reader.read(&Segment { is_forward: false, ..tcp(1, 0, half, 5) }), None);
    assert_eq!(reader.counts().hello_replaced, 2);
}

#[test]
fn dns_has_the_ports_that_it_was_given() {
    let question = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03www\x07example\x03com\0\0\x01\0\x01";
    let ports = DnsPorts::new(&[53, 5353]).unwrap();
    let mut reader = Reader::new(Kinds { dns_ports: ports, ..all() }, 1 << 20);
    for (ports, is_read) in [((5353, 5353), true), ((4000, 53), true), ((4000, 5355), false)] {
        assert_eq!(reader.read(&udp(ports, question)).is_some(), is_read, "{ports:?}");
    }
    assert_eq!((DnsPorts::new(&[]), DnsPorts::new(&[1, 2, 3, 4, 5])), (None, None));
}

#[test]
fn few_packets_of_other_conversations_are_looked_at() {
    let stream = records(&browser().message(), 1 << 14);
    let (half, rest) = stream.split_at(200);
    let mut reader = Reader::new(all(), 1 << 26);
    let key = |number: u64| (number << 49) + number;
    let waits = |reader: &Reader<u64>, number| {
        reader.concerns(true, (40_000, 443), b"other", || key(number))
    };
    for number in 0..20_000 {
        assert_eq!(reader.read(&tcp(key(number), 0, half, 0)), None);
        assert!(waits(&reader, number), "{number}");
        // One in ten stays unfinished.
        if number % 10 > 0 {
            assert!(reader.read(&tcp(key(number), 200, rest, 0)).is_some(), "{number}");
        }
    }
    assert!((0..20_000).step_by(10).all(|number| waits(&reader, number)));
    let others = (20_000..32_768).filter(|number| waits(&reader, *number)).count();
    assert_eq!(others, 0);
    let gone = (0..20_000).filter(|number| number % 10 > 0 && waits(&reader, *number)).count();
    assert!(gone < 6000, "{gone}");
}

#[test]
fn a_second_has_a_budget() {
    let mut reader = reader();
    let status = b"HTTP/1.1 200 OK\r\n\r\n";
    for _ in 0..PARSED_MAX {
        assert!(reader.read(&tcp(1, 0, status, 1500)).is_some());
    }
    assert_eq!(reader.read(&tcp(1, 0, status, 1999)), None);
    assert!(reader.read(&tcp(1, 0, status, 2000)).is_some());
    assert_eq!(reader.counts().skipped, 1);
}

#[test]
fn a_second_has_a_budget_of_keys_for_quic_packets() {
    let id = b"chosenid";
    let packet = |offset, octets: &[u8]| {
        let mut frames = crypto(offset, octets);
        frames.resize(600, 0);
        initial(&frames, id, id)
    };
    let stream = browser().message();
    let (first, second) = stream.split_at(stream.len() / 2);
    let offset = u16::try_from(first.len()).unwrap();
    let two = [packet(0, first), packet(offset, second)].concat();
    // A packet that no key opens costs as much: it is not the client's way around the budget.
    let sealed = initial(&[0; 600], id, b"unknown");
    let refused = [packet(0, first), sealed].concat();
    let mut reader = reader();
    for _ in 0..TRIES_MAX / 2 {
        assert!(reader.read(&udp((4000, 443), &two)).is_some());
    }
    assert_eq!(reader.read(&udp((4000, 443), &two)), None);
    assert_eq!(reader.counts().skipped, 1);
    let later = Segment { time_ms: 1000, ..udp((4000, 443), &two) };
    assert!(reader.read(&later).is_some());
    for _ in 0..TRIES_MAX / 2 - 1 {
        reader.read(&Segment { payload: &refused, ..later });
    }
    assert_eq!(reader.counts().skipped, 1);
    assert_eq!(reader.read(&later), None);
    assert_eq!(reader.counts().skipped, 2);
}
