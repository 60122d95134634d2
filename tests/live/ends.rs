//! When flows end, and when the program does.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::probe::{METHODS, PATIENT, Probe, lost};
use crate::support::capture::{Captured, pcap};
use crate::support::net::{Host, Links, Network};
use crate::support::packet::{ethernet, ipv4, udp};
use crate::support::{self, flows::Flow};

/// Frames of so many flows.
pub fn frames(flows: u16) -> Vec<u8> {
    let frame = |number: u16| {
        let [high, low] = number.to_be_bytes();
        ethernet(&ipv4([10, 7, high, low], [192, 0, 2, 1], 17, &udp(1000, 2000, 100)))
    };
    pcap(&(0..flows).map(|number| Captured::at(0, frame(number))).collect::<Vec<_>>())
}

/// Packets in all records.
pub fn packets(flows: &[Flow]) -> u64 {
    flows.iter().map(|flow| flow.packets).sum()
}

#[test]
fn idle_flows_leave_though_no_packet_comes() {
    let Some(network) = Network::beside(Links::default()) else { return };
    let folder = support::scratch();
    let file = support::write(&folder, "ten.pcap", &frames(10));
    for method in METHODS {
        let mut probe = Probe::capture(&network, &["rx0"], &[method, &["--idle-timeout", "1s"]]);
        network.send_file("tx0", &file, &[]);
        let begin = Instant::now();
        probe.wait_until("all flows have left", |probe| probe.flows().len() == 10);
        // Idle for one second, found within another, and written within one more.
        let elapsed = begin.elapsed();
        assert!(elapsed < Duration::from_millis(3500), "{method:?}: after {elapsed:?}");
        assert!(probe.flows().iter().all(|flow| flow.end_reason == 1), "{:?}", probe.flows());
        assert_eq!(probe.stop().flows().len(), 10);
    }
}

#[test]
fn active_flows_leave_though_no_packet_comes() {
    let Some(network) = Network::beside(Links::default()) else { return };
    let folder = support::scratch();
    let file = support::write(&folder, "ten.pcap", &frames(10));
    let timeouts = ["--idle-timeout", "1h", "--active-timeout", "1s"];
    for method in METHODS {
        let mut probe = Probe::capture(&network, &["rx0"], &[method, &timeouts]);
        network.send_file("tx0", &file, &[]);
        probe.wait_until("all flows have left", |probe| probe.flows().len() == 10);
        assert!(probe.flows().iter().all(|flow| flow.end_reason == 2), "{:?}", probe.flows());
        probe.stop();
    }
}

#[test]
fn all_is_exported_when_it_is_told_to_end() {
    let Some(network) = Network::new(Links { queues: 2, ..Links::default() }) else { return };
    let folder = support::scratch();
    let file = support::write(&folder, "many.pcap", &frames(5000));
    for method in METHODS {
        for signal in [Signal::SIGTERM, Signal::SIGINT] {
            let probe = Probe::capture(&network, &["rx0"], &[method, &PATIENT]);
            let sent = network.send_file("tx0", &file, &["--rate", "20k"]);
            // At once: what is still in the rings must be taken too.
            probe.signal(signal);
            let run = probe.wait();
            assert_eq!(run.status, 0, "{method:?}: {}", run.stderr);
            run.assert_conservation();
            assert_eq!(packets(&run.flows()), sent.packets, "{method:?}: {}", run.stats);
            assert_eq!(run.flows().len(), 5000, "{method:?}");
            assert!(run.flows().iter().all(|flow| flow.end_reason == 4), "{method:?}");
        }
    }
}

#[test]
fn nothing_stays_on_the_interface() {
    let Some(network) = Network::beside(Links { queues: 2, ..Links::default() }) else { return };
    let has_program = || network.interface(Host::Probe, "rx0").get("xdp").is_some();
    for method in METHODS {
        for signal in [Signal::SIGTERM, Signal::SIGKILL] {
            let probe = Probe::capture(&network, &["rx0"], &[method]);
            let is_xdp = method.contains(&"afxdp");
            assert_eq!(has_program(), is_xdp, "{method:?}");
            probe.signal(signal);
            probe.wait();
            // The kernel takes a moment to clean up after a killed process.
            let begin = Instant::now();
            while has_program() && begin.elapsed() < Duration::from_secs(2) {
                thread::sleep(Duration::from_millis(10));
            }
            let interface = network.interface(Host::Probe, "rx0");
            assert!(!has_program(), "{method:?}, {signal}: {interface}");
            assert_eq!(interface["promiscuity"], 0, "{method:?}, {signal}: {interface}");
        }
    }
}

#[test]
fn what_comes_until_the_end_is_metered_or_counted_as_lost() {
    let Some(network) = Network::new(Links::default()) else { return };
    // So that frames are taken also when no program is there any more.
    network.offload(Host::Probe, "rx0", "gro", "on");
    for method in METHODS {
        let probe = Probe::capture(&network, &["rx0"], &[method, &PATIENT]);
        let before = received(&network);
        let settings = ["--flows", "1k", "--rate", "20k", "--seconds", "3"];
        let run = thread::scope(|scope| {
            let sender = scope.spawn(|| network.send_flows("tx0", &settings));
            thread::sleep(Duration::from_secs(1));
            let run = probe.stop();
            sender.join().expect("it sends to the end");
            run
        });
        let (metered, all) = (run.count("metered.packets"), received(&network) - before);
        assert!(metered > 0 && metered < all, "{method:?}: {metered} of {all}");
        // It was told to end in good order: nothing that had come was left in a ring.
        assert_eq!(lost(&run), 0, "{method:?}: {}", run.stats);
    }
}

/// Packets that the probe's interface has received.
fn received(network: &Network) -> u64 {
    let interface = network.interface(Host::Probe, "rx0");
    interface["stats64"]["rx"]["packets"].as_u64().expect("a count")
}

#[test]
fn an_output_that_hangs_does_not_hold_up_the_end() {
    let Some(network) = Network::beside(Links::default()) else { return };
    let folder = support::scratch();
    let file = support::write(&folder, "many.pcap", &frames(5000));
    let pipe = folder.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("a pipe for the test");
    // Somebody who opens it and reads nothing.
    let reader = fs::OpenOptions::new().read(true).write(true).open(&pipe).expect("the pipe opens");
    let output = format!("json:{}", pipe.display());
    let settings = [METHODS[0], &PATIENT, &["-o", &output]];
    let probe = Probe::capture(&network, &["rx0"], &settings);
    network.send_file("tx0", &file, &["--rate", "20k"]);
    probe.signal(Signal::SIGTERM);
    let run = probe.wait_for(Duration::from_secs(40));
    drop(reader);
    assert_eq!(run.status, 1, "{}", run.stderr);
    run.assert_conservation();
    assert_eq!(run.flows().len(), 5000, "the other output has all");
    assert!(run.count("outputs.0.failed.records") > 0, "{}", run.stats);
    assert_eq!(run.count("outputs.1.sent.records"), 5000, "{}", run.stats);
}

/// The queue of the output that hangs is full at the end of capture, so the stages wait for it. The
/// flows that are still in the table come after that.
#[test]
fn an_output_that_hangs_takes_no_record_from_another() {
    const FLOWS: u64 = 340_000;
    let Some(network) = Network::new(Links::default()) else { return };
    let folder = support::scratch();
    let pipe = folder.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("a pipe for the test");
    let reader = fs::OpenOptions::new().read(true).write(true).open(&pipe).expect("the pipe opens");
    let output = format!("json:{}", pipe.display());
    let settings = [METHODS[0], &PATIENT, &["--max-flows", "50k", "-o", &output]];
    let probe = Probe::capture(&network, &["rx0"], &settings);
    let flows = FLOWS.to_string();
    network.send_flows("tx0", &["--flows", &flows, "--packets", &flows, "--rate", "60k"]);
    probe.signal(Signal::SIGTERM);
    let run = probe.wait_for(Duration::from_secs(60));
    drop(reader);
    assert_eq!(run.status, 1, "{}", run.stderr);
    run.assert_conservation();
    let lost = ["dropped", "failed"].map(|why| run.count(&format!("outputs.0.{why}.records")));
    assert!(lost.iter().sum::<u64>() > 50_000, "{}", run.stats);
    assert_eq!(run.count("outputs.1.dropped.records"), 0, "{}", run.stats);
    // Each queue says what it dropped: that of the workers, and those of the outputs.
    let queues = run.stats["queues"].as_array().expect("queues");
    let names: Vec<_> =
        queues.iter().map(|queue| queue["queue"].as_str().expect("a name")).collect();
    assert_eq!(names, ["workers", &output, "json:-"], "{}", run.stats);
    for (number, dropped) in ["outputs.0.dropped", "outputs.1.dropped"].into_iter().enumerate() {
        for key in ["records", "packets", "octets"] {
            let at = |queue: usize| run.count(&format!("queues.{queue}.dropped.{key}"));
            let all = run.count(&format!("{dropped}.{key}"));
            assert_eq!(at(0) + at(number + 1), all, "{}", run.stats);
        }
    }
    assert_eq!(
        run.count("outputs.1.sent.records"),
        run.stdout.iter().filter(|&&it| it == b'\n').count() as u64
    );
    assert!(run.count("outputs.1.sent.records") > FLOWS * 9 / 10, "{}", run.stats);
}
