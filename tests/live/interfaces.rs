//! Interfaces that go, come, are several, or are taken.

use std::time::Duration;

use crate::ends::{frames, packets};
use crate::probe::{METHODS, PATIENT, Probe, lost};
use crate::support;
use crate::support::net::{Host, Links, Network};

#[test]
fn a_link_that_goes_down_and_up_is_survived() {
    let Some(network) = Network::beside(Links::default()) else { return };
    let folder = support::scratch();
    let file = support::write(&folder, "some.pcap", &frames(100));
    for method in METHODS {
        let mut probe = Probe::capture(&network, &["rx0"], &[method, &PATIENT]);
        let mut sent = network.send_file("tx0", &file, &[]).packets;
        // What is in the rings is taken before the link goes.
        std::thread::sleep(Duration::from_millis(300));
        network.ip(Host::Probe, &["link", "set", "rx0", "down"]);
        probe.wait_until("it says so", |probe| probe.messages().contains("rx0 is down"));
        network.ip(Host::Probe, &["link", "set", "rx0", "up"]);
        probe.wait_until("it says so", |probe| probe.messages().contains("rx0 is up again"));
        sent += network.send_file("tx0", &file, &[]).packets;
        let run = probe.stop();
        assert_eq!(packets(&run.flows()), sent, "{method:?}: {}\n{}", run.stats, run.stderr);
    }
}

#[test]
fn two_interfaces_have_their_own_counts() {
    let Some(network) = Network::beside(Links { count: 2, ..Links::default() }) else { return };
    let folder = support::scratch();
    let few = support::write(&folder, "few.pcap", &frames(30));
    let many = support::write(&folder, "many.pcap", &frames(500));
    let numbers = ["--ifindex", "rx0=100", "--ifindex", "rx1=200"];
    for method in METHODS {
        let probe = Probe::capture(&network, &["rx0", "rx1"], &[method, &PATIENT, &numbers]);
        network.send_file("tx0", &few, &[]);
        network.send_file("tx1", &many, &["--rate", "20k"]);
        let run = probe.stop();
        let on = |number: u64| -> Vec<_> {
            run.flows().into_iter().filter(|flow| flow.interface == number).collect()
        };
        assert_eq!((on(100).len(), packets(&on(100))), (30, 30), "{method:?}: {}", run.stats);
        assert_eq!((on(200).len(), packets(&on(200))), (500, 500), "{method:?}: {}", run.stats);
        for (index, (name, frames)) in [("rx0", 30), ("rx1", 500)].into_iter().enumerate() {
            assert_eq!(run.stats["interfaces"][index]["name"], name, "{}", run.stats);
            assert_eq!(run.count(&format!("interfaces.{index}.frames")), frames, "{method:?}");
        }
    }
}

#[test]
fn interfaces_have_the_numbers_of_the_kernel() {
    let Some(network) = Network::beside(Links::default()) else { return };
    let folder = support::scratch();
    let file = support::write(&folder, "one.pcap", &frames(1));
    let number = network.interface(Host::Probe, "rx0")["ifindex"].as_u64().unwrap();
    for method in METHODS {
        let probe = Probe::capture(&network, &["rx0"], &[method]);
        network.send_file("tx0", &file, &[]);
        let flows = probe.stop().flows();
        assert!(flows.len() == 1 && flows[0].interface == number, "{method:?}: {flows:?}");
    }
}

#[test]
fn of_two_interfaces_one_may_go() {
    for method in METHODS {
        let Some(network) = Network::beside(Links { count: 2, ..Links::default() }) else { return };
        let folder = support::scratch();
        let file = support::write(&folder, "some.pcap", &frames(100));
        let mut probe = Probe::capture(&network, &["rx0", "rx1"], &[method, &PATIENT]);
        let mut sent = network.send_file("tx0", &file, &[]).packets;
        std::thread::sleep(Duration::from_millis(300));
        network.ip(Host::Probe, &["link", "del", "rx0"]);
        probe.wait_until("it says so", |probe| probe.messages().contains("rx0 is gone"));
        sent += network.send_file("tx1", &file, &[]).packets;
        let run = probe.stop();
        assert_eq!(packets(&run.flows()), sent, "{method:?}: {}\n{}", run.stats, run.stderr);
    }
}

#[test]
fn with_no_interface_left_it_exports_what_it_has_and_fails() {
    for method in METHODS {
        let Some(network) = Network::beside(Links::default()) else { return };
        let folder = support::scratch();
        let file = support::write(&folder, "some.pcap", &frames(100));
        let probe = Probe::capture(&network, &["rx0"], &[method, &PATIENT]);
        network.send_file("tx0", &file, &[]);
        std::thread::sleep(Duration::from_millis(300));
        network.ip(Host::Probe, &["link", "del", "rx0"]);
        let run = probe.wait();
        assert_eq!(run.status, 1, "{method:?}: {}", run.stderr);
        run.assert_conservation();
        assert_eq!(run.flows().len(), 100, "{method:?}: {}\n{}", run.stats, run.stderr);
    }
}

#[test]
fn an_interface_that_comes_back_is_opened_again_where_rights_are_kept() {
    for method in METHODS {
        let links = Links::default();
        let Some(network) = Network::beside(links) else { return };
        let folder = support::scratch();
        let file = support::write(&folder, "some.pcap", &frames(100));
        let keep = ["--keep-capabilities"];
        let mut probe = Probe::capture(&network, &["rx0"], &[method, &PATIENT, &keep]);
        network.ip(Host::Probe, &["link", "del", "rx0"]);
        probe.wait_until("it says so", |probe| probe.messages().contains("rx0 is gone"));
        network.add_link(0, links);
        probe.wait_until("it says so", |probe| probe.messages().contains("rx0 is back: "));
        let sent = network.send_file("tx0", &file, &[]);
        let run = probe.stop();
        assert_eq!(packets(&run.flows()), sent.packets, "{method:?}: {}", run.stats);
        assert_eq!(lost(&run), 0, "{}", run.stats);
    }
}

#[test]
fn a_second_program_on_the_interface_is_told_why_it_cannot() {
    let Some(network) = Network::beside(Links::default()) else { return };
    let folder = support::scratch();
    let file = support::write(&folder, "some.pcap", &frames(100));
    let first = Probe::capture(&network, &["rx0"], &[METHODS[0], &PATIENT]);
    // Also without being told how: beside the first it would see nothing.
    for method in [METHODS[0], &[]] {
        let program = support::flowprobe();
        let command = network.command(Host::Probe, program.get_program());
        let second = Probe::capture_by(command, &["rx0"], &[method]).wait();
        assert_eq!(second.status, 1, "{}", second.stderr);
        let errors = second.stderr.lines().filter(|line| line.contains("error: "));
        let [error] = errors.collect::<Vec<_>>()[..] else { panic!("{}", second.stderr) };
        assert!(error.contains("rx0") && error.contains("flowprobe"), "{error}");
    }
    let sent = network.send_file("tx0", &file, &[]);
    assert_eq!(packets(&first.stop().flows()), sent.packets);
}

#[test]
fn an_interface_that_gets_another_name_is_the_same() {
    for method in METHODS {
        let Some(network) = Network::beside(Links::default()) else { return };
        let folder = support::scratch();
        let file = support::write(&folder, "some.pcap", &frames(100));
        let mut probe = Probe::capture(&network, &["rx0"], &[method, &PATIENT]);
        let mut sent = network.send_file("tx0", &file, &[]).packets;
        network.ip(Host::Probe, &["link", "set", "rx0", "name", "mirror0"]);
        probe.wait_until("it says so", |probe| probe.messages().contains("rx0 is now mirror0"));
        sent += network.send_file("tx0", &file, &[]).packets;
        let run = probe.stop();
        assert_eq!(packets(&run.flows()), sent, "{method:?}: {}\n{}", run.stats, run.stderr);
        assert_eq!(run.stats["interfaces"][0]["name"], "mirror0");
    }
}

#[test]
fn a_lost_carrier_is_told() {
    let Some(network) = Network::beside(Links::default()) else { return };
    for method in METHODS {
        while network.interface(Host::Probe, "rx0")["operstate"] != "UP" {
            std::thread::sleep(Duration::from_millis(10));
        }
        let mut probe = Probe::capture(&network, &["rx0"], &[method]);
        network.ip(Host::Sender, &["link", "set", "tx0", "down"]);
        probe.wait_until("it says so", |probe| probe.messages().contains("rx0 has no carrier"));
        network.ip(Host::Sender, &["link", "set", "tx0", "up"]);
        probe.wait_until("it says so", |probe| probe.messages().contains("rx0 is up again"));
        probe.stop();
    }
}

#[test]
fn one_interface_is_not_captured_twice() {
    let Some(network) = Network::beside(Links::default()) else { return };
    network.ip(Host::Probe, &["link", "property", "add", "dev", "rx0", "altname", "other"]);
    let program = support::flowprobe();
    let command = network.command(Host::Probe, program.get_program());
    let run = Probe::capture_by(command, &["rx0", "other"], &[]).wait();
    assert_eq!(run.status, 1, "{}", run.stderr);
    assert!(run.stderr.contains("the same interface"), "{}", run.stderr);
}

#[test]
fn an_interface_that_is_not_there_is_named() {
    let Some(network) = Network::beside(Links::default()) else { return };
    for method in METHODS {
        let program = support::flowprobe();
        let command = network.command(Host::Probe, program.get_program());
        let run = Probe::capture_by(command, &["none7"], &[method]).wait();
        assert_eq!(run.status, 1, "{}", run.stderr);
        assert!(run.stderr.contains("none7"), "{}", run.stderr);
    }
}

/// The host would be cut off from whoever it talks to over the interface.
#[test]
fn an_interface_that_becomes_the_hosts_is_given_back_to_it() {
    let changes: [&[&[&str]]; 3] = [
        &[&["addr", "add", "192.0.2.1/24", "dev", "rx0"]],
        &[&["route", "add", "198.51.100.0/24", "dev", "rx0"]],
        &[&["link", "add", "br7", "type", "bridge"], &["link", "set", "rx0", "master", "br7"]],
    ];
    let undone: [&[&[&str]]; 3] = [
        &[&["addr", "del", "192.0.2.1/24", "dev", "rx0"]],
        &[],
        &[&["link", "set", "rx0", "nomaster"], &["link", "del", "br7"]],
    ];
    for ((change, back), keep) in changes.into_iter().zip(undone).zip([true, false, true]) {
        let Some(network) = Network::beside(Links::default()) else { return };
        let folder = support::scratch();
        let file = support::write(&folder, "some.pcap", &frames(100));
        let options: &[&str] = if keep { &["--keep-capabilities"] } else { &[] };
        let mut probe = Probe::capture(&network, &["rx0"], &[&PATIENT, options]);
        let mut sent = network.send_file("tx0", &file, &[]).packets;
        assert!(network.interface(Host::Probe, "rx0").get("xdp").is_some());
        change.iter().for_each(|words| network.ip(Host::Probe, words));
        if keep {
            let again = |probe: &Probe| probe.messages().contains("rx0: AF_PACKET");
            probe.wait_until("it goes on beside the stack", again);
            assert!(network.interface(Host::Probe, "rx0").get("xdp").is_none());
            sent += network.send_file("tx0", &file, &[]).packets;
            // The host does not need it any more: it stays so.
            back.iter().for_each(|words| network.ip(Host::Probe, words));
            std::thread::sleep(Duration::from_millis(2500));
            assert!(network.interface(Host::Probe, "rx0").get("xdp").is_none());
            sent += network.send_file("tx0", &file, &[]).packets;
        }
        let run = if keep { probe.stop() } else { probe.wait() };
        assert!(run.stderr.contains("rx0 is the host's now"), "{}", run.stderr);
        assert_eq!(run.stderr.matches("rx0: AF_XDP").count(), 1, "{}", run.stderr);
        // With no interface left to capture from, a service is to start it again.
        assert_eq!(run.status, i32::from(!keep), "{}", run.stderr);
        run.assert_conservation();
        assert_eq!(packets(&run.flows()), sent, "{change:?}: {}\n{}", run.stats, run.stderr);
        assert_eq!(lost(&run), 0, "{}", run.stats);
    }
}

/// Packets that come during the hand-over are metered, or counted as lost.
#[test]
fn a_stream_that_goes_on_while_the_host_gets_its_interface_is_counted() {
    let addressed: &[&[&str]] = &[&["addr", "add", "192.0.2.1/24", "dev", "rx0"]];
    let bridged: &[&[&str]] =
        &[&["link", "add", "br7", "type", "bridge"], &["link", "set", "rx0", "master", "br7"]];
    for change in [addressed, bridged, addressed] {
        let Some(network) = Network::new(Links::default()) else { return };
        let folder = support::scratch();
        let file = support::write(&folder, "many.pcap", &frames(4000));
        let received = || {
            let interface = network.interface(Host::Probe, "rx0");
            interface["stats64"]["rx"]["packets"].as_u64().expect("a count")
        };
        let mut probe = Probe::capture(&network, &["rx0"], &[&PATIENT, &["--keep-capabilities"]]);
        assert!(network.interface(Host::Probe, "rx0").get("xdp").is_some());
        let before = received();
        std::thread::scope(|scope| {
            let stream = scope.spawn(|| network.send_file("tx0", &file, &["--rate", "2k"]));
            probe.wait_until("packets come", |_| received() > before + 400);
            change.iter().for_each(|words| network.ip(Host::Probe, words));
            let again = |probe: &Probe| probe.messages().contains("rx0: AF_PACKET");
            probe.wait_until("it goes on beside the stack", again);
            assert!(!stream.is_finished(), "the stream ended before the hand-over");
        });
        std::thread::sleep(Duration::from_millis(300));
        let received = received() - before;
        let run = probe.stop();
        run.assert_conservation();
        let metered = packets(&run.flows());
        assert!(lost(&run) > 0, "the hand-over takes a moment: {}", run.stats);
        // A packet under way to the sockets while the card is read counts as lost too.
        let counted = metered + lost(&run);
        assert!(
            (received..=received + UNDER_WAY_MAX).contains(&counted),
            "{counted} of {received}: {}\n{}",
            run.stats,
            run.stderr
        );
    }
}

/// Packets of a stream that may be between the card's counter and a socket.
const UNDER_WAY_MAX: u64 = 3;

/// With AF_XDP demanded, keeping the capabilities would not help.
#[test]
fn what_captures_an_interface_that_the_host_needs_is_said() {
    let Some(network) = Network::beside(Links::default()) else { return };
    let settings: [(&[&str], &str, &str); 2] = [
        (&["--capture", "afxdp", "--keep-capabilities"], "--capture auto", "or use --keep-"),
        (&[], "or use --keep-capabilities", "--capture auto"),
    ];
    for (settings, named, not_named) in settings {
        let probe = Probe::capture(&network, &["rx0"], &[&PATIENT, settings]);
        network.ip(Host::Probe, &["addr", "add", "192.0.2.1/24", "dev", "rx0"]);
        let run = probe.wait();
        network.ip(Host::Probe, &["addr", "del", "192.0.2.1/24", "dev", "rx0"]);
        assert_eq!(run.status, 1, "{}", run.stderr);
        let is_it = |line: &&str| line.contains("rx0 is not captured any more");
        let said = run.stderr.lines().find(is_it).unwrap_or_else(|| panic!("{}", run.stderr));
        assert!(said.contains(named) && !said.contains(not_named), "{said}");
    }
}
