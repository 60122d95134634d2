//! Packets in tunnels: with `--decap all` they are those of the innermost IP header that tshark
//! dissects.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::process::Command;

use crate::support::capture::{Captured, Order, pcap_as};
use crate::support::{self, Run};
use crate::tshark::{Dissection, Row};
use crate::{in_parallel, tshark};

/// Captures with tunnels that tshark opens and the program does not.
const NOT_OPENED: &[(&str, &str)] = &[("capwap_data.pcapng", "CAPWAP")];

/// Packets between two addresses, and the octets of headers around them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Inside {
    packets: BTreeMap<(IpAddr, IpAddr), u64>,
    overhead: i64,
}

impl Inside {
    /// Of what tshark dissects. What an ICMP message quotes is no packet.
    fn of_dissection(dissection: &Dissection) -> Self {
        let mut inside = Self::default();
        for row in dissection.rows() {
            let headers: Vec<_> = headers(&row).collect();
            let (Some(outermost), Some(innermost)) = (headers.first(), headers.last()) else {
                continue;
            };
            *inside.packets.entry(innermost.addresses).or_default() += 1;
            inside.overhead += outermost.octets - innermost.octets;
        }
        inside
    }

    /// Of a run that opens all tunnels.
    fn of_run(run: &Run) -> Self {
        let mut inside = Self::default();
        for flow in run.documents() {
            let address = |side: &str| -> IpAddr {
                flow[side]["ip"].as_str().and_then(|text| text.parse().ok()).expect("an address")
            };
            let packets = flow["network"]["packets"].as_u64().expect("a count");
            let addresses = (address("source"), address("destination"));
            *inside.packets.entry(addresses).or_default() += packets;
        }
        inside.overhead = overhead(run);
        inside
    }
}

fn overhead(run: &Run) -> i64 {
    run.stats["tunnels"]["tunnel_overhead_octets"].as_i64().expect("a count")
}

/// An IP header.
struct Header {
    addresses: (IpAddr, IpAddr),
    octets: i64,
}

fn headers(row: &Row<'_>) -> impl Iterator<Item = Header> {
    let (mut v4, mut v6) = (0, 0);
    let names = row.protocols().take_while(|name| !name.starts_with("icmp"));
    names.filter_map(move |name| {
        let (version, count, length, more) = match name {
            "ip" => ("ip", &mut v4, "ip.len", 0),
            "ipv6" => ("ipv6", &mut v6, "ipv6.plen", 40),
            _ => return None,
        };
        let address = |side| row.nth(&format!("{version}.{side}"), *count)?.parse().ok();
        let addresses = (address("src")?, address("dst")?);
        let octets = i64::try_from(row.nth_number(length, *count)?).ok()? + more;
        *count += 1;
        Some(Header { addresses, octets })
    })
}

const ALL: [&str; 4] = ["--decap", "all", "--workers", "2"];

fn replay(path: &Path, settings: &[&str]) -> Run {
    let words = ["-r", path.to_str().unwrap(), "-o", "json:-"];
    let run = support::run(words.iter().chain(settings));
    assert_eq!(run.status, 0, "{}: {}", path.display(), run.stderr);
    run.assert_conservation();
    run
}

#[test]
fn tunnels_of_real_captures_are_opened_as_tshark_dissects_them() {
    let Some((captures, dissections)) = tshark::real_captures() else { return };
    let compare = |index: usize| {
        let (path, dissection) = (&captures[index], dissections[index].as_ref()?);
        let file = path.file_name().unwrap().to_str().unwrap();
        let theirs = Inside::of_dissection(dissection);
        let is_opened = !NOT_OPENED.iter().any(|(name, _)| *name == file);
        let ours = Inside::of_run(&replay(path, &ALL));
        (is_opened == (ours != theirs)).then(|| format!("{file}:\n  {ours:?}\n  tshark {theirs:?}"))
    };
    let wrong: Vec<_> = in_parallel(captures.len(), compare).into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Cut at any octet, each packet of a tunnel in a capture is counted, inside or outside.
#[test]
fn real_captures_of_tunnels_are_metered_however_they_are_cut() {
    let Some((captures, dissections)) = tshark::real_captures() else { return };
    let with_tunnels: Vec<_> = captures
        .iter()
        .zip(dissections)
        .filter_map(|(path, dissection)| Some((path, frames_of_tunnels(dissection.as_ref()?))))
        .filter(|(_, frames)| !frames.is_empty())
        .collect();
    assert!(!with_tunnels.is_empty(), "the folder of captures has some of tunnels");
    in_parallel(with_tunnels.len(), |at| check_cuts(with_tunnels[at].0, &with_tunnels[at].1));
}

/// Positions of the frames with several IP headers.
fn frames_of_tunnels(dissection: &Dissection) -> Vec<usize> {
    let rows = dissection.rows().enumerate();
    rows.filter(|(_, row)| headers(row).count() > 1).map(|(at, _)| at).collect()
}

/// Octets of a frame at which it is cut: beyond are no headers.
const CUT_MAX: usize = 512;

fn check_cuts(path: &Path, of_tunnels: &[usize]) {
    let folder = support::scratch();
    let (link_type, frames) = frames(&folder, path);
    let mut cuts = Vec::new();
    for &at in of_tunnels {
        let whole = Captured::at(0, frames[at].clone());
        cuts.extend((0..=whole.data.len().min(CUT_MAX)).map(|length| whole.clone().cut(length)));
    }
    let octets = pcap_as(Order::Little, false, link_type, &cuts);
    let file = support::write(&folder, "cut.pcap", &octets);
    let [with, without] = [&ALL[..], &[]].map(|settings| replay(&file, settings));
    assert_eq!(with.count("received.packets"), cuts.len() as u64, "{}", path.display());
    let outside = |what: &str| with.count(&format!("tunnels.{what}.outer_octets"));
    let octets =
        with.count("metered.octets") + outside("ignored_inside") + outside("tunnel_fragments");
    let sum = i64::try_from(octets).unwrap() + overhead(&with);
    assert_eq!(i64::try_from(without.count("metered.octets")).unwrap(), sum, "{}", path.display());
}

/// The link type and the frames of a capture file of any format.
fn frames(folder: &tempfile::TempDir, path: &Path) -> (u32, Vec<Vec<u8>>) {
    let classic = folder.path().join("classic.pcap");
    let output = Command::new("editcap").args(["-F", "pcap"]).arg(path).arg(&classic).output();
    let output = output.expect("editcap runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let octets = fs::read(&classic).expect("editcap has written it");
    let word = |octets: &[u8]| u32::from_ne_bytes(*octets.first_chunk().expect("4 octets"));
    let mut frames = Vec::new();
    let mut rest = &octets[24..];
    while let Some((header, behind)) = rest.split_at_checked(16) {
        let (frame, behind) = behind.split_at(word(&header[8..]) as usize);
        frames.push(frame.to_vec());
        rest = behind;
    }
    (word(&octets[20..]), frames)
}
