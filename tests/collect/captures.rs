//! Datagrams of real exporters, as they are, cut at each length, and with each octet changed.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flow::{Tpids, datagram};
use probe::capture::file::{FileSource, Input};
use probe::capture::{PacketSource, Polled};

use crate::messages::Session;
use crate::support;

/// A datagram and its sender.
pub type Sent = (SocketAddr, Vec<u8>);

/// The captures in a folder of the material, by their paths.
pub fn captures() -> Vec<PathBuf> {
    let Some(folder) = support::material("FLOWPROBE_COLLECTED", "collected") else {
        support::skip_without("a folder with datagrams of exporters");
        return Vec::new();
    };
    let mut paths = Vec::new();
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "pcap") {
                paths.push(path);
            }
        }
    }
    paths.sort();
    paths
}

/// The datagrams of a capture.
pub fn datagrams(path: &Path) -> Vec<Sent> {
    let inputs = Input::of_names(&[path.to_owned()]).unwrap();
    let mut source = FileSource::open(&inputs, &[], &Arc::default());
    let mut sent = Vec::new();
    let take = |frame: &flow::Frame<'_>| {
        if let Ok(datagram) = datagram(frame, Tpids::default()) {
            sent.push((datagram.source, datagram.payload.to_vec()));
        }
    };
    assert!(matches!(source.poll(1_000_000, take), Ok(Polled::End)));
    assert!(!sent.is_empty(), "{}", path.display());
    sent
}

#[test]
fn real_exporters_are_understood() {
    let paths = captures();
    for path in &paths {
        let mut session = Session::new();
        for (from, octets) in datagrams(path) {
            session.take_of(from, &octets);
        }
        let counts = session.counts();
        let wrong = [counts.malformed, counts.unknown_version, counts.cut_sets];
        assert_eq!(wrong, [0; 3], "{}", path.display());
    }
}

#[test]
fn damaged_datagrams_do_no_harm() {
    for path in captures() {
        let sent = datagrams(&path);
        let mut cut = Session::new();
        let mut changed = Session::new();
        let mut both = Session::new();
        for (from, octets) in sent.iter().take(60) {
            for length in 0..octets.len() {
                cut.take_of(*from, &octets[..length]);
            }
            for index in 0..octets.len() {
                let mut damaged = octets.clone();
                for value in [octets[index] ^ 1, octets[index] ^ 0x80, 0, 0xff] {
                    damaged[index] = value;
                    changed.take_of(*from, &damaged);
                }
                both.take_of(*from, &damaged[..index]).take_of(*from, &damaged);
            }
            // What is kept by then does not keep the right datagram from being read.
            changed.take_of(*from, octets);
            for session in [&mut cut, &mut changed, &mut both] {
                session.given.0.iter().for_each(|(_, record, _)| {
                    assert!(record.start <= record.end);
                });
            }
        }
        for mut session in [cut, changed, both] {
            assert_eq!(session.finish().waiting_sets, 0);
        }
    }
}
