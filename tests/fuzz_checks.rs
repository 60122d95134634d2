//! The checks of the fuzz targets, with seeds and mutations of them.
//!
//! Where `FLOWPROBE_FUZZ_CORPUS` names a folder, the seeds are only written there, a folder for
//! each target, to begin with.

mod support;

#[path = "fuzz/checks/mod.rs"]
mod checks;

#[path = "collect/messages.rs"]
#[allow(dead_code, reason = "only the messages are used")]
mod messages;

use std::path::Path;
use std::{env, fs};

use support::capture::{self, Captured, Order};
use support::packet;
use support::payload;
use support::random::Random;
use support::tunnel;

fn index(random: &mut Random, count: usize) -> usize {
    usize::try_from(random.below(count as u64)).unwrap()
}

fn octet(random: &mut Random) -> u8 {
    random.next().to_le_bytes()[0]
}

fn octets(random: &mut Random, count: usize) -> Vec<u8> {
    (0..count).map(|_| octet(random)).collect()
}

/// Checks the seeds and mutations of them. Where a corpus is asked for, writes the seeds instead.
fn run(target: &str, check: fn(&[u8]), seeds: &[Vec<u8>], mutations: usize) {
    if let Some(corpus) = env::var_os("FLOWPROBE_FUZZ_CORPUS") {
        let folder = Path::new(&corpus).join(target);
        fs::create_dir_all(&folder).expect("a folder for the corpus");
        for (index, seed) in seeds.iter().enumerate() {
            fs::write(folder.join(format!("seed-{index:03}")), seed).expect("room for a seed");
        }
        return;
    }
    seeds.iter().for_each(|seed| check(seed));
    let mut random = Random::new(1);
    for _ in 0..mutations {
        let mut octets = seeds[index(&mut random, seeds.len())].clone();
        for _ in 0..=random.below(4) {
            mutate(&mut random, &mut octets);
        }
        check(&octets);
    }
}

fn mutate(random: &mut Random, octets: &mut Vec<u8>) {
    if octets.is_empty() {
        octets.push(octet(random));
    }
    let at = index(random, octets.len());
    match random.below(6) {
        0 => octets[at] ^= 1 << random.below(8),
        1 => octets[at] = octet(random),
        2 => octets[at] = [0, 1, 4, 16, 0x7f, 0xff][index(random, 6)],
        3 => octets.truncate(at),
        4 => octets.insert(at, octet(random)),
        _ => drop(octets.remove(at)),
    }
}

/// Frames of all kinds.
fn frames() -> Vec<Vec<u8>> {
    let tcp = packet::tcp(40_000, 443, 0x18, 20);
    let udp = packet::udp(53, 5353, 12);
    let v4 = |protocol, payload: &[u8]| {
        packet::ethernet(&packet::ipv4([10, 0, 0, 1], [10, 0, 0, 2], protocol, payload))
    };
    let v6 = |next_header, payload: &[u8]| {
        packet::ethernet(&packet::ipv6("2001:db8::1", "2001:db8::2", next_header, payload))
    };
    let behind = |header: &[u8], payload: &[u8]| [header, payload].concat();
    let mut first = v4(17, &udp);
    first[20] = 0x20;
    let mut later = v4(17, &udp);
    later[21] = 0x20;
    let mut options = v4(6, &behind(&[7, 7, 4, 0, 0, 0, 0, 0], &tcp));
    options[14] = 0x47;
    let mut mpls = v4(6, &tcp);
    mpls.splice(12..14, [0x88, 0x47, 0, 1, 0, 64, 0, 2, 1, 64]);
    let mut pppoe = v4(17, &udp);
    pppoe.splice(12..14, [0x88, 0x64, 0x11, 0, 0, 1, 0, 42, 0, 0x21]);
    let mut snap = v4(17, &udp);
    snap.splice(12..14, [0, 60, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0]);
    let mut jumbo = v6(0, &behind(&[17, 0, 0xc2, 4, 0, 1, 0, 8], &udp));
    jumbo[18..20].fill(0);
    vec![
        v4(6, &tcp),
        v4(17, &udp),
        v4(1, &packet::icmp(3, 1, 8)),
        v6(6, &tcp),
        v6(17, &udp),
        v6(58, &packet::icmp(128, 0, 8)),
        packet::tagged(&v4(6, &tcp), 0x8100, 7),
        packet::tagged(&packet::tagged(&v6(6, &tcp), 0x8100, 7), 0x88a8, 8),
        v6(0, &behind(&[60, 0, 1, 4, 0, 0, 0, 0, 6, 0, 1, 4, 0, 0, 0, 0], &tcp)),
        v6(43, &behind(&[51, 0, 0, 0, 0, 0, 0, 0, 17, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2], &udp)),
        v6(44, &behind(&[17, 0, 0, 1, 1, 2, 3, 4], &udp)),
        v6(44, &behind(&[60, 0, 0, 9, 1, 2, 3, 4], &udp)),
        first,
        later,
        options,
        mpls,
        pppoe,
        snap,
        jumbo,
    ]
}

#[test]
fn frame() {
    let mut seeds = Vec::new();
    for frame in frames() {
        let cut = u16::try_from(frame.len() / 2).unwrap().to_be_bytes();
        let header = [0, 0, 0, cut[0], cut[1]];
        seeds.push([&header, &frame[..]].concat());
    }
    let ip = frames()[0][14..].to_vec();
    let links: [(u8, &[u8]); 7] = [
        (1, &[2, 0, 0, 0]),
        (2, &[0, 0, 0, 2]),
        (3, &[0xff, 3, 0, 0x21]),
        (4, &[]),
        (5, &[]),
        (7, &[0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 2, 0, 0, 8, 0]),
        (8, &[8, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 6, 2, 0, 0, 0, 0, 2, 0, 0]),
    ];
    for (link_type, link) in links {
        seeds.push([&[link_type, 0, 0, 0, 30], link, &ip].concat());
    }
    run("frame", checks::frame::check, &seeds, 200_000);
}

#[test]
fn decap() {
    let mut seeds = Vec::new();
    let samples = tunnel::samples().into_iter().map(|(_, _, packet)| packet);
    let nested = samples.clone().map(|packet| tunnel::vxlan(7, &packet));
    for packet in samples.chain(nested) {
        let frame = packet::ethernet(&packet);
        let cut = u16::try_from(frame.len() / 2).unwrap().to_be_bytes();
        // All kinds; L2TPv3 with a cookie of 3 octets or none; segments of 10 octets.
        for form in [3, 0] {
            let header = [0, 0, 0, form, 0x12, 0x34, 0, 0, cut[0], cut[1], 0, 10, 0, 0];
            seeds.push([&header, &frame[..]].concat());
        }
    }
    run("decap", checks::decap::check, &seeds, 5000);
}

#[test]
fn capture() {
    let packets: Vec<_> = frames()
        .into_iter()
        .take(5)
        .enumerate()
        .map(|(index, frame)| Captured::at(1_700_000_000_000 + index as u64 * 7, frame).cut(64))
        .collect();
    let two = &packets[..2];
    let mut seeds = Vec::new();
    for order in [Order::Little, Order::Big] {
        for nanoseconds in [false, true] {
            seeds.push(capture::pcap_as(order, nanoseconds, 1, two));
        }
        let mut file = capture::section(order);
        let options: [(u16, &[u8]); 3] = [(2, b"eth0"), (9, &[9]), (14, &[0; 8])];
        file.extend(capture::interface(order, 1, 64, &options));
        file.extend(capture::interface(order, 101, 0, &[(9, &[0x8a])]));
        file.extend(capture::enhanced(order, &packets[0]));
        file.extend(capture::enhanced(order, &packets[1].clone().on(1)));
        file.extend(capture::block(order, 3, &[&order.u32(60), &packets[2].data[..]].concat()));
        file.extend(capture::block(order, 5, &[0; 12]));
        file.extend(capture::enhanced(order, &packets[3].clone().on(7)));
        file.extend(capture::section(order));
        file.extend(capture::interface(order, 147, 0, &[]));
        file.extend(capture::enhanced(order, &packets[4]));
        seeds.push(file);
    }
    seeds.push(capture::pcap_as(Order::Little, false, 147, two));
    let plain = seeds.clone();
    for file in [&plain[0], &plain[2]] {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, file).unwrap();
        seeds.push(encoder.finish().unwrap());
        seeds.push(zstd::encode_all(&file[..], 1).unwrap());
    }
    run("capture", checks::capture::check, &seeds, 10_000);
}

#[test]
fn table() {
    let mut random = Random::new(2);
    let seeds: Vec<_> = (0..60)
        .map(|index| {
            let mut seed = octets(&mut random, 8 + 6 * (10 << (index % 5)));
            // Half of them with common settings, where more happens than timeouts.
            if index % 2 == 0 {
                seed[..7].fill(0);
            }
            seed
        })
        .collect();
    run("table", checks::table::check, &seeds, 3000);
}

#[test]
fn message() {
    let mut random = Random::new(3);
    let seeds: Vec<_> = (0..40)
        .map(|index| {
            let mut seed = octets(&mut random, 4 + 60 * (1 << (index % 6)));
            seed[0] = index;
            seed
        })
        .collect();
    run("message", checks::message::check, &seeds, 2000);
}

/// Messages behind a number of their protocol and a place to cut them.
#[test]
fn payload() {
    let of = |protocol: u8, message: &[u8]| [&[protocol, 0, 40], message].concat();
    let hello = payload::client_hello(b"www.example.com", b"h2");
    let question = payload::dns_question(7, "www.example.com", 28);
    let answer = payload::dns_answer(7, "www.example.com", [192, 0, 2, 1]);
    let framed = [&u16::try_from(answer.len()).unwrap().to_be_bytes()[..], &answer].concat();
    // Packets behind their lengths: conversations, directions, ports, protocols.
    let stream = payload::records(&hello, 1000);
    let (first, second) = stream.split_at(80);
    let (begin, rest) = hello.split_at(60);
    let pieces: [(u8, &[u8]); 7] = [
        (0b0001_0100, first),
        (0b0001_0101, first),
        (0b0001_0100, second),
        (0b0001_1000, &question),
        (0b0011_1101, b""),
        (0b0001_0010, &payload::initial(rest, 60, 0)),
        (0b0101_0010, &payload::initial(begin, 0, 1)),
    ];
    let packets: Vec<u8> = pieces
        .iter()
        .flat_map(|(what, piece)| {
            let length = u16::try_from(piece.len()).unwrap().to_be_bytes();
            [&[*what][..], &length, piece].concat()
        })
        .collect();
    let request = b"GET /a?b HTTP/1.1\r\nHost: www.example.com:80\r\nUser-Agent: x\r\n\r\n";
    let seeds = [
        of(0, &question),
        of(0, &answer),
        of(1, &framed),
        of(2, &payload::records(&hello, 1000)),
        of(2, &payload::records(&hello, 40)),
        of(3, &hello),
        of(4, request),
        of(4, b"HTTP/1.1 404 Not Found\r\nServer: x\r\n\r\n"),
        of(4, &payload::initial(&hello, 0, 0)),
        of(5, &packets),
    ];
    run("payload", checks::payload::check, &seeds, 200_000);
}

/// Settings, then datagrams, each behind its exporter, a time, and its length.
#[test]
fn datagram() {
    use messages::{FIELDS, flow, flow_sample, ipfix, netflow9, options_template, raw_header};
    use messages::{set, sflow, sflow_part, template};
    let of = |exporter: u8, datagram: &[u8]| {
        let length = u16::try_from(datagram.len()).unwrap().to_be_bytes();
        [&[exporter, 0][..], &length, datagram].concat()
    };
    let variable = [&FIELDS[..], &[(82, u16::MAX), (0x8001, 3)]].concat();
    let with_text = [&flow(2)[..], &[3], b"abc", &[1, 2, 3]].concat();
    let options = options_template(400, 1, &[(302, 4), (34, 4), (160, 8)]);
    let names = options_template(401, 1, &[(10, 4), (82, 8), (34, 4)]);
    let totals = [&FIELDS[..5], &[(85, 4), (86, 4), (152, 8)]].concat();
    let total = [&flow(4)[..13], &[0; 16]].concat();
    let netflow5 = [&[0, 5, 0, 1][..], &[0; 20], &[9; 48]].concat();
    let (switch, counters) = (sflow_part(1001, &[1; 16]), sflow_part(2, &[0; 12]));
    let discard = sflow_part(5, &[&[0; 31][..], &[1], &raw_header(11, 90, &[0x45; 40])].concat());
    let generic = sflow_part(2, &[&[0; 11][..], &[1], &sflow_part(1, &[7; 88])].concat());
    let datagrams = [
        ipfix(0, &[set(2, &template(300, &FIELDS)), set(300, &[flow(1), flow(2)].concat())]),
        ipfix(2, &[set(2, &template(301, &variable)), set(301, &with_text)]),
        ipfix(3, &[set(3, &options), set(400, &[5; 16]), set(302, &[7; 30])]),
        netflow9(0, &[set(0, &template(300, &FIELDS)), set(300, &flow(3)), vec![0; 7]]),
        netflow5,
        sflow(0, &[flow_sample(&[raw_header(11, 90, &[0x45; 40]), switch]), counters]),
        ipfix(4, &[set(3, &names), set(401, b"\0\0\0\x03eth0\0\0\0\0\0\0\0\x64")]),
        ipfix(4, &[set(2, &template(302, &totals)), set(302, &total.repeat(3))]),
        sflow(1, &[discard, generic]),
    ];
    let one = |datagram: &Vec<u8>| [vec![0], of(0, datagram)].concat();
    let mut seeds: Vec<_> = datagrams.iter().map(one).collect();
    let all = (0..6).flat_map(|index| of(index, &datagrams[usize::from(index)]));
    seeds.push([0].into_iter().chain(all).collect());
    seeds.push([vec![0], of(4, &datagrams[0]), of(5, &[]), of(4, &datagrams[0])].concat());
    let all = datagrams.iter().rev().flat_map(|datagram| of(1, datagram));
    seeds.push([0].into_iter().chain(all).collect());
    // What our own outputs send, in each protocol.
    let mut random = Random::new(4);
    for scheme in 0..12 {
        let records = [&[scheme, scheme / 4, 0, 0][..], &octets(&mut random, 400)].concat();
        let sent = checks::message::messages(&records);
        let all = sent.iter().take(3).flat_map(|datagram| of(0, datagram));
        seeds.push([0x1f].into_iter().chain(all).collect());
    }
    run("datagram", checks::datagram::check, &seeds, 50_000);
}
