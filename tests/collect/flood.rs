//! Floods of senders and of templates through the program: its memory stays, and exporters that are
//! allowed lose nothing.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::messages::{FIELDS, flow, ipfix, netflow9, set, template};
use crate::program::{assert_conservation, frame};
use crate::support::capture::{Captured, pcap};
use crate::support::probe::Probe;
use crate::support::{self, Run};

const OURS: [u8; 4] = [192, 0, 2, 1];

/// 2024-05-06T07:09:00Z
const RECEIVED_MS: u64 = 1_714_979_340_000;

/// Allocators keep some memory that is free.
const MARGIN: u64 = 12 << 20;

const PATIENCE: Duration = Duration::from_secs(300);

/// Writes a capture of datagrams with their senders. They come within 10 s.
fn write(path: PathBuf, datagrams: impl Iterator<Item = ([u8; 4], Vec<u8>)>) -> PathBuf {
    let mut out = BufWriter::new(File::create(&path).unwrap());
    let head = pcap(&[]);
    out.write_all(&head).unwrap();
    for ((from, datagram), number) in datagrams.zip(0_u64..) {
        let time = RECEIVED_MS + number / 100_000;
        let packet = pcap(&[Captured::at(time, frame(from, &datagram))]);
        out.write_all(&packet[head.len()..]).unwrap();
    }
    out.flush().unwrap();
    path
}

/// Collects from a capture. Also gives the most memory that it took.
fn collect(file: &Path, settings: &[&str]) -> (Run, u64) {
    let mut command = support::flowprobe();
    command.args(["collect", "-r"]).arg(file).args(settings).args(["-o", "json:-"]);
    let (run, memory) = Probe::start_with_totals(command, &[]).end_within(PATIENCE);
    assert_eq!(run.status, 0, "{}", run.stderr);
    assert_conservation(&run);
    (run, memory)
}

/// A sender that was not heard before: one half sends a template, the others data without one.
fn of_another(number: u32) -> ([u8; 4], Vec<u8>) {
    let message = if number.is_multiple_of(2) {
        ipfix(0, &[set(2, &template(300, &FIELDS))])
    } else {
        ipfix(0, &[set(400, &flow(1))])
    };
    (Ipv4Addr::from_bits(0x0a00_0000 + number).octets(), message)
}

#[test]
fn a_million_senders_take_no_more_memory_than_some_thousands() {
    let folder = support::scratch();
    let templates = ipfix(0, &[set(2, &template(300, &FIELDS))]);
    let of = |number| ipfix(number, &[set(300, &flow(1))]);
    let mut memory = Vec::new();
    for senders in [20_000, 1_000_000] {
        let ours = (0..senders / 1000).map(|number| (OURS, of(number)));
        let mut ours = std::iter::once((OURS, templates.clone())).chain(ours);
        let all = (0..senders).flat_map(|number| {
            let own = (number % 1000 == 0).then(|| ours.next()).flatten();
            own.into_iter().chain([of_another(number)])
        });
        let file = write(folder.path().join("flood.pcap"), all);
        let (run, took) = collect(&file, &["--allow", "0.0.0.0/0"]);
        let of = |name: &str| run.count(&format!("collected.{name}"));
        let (senders, ours) = (u64::from(senders), u64::from(senders / 1000));
        assert_eq!((of("records"), of("lost")), (ours - 1, 0), "{}", run.stderr);
        assert_eq!((of("exporters"), of("exporters_evicted")), (4096, senders + 1 - 4096));
        assert_eq!(of("no_template"), senders / 2);
        memory.push(took);
    }
    assert!(memory[1] < memory[0] + MARGIN, "{memory:?}");
}

/// An exporter in a network that is allowed is kept, however many others there are.
#[test]
fn senders_that_are_not_allowed_make_nobody_forgotten() {
    let folder = support::scratch();
    let first = [set(2, &template(300, &FIELDS))];
    let first = (OURS, ipfix(0, &first));
    let last = (OURS, ipfix(0, &[set(300, &[flow(1), flow(2)].concat())]));
    let others = (0..100_000).map(of_another);
    let all = std::iter::once(first).chain(others).chain([last]);
    let file = write(folder.path().join("flood.pcap"), all);
    let (run, _) = collect(&file, &["--allow", "192.0.2.0/24"]);
    let of = |name: &str| run.count(&format!("collected.{name}"));
    assert_eq!((of("records"), of("not_allowed")), (2, 100_000), "{}", run.stderr);
    assert_eq!((of("exporters"), of("exporters_evicted"), of("lost")), (1, 0, 0));
}

/// All ids that an exporter has, again and again with other fields, and those of many exporters.
#[test]
fn templates_of_all_ids_take_no_more_memory_than_the_limit() {
    let folder = support::scratch();
    let mut memory = Vec::new();
    for (exporters, rounds) in [(80, 1), (400, 8)] {
        let templates = |ids: std::ops::RangeInclusive<u16>, length| {
            let fields = [&FIELDS[..], &[(210, length)]].concat();
            let all: Vec<_> = ids.map(|id| template(id, &fields)).collect();
            let messages = all.chunks(30).map(|some| netflow9(0, &[set(0, &some.concat())]));
            messages.collect::<Vec<_>>()
        };
        let hostile = (0..rounds).flat_map(|round| templates(256..=u16::MAX, round + 1));
        let hostile = hostile.map(|message| ([10, 0, 0, 1], message));
        let of_one = templates(256..=1279, 1);
        let of_many = (0..exporters).flat_map(|number: u32| {
            let from = Ipv4Addr::from_bits(0x0a01_0000 + number).octets();
            of_one.iter().map(move |message| (from, message.clone()))
        });
        let file = write(folder.path().join("flood.pcap"), hostile.chain(of_many));
        let (run, took) = collect(&file, &["--allow", "0.0.0.0/0"]);
        let of = |name: &str| run.count(&format!("collected.{name}"));
        let sent = 65_280 * u64::from(rounds) + 1024 * u64::from(exporters);
        assert_eq!((of("malformed"), of("templates_refused")), (0, 0));
        assert!((60_000..=65_536).contains(&of("templates")), "{}", run.stderr);
        assert_eq!(of("templates") + of("templates_evicted"), sent);
        memory.push(took);
    }
    assert!(memory[1] < memory[0] + MARGIN, "{memory:?}");
}
