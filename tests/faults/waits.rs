//! A signal ends a run, whatever it waits for: files at its start that never answer, and messages
//! that nobody reads.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::signals::{handles_interrupts, stalled};
use crate::support::capture::pcap;
use crate::support::{self, flowprobe, scratch, write};
use crate::{FAILED, datagram, wait_until};

/// Waits for the end of a run that was asked to end, and says how long that took.
fn time_to_end(child: &mut Child, begin: Instant) -> Duration {
    wait_until("it ends", || child.try_wait().unwrap().is_some());
    begin.elapsed()
}

#[test]
fn a_file_that_never_answers_is_not_waited_for_after_a_signal() {
    let folder = scratch();
    let capture = write(&folder, "a.pcap", &pcap(&[datagram(1, 1)]));
    let pipe = folder.path().join("pipe");
    mkfifo(&pipe, Mode::S_IRWXU).unwrap();
    let pipe = pipe.display();
    let elastic = "elastic+http://127.0.0.1:1";
    for arguments in [
        ["--networks", &pipe.to_string(), "-o", "json:/dev/null"],
        ["--geo", &pipe.to_string(), "-o", "json:/dev/null"],
        ["--stats", &format!("json:{pipe}"), "-o", "json:/dev/null"],
        ["--alerts", &format!("json:{pipe}"), "-o", "json:/dev/null"],
        ["-q", "-o", &format!("{elastic}?api-key-file={pipe}"), "--workers=1"],
        ["-q", "-o", &format!("{elastic}?dead-letter={pipe}"), "--workers=1"],
        ["-q", "-o", &format!("ipfix+tls://127.0.0.1:1?ca={pipe}"), "--workers=1"],
    ] {
        let mut command = flowprobe();
        command.arg("-r").arg(&capture).args(arguments).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        wait_until("it is stalled", || handles_interrupts(&child) && stalled(&child));
        assert!(child.try_wait().unwrap().is_none(), "{arguments:?}: it waits");
        let begin = Instant::now();
        support::signal(child.id(), Signal::SIGTERM).unwrap();
        let took = time_to_end(&mut child, begin);
        assert!(took < Duration::from_secs(4), "{arguments:?}: {took:?}");
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(FAILED), "{arguments:?}: {stderr}");
        assert!(stderr.starts_with("flowprobe: error: "), "{arguments:?}: {stderr}");
    }
}

#[test]
fn a_replay_says_how_long_it_waits_for_a_service_that_is_not_there() {
    let folder = scratch();
    let capture = write(&folder, "a.pcap", &pcap(&[datagram(1, 1)]));
    let mut command = flowprobe();
    command.arg("-r").arg(&capture).args(["-q", "-o", "elastic+http://127.0.0.1:1?give-up=7s"]);
    let output = command.output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(FAILED), "{stderr}");
    let said = |second: &str| format!("waits for up to {second} s more until documents");
    assert!(stderr.contains(&said("1")) || stderr.contains(&said("2")), "{stderr}");
    assert_eq!(stderr.matches("the run waits").count(), 1, "{stderr}");
}

/// A pipe that takes nothing more.
fn full_pipe() -> (OwnedFd, OwnedFd) {
    let (reader, writer) = nix::unistd::pipe().unwrap();
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    let mut file = File::from(writer.try_clone().unwrap());
    loop {
        match file.write(&[b'x'; 4096]) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("{error}"),
        }
    }
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
    (reader, writer)
}

#[test]
fn messages_that_nobody_reads_do_not_hold_up_the_end() {
    let folder = scratch();
    let capture = write(&folder, "a.pcap", &pcap(&[datagram(1, 1)]));
    let flows = folder.path().join("flows.json");
    let (_reader, writer) = full_pipe();
    let mut child = flowprobe()
        .arg("-r")
        .arg(&capture)
        .args(["-o", &format!("json:{}", flows.display()), "--ifindex", "eth9=9"])
        .stderr(writer)
        .spawn()
        .unwrap();
    wait_until("it is stalled", || handles_interrupts(&child) && stalled(&child));
    support::signal(child.id(), Signal::SIGTERM).unwrap();
    thread::sleep(Duration::from_millis(2200));
    assert!(child.try_wait().unwrap().is_none(), "it waits for who reads the messages");
    let begin = Instant::now();
    support::signal(child.id(), Signal::SIGTERM).unwrap();
    let took = time_to_end(&mut child, begin);
    assert!(took < Duration::from_secs(4), "{took:?}");
}

#[test]
fn messages_are_whole_when_they_are_read_late() {
    let folder = scratch();
    let capture = write(&folder, "a.pcap", &pcap(&[datagram(1, 1)]));
    let (reader, writer) = full_pipe();
    let mut child = flowprobe()
        .arg("-r")
        .arg(&capture)
        .args(["-o", "json:/dev/null", "--ifindex", "eth9=9"])
        .stderr(writer)
        .spawn()
        .unwrap();
    wait_until("it is stalled", || handles_interrupts(&child) && stalled(&child));
    let mut said = String::new();
    File::from(reader).read_to_string(&mut said).unwrap();
    assert!(child.wait().unwrap().success());
    let said = said.trim_start_matches('x');
    assert!(said.starts_with("flowprobe: warning: ") && said.contains("1 received"), "{said}");
}
