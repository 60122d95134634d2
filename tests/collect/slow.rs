//! Clients of listeners for connections that take up places, time and descriptors.

use std::io::Write;
use std::net::UdpSocket;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::connections::{certificates, connection, is_closed, records, replay_to, templates};
use crate::round_trip::compare;
use crate::sockets::{end, listen, listen_by};
use crate::support;
use crate::support::probe::Probe;

/// 32 connections to a worker. Those without a handshake give way, and have 10 s, also if octets
/// come now and then.
#[test]
fn handshakes_that_do_not_come_leave_room_for_others() {
    let (_folder, files) = certificates();
    let [ca, certificate, key, ..] = files.each_ref().map(|file| file.display());
    let listener = format!("ipfix+tls://127.0.0.1:0?cert={certificate}&key={key}");
    let (probe, addresses) = listen(&[&listener], &["--workers=16"]);
    let begin = Instant::now();
    let mut silent: Vec<_> = (0..40).map(|_| connection([127, 0, 0, 1], addresses[0])).collect();
    // The first octets of a handshake, and no more, or one after the other.
    let handshake = [22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3, 1, 2, 3, 4, 5];
    silent[39].write_all(&handshake).unwrap();
    let (sent, messages) = replay_to(&format!("ipfix+tls://{}?ca={ca}", addresses[0]), &[]);
    assert_eq!(sent.status, 0, "{}", sent.stderr);
    for octet in handshake {
        // It may be closed already if the machine is slow.
        drop(silent[38].write_all(&[octet]));
        thread::sleep(Duration::from_millis(500));
    }
    for stream in &mut silent {
        assert!(is_closed(stream, Duration::from_secs(20)));
    }
    assert!(begin.elapsed() > Duration::from_secs(9), "{:?}", begin.elapsed());
    let run = end(probe, messages, 0);
    compare("ipfix+tls", "traffic", sent.documents(), &run);
    let of = |name: &str| run.count(&format!("collected.{name}"));
    let ends = (of("connections"), of("connections_slow"), of("connections_reset"));
    assert_eq!(ends, (41, 40, 0), "{}", run.stderr);
}

/// Waits until this count has at least this value.
fn wait_for(probe: &mut Probe, name: &str, least: u64) {
    probe.wait_until(name, |probe| {
        probe.signal(Signal::SIGUSR1);
        thread::sleep(Duration::from_millis(100));
        let totals = probe.totals();
        totals.last().and_then(|it| it["collected"][name].as_u64()) >= Some(least)
    });
}

/// What has no descriptor waits. What has one goes on, and so do datagrams.
#[test]
fn connections_wait_for_descriptors() {
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 64; exec \"$0\" \"$@\""]);
    command.arg(support::flowprobe().get_program());
    let listeners = ["ipfix+tcp://127.0.0.1:0", "ipfix://127.0.0.1:0"];
    let (mut probe, addresses) = listen_by(command, &listeners, &["--workers=1"]);
    let mut streams: Vec<_> = (0..100).map(|_| connection([127, 0, 15, 1], addresses[0])).collect();
    for stream in &mut streams {
        stream.write_all(&templates()).unwrap();
    }
    wait_for(&mut probe, "connections_delayed", 1);
    // Those at hand are the first.
    for stream in &mut streams {
        stream.write_all(&records(0)).unwrap();
    }
    let datagrams = UdpSocket::bind("127.0.16.1:0").unwrap();
    for message in [templates(), records(0)] {
        datagrams.send_to(&message, addresses[1]).unwrap();
    }
    wait_for(&mut probe, "records", 2 + 2 * 10);
    let taken = probe.totals().last().unwrap()["collected"]["connections"].as_u64().unwrap();
    assert!((10..64).contains(&taken), "{taken}");
    drop(streams);
    let run = end(probe, 2 * 101, 0);
    let of = |name: &str| run.count(&format!("collected.{name}"));
    assert_eq!((of("connections"), of("records")), (100, 202), "{}", run.stderr);
    let others = [of("connections_reset"), of("connections_refused"), of("connections_cut")];
    assert_eq!(others, [0; 3], "{}", run.stderr);
    let delayed = of("connections_delayed");
    assert!(delayed < 2000, "it looks again 20 times a second, not all the time: {delayed}");
    assert!(run.stderr.contains("a connection cannot be taken"), "{}", run.stderr);
}
