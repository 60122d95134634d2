//! Files that cannot be read, beside others that can.

use std::fs;

use crate::support::capture::pcap;
use crate::support::{run, scratch, write};
use crate::{FAILED, assert_error, datagram};

#[test]
fn files_beside_one_that_cannot_be_read_are_read() {
    let folder = scratch();
    let good = write(&folder, "good.pcap", &pcap(&[datagram(1, 1), datagram(2, 2)]));
    let text = write(&folder, "notes.txt", b"not a capture file at all");
    let empty = write(&folder, "empty.pcap", b"");
    let cut = write(&folder, "cut.pcap", &pcap(&[datagram(3, 1), datagram(4, 2)])[..150]);
    let missing = folder.path().join("missing.pcap");
    let directory = folder.path().join("directory");
    fs::create_dir(&directory).unwrap();
    let cases = [
        (&missing, "missing.pcap: no such file or directory", 2),
        (&directory, "directory: is a directory", 2),
        (&text, "notes.txt: not a capture file", 2),
        (&empty, "empty.pcap: an empty file", 2),
        (&cut, "cut.pcap: cut short in a packet", 3),
    ];
    for (bad, words, packets) in cases {
        for files in [[&good, bad], [bad, &good]] {
            let [one, other] = files.map(|path| path.to_str().unwrap());
            let run = run(["-r", one, "-r", other, "-o", "json:-"]);
            run.assert_conservation();
            assert_eq!(run.status, FAILED, "{words}");
            assert_eq!(run.count("metered.packets"), packets, "{words}");
            assert_eq!(run.flows().len() as u64, packets);
            assert_eq!(run.count("input.files_damaged"), 1, "{words}");
            assert_error(&run, &[words]);
        }
    }
}

#[test]
fn file_that_cannot_be_read_alone_leaves_totals_of_nothing() {
    let folder = scratch();
    let missing = folder.path().join("missing.pcap");
    let run = run(["-r", missing.to_str().unwrap(), "-o", "json:-"]);
    run.assert_conservation();
    assert_eq!(run.status, FAILED);
    assert_eq!(run.count("received.packets"), 0);
    assert!(run.stdout.is_empty());
    assert_error(&run, &["cannot read", "missing.pcap", "no such file or directory"]);
}

#[test]
fn name_that_is_not_text_is_read() {
    use std::os::unix::ffi::OsStrExt;
    let folder = scratch();
    let path = folder.path().join(std::ffi::OsStr::from_bytes(b"caf\xe9.pcap"));
    fs::write(&path, pcap(&[datagram(1, 1)])).unwrap();
    let run = run(["-r".as_ref(), path.as_os_str(), "-o".as_ref(), "json:-".as_ref()]);
    assert_eq!((run.status, run.flows().len()), (0, 1), "{}", run.stderr);
}
