//! Memory that cannot be had is an error at the start. A large table costs a small file nothing.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::capture::pcap;
use crate::support::{finished, flowprobe, run, scratch, skip_without, write};
use crate::{DONE, assert_failed_at_start, datagram, finish, many_flows, start};

/// Octets before the first packet of a capture.
const PCAP_HEADER: usize = 24;

/// Runs the program in a shell that does something first.
fn run_after(first: &str, arguments: &[&str]) -> crate::support::Run {
    let output = Command::new("sh")
        .args(["-c", &format!("{first} && exec \"$@\""), "sh"])
        .arg(flowprobe().get_program())
        .args(arguments)
        .args(["--stats", "json"])
        .output()
        .expect("a shell runs");
    finished(output)
}

#[test]
fn tables_larger_than_memory_are_refused() {
    let folder = scratch();
    let capture = write(&folder, "a.pcap", &many_flows(10));
    let output = folder.path().join("out.json");
    let url = format!("json:{}", output.display());
    let arguments = ["-r", capture.to_str().unwrap(), "-o", &url, "--max-flows", "1000M"];
    let run = run(arguments);
    assert_failed_at_start(&run, &["1,000,000,000 flows (--max-flows)", "92 GB", "the system has"]);
    assert!(!output.exists(), "nothing is written");
}

#[test]
fn limits_of_the_process_are_refused_or_suffice() {
    let folder = scratch();
    let capture = write(&folder, "a.pcap", &many_flows(1000));
    let arguments = ["-r", capture.to_str().unwrap(), "-o", "json:/dev/null"];
    let large = [&arguments[..], &["--max-flows", "100M"]].concat();
    for (limit, name) in
        [("ulimit -v 2000000", "(ulimit -v)"), ("ulimit -d 2000000", "(ulimit -d)")]
    {
        let parts = ["100,000,000 flows (--max-flows)", "9.3 GB", name, "2.0 GB"];
        assert_failed_at_start(&run_after(limit, &large), &parts);
    }
    // Whatever the limit, the run fails in a sentence, or works.
    for workers in ["1", "2", "16"] {
        let arguments = [&arguments[..], &["--workers", workers]].concat();
        for limit in [50, 100, 150, 180, 200, 250, 300, 500] {
            let run = run_after(&format!("ulimit -v {limit}000"), &arguments);
            if run.status == DONE {
                assert_eq!(run.count("received.packets"), 1000);
            } else {
                assert_failed_at_start(&run, &["ulimit -v"]);
            }
        }
    }
}

#[test]
fn rings_larger_than_memory_are_refused() {
    if !nix::unistd::geteuid().is_root() {
        skip_without("root");
        return;
    }
    for (ring, size) in [("64G", "64 GB"), ("64Gi", "69 GB")] {
        let rings = ["--packet-ring", ring, "--packet-ring-max", "64Gi", "--workers", "1"];
        let arguments = ["-i", "lo", "--capture", "packet", "-q", "--max-flows", "1k"];
        let run = run([&arguments[..], &rings, &["-o", "json:/dev/null"]].concat());
        assert_failed_at_start(&run, &["lo: 1 ring (--packet-ring)", size, "the system has"]);
    }
}

/// A control group with a limit, removed at the end.
struct ControlGroup(PathBuf);

impl ControlGroup {
    /// `None` where such groups cannot be made.
    fn new(name: &str, limit: u64) -> Option<Self> {
        let tops = [("memory", "memory.limit_in_bytes"), ("", "memory.max")];
        tops.into_iter().find_map(|(top, file)| {
            let top = Path::new("/sys/fs/cgroup").join(top);
            let group = Self(top.join(format!("{name}-{}", std::process::id())));
            fs::create_dir(&group.0).ok()?;
            fs::OpenOptions::new()
                .write(true)
                .open(group.0.join(file))
                .and_then(|mut file| file.write_all(limit.to_string().as_bytes()))
                .ok()?;
            Some(group)
        })
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        drop(fs::remove_dir(&self.0));
    }
}

#[test]
fn tables_larger_than_the_control_group_are_refused() {
    let Some(group) = ControlGroup::new("flowprobe-memory", 300 << 20) else {
        skip_without("a control group");
        return;
    };
    let join = format!("echo $$ > {}", group.0.join("cgroup.procs").display());
    let folder = scratch();
    let capture = write(&folder, "a.pcap", &many_flows(1000));
    let arguments = ["-r", capture.to_str().unwrap(), "-o", "json:/dev/null"];
    assert_eq!(run_after(&join, &arguments).status, DONE);
    let large = [&arguments[..], &["--max-flows", "10M"]].concat();
    let parts = ["10,000,000 flows (--max-flows)", "its control group leaves"];
    assert_failed_at_start(&run_after(&join, &large), &parts);
}

/// A table of 100 M flows takes 9 GB when it is full.
#[test]
fn large_tables_touch_the_memory_that_they_use() {
    let arguments = ["-r", "-", "-o", "json:/dev/null", "--max-flows", "100M"];
    let mut child = start(&arguments);
    let mut stdin = child.stdin.take().unwrap();
    // The flows are in the table when the rest, which fills all buffers, has been taken.
    let rest: Vec<_> = (0..100_000).map(|_| datagram(1, 1_700_000_005_000)).collect();
    stdin.write_all(&many_flows(5000)).unwrap();
    stdin.write_all(&pcap(&rest)[PCAP_HEADER..]).unwrap();
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kibibytes: u64 = most.trim().trim_end_matches("kB").trim().parse().unwrap();
    assert!(kibibytes < 200_000, "{kibibytes} KiB");
    drop(stdin);
    let run = finish(child);
    assert_eq!((run.status, run.count("ended.forced.records")), (DONE, 5001));
}
