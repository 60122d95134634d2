//! `flowprobe ctl` and the socket of a run.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::ends::frames;
use crate::probe::{METHODS, Probe};
use crate::support;
use crate::support::net::{Links, Network};

/// The status of `flowprobe ctl`, and what it says.
fn ctl(socket: &Path, command: &[&str]) -> (Option<i32>, String) {
    let mut ctl = support::flowprobe();
    let output = ctl.args(["ctl", "--socket"]).arg(socket).args(command).output();
    let output = output.expect("the program starts");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).expect("text"))
}

/// The answer to what is written to the socket.
fn answer(socket: &Path, request: &[u8]) -> String {
    let mut stream = UnixStream::connect(socket).expect("it listens");
    stream.write_all(request).expect("it reads");
    let mut answer = String::new();
    // It may have closed its end before it has read all.
    drop(stream.read_to_string(&mut answer));
    answer
}

#[test]
fn a_run_answers_at_its_socket() {
    let Some(network) = Network::new(Links::default()) else { return };
    let folder = support::scratch();
    let [socket, settings] = ["control", "flowprobe.toml"].map(|name| folder.path().join(name));
    let set = |timeout: &str| {
        let [socket, folder] = [&socket, folder.path()].map(Path::display);
        let text = format!(
            "control = \"{socket}\"\noutput = \"json:{folder}/flows\"\nidle-timeout = {timeout}\n"
        );
        fs::write(&settings, text).expect("the folder is ours");
    };
    set("\"1h\"");
    let ten = support::write(&folder, "ten.pcap", &frames(10));
    let mut probe = Probe::configured(&network, &settings, &[METHODS[1]]);
    let mode = fs::metadata(&socket).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let sent = network.send_file("tx0", &ten, &[]).packets;
    probe.wait_until("the packets are counted", |_| {
        let (status, said) = ctl(&socket, &["stats"]);
        assert_eq!(status, Some(0), "{said}");
        let totals: Value = serde_json::from_str(&said).expect("a line of JSON");
        totals["metered"]["packets"] == sent && totals["active_flows"] == 10
    });
    // New settings are in force when the command ends, and their flows are written.
    set("\"1s\"");
    assert_eq!(ctl(&socket, &["reload"]), (Some(0), "the settings are in force\n".to_owned()));
    assert!(probe.messages().contains("idle-timeout is now 1s"), "{}", probe.messages());
    probe.wait_until("the flows have left", |_| {
        ctl(&socket, &["outputs"]).1.contains("/flows: sends, 10 records sent, 0 lost, 0 spooled")
    });
    set("\"soon\"");
    let (status, said) = ctl(&socket, &["reload"]);
    assert!(status == Some(1) && said.contains("all stay as they were"), "{said}");
    assert_eq!(ctl(&socket, &["log-level", "warn"]).0, Some(0));
    assert!(probe.messages().contains("messages from now on: warn"), "{}", probe.messages());
    assert_eq!(ctl(&socket, &["log-level", "loud"]).0, Some(1));
    // Who says nothing or nonsense does not keep others from an answer for long.
    let silent = UnixStream::connect(&socket).expect("it listens");
    let begin = Instant::now();
    for request in [&b"stats now\n"[..], b"\n", b"\xff\n", &[b'a'; 10_000]] {
        let answer = answer(&socket, request);
        assert!(answer.starts_with("{\"error\":") || answer.is_empty(), "{answer}");
    }
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    drop(silent);
    // A second run does not take its socket away.
    let other = ["-i", "lo", "--capture", "packet", "-o", "json:/dev/null", "--control"];
    let second = support::flowprobe().args(other).arg(&socket).output().expect("it starts");
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(second.status.code() == Some(1) && said.contains("another program"), "{said}");
    assert_eq!(ctl(&socket, &["stats"]).0, Some(0));
    assert_eq!(probe.stop().status, 0);
    assert!(!socket.exists());
    let (status, said) = ctl(&socket, &["stats"]);
    assert!(status == Some(1) && said.contains("is it the --control of the run?"), "{said}");
}

#[test]
fn a_socket_that_a_run_left_is_replaced_and_a_file_is_not() {
    let Some(network) = Network::new(Links::default()) else { return };
    let folder = support::scratch();
    let [socket, settings] = ["control", "flowprobe.toml"].map(|name| folder.path().join(name));
    let text = format!("control = \"{}\"\noutput = \"json:/dev/null\"\n", socket.display());
    fs::write(&settings, text).expect("the folder is ours");
    Probe::configured(&network, &settings, &[METHODS[1]]).kill();
    assert!(socket.exists());
    let probe = Probe::configured(&network, &settings, &[METHODS[1]]);
    assert_eq!(ctl(&socket, &["stats"]).0, Some(0));
    assert_eq!(probe.stop().status, 0);
    fs::write(&socket, "mine").expect("the folder is ours");
    let lo = ["-i", "lo", "--capture", "packet", "-o", "json:/dev/null", "--control"];
    let output = support::flowprobe().args(lo).arg(&socket).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains("it is a file"), "{said}");
    assert_eq!(fs::read(&socket).expect("it is there"), b"mine");
}
