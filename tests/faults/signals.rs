//! Interrupts during a replay.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, UdpSocket};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use tempfile::TempDir;

use crate::support::capture::{Captured, pcap};
use crate::support::packet::ethernet;
use crate::support::{self, documents, flowprobe, ipfix, scratch};
use crate::{DONE, FAILED, assert_error, datagram, feed, finish, many_flows, start, wait_until};

fn signal(child: &Child, signal: Signal) {
    support::signal(child.id(), signal).unwrap();
}

/// Writes a capture that does not end, and waits until the program has read the packets: behind
/// them is one of which a pipe cannot hold what is given, and not all is given.
fn write_and_wait(child: &mut Child, packets: &[Captured]) -> ChildStdin {
    let mut endless = Captured::at(99, ethernet(&[0; 200_000]));
    endless.nanos = packets.last().map_or(0, |packet| packet.nanos);
    let file = pcap(&[packets, &[endless]].concat());
    let mut stdin = child.stdin.take().unwrap();
    // A pipe holds 64 KiB.
    stdin.write_all(&file[..file.len() - 100_000]).unwrap();
    stdin
}

#[test]
fn interrupt_ends_all_flows_and_accounts_for_them() {
    let of_users = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT];
    let of_limits = [Signal::SIGXCPU, Signal::SIGALRM];
    let of_system =
        [Signal::SIGVTALRM, Signal::SIGPROF, Signal::SIGIO, Signal::SIGPWR, Signal::SIGSTKFLT];
    for which in of_users.into_iter().chain(of_limits).chain(of_system) {
        for workers in ["1", "2"] {
            let mut child = start(&["-r", "-", "-o", "json:-", "--workers", workers]);
            let packets: Vec<_> = (1..=500).map(|port| datagram(port, port.into())).collect();
            let stdin = write_and_wait(&mut child, &packets);
            signal(&child, which);
            let run = finish(child);
            drop(stdin);
            run.assert_conservation();
            assert_eq!(run.status, FAILED, "{}", run.stderr);
            assert_eq!(run.stats["interrupted"], true);
            assert_eq!(run.count("received.packets"), 500);
            let flows = run.sorted_flows();
            assert_eq!(flows.len(), 500);
            assert!(flows.iter().all(|flow| flow.end_reason == 4));
            assert_eq!(run.count("outputs.0.sent.records"), 500);
            // What was cut off by the interrupt is no damage of the input.
            assert_eq!(run.count("input.files_damaged"), 0, "{}", run.stderr);
            assert!(!run.stderr.contains("error: "), "{}", run.stderr);
        }
    }
}

#[test]
fn interrupt_of_a_silent_input_ends_the_program() {
    let mut child = start(&["-r", "-", "-o", "json:-"]);
    let stdin = child.stdin.take();
    // The handlers are there before the outputs are opened; that of standard output is at once.
    wait_until("it heeds signals", || handles_interrupts(&child));
    let begin = Instant::now();
    signal(&child, Signal::SIGINT);
    let run = finish(child);
    drop(stdin);
    assert_eq!(run.status, FAILED);
    assert_eq!(run.stats["interrupted"], true);
    assert!(begin.elapsed().as_secs() < 5);
    // Nothing is wrong with an input that was not waited for.
    assert!(!run.stderr.contains("error: "), "{}", run.stderr);
}

#[test]
fn interrupt_ends_the_wait_for_a_collector() {
    for which in [Signal::SIGINT, Signal::SIGTERM] {
        let mut child = flowprobe()
            .args(["-r", "-", "-o", "ipfix+tcp://no-such-host.invalid"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        stderr.read_line(&mut said).unwrap();
        assert!(said.contains("trying again for 60 s"), "{said}");
        let begin = Instant::now();
        signal(&child, which);
        assert_eq!(child.wait().unwrap().code(), Some(FAILED));
        assert!(begin.elapsed().as_secs() < 5);
    }
}

/// Whether the process has a handler for SIGINT.
pub(crate) fn handles_interrupts(child: &Child) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    u64::from_str_radix(caught.trim(), 16).unwrap() & 1 << (Signal::SIGINT as u64 - 1) != 0
}

#[test]
fn interrupt_of_a_replay_without_outputs_shows_what_there_is() {
    let mut child = flowprobe()
        .args(["-r", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stdin = write_and_wait(&mut child, &[datagram(1, 1), datagram(2, 2)]);
    signal(&child, Signal::SIGTERM);
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    assert_eq!(output.status.code(), Some(FAILED));
    let [table, totals] = [output.stdout, output.stderr].map(|it| String::from_utf8(it).unwrap());
    assert!(table.contains("10.0.0.1:1"), "{table}");
    // Standard output is no terminal: totals are on standard error alone.
    assert!(!table.contains("interrupted") && totals.contains("interrupted"), "{table}{totals}");
}

/// A pipe with a name, which nobody has opened.
fn named_pipe(folder: &TempDir) -> String {
    let path = folder.path().join("pipe");
    mkfifo(&path, Mode::S_IRWXU).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_named_pipe_that_nobody_has_opened_is_not_waited_for_after_a_signal() {
    let folder = scratch();
    let pipe = named_pipe(&folder);
    for which in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let output = format!("json:{pipe}");
        for arguments in [["-r", &pipe, "-o", "json:-"], ["-r", "/dev/null", "-o", &output]] {
            let child = start(&arguments);
            wait_until("it is stalled", || handles_interrupts(&child) && stalled(&child));
            let begin = Instant::now();
            signal(&child, which);
            let run = finish(child);
            assert_eq!(run.status, FAILED, "{arguments:?}: {}", run.stderr);
            assert!(begin.elapsed().as_secs() < 5, "{arguments:?}: {:?}", begin.elapsed());
        }
    }
}

#[test]
fn a_named_pipe_may_be_opened_late_and_be_silent() {
    let folder = scratch();
    let pipe = named_pipe(&folder);
    let child = start(&["-r", &pipe, "-o", "json:-"]);
    wait_until("it is stalled", || handles_interrupts(&child) && stalled(&child));
    let mut writer = OpenOptions::new().write(true).open(&pipe).unwrap();
    writer.write_all(&pcap(&[datagram(1, 1), datagram(2, 2)])).unwrap();
    wait_until("it is stalled", || stalled(&child));
    signal(&child, Signal::SIGTERM);
    let run = finish(child);
    drop(writer);
    run.assert_conservation();
    assert_eq!(run.status, FAILED, "{}", run.stderr);
    assert_eq!(run.flows().len(), 2);
}

#[test]
fn other_signals_end_nothing() {
    let others = [Signal::SIGUSR1, Signal::SIGUSR2, Signal::SIGPIPE, Signal::SIGXFSZ];
    let mut child = start(&["-r", "-", "-o", "json:-"]);
    wait_until("it heeds signals", || handles_interrupts(&child));
    let file = pcap(&[datagram(1, 1), datagram(2, 2)]);
    let mut stdin = child.stdin.take().unwrap();
    for octet in &file {
        signal(&child, others[usize::from(*octet) % others.len()]);
        stdin.write_all(std::slice::from_ref(octet)).unwrap();
    }
    drop(stdin);
    let run = finish(child);
    assert_eq!(run.status, DONE, "{}", run.stderr);
    assert_eq!(run.flows().len(), 2);
}

#[test]
fn totals_are_given_when_they_are_asked_for() {
    for workers in ["1", "2"] {
        // Nobody reads the documents, so all threads come to wait.
        let arguments = ["-r", "-", "-o", "json:-", "--workers", workers, "--quiet"];
        let mut child = start(&arguments);
        let feeder = feed(&mut child, many_flows(100_000));
        wait_until("it is stalled", || stalled(&child));
        signal(&child, Signal::SIGUSR1);
        thread::sleep(Duration::from_millis(500));
        let run = finish(child);
        feeder.join().unwrap();
        assert_eq!(run.status, DONE, "{}", run.stderr);
        assert_eq!(run.count("received.packets"), 100_000);
        let mut totals = run.stderr.lines().filter_map(|line| serde_json::from_str(line).ok());
        let so_far: serde_json::Value = totals.next().unwrap();
        assert!(totals.next().is_some(), "those of the end");
        let received = so_far["received"]["packets"].as_u64().unwrap();
        assert!((20_000..=100_000).contains(&received), "{so_far}");
        assert!(so_far["active_flows"].as_u64().unwrap() > 0, "{so_far}");
        let sent = so_far["outputs"][0]["sent"]["records"].as_u64().unwrap();
        assert!(sent < received, "{so_far}");
        assert_eq!(so_far["interrupted"], false);
    }
}

#[test]
fn signals_that_are_ignored_at_the_start_stay_ignored() {
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' HUP; exec \"$0\" \"$@\""]).arg(flowprobe().get_program());
    let mut child = crate::start_command(command, &["-r", "-", "-o", "json:-"]);
    let stdin = write_and_wait(&mut child, &[datagram(1, 1)]);
    signal(&child, Signal::SIGHUP);
    thread::sleep(Duration::from_millis(300));
    assert!(child.try_wait().unwrap().is_none(), "it goes on");
    signal(&child, Signal::SIGTERM);
    let run = finish(child);
    drop(stdin);
    assert_eq!((run.status, run.flows().len()), (FAILED, 1), "{}", run.stderr);
}

/// A signal that asks for something is not the first of two that end the run.
#[test]
fn a_request_for_totals_does_not_count_as_the_first_signal() {
    let mut child = start(&["-r", "-", "-o", "json:-"]);
    let feeder = feed(&mut child, many_flows(50_000));
    wait_until("it is stalled", || stalled(&child));
    signal(&child, Signal::SIGUSR1);
    signal(&child, Signal::SIGUSR2);
    thread::sleep(LATER);
    signal(&child, Signal::SIGTERM);
    thread::sleep(Duration::from_secs(1));
    assert!(child.try_wait().unwrap().is_none(), "it waits for who reads the documents");
    let run = finish(child);
    feeder.join().unwrap();
    run.assert_conservation();
    assert_eq!(run.count("outputs.0.sent.packets"), run.count("metered.packets"));
    assert_eq!(run.documents().len() as u64, run.count("metered.packets"));
}

/// As `timeout` and terminals do: several signals, to the process and to its group.
#[test]
fn signals_within_moments_are_one() {
    let mut child = start(&["-r", "-", "-o", "json:-"]);
    let feeder = feed(&mut child, many_flows(50_000));
    wait_until("it is stalled", || stalled(&child));
    for which in [Signal::SIGTERM, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT] {
        signal(&child, which);
        thread::sleep(Duration::from_millis(200));
    }
    assert!(child.try_wait().unwrap().is_none(), "it waits for who reads the documents");
    let run = finish(child);
    feeder.join().unwrap();
    run.assert_conservation();
    assert_eq!(run.status, FAILED);
    assert_eq!(run.stats["interrupted"], true);
    assert_eq!(run.count("outputs.0.failed.records"), 0, "{}", run.stderr);
    assert_eq!(run.flows().len() as u64, run.count("received.packets"), "all have left");
}

/// More than the two seconds in which signals are one.
const LATER: Duration = Duration::from_millis(2200);

#[test]
fn a_later_signal_stops_waiting_for_outputs() {
    let folder = scratch();
    let pipe = named_pipe(&folder);
    // Somebody who opens it and reads nothing, as the collector does.
    let reader = OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let outputs = [
        format!("ipfix+tcp://{}", listener.local_addr().unwrap()),
        format!("ipfix://{}?pps=1", socket.local_addr().unwrap()),
        format!("json:{pipe}"),
        format!("ipfix-file:{pipe}"),
    ];
    for url in &outputs {
        let path = folder.path().join("flows.json");
        let file = format!("json:{}", path.display());
        let mut child = start(&["-r", "-", "-o", url, "-o", &file]);
        let feeder = feed(&mut child, many_flows(200_000));
        wait_until("it is stalled", || stalled(&child));
        signal(&child, Signal::SIGTERM);
        thread::sleep(LATER);
        assert!(child.try_wait().unwrap().is_none(), "it waits for the output");
        let begin = Instant::now();
        signal(&child, Signal::SIGINT);
        let run = finish(child);
        // After the first signal alone it would wait for 13 s more.
        assert!(begin.elapsed().as_secs() < 9, "{url}: {:?}", begin.elapsed());
        feeder.join().unwrap();
        run.assert_conservation();
        assert_eq!(run.status, FAILED, "{url}");
        assert_eq!(run.stats["interrupted"], true);
        assert!(run.count("outputs.0.failed.records") > 0, "{url}: {}", run.stats);
        // The file beside it has all, and ends whole.
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.ends_with("}\n"), "{url}");
        assert_eq!(text.lines().count() as u64, run.count("metered.packets"), "{url}");
        assert_eq!(run.count("outputs.1.sent.records"), run.count("metered.packets"), "{url}");
    }
    drop(reader);
}

#[test]
fn a_table_that_nobody_reads_is_not_waited_for() {
    let mut child = start(&["-r", "-", "--top", "5000"]);
    let feeder = feed(&mut child, many_flows(5000));
    feeder.join().unwrap();
    wait_until("it is stalled", || stalled(&child));
    signal(&child, Signal::SIGTERM);
    thread::sleep(LATER);
    assert!(child.try_wait().unwrap().is_none(), "it waits for who reads the table");
    signal(&child, Signal::SIGTERM);
    let begin = Instant::now();
    let status = child.wait().unwrap();
    assert!(begin.elapsed().as_secs() < 9, "{:?}", begin.elapsed());
    assert_eq!(status.code(), Some(FAILED));
}

#[test]
fn a_limit_of_file_size_is_an_error_of_the_file() {
    let folder = scratch();
    let path = folder.path().join("out");
    for scheme in ["json", "ipfix-file"] {
        let mut command = Command::new("sh");
        // In blocks of 512 octets.
        let script = "ulimit -f 99; exec \"$0\" \"$@\"";
        command.args(["-c", script]).arg(flowprobe().get_program());
        let url = format!("{scheme}:{}", path.display());
        let mut child = crate::start_command(command, &["-r", "-", "-o", &url]);
        let feeder = feed(&mut child, many_flows(5000));
        let run = finish(child);
        feeder.join().unwrap();
        run.assert_conservation();
        assert_eq!(run.status, FAILED);
        assert_error(&run, &["cannot write", "file too large"]);
        let written = std::fs::read(&path).unwrap();
        let whole = if scheme == "json" {
            documents(&written).len()
        } else {
            ipfix::session(&written).iter().map(|message| message.flows().count()).sum()
        };
        assert!(whole > 0);
        assert_eq!(run.count("outputs.0.sent.records"), whole as u64, "{scheme}");
    }
}

/// Whether no thread of the process runs, five times in a row.
pub(crate) fn stalled(child: &Child) -> bool {
    let running = || {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", child.id())).unwrap();
        let mut states = tasks.map(|task| {
            let status = task.unwrap().path().join("status");
            std::fs::read_to_string(status).unwrap_or_default()
        });
        states.any(|status| status.contains("State:\tR"))
    };
    (0..5).all(|_| {
        thread::sleep(Duration::from_millis(10));
        !running()
    })
}
