//! Files of places that change while packets come.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::hangup::start;
use crate::probe::METHODS;
use crate::support::capture::{Captured, pcap};
use crate::support::net::{Links, Network};
use crate::support::packet::{ethernet, ipv4, udp};
use crate::support::{self, mmdb};

/// Frames of flows from 8.8.0.0/16.
fn frames() -> Vec<u8> {
    let frame =
        |number: u8| ethernet(&ipv4([8, 8, number, 1], [192, 0, 2, 1], 17, &udp(1000, 2000, 100)));
    pcap(&(0..200).map(|number| Captured::at(0, frame(number))).collect::<Vec<_>>())
}

/// Everything on the Internet has this AS number.
fn database(number: u32) -> Vec<u8> {
    let record: Value = json!({"autonomous_system_number": number});
    let networks = ["0.0.0.0/1", "128.0.0.0/1"].map(|cidr| (cidr.to_owned(), record.clone()));
    mmdb::database("GeoLite2-ASN", 24, &networks)
}

/// Puts a file in the place of another.
fn exchange(path: &Path, octets: &[u8]) {
    let new = path.with_extension("new");
    fs::write(&new, octets).expect("a file for the database");
    fs::rename(new, path).expect("it takes the place");
}

#[test]
fn damaged_files_change_nothing_and_whole_ones_take_over() {
    let Some(network) = Network::new(Links::default()) else { return };
    let folder = support::scratch();
    let file = support::write(&folder, "flows.pcap", &frames());
    let path = support::write(&folder, "as.mmdb", &database(1));
    let geo = path.display().to_string();
    let settings: [&[&str]; 3] = [
        METHODS[1],
        &["--idle-timeout", "200ms", "--active-timeout", "300ms"],
        &["--geo", &geo, "--geo-refresh", "200ms"],
    ];
    let mut probe = start(&network, &settings);
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                network.send_file("tx0", &file, &[]);
            }
        });
        let said = |probe: &crate::probe::Probe, what: &str| probe.messages().matches(what).count();
        probe.wait_until("records come", |probe| !probe.flows().is_empty());
        let whole = database(2);
        let refused = "what was read before stays";
        for (count, damaged) in (1..).zip([&[0xa5; 4096][..], &whole[..whole.len() / 2], b""]) {
            // In place, as some updaters do.
            fs::write(&path, damaged).expect("the file can be written");
            probe.wait_until("it is refused", |probe| said(probe, refused) >= count);
        }
        exchange(&path, &whole);
        probe.wait_until("it is read", |probe| said(probe, ": read again") == 1);
        // The same size and the same time would be no change; a signal is enough.
        probe.signal(Signal::SIGHUP);
        probe.wait_until("it is read", |probe| said(probe, ": read again") == 2);
        ended.store(true, Ordering::Relaxed);
    });
    network.send_file("tx0", &file, &[]);
    let run = probe.stop();
    assert_eq!(run.count("places.reloads"), 2, "{}", run.stats);
    assert!(run.count("places.reload_failures") >= 3, "{}", run.stats);
    assert_eq!(run.count("places.errors"), 0);
    let documents = run.documents();
    let numbers: Vec<_> =
        documents.iter().map(|it| it["source"]["as"]["number"].as_u64().expect("known")).collect();
    assert!(numbers.is_sorted(), "first all of the old file, then all of the new one");
    assert_eq!((numbers.first(), numbers.last()), (Some(&1), Some(&2)));
}
