//! Files of a live run: they are appended to, cut by other programs, and found unfinished.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use exporter::{Context, Destination, Exporter, Patience};
use flow::{Batch, Timestamp};

use crate::collector::{context, open};
use crate::record::{T0, udp4};
use crate::support::ipfix::session;
use crate::support::{documents, scratch, write};

const SCHEMES: [&str; 2] = ["json", "ipfix-file"];

fn live() -> Context {
    Context {
        patience: Patience::GoOn,
        uptime_start: Some(Timestamp::from_millis(T0)),
        ..context()
    }
}

/// Gives the output so many records, and time to write them.
fn export(exporter: &mut dyn Exporter, records: usize, now: u64) {
    exporter.export(&Batch::from(&vec![udp4(now); records][..])).unwrap();
    exporter.tick(Timestamp::from_millis(now)).unwrap();
}

/// One whole run.
fn run(url: &str, records: usize) {
    let mut exporter = open(url, &live());
    export(&mut *exporter, records, T0);
    exporter.finish().unwrap();
}

/// Flows in a file, all of which can be read: of messages, their templates are in it.
fn flows(scheme: &str, path: &Path) -> usize {
    let octets = fs::read(path).unwrap();
    if scheme == "json" {
        return documents(&octets).len();
    }
    session(&octets).iter().map(|message| message.flows().count()).sum()
}

#[test]
fn a_file_grows_from_run_to_run() {
    let folder = scratch();
    for scheme in SCHEMES {
        let path = folder.path().join(scheme);
        for run_number in 1..=3 {
            run(&format!("{scheme}:{}", path.display()), 5);
            assert_eq!(flows(scheme, &path), 5 * run_number, "{scheme}");
        }
    }
}

#[test]
fn a_replay_writes_its_file_anew() {
    let folder = scratch();
    for scheme in SCHEMES {
        let path = write(&folder, scheme, &[b'x'; 100_000]);
        let url = format!("{scheme}:{}", path.display());
        for _ in 0..2 {
            let mut exporter = open(&url, &context());
            let before = fs::metadata(&path).unwrap().len();
            assert!(before > 0, "it is not emptied before there is something to write");
            exporter.export(&Batch::from(&[udp4(T0); 3][..])).unwrap();
            exporter.finish().unwrap();
            assert_eq!(flows(scheme, &path), 3, "{scheme}");
        }
    }
}

#[test]
fn an_unfinished_end_is_removed() {
    let folder = scratch();
    for scheme in SCHEMES {
        let path = folder.path().join(scheme);
        let url = format!("{scheme}:{}", path.display());
        run(&url, 5);
        let one = fs::read(&path).unwrap();
        // Killed anywhere in the second run, also before its first octet.
        for part in [1, 3, one.len() / 2, one.len() - 1] {
            fs::write(&path, [&one[..], &one[..part]].concat()).unwrap();
            let before = flows_of_whole(scheme, &one, part);
            run(&url, 2);
            assert_eq!(flows(scheme, &path), 5 + before + 2, "{scheme}, {part}");
        }
    }
}

/// Flows in the whole documents or messages of a part.
fn flows_of_whole(scheme: &str, octets: &[u8], part: usize) -> usize {
    let part = &octets[..part];
    if scheme == "json" {
        return part.iter().filter(|&&octet| octet == b'\n').count();
    }
    let whole = crate::support::ipfix::whole_messages(part);
    session(whole).iter().map(|message| message.flows().count()).sum()
}

#[test]
fn what_is_not_ours_stays() {
    let folder = scratch();
    let path = write(&folder, "notes", b"a note without a line end");
    run(&format!("json:{}", path.display()), 1);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("a note without a line end\n{"), "{text}");
    // A file of messages has nothing else in it.
    let before = fs::read(&path).unwrap();
    let destination: Destination = format!("ipfix-file:{}", path.display()).parse().unwrap();
    let error = destination.open(&live()).err().unwrap().to_string();
    assert!(error.contains("something else than IPFIX messages"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_file_that_is_cut_has_no_hole_and_can_be_read() {
    let folder = scratch();
    for scheme in SCHEMES {
        for context in [live(), context()] {
            let path = folder.path().join(scheme);
            let copy = folder.path().join("copy");
            let mut exporter = open(&format!("{scheme}:{}", path.display()), &context);
            export(&mut *exporter, 300, T0);
            fs::copy(&path, &copy).unwrap();
            OpenOptions::new().write(true).open(&path).unwrap().set_len(0).unwrap();
            export(&mut *exporter, 20, T0 + 1000);
            exporter.finish().unwrap();
            assert_eq!(flows(scheme, &copy), 300, "{scheme}");
            assert_eq!(flows(scheme, &path), 20, "{scheme}");
            fs::remove_file(&path).unwrap();
        }
    }
}

#[test]
fn what_another_program_appends_stays() {
    let folder = scratch();
    let path = folder.path().join("shared");
    let mut exporter = open(&format!("json:{}", path.display()), &live());
    export(&mut *exporter, 1, T0);
    OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{}\n").unwrap();
    export(&mut *exporter, 1, T0 + 1000);
    exporter.finish().unwrap();
    assert_eq!(flows("json", &path), 3);
}
