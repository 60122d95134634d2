//! Interfaces that come later, and interfaces whose queues or MTU change.

use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::ends::{frames, packets};
use crate::probe::{METHODS, PATIENT, Probe, lost};
use crate::support::net::{Host, Links, Network};
use crate::support::{self, Run};

pub const KEEP: &[&str] = &["--keep-capabilities"];

/// The program on the probe's host, once it has said something.
pub fn probe(network: &Network, interfaces: &[&str], settings: &[&[&str]], said: &str) -> Probe {
    let mut probe = Probe::capture_by(program(network), interfaces, settings);
    probe.wait_until(said, |probe| probe.messages().contains(said));
    probe
}

pub fn program(network: &Network) -> Command {
    network.command(Host::Probe, support::flowprobe().get_program())
}

/// All that was sent is metered or counted as lost.
pub fn check_sum(run: &Run, sent: u64) {
    let metered = packets(&run.flows());
    assert_eq!(metered + lost(run), sent, "{}\n{}", run.stats, run.stderr);
}

#[test]
fn an_interface_that_comes_later_is_captured() {
    let selections: [(&[&str], &[&str]); 4] =
        [(&["rx*"], &[]), (&["any"], &[]), (&["rx0", "rx1"], &[]), (&["rx1"], &["--wait"])];
    for method in METHODS {
        for (interfaces, wait) in selections {
            let Some(network) = Network::beside(Links::default()) else { return };
            let folder = support::scratch();
            let file = support::write(&folder, "some.pcap", &frames(100));
            let settings = [method, &PATIENT, wait, &["--ifindex", "rx1=4711"]];
            let is_beside = interfaces != ["rx1"];
            let said = if is_beside { "rx0: " } else { "waiting for it" };
            // The loopback interface is no Ethernet.
            let settings = if interfaces == ["any"] {
                [METHODS[1], settings[1], settings[2], settings[3]]
            } else {
                settings
            };
            let mut probe = probe(&network, interfaces, &settings, said);
            network.add_link(1, Links::default());
            probe.wait_until("it is there", |probe| probe.messages().contains("rx1 is there: "));
            let mut sent = network.send_file("tx1", &file, &[]).packets;
            if is_beside {
                sent += network.send_file("tx0", &file, &[]).packets;
            }
            let run = probe.stop();
            assert_eq!(
                packets(&run.flows()),
                sent,
                "{interfaces:?}: {}\n{}",
                run.stats,
                run.stderr
            );
            assert_eq!(lost(&run), 0, "{}", run.stats);
            let of_it = run.flows().into_iter().filter(|flow| flow.interface == 4711);
            assert_eq!(of_it.count(), 100, "{interfaces:?}");
        }
    }
}

/// One interface that is down does not keep another from being captured.
#[test]
fn an_interface_that_is_down_at_the_start_is_captured_once_it_is_up() {
    let Some(network) = Network::beside(Links::default()) else { return };
    network.add_link(1, Links::default());
    network.ip(Host::Probe, &["link", "set", "rx1", "down"]);
    let folder = support::scratch();
    let file = support::write(&folder, "some.pcap", &frames(100));
    let mut probe = probe(&network, &["rx0", "rx1"], &[METHODS[0], &PATIENT], "rx0: ");
    assert!(probe.messages().contains("rx1: AF_XDP needs an interface that is up"));
    network.ip(Host::Probe, &["link", "set", "rx1", "up"]);
    probe.wait_until("it captures", |probe| probe.messages().contains("rx1 is there: AF_XDP, "));
    let sent = ["tx0", "tx1"].map(|link| network.send_file(link, &file, &[]).packets);
    let run = probe.stop();
    assert_eq!(packets(&run.flows()), sent.iter().sum::<u64>(), "{}", run.stats);
}

#[test]
fn nothing_to_capture_from_is_an_error_that_names_the_remedy() {
    let Some(network) = Network::beside(Links::default()) else { return };
    for interface in ["eth9", "eth*"] {
        let run = Probe::capture_by(program(&network), &[interface], &[]).wait();
        assert_eq!(run.status, 1, "{}", run.stderr);
        assert!(run.stderr.contains(interface) && run.stderr.contains("--wait"), "{}", run.stderr);
    }
}

/// A probe whose interface `rx1` goes between the first look and the opening. It also waits for an
/// interface that was never there, and says so in between.
fn with_one_that_vanishes(interfaces: &[&str], settings: &[&[&str]]) -> Option<(Network, Probe)> {
    // Memory of the tables is taken in between too, which takes a moment.
    let large: &[&str] = &["--max-flows", "4M", "--workers", "1"];
    loop {
        let network = Network::beside(Links { count: 2, ..Links::default() })?;
        let all = [interfaces, &["rx9"]].concat();
        let settings = [settings, &[large]].concat();
        let probe = probe(&network, &all, &settings, "rx9: no such device");
        probe.signal(Signal::SIGSTOP);
        network.ip(Host::Probe, &["link", "del", "rx1"]);
        let was_in_time = !probe.messages().contains("AF_");
        probe.signal(Signal::SIGCONT);
        if was_in_time {
            return Some((network, probe));
        }
    }
}

#[test]
fn an_interface_that_vanishes_at_the_start_is_waited_for_beside_another() {
    let selections: [(&[&str], &[&str]); 2] = [(&["rx0", "rx1"], &[]), (&["rx1"], &["--wait"])];
    for method in METHODS {
        for (interfaces, wait) in selections {
            let settings = [method, &PATIENT, wait];
            let Some((network, mut probe)) = with_one_that_vanishes(interfaces, &settings) else {
                return;
            };
            let folder = support::scratch();
            let file = support::write(&folder, "some.pcap", &frames(100));
            let said = "rx1: no such device; `ip link` lists those there are; waiting for it";
            probe.wait_until("it waits", |probe| probe.messages().contains(said));
            network.add_link(1, Links::default());
            probe.wait_until("it is there", |probe| probe.messages().contains("rx1 is there: "));
            let mut sent = network.send_file("tx1", &file, &[]).packets;
            if interfaces.len() > 1 {
                sent += network.send_file("tx0", &file, &[]).packets;
            }
            let run = probe.stop();
            check_sum(&run, sent);
            assert_eq!(lost(&run), 0, "{}\n{}", run.stats, run.stderr);
        }
    }
}

#[test]
fn an_interface_that_vanishes_at_the_start_is_an_error_if_it_is_the_only_one() {
    for method in METHODS {
        let Some((_network, probe)) = with_one_that_vanishes(&["rx1"], &[method]) else { return };
        let run = probe.wait();
        assert_eq!(run.status, 1, "{}", run.stderr);
        let said = "error: cannot find interface rx1: no such device";
        assert!(run.stderr.contains(said) && run.stderr.contains("--wait"), "{}", run.stderr);
    }
}

/// Without the rights to open it again.
#[test]
fn an_interface_that_is_back_and_not_captured_is_lost() {
    let links = Links { count: 2, ..Links::default() };
    for method in METHODS {
        let Some(network) = Network::beside(links) else { return };
        let folder = support::scratch();
        let file = support::write(&folder, "some.pcap", &frames(100));
        let mut probe = Probe::capture(&network, &["rx0", "rx1"], &[method, &PATIENT]);
        network.ip(Host::Probe, &["link", "del", "rx1"]);
        probe.wait_until("it says so", |probe| probe.messages().contains("rx1 is gone"));
        network.add_link(1, links);
        let said = "rx1 is back, but may not be opened";
        probe.wait_until("it says so", |probe| probe.messages().contains(said));
        let sent: u64 =
            ["tx0", "tx1"].into_iter().map(|tx| network.send_file(tx, &file, &[]).packets).sum();
        std::thread::sleep(Duration::from_millis(1200));
        probe.signal(Signal::SIGTERM);
        let run = probe.wait();
        assert_eq!(run.status, 1, "half of it was not captured: {}", run.stderr);
        check_sum(&run, sent);
        assert_eq!(run.count("interfaces.1.lost"), 100, "{}", run.stats);
        assert_eq!(run.stats["interfaces"][1]["captured"], false, "{}", run.stats);
    }
}

#[test]
fn queues_that_are_added_are_captured_or_lost() {
    let links = Links { queues: 4, ..Links::default() };
    for keep in [KEEP, &[]] {
        let Some(network) = Network::beside(links) else { return };
        let folder = support::scratch();
        let file = support::write(&folder, "some.pcap", &frames(400));
        set_queues(&network, "2");
        let mut probe = Probe::capture(&network, &["rx0"], &[METHODS[0], &PATIENT, keep]);
        let mut sent = network.send_file("tx0", &file, &[]).packets;
        std::thread::sleep(Duration::from_millis(1200));
        set_queues(&network, "4");
        // It may have noticed or not.
        sent += network.send_file("tx0", &file, &[]).packets;
        let said = if keep.is_empty() { "rx0 has 4 receive queues now" } else { "rx0 is back: " };
        probe.wait_until("it says so", |probe| probe.messages().contains(said));
        let before = sent;
        sent += network.send_file("tx0", &file, &[]).packets;
        std::thread::sleep(Duration::from_millis(1200));
        let run = probe.stop();
        check_sum(&run, sent);
        if keep.is_empty() {
            assert!(lost(&run) > 0, "{}", run.stats);
        } else {
            assert!(lost(&run) <= sent - before, "{}\n{}", run.stats, run.stderr);
            assert!(run.stderr.contains("4 queues"), "{}", run.stderr);
        }
    }
}

/// The kernel may refuse it while sockets of AF_XDP are bound to them.
#[test]
fn queues_that_are_taken_away_cost_nothing() {
    for method in METHODS {
        let Some(network) = Network::beside(Links { queues: 4, ..Links::default() }) else {
            return;
        };
        let folder = support::scratch();
        let file = support::write(&folder, "some.pcap", &frames(400));
        let mut probe = Probe::capture(&network, &["rx0"], &[method, &PATIENT]);
        let mut sent = network.send_file("tx0", &file, &[]).packets;
        std::thread::sleep(Duration::from_millis(300));
        let ends = [(Host::Probe, "rx0", "rx"), (Host::Sender, "tx0", "tx")];
        let taken = ends.map(|(host, interface, direction)| {
            let mut command = network.command(host, "ethtool");
            command.args(["-L", interface, direction, "2"]).status().unwrap().success()
        });
        assert!(method == METHODS[0] || taken[0], "beside the stack it is allowed");
        std::thread::sleep(Duration::from_millis(1500));
        probe.wait_until("the link is up", |_| {
            ends.iter().all(|(host, end, _)| network.interface(*host, end)["operstate"] == "UP")
        });
        sent += network.send_file("tx0", &file, &[]).packets;
        let run = probe.stop();
        check_sum(&run, sent);
        assert_eq!(lost(&run), 0, "{}\n{}", run.stats, run.stderr);
    }
}

fn set_queues(network: &Network, queues: &str) {
    let ends = [(Host::Probe, "rx0", "rx"), (Host::Sender, "tx0", "tx")];
    for (host, interface, direction) in ends {
        let mut command = network.command(host, "ethtool");
        let status = command.args(["-L", interface, direction, queues]).status();
        assert!(status.unwrap().success(), "{interface}");
    }
    // The driver takes the link down and up again.
    for (host, interface, _) in ends {
        while network.interface(host, interface)["operstate"] != "UP" {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

#[test]
fn frames_that_become_longer_are_captured_or_lost() {
    for keep in [KEEP, &[]] {
        let Some(network) = Network::beside(Links::default()) else { return };
        let folder = support::scratch();
        let short = support::write(&folder, "short.pcap", &frames(100));
        let long = support::write(&folder, "long.pcap", &long_frames(100));
        let mut probe = Probe::capture(&network, &["rx0"], &[METHODS[0], &PATIENT, keep]);
        let mut sent = network.send_file("tx0", &short, &[]).packets;
        network.ip(Host::Sender, &["link", "set", "tx0", "mtu", "3000"]);
        network.ip(Host::Probe, &["link", "set", "rx0", "mtu", "3000"]);
        let said = if keep.is_empty() { "rx0 has an MTU of 3000 now" } else { "rx0 is back: " };
        probe.wait_until("it says so", |probe| probe.messages().contains(said));
        sent += network.send_file("tx0", &long, &[]).packets;
        let run = probe.stop();
        check_sum(&run, sent);
        let expected = if keep.is_empty() { 100 } else { 0 };
        assert_eq!(lost(&run), expected, "{}\n{}", run.stats, run.stderr);
    }
}

fn long_frames(count: u16) -> Vec<u8> {
    use crate::support::capture::{Captured, pcap};
    use crate::support::packet::{ethernet, ipv4, udp};
    let frame = |port| ethernet(&ipv4([10, 2, 0, 1], [10, 2, 0, 2], 17, &udp(port, 9, 2900)));
    let packets = (1..=count).map(|port| Captured::at(u64::from(port), frame(port)));
    pcap(&packets.collect::<Vec<_>>())
}

#[test]
fn interfaces_that_see_the_same_packets_are_named_at_start() {
    let Some(network) = Network::beside(Links { count: 2, ..Links::default() }) else { return };
    network.ip(Host::Probe, &["link", "add", "br0", "type", "bridge"]);
    network.ip(Host::Probe, &["link", "set", "rx0", "master", "br0"]);
    network.ip(Host::Probe, &["link", "set", "br0", "up"]);
    let vxlan = ["link", "add", "vx0", "type", "vxlan", "id", "7", "dstport", "4789", "dev", "rx1"];
    network.ip(Host::Probe, &vxlan);
    network.ip(Host::Probe, &["link", "set", "vx0", "up"]);
    let expected = ["br0 is on top of rx0", "vx0 is on top of rx1"];
    let run = Probe::capture(&network, &["rx0", "br0", "rx1", "vx0"], &[]).stop();
    assert!(expected.iter().all(|said| run.stderr.contains(said)), "{}", run.stderr);
    let run = Probe::capture(&network, &["rx0", "rx1"], &[]).stop();
    assert!(!run.stderr.contains("on top of rx"), "{}", run.stderr);
}

/// With another interface left, the run goes on without the one that the host needs.
#[test]
fn an_interface_that_is_left_to_the_host_is_lost_without_rights() {
    let Some(network) = Network::beside(Links { count: 2, ..Links::default() }) else { return };
    let folder = support::scratch();
    let file = support::write(&folder, "some.pcap", &frames(100));
    let mut probe = Probe::capture(&network, &["rx0", "rx1"], &[&PATIENT]);
    let mut sent = network.send_file("tx0", &file, &[]).packets;
    network.ip(Host::Probe, &["addr", "add", "192.0.2.1/24", "dev", "rx0"]);
    let said = "rx0 is not captured any more";
    probe.wait_until("it says so", |probe| probe.messages().contains(said));
    sent += network.send_file("tx0", &file, &[]).packets;
    // The host does not need it any more: it does not come back by itself.
    network.ip(Host::Probe, &["addr", "del", "192.0.2.1/24", "dev", "rx0"]);
    std::thread::sleep(Duration::from_millis(1200));
    sent += network.send_file("tx0", &file, &[]).packets;
    std::thread::sleep(Duration::from_millis(1200));
    probe.signal(Signal::SIGTERM);
    let run = probe.wait();
    assert_eq!(run.status, 1, "{}", run.stderr);
    check_sum(&run, sent);
    assert_eq!(lost(&run), 200, "{}", run.stats);
    let how = run.stats["interfaces"][0]["capture"].as_str().unwrap();
    assert!(how.starts_with("not captured: the host needs it"), "{how}");
}

#[test]
fn link_local_addresses_leave_the_interface_to_the_capture() {
    let Some(network) = Network::beside(Links::default()) else { return };
    for (method, is_told) in [(&[][..], true), (METHODS[1], false)] {
        network.ip(Host::Probe, &["addr", "replace", "169.254.7.7/16", "dev", "rx0"]);
        let probe = Probe::capture(&network, &["rx0"], &[method]);
        assert_eq!(network.interface(Host::Probe, "rx0").get("xdp").is_some(), is_told);
        let run = probe.stop();
        let told = run.stderr.contains("rx0 has only link-local addresses (169.254.7.7)");
        assert_eq!(told, is_told, "{}", run.stderr);
        assert_eq!(run.stderr.contains("use --capture packet"), is_told, "{}", run.stderr);
    }
}

/// Whoever makes an interface sets it up a moment later.
#[test]
fn an_interface_that_is_made_in_two_steps_is_taken_past_the_stack() {
    let Some(network) = Network::beside(Links::default()) else { return };
    let folder = support::scratch();
    let file = support::write(&folder, "some.pcap", &frames(100));
    let mut probe = Probe::capture(&network, &["rx0"], &[&PATIENT, KEEP]);
    network.ip(Host::Probe, &["link", "del", "rx0"]);
    probe.wait_until("it says so", |probe| probe.messages().contains("rx0 is gone"));
    let namespace = network.namespace(Host::Probe);
    let words = ["link", "add", "tx0", "type", "veth", "peer", "name", "rx0", "netns", namespace];
    network.ip(Host::Sender, &words);
    std::thread::sleep(Duration::from_millis(600));
    network.ip(Host::Sender, &["link", "set", "tx0", "up"]);
    network.ip(Host::Probe, &["link", "set", "rx0", "up"]);
    let said = "rx0 is back: AF_XDP";
    probe.wait_until("it is captured again", |probe| probe.messages().contains(said));
    let sent = network.send_file("tx0", &file, &[]).packets;
    let run = probe.stop();
    check_sum(&run, sent);
    assert_eq!(lost(&run), 0, "{}", run.stats);
}
