//! What who tries the program for the first time is told: short help, and what was meant.

use std::process::Output;

use crate::support::{flowprobe, scratch, write};
use crate::usage::configured;
use crate::{DONE, USAGE};

fn run(arguments: &[&str]) -> Output {
    flowprobe().args(arguments).env("COLUMNS", "100").output().unwrap()
}

fn text(octets: Vec<u8>) -> String {
    String::from_utf8(octets).unwrap()
}

/// Checks that a command line is refused in a sentence that has these words.
fn check(arguments: &[&str], words: &str) {
    let output = run(arguments);
    let stderr = text(output.stderr);
    assert_eq!(output.status.code(), Some(USAGE), "{arguments:?}: {stderr}");
    assert!(stderr.starts_with("error: ") && stderr.contains(words), "{arguments:?}: {stderr}");
}

#[test]
fn without_words_there_is_a_summary() {
    for (arguments, commands) in [
        (&[][..], &["-r FILE", "-i IFACE -o ", "collect", "doctor", "--help"][..]),
        (&["collect"], &["collect -l ", "collect -r FILE", "collect --help"]),
    ] {
        let output = run(arguments);
        let stderr = text(output.stderr);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(USAGE), 0), "{stderr}");
        assert!(stderr.contains("\n\nUsage: flowprobe") && stderr.lines().count() < 14, "{stderr}");
        assert!(stderr.lines().all(|line| line.chars().count() <= 80), "{stderr}");
        for command in commands {
            assert!(stderr.contains(command), "no {command}: {stderr}");
        }
    }
}

#[test]
fn short_help_has_a_line_for_each_setting() {
    for command in [&[][..], &["collect"]] {
        let [short, long] = ["-h", "--help"].map(|word| {
            let output = run(&[command, &[word]].concat());
            assert_eq!(output.status.code(), Some(DONE));
            text(output.stdout)
        });
        let (settings, _) = short.split_once("\nOutputs: ").unwrap();
        for line in settings.lines() {
            let is_heading = line.is_empty() || line.ends_with(':') || line.starts_with("Usage: ");
            let is_setting = line.starts_with("  ") && !line.starts_with("       ");
            assert!(is_heading || is_setting, "{line:?} is no line of its own in {short}");
            assert!(line.chars().count() <= 100, "{line}");
        }
        let names = |help: &str| {
            let begins = |line: &&str| line.starts_with("  -") || line.starts_with("      --");
            let lines = help.lines().filter(begins);
            let names = lines.filter_map(|line| line.split("--").nth(1)?.split([' ', '<']).next());
            names.map(str::to_owned).collect::<Vec<_>>()
        };
        let (short_names, long_names) = (names(settings), names(&long));
        // The collector's settings are in the help of its command.
        let of_collector = long.split_once("\nCollection:\n").map(|(_, after)| names(after));
        let of_collector = of_collector.filter(|_| command.is_empty()).unwrap_or_default();
        let is_there = |name: &&String| short_names.contains(name) || of_collector.contains(name);
        let missing: Vec<_> = long_names.iter().filter(|name| !is_there(name)).collect();
        assert!(missing.is_empty() && short_names.len() > 30, "{missing:?} is not in {short}");
    }
}

#[test]
fn a_capture_file_or_a_list_is_no_interface() {
    let folder = scratch();
    let path = write(&folder, "dump", b"no capture");
    check(&["-i", "trace.pcap"], "-r trace.pcap reads a capture file");
    check(&["-i", "a.pcapng.zst"], "-r a.pcapng.zst reads a capture file");
    let path = path.to_str().unwrap();
    check(&["-i", path], &format!("-r {path} reads a capture file"));
    check(&["-i", "eth1,eth2"], "several interfaces are -i eth1 -i eth2");
    let (status, _, stderr) = configured("interface = \"eth1,eth2\"\n", &[]);
    assert_eq!(status, Some(USAGE), "{stderr}");
    assert!(stderr.contains("toml:1: interface = \"eth1,eth2\": several interfaces"), "{stderr}");
    // A file in this folder has the name.
    let mut command = flowprobe();
    let output = command.args(["-i", "dump"]).current_dir(&folder).output().unwrap();
    let stderr = text(output.stderr);
    assert!(stderr.contains("interface dump: no such device"), "{stderr}");
    assert!(stderr.contains("; -r dump reads a capture file; --wait"), "{stderr}");
}

#[test]
fn an_output_without_a_scheme_has_a_tip() {
    check(&["-r", "a.pcap", "-o", "flows.json"], "; perhaps json:flows.json; ");
    let elastic = "; perhaps elastic+http://localhost:9200; ";
    check(&["elastic", "check", "http://localhost:9200"], elastic);
    check(&["elastic", "setup", "http://localhost:9200"], elastic);
    let stderr = text(run(&["elastic", "check", "json:x"]).stderr);
    assert!(stderr.contains("a cluster is written as with -o: elastic+http://HOST"), "{stderr}");
    let user = ["elastic", "check", "elastic+http://me@h"];
    check(&user, "write HOST?user=NAME&password-file=FILE");
}

#[test]
fn a_number_without_a_unit_has_a_tip() {
    check(&["-r", "a.pcap", "--idle-timeout", "60"], "such as 15s or 2min; 60 has no unit: 60s?");
    let protocol = ["-r", "a.pcap", "--protocol-timeout", "udp=30"];
    check(&protocol, "30 has no unit: 30s?");
    check(&["-i", "lo", "--stats-interval", "5"], "5 has no unit: 5s?");
    let retention = ["elastic", "setup", "elastic+http://h", "--retention", "30"];
    check(&retention, "30 has no unit: 30d?");
    let (status, _, stderr) = configured("idle-timeout = 60\n", &["-r", "a.pcap"]);
    assert_eq!(status, Some(USAGE), "{stderr}");
    assert!(stderr.contains("60 has no unit: 60s?"), "{stderr}");
}

#[test]
fn a_misspelled_setting_of_a_file_has_the_nearest_one() {
    for (name, meant) in [
        ("idle-timout", "idle-timeout"),
        ("idle_timeout", "idle-timeout"),
        ("active-timeot", "active-timeout"),
        ("interfaces", "interface"),
        ("max-flow", "max-flows"),
        ("outputs", "output"),
        ("colect", ""),
        ("bogus", ""),
        ("burts", ""),
    ] {
        let (status, _, stderr) = configured(&format!("{name} = 1\n"), &["-r", "a.pcap"]);
        assert_eq!(status, Some(USAGE), "{stderr}");
        let line = stderr.lines().find(|line| line.contains("there is no setting")).unwrap();
        let tip = if meant.is_empty() { String::new() } else { format!("; perhaps {meant}") };
        assert!(line.ends_with(&format!("there is no setting {name}{tip}")), "{stderr}");
    }
}
