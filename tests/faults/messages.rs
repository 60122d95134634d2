//! How problems are worded, whatever they are.

use std::fs;
use std::os::unix::fs::MetadataExt;

use serde_json::Value;

use crate::support::capture::pcap;
use crate::support::{run_with_input, scratch, write};
use crate::{datagram, many_flows};

/// Checks that what is said is for people: no number of an error, which is Rust's way, and no
/// line without anything on it.
fn check(arguments: &[&str]) {
    let run = run_with_input(arguments, &many_flows(1));
    assert_ne!(run.status, 0);
    assert!(!run.stderr.contains("(os error"), "{arguments:?}: {}", run.stderr);
    assert!(!run.stderr.contains("\n\n\n"), "{arguments:?}: {}", run.stderr);
}

#[test]
fn problems_of_the_system_are_told_in_its_words() {
    let folder = scratch();
    let path = write(&folder, "one.pcap", &pcap(&[datagram(1, 1)]));
    let (path, directory) = (path.to_str().unwrap(), folder.path().to_str().unwrap());
    check(&["-r", "/nonexistent"]);
    let empty = scratch();
    check(&["-r", empty.path().to_str().unwrap()]);
    check(&["-r", path, "-r", "/nonexistent"]);
    check(&["-r", path, "-o", "json:/nonexistent/x"]);
    check(&["-r", path, "-o", "json:/dev/full"]);
    check(&["-r", path, "-o", &format!("ipfix-file:{directory}")]);
    check(&["-r", path, "-o", "ipfix://no-such-host.invalid?wait=1s"]);
    check(&["-r", path, "-o", "ipfix+tcp://127.0.0.1:1?wait=1s"]);
    check(&["-r", path, "-o", "ipfix+tls://127.0.0.1:1?wait=1s"]);
}

#[test]
fn problems_of_configuration_files_are_told_in_the_words_of_the_system() {
    let folder = scratch();
    let directory = folder.path().to_str().unwrap();
    let wrong = write(&folder, "wrong.toml", b"bogus = 1");
    check(&["--config", "/nonexistent.toml"]);
    check(&["--config", directory]);
    check(&["--config", wrong.to_str().unwrap()]);
}

#[test]
fn problems_of_standard_output_are_told_in_the_words_of_the_system() {
    let folder = scratch();
    let path = write(&folder, "one.pcap", &pcap(&[datagram(1, 1)]));
    let output = std::process::Command::new("sh")
        .args(["-c", "exec \"$0\" -r \"$1\" > /dev/full"])
        .arg(crate::support::flowprobe().get_program())
        .arg(path)
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("standard output"), "{stderr}");
    assert!(!stderr.contains("(os error"), "{stderr}");
}

/// What a run writes to standard error.
fn stderr(arguments: &[&str]) -> String {
    let output = crate::support::flowprobe().args(arguments).output().unwrap();
    String::from_utf8(output.stderr).unwrap()
}

/// Each line is one of JSON for itself; what it has.
fn lines(stderr: &str) -> Vec<Value> {
    let lines = stderr.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().unwrap_or_else(|error| panic!("{error}: {stderr}"))
}

#[test]
fn messages_and_totals_can_be_lines_of_json() {
    let folder = scratch();
    let path = write(&folder, "one.pcap", &pcap(&[datagram(1, 1)]));
    let path = path.to_str().unwrap();
    for stats in ["text", "json"] {
        let arguments = ["-r", path, "-o", "json:/dev/null", "--log-format", "json"];
        let said = lines(&stderr(&[&arguments[..], &["--stats", stats]].concat()));
        let [totals] = said.as_slice() else { panic!("{said:?}") };
        assert_eq!(totals["flowprobe"]["statistics"]["metered"]["packets"], 1);
        assert_eq!(totals["log.level"], "info");
        let quiet = stderr(&[&arguments[..], &["--stats", stats, "--quiet"]].concat());
        assert_eq!(lines(&quiet).len(), usize::from(stats == "json"));
    }
    let said = lines(&stderr(&["-r", "/nonexistent", "--log-format", "json"]));
    let [error, totals] = said.as_slice() else { panic!("{said:?}") };
    assert_eq!(error["log.level"], "error");
    assert!(error["message"].as_str().unwrap().contains("/nonexistent"), "{error}");
    let time = error["@timestamp"].as_str().unwrap();
    assert!(time.len() == "2026-03-10T09:30:00.087Z".len() && time.ends_with('Z'), "{time}");
    assert_eq!(totals["message"], "totals");
    // Settings that contradict each other are said in this form too.
    let said = lines(&stderr(&["-r", path, "--wait", "--log-format", "json"]));
    assert!(said.iter().all(|line| line["log.level"] == "error"), "{said:?}");
}

#[test]
fn messages_in_the_journal_have_priorities() {
    let folder = scratch();
    let log = folder.path().join("log");
    for (format, expected) in [("text", "<3>error: "), ("json", "<3>{")] {
        let file = fs::File::create(&log).unwrap();
        let metadata = file.metadata().unwrap();
        let mut command = crate::support::flowprobe();
        command.args(["-r", "/nonexistent", "--log-format", format, "--quiet"]).stderr(file);
        // As for the stream of a service to the journal.
        let stream = format!("{}:{}", metadata.dev(), metadata.ino());
        command.env("JOURNAL_STREAM", stream).status().unwrap();
        let said = fs::read_to_string(&log).unwrap();
        assert!(said.starts_with(expected), "{said}");
        // Another stream is none of the program's.
        let file = fs::File::create(&log).unwrap();
        command.stderr(file).env("JOURNAL_STREAM", "1:1").status().unwrap();
        assert!(!fs::read_to_string(&log).unwrap().contains('<'), "{said}");
    }
}
