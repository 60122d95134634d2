//! Losses are said while they happen, and may fail the run.

use std::thread;
use std::time::Duration;

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

/// One output loses records, the other none.
#[test]
fn a_loss_of_an_output_is_said_and_may_fail_the_run() {
    for (fail, status) in [(&["--fail-on-loss"][..], 3), (&[], 0)] {
        let Some(network) = Network::new(Links { count: 2, ..Links::default() }) else { return };
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
