//! `--filter` meters the frames that tcpdump keeps with the same expression.

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use support::capture::{self, Captured};
use support::{Run, packet};

/// Expressions as people write them.
const EXPRESSIONS: [&str; 84] = [
    "ip",
    "ip6",
    "arp",
    "not ip",
    "tcp",
    "udp",
    "icmp",
    "icmp6",
    "igmp",
    "sctp",
    "ip proto 47",
    "ip proto \\tcp",
    "ip6 proto 58",
    "proto 17",
    "host 10.10.0.66",
    "src host 10.10.0.66",
    "dst host 10.10.0.66",
    "not host 10.10.0.66",
    "host 192.0.2.80 and host 10.10.0.21",
    "host 2001:db8::1",
    "net 10.0.0.0/8",
    "src net 10.10",
    "dst net 192.0.2.0 mask 255.255.255.0",
    "net 2001:db8::/32",
    "not net 10",
    "port 53",
    "src port 53",
    "dst port 53",
    "port domain",
    "tcp port 80",
    "udp port 53",
    "port 80 or port 443",
    "portrange 1-1023",
    "src portrange 1024-65535",
    "tcp portrange 20-25",
    "not port 22",
    "tcp dst port 445",
    "host 203.0.113.66 and tcp port 22",
    "tcp[tcpflags] & tcp-syn != 0",
    "tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn",
    "tcp[tcpflags] == tcp-rst",
    "tcp[13] & 1 != 0",
    "tcp[2:2] > 1000",
    "tcp[12] >> 4 > 5",
    "icmp[icmptype] == icmp-echo",
    "icmp[icmptype] == icmp-unreach",
    "icmp[0] = 3 and icmp[1] = 3",
    "icmp6[0] == 135",
    "ip[0] & 0xf != 5",
    "ip[6:2] & 0x1fff != 0",
    "ip[6] & 0x20 != 0",
    "ip[8] < 64",
    "ip[8] % 2 == 1",
    "ip[1] & 0xfc != 0",
    "ip[2:2] > 576",
    "ip[12:4] = 0x0a0a0042",
    "ip6[7] > 1",
    "udp[4:2] > 100",
    "udp[0:2] + udp[2:2] > 5000",
    "ip[2:2] - 20 * 2 >= 0",
    "len > 100",
    "less 60",
    "greater 1000",
    "len / 2 > 300",
    "ether host 02:00:00:00:00:01",
    "ether src 02:00:00:00:00:01",
    "ether dst ff:ff:ff:ff:ff:ff",
    "ether broadcast",
    "ether multicast",
    "ip multicast",
    "ip6 multicast",
    "ether proto 0x88cc",
    "ether[0] & 1 = 0",
    "ether[12:2] > 1500",
    "stp",
    "llc",
    "vlan",
    "vlan 7",
    "vlan and ip",
    "vlan and port 53",
    "ip or (vlan and ip)",
    "mpls",
    "(tcp or udp) and not (port 53 or port 443) and len > 80",
    "tcp and (((ip[2:2] - ((ip[0]&0xf)<<2)) - ((tcp[12]&0xf0)>>2)) != 0)",
];

fn replay(file: &Path, more: &[&str]) -> Run {
    let run =
        support::run([&["-r", file.to_str().unwrap(), "-o", "json:/dev/null"], more].concat());
    assert_eq!(run.status, 0, "{more:?}: {}", run.stderr);
    run.assert_conservation();
    run
}

/// Frames that tcpdump keeps, and their octets on the wire. `None` where tcpdump refuses.
fn kept(file: &Path, expression: &str) -> Option<[u64; 2]> {
    let mut tcpdump = Command::new("tcpdump");
    tcpdump.arg("-r").arg(file).args(["-w", "-", expression]);
    let output = tcpdump.output().expect("tcpdump runs");
    output.status.success().then(|| packets(&output.stdout))
}

/// The packets of a classic pcap file of this host's byte order, and their octets on the wire.
fn packets(file: &[u8]) -> [u64; 2] {
    let (mut rest, mut sums) = (file.get(24..).unwrap_or_default(), [0, 0]);
    while let Some((header, after)) = rest.split_at_checked(16) {
        let number = |at: usize| u32::from_ne_bytes(header[at..at + 4].try_into().unwrap());
        sums = [sums[0] + 1, sums[1] + u64::from(number(12))];
        rest = &after[number(8) as usize..];
    }
    sums
}

fn sums(run: &Run) -> [u64; 2] {
    ["received.packets", "received.octets"].map(|key| run.count(key))
}

/// What is left when that is taken away which the filter left out.
fn passed(run: &Run) -> [u64; 2] {
    let left_out = ["ignored.filtered.packets", "ignored.filtered.octets"];
    let [received, left_out] = [sums(run), left_out.map(|key| run.count(key))];
    [received[0] - left_out[0], received[1] - left_out[1]]
}

/// The packets that pass; `None` where tcpdump refuses.
#[track_caller]
fn assert_same(file: &Path, expression: &str) -> Option<u64> {
    let kept = kept(file, expression)?;
    let run = replay(file, &["--filter", expression]);
    assert_eq!(passed(&run), kept, "{expression} of {}", file.display());
    Some(kept[0])
}

fn has_tcpdump() -> bool {
    let there = support::has_tool("tcpdump");
    if !there {
        support::skip("tcpdump is not installed");
    }
    there
}

#[test]
fn the_sample() {
    if !has_tcpdump() {
        return;
    }
    let sample = support::office();
    let all = replay(&sample, &[]).count("received.packets");
    let mut parts = 0;
    for expression in EXPRESSIONS {
        let packets = assert_same(&sample, expression);
        let packets = packets.unwrap_or_else(|| panic!("tcpdump refuses {expression}"));
        parts += usize::from(packets > 0 && packets < all);
    }
    assert!(parts > EXPRESSIONS.len() / 2, "{parts} expressions keep a part of the frames");
}

#[test]
fn real_captures() {
    let captures = support::real_captures();
    if captures.is_empty() {
        return support::skip_without("the folder of real captures");
    }
    if !has_tcpdump() {
        return;
    }
    // Each file with some of the expressions, all of them in turn.
    let mut expressions = EXPRESSIONS.iter().cycle();
    let small = |path: &&std::path::PathBuf| path.metadata().is_ok_and(|it| it.len() < 1 << 20);
    let mut compared = 0;
    for file in captures.iter().filter(small) {
        for expression in expressions.by_ref().take(2) {
            compared += u32::from(assert_same(file, expression).is_some());
        }
    }
    println!("{compared} expressions compared");
    assert!(compared > 100);
}

#[test]
fn records_do_not_depend_on_workers() {
    let sample = support::office();
    let with = |workers| {
        let more = ["--filter", "tcp", "--workers", workers];
        let run = replay(&sample, &more);
        (run.count("metered.packets"), run.count("metered.octets"))
    };
    assert_eq!(with("1"), with("2"));
    assert_eq!(with("1"), with("4"));
}

#[test]
fn an_expression_that_is_none_is_wrong_usage() {
    for (expression, said) in [
        ("foo bar", "syntax error"),
        ("host", "syntax error"),
        ("net 10/8", "syntax error"),
        ("vlan 5000", "VLAN tag 5000"),
        ("", ""),
    ] {
        let run = support::run(["-r", "no.pcap", "--filter", expression]);
        if expression.is_empty() {
            // All frames, as for tcpdump.
            assert_eq!(run.status, 1, "{}", run.stderr);
            continue;
        }
        assert_eq!(run.status, 2, "{expression}: {}", run.stderr);
        assert!(run.stderr.contains(said), "{expression}: {}", run.stderr);
        assert!(run.stderr.contains("--filter"), "{}", run.stderr);
    }
}

#[test]
fn inbound_and_outbound_go_by_the_direction() {
    let packets = [Captured::at(0, udp(1)), Captured::at(0, udp(2)).outbound()];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("both.pcapng");
    fs::write(&path, capture::pcapng(1, &packets)).unwrap();
    for (expression, port) in [("inbound", 1), ("outbound", 2)] {
        let run = support::run([
            "-r",
            path.to_str().unwrap(),
            "-o",
            "json:-",
            "--stats",
            "json:/dev/null",
            "--filter",
            expression,
        ]);
        let document: Value = serde_json::from_slice(&run.stdout).unwrap();
        assert_eq!(document["source"]["port"], port, "{expression}");
    }
}

/// A frame with a datagram from a port.
fn udp(port: u16) -> Vec<u8> {
    packet::ethernet(&packet::ipv4([10, 0, 0, 1], [10, 0, 0, 2], 17, &packet::udp(port, 53, 0)))
}
