//! Totals, for people and for programs, whatever else is said.

use serde_json::Value;

use crate::signals::stalled;
use crate::support::capture::pcap;
use crate::support::{self, flowprobe, run, scratch, write};
use crate::{FAILED, USAGE, datagram, wait_until};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// 2024-01-01 00:00:00.
const NEW_YEAR_MS: u64 = 1_704_067_200_000;

#[test]
fn totals_say_the_first_and_the_last_packet_time() {
    let folder = scratch();
    let packets = [datagram(1, NEW_YEAR_MS), datagram(2, NEW_YEAR_MS + DAY_MS + 7)];
    let path = write(&folder, "a.pcap", &pcap(&packets));
    let output = flowprobe().arg("-r").arg(&path).output().unwrap();
    let [table, totals] = [output.stdout, output.stderr].map(|it| String::from_utf8(it).unwrap());
    let period = "period   2024-01-01 00:00:00.000 to 2024-01-02 00:00:00.007 UTC (1 d 0 h)";
    assert!(totals.contains(period), "{totals}");
    // Times of two days have dates.
    for start in ["2024-01-01 00:00:00.000", "2024-01-02 00:00:00.007"] {
        assert!(table.contains(start), "{table}");
    }
    for workers in ["1", "2"] {
        let run = run(["-r", path.to_str().unwrap(), "--workers", workers, "-o", "json:-"]);
        assert_eq!(run.stats["first_packet"], "2024-01-01T00:00:00.000Z");
        assert_eq!(run.stats["last_packet"], "2024-01-02T00:00:00.007Z");
    }
    let nothing = run(["-r", write(&folder, "0.pcap", &pcap(&[])).to_str().unwrap()]);
    assert_eq!(nothing.stats["first_packet"], Value::Null);
}

#[test]
fn totals_can_be_alone_in_a_file() {
    let folder = scratch();
    let mut damaged = pcap(&[datagram(1, NEW_YEAR_MS), datagram(2, NEW_YEAR_MS)]);
    damaged.truncate(damaged.len() - 3);
    let path = write(&folder, "a.pcap", &damaged);
    let path = path.to_str().unwrap();
    let stats = folder.path().join("stats.json");
    let form = format!("json:{}", stats.display());
    for output in ["json:/dev/null", "json:-"] {
        let output = flowprobe().args(["-r", path, "-o", output, "--stats", &form]).output();
        let output = output.unwrap();
        assert_eq!(output.status.code(), Some(FAILED), "the file is damaged");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains("a.pcap") && !stderr.contains('{'), "{stderr}");
        let text = std::fs::read_to_string(&stats).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        let stats: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(stats["received"]["packets"], 1);
    }
    // On standard output, where nothing else may be.
    let output = ["-o", "json:/dev/null", "--stats", "json:-"];
    let output = flowprobe().args(["-r", path]).args(output).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    let stats: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(stats["received"]["packets"], 1);
    for (other, said) in [(&["-o", "json:-"][..], "output json:-: "), (&[], "--output")] {
        let output = flowprobe().args(["-r", path, "--stats", "json:-"]).args(other).output();
        let output = output.unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(USAGE) && stderr.contains(said), "{stderr}");
    }
    let status = |stats: &str| {
        let output = flowprobe().args(["-r", path, "--stats", stats]).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, stderr) = status("json:/nonexistent/x");
    assert!(code == Some(FAILED) && stderr.contains("json:/nonexistent/x: "), "{stderr}");
    let (code, stderr) = status(&format!("json:{path}"));
    assert!(code == Some(USAGE) && stderr.contains("is read"), "{stderr}");
    for form in ["xml", "json:", "text:x"] {
        let (code, stderr) = status(form);
        assert!(code == Some(USAGE) && stderr.contains("text, json or json:FILE"), "{stderr}");
    }
    let (code, _) = status("json:/dev/full");
    assert_eq!(code, Some(FAILED), "totals could not be written");
}

/// As programs read them: `flowprobe --stats json 2> stats`.
#[test]
fn totals_are_alone_on_standard_error() {
    let folder = scratch();
    let mut damaged = pcap(&[datagram(1, NEW_YEAR_MS), datagram(2, NEW_YEAR_MS)]);
    damaged.truncate(damaged.len() - 3);
    let path = write(&folder, "a.pcap", &damaged);
    let refused = "ipfix://127.0.0.1:1?wait=1s";
    for output in ["json:-", "json:/dev/null", "json:/dev/full", refused] {
        let arguments = ["-o", output, "--stats", "json", "--ifindex", "eth9=9"];
        let output = flowprobe().arg("-r").arg(&path).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(FAILED), "the file is damaged");
        let stats = only_line(&output.stderr);
        assert_eq!(stats["received"]["packets"], 1);
        // Messages are in it, in their order.
        let messages = stats["messages"].as_array().unwrap();
        let has = |words: &str| messages.iter().any(|it| it.as_str().unwrap().contains(words));
        assert!(has("warning: --ifindex eth9") && has("error: ") && has("a.pcap"), "{stats}");
    }
}

/// A run that fails before it reads anything, or that a signal ends before, has a line too.
#[test]
fn failures_at_the_start_are_in_totals_of_nothing() {
    let folder = scratch();
    let capture = write(&folder, "a.pcap", &pcap(&[datagram(1, NEW_YEAR_MS)]));
    let capture = capture.to_str().unwrap();
    let cases: [(&[&str], &str); 7] = [
        (&["-r", capture, "-o", "json:/nonexistent/x"], "/nonexistent/x"),
        (&["-r", capture, "-o", "ipfix+tcp://127.0.0.1:1?wait=1s"], "given up after 1 s"),
        (&["-r", capture, "-o", "ipfix://no-such-host.invalid?wait=1s"], "no-such-host.invalid"),
        (&["-r", capture, "--geo", "/nonexistent"], "/nonexistent"),
        (&["-r", capture, "--networks", capture, "--quiet"], capture),
        (&["-i", "none7"], "none7"),
        (&["-i", "none7", "-o", "json:/nonexistent/x"], "/nonexistent/x"),
    ];
    for (arguments, said) in cases {
        let output = flowprobe().args(arguments).args(["--stats", "json"]).output().unwrap();
        assert_eq!(output.status.code(), Some(FAILED), "{arguments:?}");
        let stats = only_line(&output.stderr);
        assert_eq!(stats["received"]["packets"], 0, "{stats}");
        let messages = stats["messages"].as_array().unwrap().iter().map(|it| it.as_str().unwrap());
        let errors: Vec<_> = messages.filter(|message| message.starts_with("error: ")).collect();
        assert!(!errors.is_empty() && errors[0].contains(said), "{stats}");
    }
}

#[test]
fn signal_at_the_start_is_in_totals_of_nothing() {
    // Nobody opens the other end.
    let folder = scratch();
    let fifo = folder.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let fifo = format!("json:{}", fifo.display());
    let child = crate::start(&["-r", "/dev/null", "-o", &fifo]);
    wait_until("it is stalled", || stalled(&child));
    support::signal(child.id(), nix::sys::signal::Signal::SIGTERM).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(FAILED));
    let stats = only_line(&output.stderr);
    assert!(stats["interrupted"] == true && stats["messages"].is_array(), "{stats}");
}

fn only_line(stderr: &[u8]) -> Value {
    let stderr = std::str::from_utf8(stderr).unwrap();
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    serde_json::from_str(stderr).unwrap()
}

#[test]
fn an_old_file_of_totals_stays_until_there_are_new_ones() {
    let folder = scratch();
    let capture = write(&folder, "a.pcap", &pcap(&[datagram(1, NEW_YEAR_MS)]));
    let stats = write(&folder, "stats.json", b"old\n");
    let form = format!("json:{}", stats.display());
    for (output, lines) in [("json:/nonexistent/x", "old\n"), ("json:/dev/null", "{")] {
        let arguments = ["-o", output, "--stats", &form];
        flowprobe().arg("-r").arg(&capture).args(arguments).output().unwrap();
        let text = std::fs::read_to_string(&stats).unwrap();
        assert!(text.starts_with(lines) && text.lines().count() == 1, "{text}");
    }
}

/// Checks that no thing is "1 things".
fn check_singular(text: &str) {
    let words: Vec<_> = text.split_whitespace().collect();
    for pair in words.windows(2) {
        let noun = pair[1].trim_end_matches(|character: char| !character.is_alphanumeric());
        let is_plural = noun.ends_with('s') && !["s", "ms", "was", "is", "this"].contains(&noun);
        assert!(pair[0].trim_start_matches('(') != "1" || !is_plural, "{pair:?} in\n{text}");
    }
}

#[test]
fn one_thing_is_singular() {
    let folder = scratch();
    let one = pcap(&[datagram(1, NEW_YEAR_MS)]);
    let damaged = pcap(&[datagram(1, NEW_YEAR_MS), datagram(2, NEW_YEAR_MS)]);
    let mut unsupported = one.clone();
    unsupported[20..24].copy_from_slice(&147_u32.to_le_bytes());
    let said = |name: &str, octets: &[u8], settings: &[&str]| {
        let path = write(&folder, name, octets);
        let output = flowprobe().arg("-r").arg(path).args(settings).output().unwrap();
        let [table, said] = [output.stdout, output.stderr].map(|it| String::from_utf8(it).unwrap());
        check_singular(&said);
        check_singular(&table);
        table + &said
    };
    let text = said("one", &one, &["--tags", "on", "-o", "json:/dev/null"]);
    assert!(text.contains("flows    1 record (1 end of input)"), "{text}");
    assert!(text.contains("json:/dev/null: 1 record sent in 1 message, "), "{text}");
    let text = said("two", &pcap(&[datagram(1, 0), datagram(2, 0)]), &["--top", "1"]);
    assert!(text.contains("and 1 smaller flow\n"), "{text}");
    let text = said("damaged", &damaged[..damaged.len() - 3], &[]);
    assert!(text.contains("; the packet before is counted\n"), "{text}");
    assert!(text.contains("note     1 file could not be read to its end"), "{text}");
    let text = said("unsupported", &unsupported, &[]);
    assert!(text.contains("1 frame ignored: link type"), "{text}");
    let text = said("full", &one, &["-o", "json:/dev/full"]);
    assert!(text.contains(", 1 record LOST"), "{text}");
    let text = said("table", &one, &["--max-flows", "1000M", "--workers", "1"]);
    assert!(!text.contains("1 workers"), "{text}");
}
