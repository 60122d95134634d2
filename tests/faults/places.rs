//! Outputs that would destroy a file: the input, another output, the result of an earlier run.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Stdio;

use crate::support::capture::{Order, enhanced, interface, pcap, pcap_as, section};
use crate::support::{Run, finished, flowprobe, run, run_with_input, scratch, write};
use crate::{DONE, FAILED, USAGE, assert_error, datagram, finish, start};

/// Checks that a run was refused before it opened anything.
fn assert_refused(run: &Run, words: &str) {
    assert_eq!(run.status, USAGE, "{}", run.stderr);
    assert!(run.stats.is_null(), "{}", run.stderr);
    assert_error(run, &[words]);
}

#[test]
fn two_outputs_do_not_write_the_same_file() {
    let folder = scratch();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("sub")).unwrap();
    symlink("out", path("soft")).unwrap();
    symlink(folder.path(), path("here")).unwrap();
    nix::unistd::mkfifo(&path("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let same_twice = [("out", "out"), ("out", "soft"), ("out", "sub/../out"), ("out", "here/out")];
    // Before the file exists, and when it does.
    for round in 0..2 {
        for (one, other) in same_twice {
            for other in [
                format!("json:{}?odid=7", path(other).display()),
                format!("ipfix-file:{}", path(other).display()),
            ] {
                let first = format!("json:{}", path(one).display());
                let run = run(["-r", "/dev/null", "-o", &first, "-o", &other]);
                assert_refused(&run, "another output writes the same file");
                assert_eq!(path("out").exists(), round == 1, "{other}");
            }
        }
        write(&folder, "out", b"old");
    }
    fs::hard_link(path("out"), path("hard")).unwrap();
    for (one, other) in [("out", "hard"), ("pipe", "pipe")] {
        let [first, other] = [("json", one), ("ipfix-file", other)]
            .map(|(s, p)| format!("{s}:{}", path(p).display()));
        assert_refused(&run(["-r", "/dev/null", "-o", &first, "-o", &other]), "same file");
    }
    // Standard output may be that file too.
    let output = flowprobe()
        .args(["-r", "/dev/null", "-o", "json:-", "--stats", "json"])
        .arg("-o")
        .arg(format!("ipfix-file:{}", path("hard").display()))
        .stdout(OpenOptions::new().append(true).open(path("out")).unwrap())
        .output()
        .unwrap();
    assert_refused(&finished(output), "same file");
    assert_eq!(fs::read(path("out")).unwrap(), b"old");
}

#[test]
fn devices_may_be_written_by_two_outputs() {
    let outputs = ["-o", "json:/dev/null", "-o", "ipfix-file:/dev/null"];
    let run = run_with_input([&["-r", "-"][..], &outputs].concat(), &pcap(&[datagram(1, 1)]));
    assert_eq!(run.status, DONE, "{}", run.stderr);
    assert_eq!(run.count("outputs.1.sent.records"), 1);
}

#[test]
fn an_output_is_not_the_input() {
    let folder = scratch();
    let capture = pcap(&[datagram(1, 1)]);
    let input = write(&folder, "in.pcap", &capture);
    let [soft, hard] = ["soft", "hard"].map(|name| folder.path().join(name));
    symlink("in.pcap", &soft).unwrap();
    fs::hard_link(&input, &hard).unwrap();
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let appended = || Stdio::from(OpenOptions::new().append(true).open(&input).unwrap());
    let read = || Stdio::from(File::open(&hard).unwrap());
    let [file, all] = [&input, folder.path()].map(text);
    let outputs = [&input, &soft, &hard].map(|path| format!("json:{}", text(path)));
    let mut cases = Vec::new();
    for output in &outputs {
        cases.push((vec!["-r", &file, "-o", output], Stdio::null(), Stdio::piped()));
        cases.push((vec!["-r", &all, "-o", output], Stdio::null(), Stdio::piped()));
        cases.push((vec!["-r", "-", "-o", output], read(), Stdio::piped()));
        cases.push((vec!["-r", "/dev/stdin", "-o", output], read(), Stdio::piped()));
    }
    cases.push((vec!["-r", &file, "-o", "json:-"], Stdio::null(), appended()));
    cases.push((vec!["-r", &file], Stdio::null(), appended()));
    cases.push((vec!["-r", "-", "-o", "ipfix-file:/dev/stdout"], read(), appended()));
    for (arguments, stdin, stdout) in cases {
        let output = flowprobe().args(&arguments).stdin(stdin).stdout(stdout).output().unwrap();
        let run = finished(output);
        assert_eq!(run.status, USAGE, "{arguments:?}: {}", run.stderr);
        assert!(run.stderr.contains("is read"), "{}", run.stderr);
        assert_eq!(fs::read(&input).unwrap(), capture, "{arguments:?}");
    }
}

#[test]
fn an_output_is_not_the_configuration() {
    let folder = scratch();
    let path = folder.path().join("flowprobe.toml");
    let settings = format!("read = [\"/dev/null\"]\noutput = [\"json:{}\"]\n", path.display());
    fs::write(&path, &settings).unwrap();
    let run = run(["--config", path.to_str().unwrap()]);
    assert_refused(&run, "this file is read");
    assert_eq!(fs::read_to_string(&path).unwrap(), settings);
}

#[test]
fn inputs_that_cannot_be_read_leave_the_old_output() {
    let folder = scratch();
    let text = write(&folder, "notes.txt", b"not a capture file at all");
    let missing = folder.path().join("mising.pcap");
    for scheme in ["json", "ipfix-file"] {
        let old = write(&folder, "old", b"result of an earlier run");
        let url = format!("{scheme}:{}", old.display());
        for input in [&missing, &text] {
            let run = run(["-r", input.to_str().unwrap(), "-o", &url]);
            run.assert_conservation();
            assert_eq!(run.status, FAILED);
            assert_error(&run, &["cannot read"]);
            assert_eq!(fs::read(&old).unwrap(), b"result of an earlier run", "{scheme}");
        }
        // A pipe from a program that fails.
        let run = run_with_input(["-r", "-", "-o", &url], b"");
        assert_eq!(run.status, FAILED);
        assert_eq!(fs::read(&old).unwrap(), b"result of an earlier run", "{scheme}");
        // A run that is ended before anything came.
        let mut child = start(&["-r", "-", "-o", &url]);
        let stdin = child.stdin.take();
        crate::wait_until("it heeds signals", || crate::signals::handles_interrupts(&child));
        crate::support::signal(child.id(), nix::sys::signal::Signal::SIGTERM).unwrap();
        assert_eq!(finish(child).status, FAILED);
        drop(stdin);
        assert_eq!(fs::read(&old).unwrap(), b"result of an earlier run", "{scheme}");
    }
}

const OLD: &[u8] = b"result of an earlier run";

#[test]
fn a_missing_input_among_others_leaves_the_old_output() {
    let folder = scratch();
    let good = write(&folder, "good.pcap", &pcap(&[datagram(1, 1)]));
    let missing = folder.path().join("mising.pcap");
    let [good, missing] = [good, missing].map(|path| path.to_str().unwrap().to_owned());
    for scheme in ["json", "ipfix-file"] {
        let old = write(&folder, "old", OLD);
        let url = format!("{scheme}:{}", old.display());
        for files in [[&good, &missing], [&missing, &good]] {
            for collect in [&["collect"][..], &[]] {
                let words = [collect, &["-r", files[0], "-r", files[1], "-o", &url]].concat();
                let run = run(&words);
                assert_eq!(run.status, FAILED, "{}", run.stderr);
                assert_error(&run, &["cannot read", "mising.pcap"]);
                assert_error(&run, &["the file is not replaced, because an input is missing"]);
                assert_eq!(fs::read(&old).unwrap(), OLD, "{words:?}");
            }
        }
        // Where nothing is lost, what can be read is exported.
        for fresh in ["new", "empty"] {
            write(&folder, "empty", b"");
            let url = format!("{scheme}:{}", folder.path().join(fresh).display());
            let run = run(["-r", &good, "-r", &missing, "-o", &url]);
            assert_eq!(run.count("outputs.0.sent.records"), 1, "{}", run.stderr);
            fs::remove_file(folder.path().join(fresh)).unwrap();
        }
    }
}

#[test]
fn a_capture_of_unsupported_link_types_leaves_the_old_output() {
    let folder = scratch();
    let order = Order::Little;
    let packets = [datagram(1, 1), datagram(2, 2).on(1)];
    let ng = |links: [u16; 2]| {
        let interfaces = links.map(|link| interface(order, link, 0, &[])).concat();
        let packets = [0, 1].map(|index| enhanced(order, &packets[index])).concat();
        [section(order), interfaces, packets].concat()
    };
    let classic = pcap_as(order, false, 147, &packets);
    for scheme in ["json", "ipfix-file"] {
        let old = write(&folder, "old", OLD);
        let url = format!("{scheme}:{}", old.display());
        for file in [&classic, &ng([147, 148])] {
            let path = write(&folder, "capture", file);
            let run = run(["-r", path.to_str().unwrap(), "-o", &url]);
            run.assert_conservation();
            assert_eq!(run.status, FAILED, "{}", run.stderr);
            assert_eq!(run.count("received.packets"), 2);
            assert_eq!(fs::read(&old).unwrap(), OLD, "{scheme}");
        }
        let path = write(&folder, "capture", &ng([147, 1]));
        let run = run(["-r", path.to_str().unwrap(), "-o", &url]);
        assert_eq!(run.count("outputs.0.sent.records"), 1, "{}", run.stderr);
        assert_ne!(fs::read(&old).unwrap(), OLD, "{scheme}");
    }
}

#[test]
fn a_capture_without_packets_empties_the_old_output() {
    let folder = scratch();
    for scheme in ["json", "ipfix-file"] {
        let old = write(&folder, "old", b"result of an earlier run");
        let url = format!("{scheme}:{}", old.display());
        let run = run_with_input(["-r", "-", "-o", &url], &pcap(&[]));
        assert_eq!(run.status, DONE, "{}", run.stderr);
        assert!(fs::read(&old).unwrap().is_empty());
    }
}

#[test]
fn a_redirect_that_appends_empties_nothing() {
    let folder = scratch();
    let capture = write(&folder, "one.pcap", &pcap(&[datagram(1, 1)]));
    for url in ["json:-", "json:/dev/stdout", "json:/dev/fd/1", "json:/proc/self/fd/1"] {
        let old = write(&folder, "old", b"{}\n");
        let stdout = OpenOptions::new().append(true).open(&old).unwrap();
        let mut command = flowprobe();
        command.args(["-r", capture.to_str().unwrap(), "-o", url]).stdout(stdout);
        assert!(command.status().unwrap().success());
        assert_eq!(fs::read_to_string(&old).unwrap().lines().count(), 2, "{url}");
    }
}
