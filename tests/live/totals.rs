//! Totals of a live run on standard error.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::changes::program;
use crate::ends::frames;
use crate::probe::{METHODS, PATIENT, Probe};
use crate::support;
use crate::support::net::{Host, Links, Network};

const JSON: &[&str] = &["--stats", "json"];

/// All that is on standard error, line by line.
fn lines(said: &str) -> Vec<Value> {
    let lines = said.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().unwrap_or_else(|problem| panic!("{problem}: {said}"))
}

fn messages(lines: &[Value]) -> Vec<String> {
    let messages = lines.iter().flat_map(|line| line["messages"].as_array().expect("messages"));
    messages.map(|message| message.as_str().unwrap().to_owned()).collect()
}

#[test]
fn json_is_alone_on_standard_error_whatever_is_said() {
    for method in METHODS {
        let Some(network) = Network::beside(Links { count: 2, ..Links::default() }) else { return };
        let folder = support::scratch();
        let file = support::write(&folder, "some.pcap", &frames(100));
        let interfaces = ["rx0", "rx1", "rx9"];
        let settings = [method, &PATIENT, JSON, &["--stats-interval", "1h"]];
        let mut probe = Probe::capture_by(program(&network), &interfaces, &settings);
        probe.wait_until("it captures", |probe| probe.messages().contains("rx1: AF_"));
        network.send_file("tx0", &file, &[]);
        network.ip(Host::Probe, &["link", "del", "rx1"]);
        // Nobody waits for an interval to learn that.
        let begin = Instant::now();
        probe.wait_until("it says so", |probe| probe.messages().contains("rx1 is gone"));
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
        probe.signal(Signal::SIGUSR1);
        probe.signal(Signal::SIGTERM);
        let said = probe.wait_for_text();
        let lines = lines(&said);
        let messages = messages(&lines);
        for part in ["warning: cannot find interface rx9", "rx0: AF_", "warning: rx1 is gone"] {
            assert!(messages.iter().any(|message| message.starts_with(part)), "{messages:?}");
        }
        let last = lines.last().unwrap();
        assert_eq!(last["received"]["packets"], 100, "{last}");
        assert!(lines.len() <= messages.len() + 2, "a line only for what is said: {said}");
    }
}

/// The reason of a bad end is in the last line.
#[test]
fn json_of_a_run_that_fails_has_the_reason() {
    for method in METHODS {
        let Some(network) = Network::beside(Links::default()) else { return };
        let mut probe = Probe::capture_by(program(&network), &["rx0"], &[method, JSON]);
        probe.wait_until("it captures", |probe| probe.messages().contains("rx0: AF_"));
        network.ip(Host::Probe, &["link", "del", "rx0"]);
        let said = probe.wait_for_text();
        let lines = lines(&said);
        let last = messages(&lines[lines.len() - 1..]);
        assert!(last.contains(&"error: no interface is left to capture from".to_owned()), "{said}");
    }
}
