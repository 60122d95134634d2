//! Our own exports over real sockets: what is collected is what the replay says, whatever carries
//! it, over the sample and over real captures.

use std::path::{Path, PathBuf};

use crate::connections::certificates;
use crate::round_trip::{compare, fitting_captures};
use crate::sockets::{end, listen};
use crate::support;

/// Replays a file to a listener. Compares the documents of both.
fn check(file: &Path, scheme: &str, [listener, settings]: [&str; 2]) {
    let (probe, addresses) = listen(&[listener], &[]);
    let output = format!("{scheme}://{}{settings}", addresses[0]);
    let sent = support::run(["-r", file.to_str().unwrap(), "-o", "json:-", "-o", &output]);
    assert_eq!(sent.status, 0, "{}", sent.stderr);
    let run = end(probe, sent.count("outputs.1.messages"), 0);
    compare(scheme, &file.display().to_string(), sent.documents(), &run);
}

fn check_connections(files: &[PathBuf]) {
    let (_folder, [ca, certificate, key, ..]) = certificates();
    let [ca, certificate, key] = [ca, certificate, key].map(|path| path.display().to_string());
    let listener = format!("ipfix+tls://127.0.0.1:0?cert={certificate}&key={key}");
    for file in files {
        check(file, "ipfix+tcp", ["ipfix+tcp://127.0.0.1:0", ""]);
        check(file, "ipfix+tls", [&listener, &format!("?ca={ca}")]);
    }
}

fn check_datagrams(files: &[PathBuf]) {
    for file in files {
        for scheme in ["ipfix", "netflow9", "netflow5"] {
            check(file, scheme, ["flow://127.0.0.1:0", "?pps=2000"]);
        }
    }
}

#[test]
fn the_sample_is_the_same_over_udp_tcp_and_tls() {
    check_datagrams(&[support::office()]);
    check_connections(&[support::office()]);
}

#[test]
fn real_captures_are_the_same_over_udp_tcp_and_tls() {
    let captures = fitting_captures();
    check_datagrams(&captures);
    check_connections(&captures);
}
