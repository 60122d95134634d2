//! Losses are said while they happen, and may fail the run.

use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::changes::check_sum;
use crate::ends::frames;
use crate::probe::{METHODS, PATIENT, Probe};
use crate::support;
use crate::support::net::{Host, Links, Network};

#[test]
fn a_loss_is_said_and_may_fail_the_run() {
    let links = Links { count: 2, ..Links::default() };
    for (fail, status) in [(&["--fail-on-loss"][..], 3), (&[], 0)] {
        let Some(network) = Network::new(links) else { return };
        let folder = support::scratch();
        let file = support::write(&folder, "some.pcap", &frames(400));
        // A worker that sleeps at such a ring loses packets.
        let small = ["--capture", "afxdp", "--ring", "64", "--workers", "1"];
        let mut probe = Probe::capture(&network, &["rx0", "rx1"], &[&small, &PATIENT, fail]);
        probe.signal(Signal::SIGSTOP);
        network.send_file("tx0", &file, &[]);
        probe.signal(Signal::SIGCONT);
        let is_said = |probe: &Probe| probe.messages().contains(" packets lost: ");
        probe.wait_until("it says so", is_said);
        probe.signal(Signal::SIGTERM);
        let run = probe.wait();
        assert_eq!(run.status, status, "{}", run.stderr);
        check_sum(&run, 400);
        assert!(run.stderr.contains("--ring"), "{}", run.stderr);
        let unharmed = Probe::capture(&network, &["rx1"], &[METHODS[1], fail]).stop();
        assert!(!unharmed.stderr.contains(" lost: "), "{}", unharmed.stderr);
    }
}

#[test]
#[ignore = "a minute has to pass: 70 s"]
fn a_loss_that_goes_on_is_summed_up_each_minute() {
    let Some(network) = Network::new(Links { count: 2, ..Links::default() }) else { return };
    let folder = support::scratch();
    let file = support::write(&folder, "some.pcap", &frames(100));
    let mut probe = Probe::capture(&network, &["rx0", "rx1"], &[METHODS[1], &PATIENT]);
    network.ip(Host::Probe, &["link", "del", "rx1"]);
    probe.wait_until("it says so", |probe| probe.messages().contains("rx1 is gone"));
    // Back, and without the right to open it: all of it is lost.
    network.add_link(1, Links::default());
    probe.wait_until("it says so", |probe| probe.messages().contains("rx1 is back, but"));
    let said = |probe: &Probe| probe.messages().matches(" packets lost: ").count();
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(66) {
        network.send_file("tx1", &file, &[]);
        thread::sleep(Duration::from_secs(2));
        if begin.elapsed() < Duration::from_secs(50) {
            assert!(said(&probe) <= 1, "{}", probe.messages());
        }
    }
    let messages = probe.messages();
    let lost: Vec<_> = messages.lines().filter(|line| line.contains(" packets lost: ")).collect();
    let [first, second] = lost[..] else { panic!("{messages}") };
    assert!(first.contains("rx1: ") && first.contains("start again"), "{first}");
    assert!(second.contains(" more, ") && second.contains(" in all, packets lost: "), "{second}");
    probe.signal(Signal::SIGTERM);
    assert_eq!(probe.wait().status, 1);
}

/// One output loses records, the other none.
#[test]
fn a_loss_of_an_output_is_said_and_may_fail_the_run() {
    for (fail, status) in [(&["--fail-on-loss"][..], 3), (&[], 0)] {
        let Some(network) = Network::beside(Links { count: 2, ..Links::default() }) else { return };
        network.ip(Host::Probe, &["addr", "add", "10.77.1.1/24", "dev", "rx1"]);
        let folder = support::scratch();
        let file = support::write(&folder, "some.pcap", &frames(10));
        let soon = ["--idle-timeout", "200ms", "-o", "netflow5://10.77.1.2"];
        let mut probe = Probe::capture(&network, &["rx0"], &[METHODS[1], &soon, fail]);
        network.ip(Host::Probe, &["addr", "del", "10.77.1.1/24", "dev", "rx1"]);
        network.send_file("tx0", &file, &[]);
        let said = |probe: &Probe| {
            let messages = probe.messages();
            let said = messages.lines().filter(|line| line.contains("records lost: "));
            said.map(str::to_owned).collect::<Vec<_>>()
        };
        probe.wait_until("it says so", |probe| !said(probe).is_empty());
        // A loss that goes on is said once a minute, and at the end.
        network.send_file("tx0", &file, &[]);
        probe.wait_until("all have left", |probe| probe.flows().len() == 20);
        thread::sleep(Duration::from_millis(2500));
        let [first] = &said(&probe)[..] else { panic!("{}", probe.messages()) };
        assert!(first.contains("netflow5://10.77.1.2") && first.contains("10 records"), "{first}");
        probe.signal(Signal::SIGTERM);
        let run = probe.wait();
        assert_eq!(run.status, status, "{}", run.stderr);
        run.assert_conservation();
        assert_eq!(run.count("outputs.0.failed.records"), 20, "{}", run.stats);
        assert_eq!(run.count("outputs.1.sent.records"), 20, "{}", run.stats);
        assert!(run.stderr.contains("10 more, 20 in all, records lost: "), "{}", run.stderr);
    }
}
