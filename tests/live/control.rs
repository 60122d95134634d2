//! `flowprobe ctl` and the socket of a run.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::ends::frames;
use crate::probe::{METHODS, PATIENT, Probe};
use crate::support::net::{Links, Network};
use crate::support::{self, ctl};

/// Waits until a run has its socket: it opens it after its interfaces.
fn listens(socket: &Path) {
    let end = Instant::now() + Duration::from_secs(10);
    while UnixStream::connect(socket).is_err() {
        assert!(Instant::now() < end, "{} does not listen", socket.display());
        thread::sleep(Duration::from_millis(20));
    }
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
    let Some(network) = Network::beside(Links::default()) else { return };
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
    listens(&socket);
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
fn flows_in_the_table_are_shown_and_ended() {
    let Some(network) = Network::beside(Links::default()) else { return };
    let folder = support::scratch();
    let socket = folder.path().join("control");
    let ten = support::write(&folder, "ten.pcap", &frames(10));
    let control = socket.display().to_string();
    let settings: [&[&str]; 3] = [METHODS[1], &PATIENT, &["--control", &control]];
    let mut probe = Probe::capture(&network, &["rx0"], &settings);
    listens(&socket);
    network.send_file("tx0", &ten, &[]);
    network.send_file("tx0", &ten, &[]);
    let shown = |words: &[&str]| {
        let (status, said) = ctl(&socket, &[&["flows", "--json"], words].concat());
        assert_eq!(status, Some(0), "{said}");
        serde_json::from_str::<Value>(&said).expect("a line of JSON")
    };
    let mut matched = 0;
    probe.wait_until("the flows are in the table", |_| {
        let answer = shown(&["--sort", "packets", "--limit", "3"]);
        matched = answer["matched"].as_u64().expect("a count");
        let flows = answer["flows"].as_array().expect("a list");
        matched == 10 && flows.len() == 3 && flows.iter().all(|flow| flow["packets"] == 2)
    });
    let first = shown(&[])["flows"][0].clone();
    let source = first["source"].as_str().expect("an address");
    assert_eq!(shown(&["--source", source])["matched"], 1);
    assert_eq!(shown(&["--protocol", "250"])["matched"], 0);
    let (_, said) = ctl(&socket, &["flows", "--host", "0.0.0.0/0"]);
    assert!(said.ends_with("\n10 of 10 flows shown; times are in UTC\n"), "{said}");
    assert!(said.lines().all(|line| line.chars().count() <= 80), "{said}");
    // One, and then all. Each leaves once.
    let one = ctl(&socket, &["expire", "--source", source]);
    assert_eq!(one, (Some(0), "1 flow ended; its record goes to the outputs\n".to_owned()));
    assert_eq!(ctl(&socket, &["expire"]).0, Some(1));
    let others = ctl(&socket, &["expire", "--all"]);
    let expected = "9 flows ended; their records go to the outputs\n";
    assert_eq!(others, (Some(0), expected.to_owned()));
    assert_eq!(shown(&[])["matched"], 0);
    assert_eq!(ctl(&socket, &["flows", "--sort", "age"]).0, Some(1));
    let run = probe.stop();
    assert_eq!((run.status, run.count("ended.forced.records")), (0, 10), "{}", run.stats);
}

#[test]
fn an_output_is_paused_and_goes_on() {
    let Some(network) = Network::beside(Links::default()) else { return };
    let folder = support::scratch();
    let [socket, settings] = ["control", "flowprobe.toml"].map(|name| folder.path().join(name));
    let [one, other] =
        ["one", "other"].map(|name| format!("json:{}/{name}", folder.path().display()));
    let text = format!(
        "control = \"{}\"\noutput = [\"{one}\", \"{other}\"]\nidle-timeout = \"1h\"\n",
        socket.display()
    );
    fs::write(&settings, text).expect("the folder is ours");
    let ten = support::write(&folder, "ten.pcap", &frames(10));
    let mut probe = Probe::configured(&network, &settings, &[METHODS[1]]);
    listens(&socket);
    let mut round = |sent: [u64; 2]| {
        network.send_file("tx0", &ten, &[]);
        let mut ended = 0;
        probe.wait_until("the flows have ended", |_| {
            let (_, said) = ctl(&socket, &["expire", "--all"]);
            ended += said.split(' ').next().and_then(|it| it.parse().ok()).unwrap_or(0);
            ended == 10
        });
        probe.wait_until("their records are sent", |_| {
            let said = ctl(&socket, &["outputs"]).1;
            let is_there = |(name, sent): (&String, u64)| {
                said.lines().any(|it| {
                    it.starts_with(name.as_str()) && it.contains(&format!(", {sent} records sent"))
                })
            };
            [&one, &other].into_iter().zip(sent).all(is_there)
        });
    };
    round([10, 10]);
    assert_eq!(ctl(&socket, &["pause", &one]), (Some(0), format!("{one}: paused\n")));
    round([10, 20]);
    assert!(ctl(&socket, &["outputs"]).1.contains("/one: paused, 10 records sent"));
    assert_eq!(ctl(&socket, &["resume", &one]), (Some(0), format!("{one}: sends again\n")));
    round([20, 30]);
    let (status, said) = ctl(&socket, &["pause", "json:nowhere"]);
    assert!(status == Some(1) && said.contains("is no output of this run"), "{said}");
    let run = probe.stop();
    let absent = &run.stats["outputs"][0]["absent"]["records"];
    assert!(run.status == 0 && *absent == 10, "{}", run.stats);
}

#[test]
fn a_socket_that_a_run_left_is_replaced_and_a_file_is_not() {
    let Some(network) = Network::beside(Links::default()) else { return };
    let folder = support::scratch();
    let [socket, settings] = ["control", "flowprobe.toml"].map(|name| folder.path().join(name));
    let text = format!("control = \"{}\"\noutput = \"json:/dev/null\"\n", socket.display());
    fs::write(&settings, text).expect("the folder is ours");
    let killed = Probe::configured(&network, &settings, &[METHODS[1]]);
    listens(&socket);
    killed.kill();
    assert!(socket.exists());
    let probe = Probe::configured(&network, &settings, &[METHODS[1]]);
    listens(&socket);
    assert_eq!(ctl(&socket, &["stats"]).0, Some(0));
    assert_eq!(probe.stop().status, 0);
    fs::write(&socket, "mine").expect("the folder is ours");
    let lo = ["-i", "lo", "--capture", "packet", "-o", "json:/dev/null", "--control"];
    let output = support::flowprobe().args(lo).arg(&socket).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains("it is a file"), "{said}");
    assert_eq!(fs::read(&socket).expect("it is there"), b"mine");
}
