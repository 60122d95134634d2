//! How problems are worded, whatever they are.

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
