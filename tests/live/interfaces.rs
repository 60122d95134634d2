//! Interfaces that go, come, are several, or are taken.

use std::time::Duration;

use crate::ends::{frames, packets};
use crate::probe::{METHODS, PATIENT, Probe, lost};
use crate::support;
use crate::support::net::{Host, Links, Network};

#[test]
fn a_link_that_goes_down_and_up_is_survived() {
    let Some(network) = Network::new(Links::default()) else { return };
    let folder = support::scratch();
    let file = support::write(&folder, "some.pcap", &frames(100));
    for method in METHODS {
        let mut probe = Probe::start(&network, &["rx0"], &[method, &PATIENT]);
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
    let Some(network) = Network::new(Links { count: 2, ..Links::default() }) else { return };
    let folder = support::scratch();
    let few = support::write(&folder, "few.pcap", &frames(30));
    let many = support::write(&folder, "many.pcap", &frames(500));
    let numbers = ["--ifindex", "rx0=100", "--ifindex", "rx1=200"];
    for method in METHODS {
        let probe = Probe::start(&network, &["rx0", "rx1"], &[method, &PATIENT, &numbers]);
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
    let Some(network) = Network::new(Links::default()) else { return };
    let folder = support::scratch();
    let file = support::write(&folder, "one.pcap", &frames(1));
    let number = network.interface(Host::Probe, "rx0")["ifindex"].as_u64().unwrap();
    for method in METHODS {
        let probe = Probe::start(&network, &["rx0"], &[method]);
        network.send_file("tx0", &file, &[]);
        let flows = probe.stop().flows();
        assert!(flows.len() == 1 && flows[0].interface == number, "{method:?}: {flows:?}");
    }
}

#[test]
fn of_two_interfaces_one_may_go() {
    for method in METHODS {
        let Some(network) = Network::new(Links { count: 2, ..Links::default() }) else { return };
        let folder = support::scratch();
        let file = support::write(&folder, "some.pcap", &frames(100));
        let mut probe = Probe::start(&network, &["rx0", "rx1"], &[method, &PATIENT]);
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
        let Some(network) = Network::new(Links::default()) else { return };
        let folder = support::scratch();
        let file = support::write(&folder, "some.pcap", &frames(100));
        let probe = Probe::start(&network, &["rx0"], &[method, &PATIENT]);
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
        let Some(network) = Network::new(links) else { return };
        let folder = support::scratch();
        let file = support::write(&folder, "some.pcap", &frames(100));
        let keep = ["--keep-capabilities"];
        let mut probe = Probe::start(&network, &["rx0"], &[method, &PATIENT, &keep]);
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
    let Some(network) = Network::new(Links::default()) else { return };
    let folder = support::scratch();
    let file = support::write(&folder, "some.pcap", &frames(100));
    let method = METHODS[0];
    let first = Probe::start(&network, &["rx0"], &[method, &PATIENT]);
    let program = support::flowprobe();
    let command = network.command(Host::Probe, program.get_program());
    let second = Probe::spawn(command, &["rx0"], &[method]).wait();
    assert_eq!(second.status, 1, "{}", second.stderr);
    let errors = second.stderr.lines().filter(|line| line.contains("error: "));
    let [error] = errors.collect::<Vec<_>>()[..] else { panic!("{}", second.stderr) };
    assert!(error.contains("rx0") && error.contains("flowprobe"), "{error}");
    let sent = network.send_file("tx0", &file, &[]);
    assert_eq!(packets(&first.stop().flows()), sent.packets);
}

#[test]
fn an_interface_that_is_not_there_is_named() {
    let Some(network) = Network::new(Links::default()) else { return };
    for method in METHODS {
        let program = support::flowprobe();
        let command = network.command(Host::Probe, program.get_program());
        let run = Probe::spawn(command, &["none7"], &[method]).wait();
        assert_eq!(run.status, 1, "{}", run.stderr);
        assert!(run.stderr.contains("none7"), "{}", run.stderr);
    }
}
