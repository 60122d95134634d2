//! Collectors over UDP that are not there.

use std::net::UdpSocket;

use crate::support::run_with_input;
use crate::{FAILED, assert_given_up, many_flows};

const SCHEMES: [&str; 3] = ["netflow5", "netflow9", "ipfix"];

/// A port of this host on which nobody listens.
fn unused_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn port_on_which_nobody_listens_fails_the_run() {
    for scheme in SCHEMES {
        for flows in [1, 5, 5000] {
            for pace in ["0", "1000000"] {
                let url = format!("{scheme}://127.0.0.1:{}?pps={pace}", unused_port());
                let run = run_with_input(["-r", "-", "-o", &url], &many_flows(flows));
                run.assert_conservation();
                assert_eq!(run.status, FAILED, "{url}, {flows}: {}", run.stderr);
                // On this host the refusal comes at once, so it is known of every datagram.
                assert_eq!(run.count("outputs.0.sent.records"), 0, "{url}, {flows}");
                assert_eq!(run.count("outputs.0.failed.records"), u64::from(flows), "{url}");
                assert!(run.stderr.contains("warning: "), "{}", run.stderr);
                // Once, not once for each datagram.
                assert_eq!(run.stderr.lines().count(), 2, "{}", run.stderr);
            }
        }
        let url = format!("{scheme}://127.0.0.1:{}", unused_port());
        let arguments = ["-r", "-", "-o", &url, "-o", "json:-", "--fail-on-loss"];
        let run = run_with_input(arguments, &many_flows(5));
        assert_eq!((run.status, run.flows().len()), (3, 5), "{url}: {}", run.stderr);
    }
}

#[test]
fn name_that_does_not_resolve_is_waited_for_and_then_an_error() {
    for scheme in SCHEMES.into_iter().chain(["ipfix+tcp", "ipfix+tls"]) {
        let url = format!("{scheme}://no-such-host.invalid");
        let run = run_with_input(["-r", "-", "-o", &format!("{url}?wait=1s")], &many_flows(1));
        assert_given_up(&run, &[&url, "no-such-host.invalid: ", "given up after 1 s"]);
    }
}

#[test]
fn collector_without_a_route_is_waited_for_and_then_an_error() {
    for scheme in SCHEMES {
        // No socket can have this source.
        let url = format!("{scheme}://127.0.0.1");
        let source = format!("{url}?source=192.0.2.1&wait=1s");
        let run = run_with_input(["-r", "-", "-o", &source], &many_flows(1));
        let why = "127.0.0.1:2055: source=192.0.2.1: cannot assign requested address";
        let why = if scheme == "ipfix" { why.replace("2055", "4739") } else { why.to_owned() };
        assert_given_up(&run, &[&url, &why, "given up after 1 s"]);
    }
}

#[test]
fn failure_of_one_output_at_the_start_is_a_failure_of_all() {
    let arguments = ["-r", "-", "-o", "json:-", "-o", "ipfix://no-such-host.invalid?wait=1s"];
    let run = run_with_input(arguments, &many_flows(1));
    assert_given_up(&run, &["no-such-host.invalid"]);
    assert!(run.stdout.is_empty());
}
