//! The sample captures: the same each time, sound, and with the story that they are made to tell.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::Command;

use pnet_packet::ethernet::{EtherType, EtherTypes, EthernetPacket};
use pnet_packet::ipv4::Ipv4Packet;
use pnet_packet::ipv6::Ipv6Packet;
use pnet_packet::{Packet, ip::IpNextHeaderProtocols};
use support::flows::Flow;

const TCP: u64 = 6;
const UDP: u64 = 17;

const FIN: u64 = 0x01;
const SYN: u64 = 0x02;
const RST: u64 = 0x04;

fn sample(name: &str) -> PathBuf {
    support::root().join("tests/data").join(name)
}

/// The flows of a sample, and the run that they come from.
fn metered(name: &str) -> (Vec<Flow>, support::Run) {
    let path = sample(name);
    let run = support::run(["-r", path.to_str().unwrap(), "-o", "json:-"]);
    assert_eq!(run.status, 0, "{}", run.stderr);
    run.assert_conservation();
    (run.documents().iter().map(Flow::of).collect(), run)
}

#[test]
fn samples_are_the_same_each_time() {
    let folder = support::scratch();
    let output = support::cargo()
        .args(["run", "--quiet", "--package", "xtask", "--", "sample", "--into"])
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let names: BTreeSet<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names, ["interfaces.pcapng", "office.pcap"].map(str::to_owned).into());
    for name in names {
        let again = fs::read(folder.path().join(&name)).unwrap();
        let committed = fs::read(sample(&name)).unwrap();
        assert!(again == committed, "{name} is not what `cargo xtask sample` makes");
    }
}

/// What the reader below says of the packets of a protocol, or of a VLAN.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sum {
    packets: u64,
    octets: u64,
}

impl Sum {
    fn add(&mut self, packets: u64, octets: u64) {
        self.packets += packets;
        self.octets += octets;
    }
}

/// A frame of a capture.
struct Frame {
    seconds: u32,
    /// The outer one.
    vlan: u64,
    ip: Option<Ip>,
}

struct Ip {
    is_v4: bool,
    protocol: u64,
    octets: u64,
}

/// The frames of a classic pcap file.
fn frames(file: &[u8]) -> Vec<Frame> {
    let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
    assert_eq!(word(0), 0xa1b2_c3d4);
    let mut at = 24;
    let mut frames = Vec::new();
    while at < file.len() {
        let captured = usize::try_from(word(at + 8)).unwrap();
        let frame = &file[at + 16..at + 16 + captured];
        frames.push(dissected(word(at), frame));
        at += 16 + captured;
    }
    frames
}

fn dissected(seconds: u32, frame: &[u8]) -> Frame {
    let mut ethertype = EthernetPacket::new(frame).unwrap().get_ethertype();
    let mut rest = &frame[14..];
    let mut vlan = 0;
    while matches!(ethertype, EtherTypes::Vlan | EtherTypes::PBridge) {
        let tag = u16::from_be_bytes([rest[0], rest[1]]);
        vlan = if vlan == 0 { u64::from(tag & 0xfff) } else { vlan };
        ethertype = EtherType(u16::from_be_bytes([rest[2], rest[3]]));
        rest = &rest[4..];
    }
    let ip = match ethertype {
        EtherTypes::Ipv4 => {
            let packet = Ipv4Packet::new(rest).unwrap();
            let protocol = packet.get_next_level_protocol().0.into();
            Some(Ip { is_v4: true, protocol, octets: packet.get_total_length().into() })
        }
        EtherTypes::Ipv6 => {
            let packet = Ipv6Packet::new(rest).unwrap();
            let next = packet.get_next_header();
            let is_extension =
                matches!(next, IpNextHeaderProtocols::Hopopt | IpNextHeaderProtocols::Ipv6Frag);
            let protocol = if is_extension { packet.payload()[0] } else { next.0 };
            let octets = 40 + u64::from(packet.get_payload_length());
            Some(Ip { is_v4: false, protocol: protocol.into(), octets })
        }
        _ => None,
    };
    Frame { seconds, vlan, ip }
}

#[test]
fn office_is_metered_as_another_reader_counts_it() {
    let file = fs::read(sample("office.pcap")).unwrap();
    assert!(file.len() <= 2_000_000, "{} octets", file.len());
    let frames = frames(&file);
    // 2026-03-10 09:30:00 UTC.
    let (first, last) = (frames[0].seconds, frames[frames.len() - 1].seconds);
    assert_eq!(first, 1_773_135_000);
    assert!((60..=120).contains(&(last - first)), "{} s", last - first);

    let (mut protocols, mut vlans) = (BTreeMap::new(), BTreeMap::new());
    let mut others = 0;
    for frame in frames {
        let Some(Ip { is_v4, protocol, octets }) = frame.ip else {
            others += 1;
            continue;
        };
        protocols.entry((is_v4, protocol)).or_insert_with(Sum::default).add(1, octets);
        vlans.entry(frame.vlan).or_insert_with(Sum::default).add(1, octets);
    }
    let (flows, run) = metered("office.pcap");
    assert_eq!(run.count("ignored.not_ip.packets"), others);
    assert_eq!(run.count("received.packets"), run.count("metered.packets") + others);
    let (mut protocols_metered, mut vlans_metered) = (BTreeMap::new(), BTreeMap::new());
    for flow in &flows {
        let is_v4 = flow.source.parse::<IpAddr>().unwrap().is_ipv4();
        let entry = protocols_metered.entry((is_v4, flow.protocol));
        entry.or_insert_with(Sum::default).add(flow.packets, flow.octets);
        let entry = vlans_metered.entry(flow.vlan);
        entry.or_insert_with(Sum::default).add(flow.packets, flow.octets);
    }
    assert_eq!(protocols_metered, protocols);
    assert_eq!(vlans_metered, vlans);
    // ICMP, IGMP, TCP, UDP, ESP, VRRP; TCP, UDP, ICMPv6.
    let v4 = [1, 2, 6, 17, 50, 112].map(|protocol| (true, protocol));
    let v6 = [6, 17, 58].map(|protocol| (false, protocol));
    assert!(protocols.into_keys().eq(v6.into_iter().chain(v4)));
    assert!(vlans.into_keys().eq([0, 10, 20, 30, 300]));
}

/// Different values of a field.
fn distinct<'a, T: Ord>(
    flows: impl IntoIterator<Item = &'a Flow>,
    field: impl Fn(&'a Flow) -> T,
) -> usize {
    flows.into_iter().map(field).collect::<BTreeSet<_>>().len()
}

/// Flows from a host to a port of others.
fn from_to<'a>(
    flows: &'a [Flow],
    source: &'a str,
    port: u64,
) -> impl Iterator<Item = &'a Flow> + Clone {
    flows.iter().filter(move |flow| {
        flow.source == source && flow.protocol == TCP && flow.destination_port == port
    })
}

#[test]
fn office_is_scanned_and_then_tried_with_passwords() {
    let (flows, _) = metered("office.pcap");
    let scanner = "203.0.113.66";
    // One port of every address of 192.0.2.0/24; the 8 servers refuse.
    assert_eq!(distinct(from_to(&flows, scanner, 3389), |flow| &flow.destination), 254);
    let refusals = flows.iter().filter(|flow| {
        flow.destination == scanner && flow.source_port == 3389 && flow.flags & RST != 0
    });
    assert_eq!(distinct(refusals, |flow| &flow.source), 8);
    // The ports 1 to 320 of one server; it refuses all but two.
    let target = "192.0.2.22";
    let tried = flows.iter().filter(|flow| flow.source == scanner && flow.destination == target);
    let tried = tried.filter(|flow| flow.destination_port <= 320);
    assert_eq!(distinct(tried, |flow| flow.destination_port), 320);
    let answers = flows.iter().filter(|flow| flow.source == target && flow.destination == scanner);
    let refusals = answers.filter(|flow| flow.source_port <= 320 && flow.flags & SYN == 0);
    assert_eq!(distinct(refusals, |flow| flow.source_port), 318);
    // Then 32 connections to the port of remote logins, each closed in good order.
    let guesses = from_to(&flows, scanner, 22).filter(|flow| flow.flags & FIN != 0);
    assert_eq!(distinct(guesses, |flow| flow.source_port), 32);
}

#[test]
fn office_is_flooded_from_many_sources_that_say_no_more() {
    let (flows, _) = metered("office.pcap");
    let benchmarks = |address: &str| {
        let address: Option<Ipv4Addr> = address.parse().ok();
        address.is_some_and(|address| matches!(address.octets(), [198, 18 | 19, _, _]))
    };
    let flood = flows.iter().filter(|flow| {
        flow.ports().1 == TCP
            && (flow.destination.as_str(), flow.destination_port) == ("192.0.2.80", 443)
            && benchmarks(&flow.source)
    });
    assert!(flood.clone().all(|flow| (flow.packets, flow.octets, flow.flags) == (1, 40, SYN)));
    assert_eq!(flood.clone().count(), 2000);
    assert_eq!(distinct(flood, |flow| &flow.source), 2000);
}

#[test]
fn office_is_hit_by_answers_of_names_that_it_did_not_ask_for() {
    let (flows, run) = metered("office.pcap");
    let answers = flows
        .iter()
        .filter(|flow| flow.ports() == (53, UDP, 80) && flow.destination == "192.0.2.25");
    assert_eq!(distinct(answers.clone(), |flow| &flow.source), 24);
    let (packets, octets) = answers
        .clone()
        .fold((0, 0), |(packets, octets), flow| (packets + flow.packets, octets + flow.octets));
    assert!(octets > 900_000 && packets > 700, "{octets} octets in {packets} packets");
    // The fragments have found their ports: nothing of it is left without.
    assert_eq!(run.count("fragments_unknown"), 0);
    let lost = flows.iter().filter(|flow| flow.destination == "192.0.2.25" && flow.protocol == UDP);
    assert!(lost.clone().all(|flow| flow.source_port != 0 && flow.destination_port != 0));
    // Nothing like it was asked for.
    let asked = flows.iter().any(|flow| flow.ports() == (80, UDP, 53));
    assert!(!asked);
}

#[test]
fn office_has_a_worm_that_goes_from_one_to_many() {
    let (flows, _) = metered("office.pcap");
    let tried = |source: &str| distinct(from_to(&flows, source, 445), |flow| &flow.destination);
    // 320 addresses anywhere, 8 neighbours, the file server.
    assert_eq!(tried("10.10.0.66"), 320 + 8 + 1);
    let neighbours = [23, 27, 29, 34, 38, 41, 45, 50].map(|last| format!("10.10.0.{last}"));
    for neighbour in &neighbours {
        let infection = from_to(&flows, "10.10.0.66", 445)
            .find(|flow| flow.destination == *neighbour)
            .unwrap_or_else(|| panic!("{neighbour} is not infected"));
        assert!(infection.octets > 30_000 && infection.flags & RST != 0);
        // It begins to do the same afterwards. Some of them use the file server too.
        let first = from_to(&flows, neighbour, 445)
            .filter(|flow| flow.flags == SYN)
            .map(|flow| flow.start)
            .min();
        assert!(first.unwrap() > infection.end);
        assert!((40..=41).contains(&tried(neighbour)));
    }
}

#[test]
fn office_loses_its_files_in_the_biggest_flow() {
    let (flows, run) = metered("office.pcap");
    let mut sums = BTreeMap::new();
    for flow in &flows {
        let key = (&flow.source, &flow.destination, flow.ports());
        sums.entry(key).or_insert_with(Sum::default).add(flow.packets, flow.octets);
    }
    let ((source, destination, ports), sum) =
        sums.into_iter().max_by_key(|(_, sum)| sum.octets).unwrap();
    assert_eq!((source.as_str(), destination.as_str()), ("10.10.0.66", "203.0.113.5"));
    assert_eq!((ports.1, ports.2), (TCP, 443));
    assert!(sum.octets * 4 > run.count("metered.octets"), "{sum:?}");
    // It outlasts the active timeout of a minute.
    let records = flows.iter().filter(|flow| flow.source == *source && flow.ports() == ports);
    let reasons: Vec<u64> = records.map(|flow| flow.end_reason).collect();
    assert_eq!(reasons, [2, 4]);
    for (reason, is_there) in
        [("idle", true), ("active", true), ("end", true), ("forced", true), ("evicted", false)]
    {
        assert_eq!(run.count(&format!("ended.{reason}.records")) > 0, is_there, "{reason}");
    }
}

#[test]
fn first_screen_is_worth_reading() {
    let path = sample("office.pcap");
    let run = support::run(["-r", path.to_str().unwrap()]);
    let screen = String::from_utf8(run.stdout).unwrap();
    let rows: Vec<&str> = screen.lines().skip(1).take(10).collect();
    assert!(rows[0].contains("10.10.0.66:") && rows[0].contains("203.0.113.5:443"), "{screen}");
    // IPv6, the copy of the files, the call, the amplification, fragments.
    for words in ["[2001:db8:", "192.0.2.10:445", "203.0.113.40:20002", "198.51.100.10:53", ":2049"]
    {
        assert!(rows.iter().any(|row| row.contains(words)), "no {words} in {screen}");
    }
    let by_target = ["--flow-key", "dst,dport,proto", "--order", "packets"];
    let run = support::run(["-r", path.to_str().unwrap()].into_iter().chain(by_target));
    let screen = String::from_utf8(run.stdout).unwrap();
    let first = screen.lines().nth(1).unwrap();
    assert!(first.contains("192.0.2.80:443"), "the flood is not the first of {screen}");
}

#[test]
fn interfaces_have_their_numbers_and_names() {
    let (flows, run) = metered("interfaces.pcapng");
    assert_eq!(run.count("received.packets"), run.count("metered.packets"));
    let of = |interface: u64| flows.iter().filter(move |flow| flow.interface == interface);
    // The page is fetched on both sides of the router, seen 45 us apart, under another address.
    let page = |interface, source: &str| {
        let mut found = of(interface).filter(|flow| flow.source == source);
        let flow = found.next().unwrap_or_else(|| panic!("no {source}"));
        assert!(found.next().is_none());
        (flow.ports(), flow.packets, flow.octets, flow.flags, flow.start)
    };
    assert_eq!(page(1, "10.10.0.20"), page(2, "203.0.113.1"));
    // 5 pings and their answers, of either version, without a link layer: 20 + 8 + 56, 40 + 64.
    let tunnel: BTreeSet<_> = of(3)
        .map(|flow| (flow.protocol, flow.destination_port, flow.packets, flow.octets))
        .collect();
    let pings = [(1, 0, 5, 420), (1, 0x0800, 5, 420), (58, 0x8000, 5, 520), (58, 0x8100, 5, 520)];
    assert_eq!(tunnel, pings.into());

    let path = sample("interfaces.pcapng");
    let numbers = ["--ifindex", "wan0=77", "--ifindex", "lan0=78", "--ifindex", "tun0=79"];
    let arguments = ["-r", path.to_str().unwrap(), "-o", "json:-"];
    let run = support::run(arguments.into_iter().chain(numbers));
    let named: BTreeSet<_> =
        run.documents().iter().map(Flow::of).map(|flow| (flow.interface, flow.source)).collect();
    assert!(named.contains(&(77, "203.0.113.1".to_owned())));
    assert!(named.contains(&(78, "10.10.0.20".to_owned())));
    assert!(named.contains(&(79, "203.0.113.2".to_owned())));
}

#[test]
fn tshark_finds_the_samples_sound() {
    if !support::has_tshark() {
        return;
    }
    for name in ["office.pcap", "interfaces.pcapng"] {
        let checks = ["ip", "tcp", "udp"].map(|name| format!("{name}.check_checksum:TRUE"));
        let mut filter = "_ws.malformed".to_owned();
        for protocol in ["ip", "tcp", "udp", "icmp", "icmpv6", "igmp", "vrrp"] {
            filter += &format!(" || {protocol}.checksum.status == \"Bad\"");
        }
        let mut tshark = Command::new("tshark");
        tshark.arg("-r").arg(sample(name)).args(["-Y", &filter]);
        for check in &checks {
            tshark.args(["-o", check]);
        }
        let output = tshark.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let found = String::from_utf8(output.stdout).unwrap();
        assert!(found.is_empty(), "{name}:\n{found}");
    }
}

#[test]
fn readme_shows_what_the_program_prints() {
    let readme = fs::read_to_string(support::root().join("README.md")).unwrap();
    let run = support::run(["-r", sample("office.pcap").to_str().unwrap()]);
    let table = String::from_utf8(run.stdout).unwrap();
    assert!(table.lines().count() > 10 && readme.contains(&table), "{table}");
    let text = support::flowprobe().arg("-r").arg(sample("office.pcap")).output().unwrap();
    let totals = String::from_utf8(text.stderr).unwrap();
    // How long it took differs.
    let (totals, _) = totals.split_once("time  ").unwrap();
    assert!(readme.contains(totals), "{totals}");
}
