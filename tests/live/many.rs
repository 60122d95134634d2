//! Many interfaces: what they take of memory and open files.

use std::process::{Command, Stdio};

use crate::changes::{probe, program};
use crate::ends::{frames, packets};
use crate::probe::{METHODS, PATIENT, Probe};
use crate::support;
use crate::support::net::{Host, Links, Network};

/// Their rings have one limit.
#[test]
fn many_interfaces_share_the_memory() {
    let Some(network) = Network::new(Links { count: 40, ..Links::default() }) else { return };
    let limits = ["--packet-ring-max", "40Mi", "--umem-max", "60Mi"];
    for method in METHODS {
        let mut probe = probe(&network, &["rx*"], &[method, &limits, &["--workers", "2"]], "rx0: ");
        let captured = |probe: &Probe| probe.messages().matches(": AF_").count() == 40;
        probe.wait_until("all are captured", captured);
        probe.stop();
    }
    let too_few = ["--packet-ring-max", "4Mi"];
    let run = Probe::capture_by(
        program(&network),
        &["rx0", "rx1"],
        &[METHODS[1], &too_few, &["--packet-ring", "4Mi"]],
    )
    .wait();
    assert_eq!(run.status, 1, "{}", run.stderr);
    assert!(run.stderr.contains("--packet-ring-max"), "{}", run.stderr);
}

#[test]
fn too_few_open_files_are_said_with_the_remedy() {
    let Some(network) = Network::beside(Links { count: 2, ..Links::default() }) else { return };
    for method in METHODS {
        let mut command = network.command(Host::Probe, "prlimit");
        command.arg("--nofile=10").arg(support::flowprobe().get_program());
        let run =
            Probe::capture_by(command, &["rx0", "rx1"], &[method, &["--workers", "4"]]).wait();
        assert_eq!(run.status, 1, "{}", run.stderr);
        assert!(run.stderr.contains("LimitNOFILE"), "{}", run.stderr);
    }
}

/// What systemd and most shells give a program: a low soft limit and a hard limit that is high.
const USUAL: &str = "--nofile=1024:";

#[test]
fn three_hundred_interfaces_start_within_the_usual_limits() {
    let Some(network) = Network::new(Links::default()) else { return };
    add_pairs(&network, 150);
    let folder = support::scratch();
    let file = support::write(&folder, "some.pcap", &frames(100));
    for method in METHODS {
        let selected = [method, &PATIENT, &["-i", "many*"]];
        let mut probe = Probe::capture_by(limited(&network, USUAL), &["rx0"], &selected);
        let captured = |probe: &Probe| probe.messages().matches(": AF_").count() == 301;
        probe.wait_until("all are captured", captured);
        let sent = network.send_file("tx0", &file, &[]).packets;
        let run = probe.stop();
        assert_eq!(packets(&run.flows()), sent, "{}", run.stderr);
    }
    // A hard limit cannot be raised.
    for method in METHODS {
        let limited = limited(&network, "--nofile=256:256");
        let names: Vec<String> = (0..300).map(|n| format!("many{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let run = Probe::capture_by(limited, &names, &[method]).wait();
        assert_eq!(run.status, 1, "{}", run.stderr);
        let said: Vec<&str> = run.stderr.lines().filter(|line| line.contains("error")).collect();
        let [said] = said[..] else { panic!("not one sentence: {}", run.stderr) };
        assert!(said.contains("LimitNOFILE"), "{said}");
    }
}

/// Links with both ends on the probe's host.
fn add_pairs(network: &Network, pairs: u32) {
    let of = |pair: u32| {
        let (one, other) = (2 * pair, 2 * pair + 1);
        format!(
            "link add many{one} type veth peer name many{other}\n\
             link set many{one} up\nlink set many{other} up\n"
        )
    };
    let folder = support::scratch();
    let lines: String = (0..pairs).map(of).collect();
    let lines = support::write(&folder, "pairs", lines.as_bytes());
    network.ip(Host::Probe, &["-batch", lines.to_str().expect("a path in UTF-8")]);
}

/// The program with limits of `prlimit`.
fn limited(network: &Network, limit: &str) -> Command {
    let mut command = network.command(Host::Probe, "prlimit");
    command.arg(limit).arg(support::flowprobe().get_program()).stdin(Stdio::null());
    command
}
