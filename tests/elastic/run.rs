//! The name of a run in the ids of its documents: the same replay has the same, another one not.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::replay::{capture, capture_of, delivered, packets};
use crate::scripted::Server;
use crate::support::capture::{Captured, pcap};
use crate::support::packet::{ethernet, ipv4, udp};
use crate::support::{self, Run};

const FLOWS: u64 = 30;

/// The arguments of a replay into a server.
fn arguments<'a>(output: &'a str, file: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
    [&["-r", file.to_str().unwrap(), "-o", output], more].concat()
}

#[track_caller]
fn replay(server: &Server, file: &Path, more: &[&str]) -> Run {
    let output = format!("elastic+{}", server.url());
    let run = support::run(arguments(&output, file, more));
    assert_eq!(run.status, 0, "{more:?}: {}", run.stderr);
    run
}

/// The names of the runs whose documents a server has.
fn runs(server: &Server) -> BTreeSet<String> {
    let name = |id: &str| {
        let (_probe, rest) = id.split_once('-').expect("the probe comes first");
        rest.rsplit_once('-').expect("the number comes last").0.to_owned()
    };
    server.documents().iter().map(|item| name(&item.id)).collect()
}

#[test]
fn same_replay_again_adds_nothing() {
    let server = Server::start();
    let folder = support::scratch();
    let file = capture(&folder, FLOWS as u32);
    let first = replay(&server, &file, &[]);
    assert_eq!(delivered(&first, "accepted"), FLOWS, "{}", first.stats);
    // A file is known by what is in it.
    let copy = folder.path().join("copy.pcap");
    std::fs::copy(&file, &copy).unwrap();
    for file in [file, copy.clone()] {
        let again = replay(&server, &file, &[]);
        let counts = ["accepted", "duplicate"].map(|count| delivered(&again, count));
        assert_eq!(counts, [0, FLOWS], "{}", again.stats);
    }
    // These change no flow.
    let stats = format!("json:{}", folder.path().join("stats").display());
    for more in [&["--quiet"][..], &["--stats", &stats], &["--name", "other"], &["--fail-on-loss"]]
    {
        let output = format!("elastic+{}", server.url());
        let status = support::flowprobe().args(arguments(&output, &copy, more)).output();
        assert!(status.unwrap().status.success(), "{more:?}");
        assert_eq!(runs(&server).len(), 1, "{more:?}");
    }
    assert_eq!(server.documents().len() as u64, FLOWS);
}

#[test]
fn replay_with_other_settings_is_another_run() {
    let server = Server::start();
    let folder = support::scratch();
    let file = capture(&folder, FLOWS as u32);
    let networks = support::write(&folder, "own.csv", b"cidr,name\n10.0.0.0/8,inside\n");
    let settings: [&[&str]; 16] = [
        &[],
        &["--workers", "1"],
        &["--workers", "3"],
        &["--idle-timeout", "14s"],
        &["--active-timeout", "59s"],
        &["--max-flows", "999999"],
        &["--flow-key", "src,dst,sport,dport,proto"],
        &["--sample", "1:2"],
        &["--filter", "udp"],
        &["--hash-seed", "7"],
        &["--decap", "all"],
        &["--ifindex", "eth0=9"],
        &["--local-networks", "10.0.0.0/8"],
        &["--tags", "off"],
        &["--networks", networks.to_str().unwrap()],
        &["--alerts", "outputs"],
    ];
    for (count, more) in settings.iter().enumerate() {
        let run = replay(&server, &file, more);
        assert_eq!(delivered(&run, "duplicate"), 0, "{more:?} has ids of another run");
        assert_eq!(runs(&server).len(), count + 1, "{more:?}");
    }
}

#[test]
fn person_may_name_a_run() {
    let server = Server::start();
    let folder = support::scratch();
    let file = capture(&folder, FLOWS as u32);
    let output = format!("elastic+{}?run=mine", server.url());
    for workers in ["1", "3"] {
        let run = support::run(arguments(&output, &file, &["--workers", workers]));
        assert_eq!(run.status, 0, "{}", run.stderr);
    }
    assert_eq!(runs(&server), BTreeSet::from(["mine".to_owned()]));
    assert_eq!(server.documents().len() as u64, FLOWS);
}

#[test]
fn replay_of_another_file_is_another_run() {
    let server = Server::start();
    let folder = support::scratch();
    let first = capture(&folder, FLOWS as u32);
    replay(&server, &first, &[]);
    // One octet of one packet.
    let mut packets = packets(0..FLOWS as u32);
    *packets[FLOWS as usize / 2].data.last_mut().unwrap() ^= 1;
    let changed = support::write(&folder, "changed.pcap", &pcap(&packets));
    replay(&server, &changed, &[]);
    assert_eq!(runs(&server).len(), 2);
    // More files.
    replay(&server, &first, &["-r", changed.to_str().unwrap()]);
    assert_eq!(runs(&server).len(), 3);
    // Other packets in a file of the same name.
    replay(&server, &capture_of(&folder, 1000..1000 + FLOWS as u32), &[]);
    assert_eq!(runs(&server).len(), 4);
}

/// docs/elastic.md says so: what lies between the first and the last MiB is not looked at.
#[test]
fn large_files_that_differ_in_the_middle_share_a_run_unless_it_is_named() {
    let server = Server::start();
    let folder = support::scratch();
    let packet = |number: u64, last: u8| {
        let ip = ipv4([10, 0, 0, 1], [192, 0, 2, 1], 17, &udp(1000, 53, 1400));
        let mut packet = Captured::at(1_700_000_000_000 + number, ethernet(&ip));
        *packet.data.last_mut().unwrap() = last;
        packet
    };
    let file = |name: &str, middle: u8| {
        let last = |number| if number == 1000 { middle } else { 0 };
        let packets: Vec<_> = (0..2000).map(|number| packet(number, last(number))).collect();
        support::write(&folder, name, &pcap(&packets))
    };
    let (one, other) = (file("one.pcap", 1), file("other.pcap", 2));
    assert!(std::fs::metadata(&one).unwrap().len() > 2 << 20);
    let first = delivered(&replay(&server, &one, &[]), "accepted");
    assert!(first > 0);
    let counts = |run: &Run| ["accepted", "duplicate"].map(|count| delivered(run, count));
    assert_eq!(counts(&replay(&server, &other, &[])), [0, first]);
    let output = format!("elastic+{}?run=other", server.url());
    let named = support::run(arguments(&output, &other, &[]));
    assert_eq!(counts(&named), [first, 0], "{}", named.stderr);
}

#[test]
fn replay_of_a_pipe_is_another_run_each_time() {
    let server = Server::start();
    let folder = support::scratch();
    let file = capture(&folder, FLOWS as u32);
    let octets = std::fs::read(&file).unwrap();
    let output = format!("elastic+{}", server.url());
    // Alone, and beside a file.
    for more in [&[][..], &[], &["-r", file.to_str().unwrap()]] {
        let arguments = arguments(&output, Path::new("-"), more);
        let run = support::run_with_input(arguments, &octets);
        assert_eq!(run.status, 0, "{}", run.stderr);
        assert_eq!(delivered(&run, "duplicate"), 0, "{}", run.stats);
    }
    let fifo = folder.path().join("fifo");
    mkfifo(&fifo, Mode::S_IRWXU).unwrap();
    for _ in 0..2 {
        let mut writer = Command::new("cp").arg(&file).arg(&fifo).spawn().unwrap();
        let run = replay(&server, &fifo, &[]);
        assert!(writer.wait().unwrap().success());
        assert_eq!(delivered(&run, "accepted"), FLOWS, "{}", run.stats);
    }
    assert_eq!(runs(&server).len(), 5);
}
