//! SIGHUP: from who moves files away, and from a terminal that goes.

use std::fs::{self, OpenOptions};
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::ends::frames;
use crate::probe::{METHODS, PATIENT, Probe};
use crate::support::flows::{Flow, flows};
use crate::support::net::{Host, Links, Network};
use crate::support::{self, ipfix};

/// The flows of a file of documents, but for a document that is half written.
fn written(path: &Path) -> Vec<Flow> {
    let octets = fs::read(path).unwrap_or_default();
    let whole = octets.iter().rposition(|&octet| octet == b'\n').map_or(0, |end| end + 1);
    flows(&octets[..whole])
}

/// Starts it without a controlling terminal, as a service manager does.
pub fn start(network: &Network, settings: &[&[&str]]) -> Probe {
    let mut command = network.command(Host::Probe, "setsid");
    command.arg(support::flowprobe().get_program());
    let mut probe = Probe::capture_by(command, &["rx0"], settings);
    probe.wait_until("it captures", |probe| probe.messages().contains("rx0: "));
    probe
}

#[test]
fn files_that_were_moved_are_made_again() {
    let Some(network) = Network::beside(Links::default()) else { return };
    let folder = support::scratch();
    let path = |name: &str| folder.path().join(name);
    let file = support::write(&folder, "ten.pcap", &frames(10));
    let outputs = [("json", "flows"), ("ipfix-file", "messages")]
        .map(|(scheme, name)| format!("{scheme}:{}", path(name).display()));
    let settings: [&[&str]; 3] =
        [METHODS[1], &["--idle-timeout", "1s"], &["-o", &outputs[0], "-o", &outputs[1]]];
    let mut probe = start(&network, &settings);
    for round in 0..3 {
        network.send_file("tx0", &file, &[]);
        probe.wait_until("the flows have left", |_| written(&path("flows")).len() == 10);
        for name in ["flows", "messages"] {
            fs::rename(path(name), path(&format!("{name}.{round}"))).expect("a file to be moved");
        }
        probe.signal(Signal::SIGHUP);
        probe.wait_until("they are there again", |_| {
            path("flows").exists() && path("messages").exists()
        });
    }
    // Signals that ask for something end nothing.
    probe.signal(Signal::SIGUSR2);
    probe.signal(Signal::SIGUSR1);
    probe.wait_until("totals", |probe| !probe.totals().is_empty());
    let run = probe.stop();
    assert_eq!(run.count("outputs.0.sent.records"), 30);
    for round in 0..3 {
        assert_eq!(written(&path(&format!("flows.{round}"))).len(), 10);
        let messages = fs::read(path(&format!("messages.{round}"))).expect("it was moved");
        let messages = ipfix::session(&messages);
        assert_eq!(messages.iter().map(|message| message.flows().count()).sum::<usize>(), 10);
    }
    assert!(written(&path("flows")).is_empty());
}

/// A reload is not the first of two signals that end the run, though an output waits at the end.
#[test]
fn a_reload_does_not_count_as_the_first_signal() {
    let Some(network) = Network::beside(Links::default()) else { return };
    let folder = support::scratch();
    // More documents than a pipe holds.
    let file = support::write(&folder, "some.pcap", &frames(1000));
    let pipe = folder.path().join("pipe");
    mkfifo(&pipe, Mode::S_IRWXU).expect("a pipe with a name");
    // With an end of its own for writing it has a reader and a writer all the time.
    let open = OpenOptions::new().read(true).write(true).open(&pipe);
    let mut reader = open.expect("it is there");
    let output = format!("json:{}", pipe.display());
    let mut probe = start(&network, &[METHODS[1], &PATIENT, &["-o", &output]]);
    network.send_file("tx0", &file, &[]);
    thread::sleep(Duration::from_millis(300));
    probe.signal(Signal::SIGHUP);
    probe.signal(Signal::SIGUSR1);
    probe.wait_until("totals", |probe| !probe.totals().is_empty());
    thread::sleep(Duration::from_millis(2200));
    probe.signal(Signal::SIGTERM);
    let begin = Instant::now();
    probe.wait_until("it waits for who reads", |_| begin.elapsed().as_millis() > 1500);
    let mut documents = Vec::new();
    while documents.iter().filter(|&&octet| octet == b'\n').count() < 1000 {
        let mut octets = [0; 4096];
        let count = reader.read(&mut octets).expect("it has a writer");
        documents.extend(&octets[..count]);
    }
    let run = probe.wait();
    assert_eq!(run.status, 0, "{}", run.stderr);
    run.assert_conservation();
    assert_eq!(flows(&documents).len(), 1000);
}

#[test]
fn a_restart_goes_on_with_the_file() {
    let Some(network) = Network::beside(Links::default()) else { return };
    let folder = support::scratch();
    let path = folder.path().join("flows");
    let file = support::write(&folder, "ten.pcap", &frames(10));
    let output = format!("json:{}", path.display());
    for (round, how) in (1..).zip([Signal::SIGTERM, Signal::SIGKILL, Signal::SIGTERM]) {
        let settings: [&[&str]; 3] = [METHODS[1], &["--idle-timeout", "1s"], &["-o", &output]];
        let mut probe = start(&network, &settings);
        network.send_file("tx0", &file, &[]);
        probe.wait_until("the flows have left", |_| written(&path).len() == 10 * round);
        probe.signal(how);
        probe.wait();
    }
    assert_eq!(written(&path).len(), 30);
}

#[test]
fn a_terminal_that_goes_ends_a_run_in_good_order() {
    let Some(network) = Network::beside(Links::default()) else { return };
    if !support::has_tool("script") {
        return support::skip("script (bsdutils) is not installed");
    }
    let folder = support::scratch();
    let path = folder.path().join("flows");
    let file = support::write(&folder, "ten.pcap", &frames(10));
    let program = support::flowprobe();
    let line = format!(
        "exec {} -i rx0 {} {} -o json:{} 2> {}/said",
        program.get_program().display(),
        METHODS[1].join(" "),
        PATIENT.join(" "),
        path.display(),
        folder.path().display(),
    );
    let mut command: Command = network.command(Host::Probe, "script");
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]).stdout(Stdio::null());
    let mut terminal = command.spawn().expect("script starts");
    let said = || fs::read_to_string(folder.path().join("said")).unwrap_or_default();
    let wait_until = |what: &str, is_so: &dyn Fn() -> bool| {
        let begin = Instant::now();
        while !is_so() {
            assert!(begin.elapsed() < Duration::from_secs(20), "not in time: {what}: {}", said());
            thread::sleep(Duration::from_millis(10));
        }
    };
    wait_until("it captures", &|| said().contains("rx0: "));
    network.send_file("tx0", &file, &[]);
    terminal.kill().expect("the terminal goes");
    terminal.wait().expect("it is gone");
    wait_until("the totals", &|| said().contains("records ("));
    assert_eq!(written(&path).len(), 10);
    assert!(written(&path).iter().all(|flow| flow.end_reason == 4));
}
