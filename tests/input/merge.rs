//! Several files, merged by packet time, each in its own order.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::support::capture::{Captured, pcap, pcapng};
use crate::support::packet::tagged;
use crate::support::random::Random;
use crate::support::{finished, flowprobe, run, run_with_input, scratch, write};
use crate::{assert_sound, datagram, ports_and_starts};

const SECOND: u64 = 1_000_000_000;

/// Packets of a few flows, so that which comes first shows in the records: flows end by their
/// timeouts, and a record has the VLAN of its first packet.
fn packets(count: u64, seed: u64) -> Vec<Captured> {
    let mut random = Random::new(seed);
    let mut nanos = 1_700_000_000 * SECOND;
    let mut packet = |index: u64| {
        nanos += random.below(500_000) * 1000;
        let port = u16::try_from(random.below(10)).unwrap();
        let mut packet = datagram(port, nanos);
        packet.data = tagged(&packet.data, 0x8100, u16::try_from(index % 4000).unwrap() + 1);
        packet
    };
    (0..count).map(&mut packet).collect()
}

/// The output of a replay of files in this order of the command line, with one worker and with two.
fn replayed(paths: &[PathBuf]) -> [Vec<u8>; 2] {
    let files = paths.iter().flat_map(|path| ["-r", path.to_str().unwrap()]);
    let arguments: Vec<_> = ["-o", "json:-"].into_iter().chain(files).collect();
    ["1", "2"].map(|workers| {
        let run = run([&arguments[..], &["--workers", workers]].concat());
        assert_sound(&run);
        run.stdout
    })
}

/// The output of replays of one file with these packets, in this order.
fn alone(packets: &[Captured]) -> [Vec<u8>; 2] {
    let folder = scratch();
    replayed(&[write(&folder, "alone.pcap", &pcap(packets))])
}

/// What a merge is, the slow way: the file whose next packet is the earliest comes next, and of
/// several the one that is named first.
fn merged(files: &[Vec<Captured>]) -> Vec<Captured> {
    let mut rest: Vec<_> = files.iter().map(|file| file.iter().peekable()).collect();
    let mut merged = Vec::new();
    loop {
        let heads = rest.iter_mut().enumerate();
        let next = heads.filter_map(|(index, file)| Some((file.peek()?.nanos, index))).min();
        let Some((_, index)) = next else { return merged };
        merged.extend(rest[index].next().cloned());
    }
}

fn written(folder: &tempfile::TempDir, files: &[Vec<Captured>]) -> Vec<PathBuf> {
    let files = files.iter().enumerate();
    files.map(|(index, file)| write(folder, &format!("{index:03}.pcap"), &pcap(file))).collect()
}

#[test]
fn rotated_files_are_one_capture_in_whatever_order_they_are_given() {
    let folder = scratch();
    let packets = packets(2000, 1);
    let files: Vec<_> = packets.chunks(333).map(<[_]>::to_vec).collect();
    let mut paths = written(&folder, &files);
    let expected = alone(&packets);
    assert!(replayed(&paths) == expected);
    paths.reverse();
    assert!(replayed(&paths) == expected);
    paths.swap(0, 3);
    assert!(replayed(&paths) == expected);
}

#[test]
fn directions_are_interleaved() {
    let folder = scratch();
    let packets = packets(2000, 2);
    let mut random = Random::new(2);
    let (mut one, mut other) = (Vec::new(), Vec::new());
    for packet in &packets {
        if random.one_in(2) { &mut one } else { &mut other }.push(packet.clone());
    }
    let paths = written(&folder, &[one, other]);
    let expected = alone(&packets);
    assert!(replayed(&paths) == expected);
    assert!(replayed(&[paths[1].clone(), paths[0].clone()]) == expected);
}

#[test]
fn any_files_are_merged_as_the_slow_way_does() {
    let folder = scratch();
    for seed in 0..20 {
        let mut random = Random::new(seed);
        let mut files: Vec<Vec<Captured>> = vec![Vec::new(); 1 + random.below(6) as usize];
        let mut packets = packets(600, seed);
        for _ in 0..random.below(200) {
            // Out of order within their files, and at equal times.
            let (one, other) = (random.below(600) as usize, random.below(600) as usize);
            packets[one].nanos = packets[other].nanos + random.below(2) * 1000;
        }
        for packet in packets {
            let index = random.below(files.len() as u64) as usize;
            files[index].push(packet);
        }
        let paths = written(&folder, &files);
        assert!(replayed(&paths) == alone(&merged(&files)), "seed {seed}");
    }
}

#[test]
fn at_equal_times_the_order_of_the_command_line_decides() {
    let folder = scratch();
    let file = |vlan| {
        let mut packet = datagram(1, SECOND);
        packet.data = tagged(&packet.data, 0x8100, vlan);
        vec![packet.clone(), packet]
    };
    let paths = written(&folder, &[file(7), file(8)]);
    for (order, vlan) in [([0, 1], 7), ([1, 0], 8)] {
        let files = order.map(|index: usize| paths[index].to_str().unwrap());
        let run = run(["-r", files[0], "-r", files[1], "-o", "json:-"]);
        let flows = run.flows();
        assert_eq!((flows.len(), flows[0].vlan, flows[0].packets), (1, vlan, 4));
    }
}

#[test]
fn file_keeps_its_own_order() {
    let folder = scratch();
    // The second file begins late and then goes back before the first.
    let one = vec![datagram(1, SECOND), datagram(1, 20 * SECOND)];
    let other = vec![datagram(2, 10 * SECOND), datagram(2, 3 * SECOND)];
    let paths = written(&folder, &[one, other]);
    // 10 s and 3 s are one flow: nothing of the first file came between them.
    for output in replayed(&paths) {
        assert_eq!(String::from_utf8(output).unwrap().lines().count(), 3);
    }
}

#[test]
fn formats_and_standard_input_are_merged_too() {
    let folder = scratch();
    let even: Vec<_> = (0..500).map(|n| datagram(1, n * 2 * SECOND)).collect();
    let odd: Vec<_> = (0..500).map(|n| datagram(2, (n * 2 + 1) * SECOND)).collect();
    let path = write(&folder, "odd.pcapng", &pcapng(1, &odd));
    let arguments = ["-r", "-", "-r", path.to_str().unwrap(), "-o", "json:-"];
    let run = run_with_input(arguments, &pcap(&even));
    assert_sound(&run);
    assert_eq!(run.count("metered.packets"), 1000);
    // If one file came after the other, the clock would have gone back.
    assert_eq!(run.count("clock_steps_back"), 0);
    assert!(run.flows().iter().all(|flow| flow.packets <= 31));
}

#[test]
fn each_of_many_files_is_open_only_while_it_is_due() {
    let folder = scratch();
    let packets = packets(2000, 3);
    let files: Vec<_> = packets.chunks(10).map(<[_]>::to_vec).collect();
    let paths = written(&folder, &files);
    assert_eq!(paths.len(), 200);
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -n 16 && exec \"$0\" \"$@\""]).arg(flowprobe().get_program());
    // In the wrong order too.
    for path in paths.iter().rev() {
        shell.arg("-r").arg(path);
    }
    shell.args(["--workers", "1", "-o", "json:-", "--stats", "json", "--name", "test"]);
    let run = finished(shell.output().unwrap());
    assert_sound(&run);
    assert!(run.stdout == alone(&packets)[0]);
}

#[test]
fn pipes_can_be_merged_like_files() {
    let folder = scratch();
    let path = write(&folder, "b.pcap", &pcap(&[datagram(2, 2 * SECOND)]));
    // As a shell's <(zcat a.pcap.gz) hands it over: it cannot be opened twice.
    let mut child = Command::new("sh")
        .args(["-c", "exec 3<&0; exec \"$0\" -r /dev/fd/3 \"$@\""])
        .arg(flowprobe().get_program())
        .args(["-r", path.to_str().unwrap(), "-o", "json:-", "--stats", "json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let file = pcap(&[datagram(1, SECOND), datagram(3, 3 * SECOND)]);
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), &file).unwrap();
    let run = finished(child.wait_with_output().unwrap());
    assert_sound(&run);
    assert_eq!(ports_and_starts(&run), [(1, 1000), (2, 2000), (3, 3000)]);
}

/// Packets of the same time come in the order of their files.
#[test]
fn files_are_read_in_the_order_in_which_they_are_named() {
    let folder = scratch();
    let path = |name: &str, port| {
        let path = write(&folder, name, &pcap(&[datagram(port, 0)]));
        path.to_str().unwrap().to_owned()
    };
    let [a, b, c] =
        [("a.pcap", 1), ("b.pcap", 2), ("c.pcap", 3)].map(|(name, port)| path(name, port));
    let ports = |files: &[&str]| -> Vec<u64> {
        let run = run([&["-o", "json:-", "--max-flows", "1", "--workers", "1"], files].concat());
        run.documents().iter().map(|it| it["source"]["port"].as_u64().unwrap()).collect()
    };
    assert_eq!(ports(&["-r", &a, &b, "-r", &c]), [1, 2, 3]);
    assert_eq!(ports(&[&c, "-r", &b, &a]), [3, 2, 1]);
    assert_eq!(ports(&["-r", &b, "-r", &c, &a]), [2, 3, 1]);
}
