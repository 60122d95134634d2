//! `flowprobe collect --listen`: datagrams as they come, on the loopback interface.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::geteuid;

use crate::messages::{FIELDS, flow, ipfix, netflow9, set, template};
use crate::program::assert_conservation;
use crate::support::probe::Probe;
use crate::support::{self, Run};

/// Starts it with these listeners, and waits until they listen. Returns their addresses.
pub fn listen(listeners: &[&str], settings: &[&str]) -> (Probe, Vec<SocketAddr>) {
    listen_by(support::flowprobe(), listeners, settings)
}

/// The same by a command that lacks the arguments.
pub fn listen_by(
    mut command: Command,
    listeners: &[&str],
    settings: &[&str],
) -> (Probe, Vec<SocketAddr>) {
    command.arg("collect").args(listeners.iter().flat_map(|listener| ["-l", listener]));
    command.args(settings).args(["-o", "json:-", "--name", "test"]);
    let mut probe = Probe::start_with_totals(command, &[]);
    let addresses = addresses(&mut probe, listeners.len());
    (probe, addresses)
}

/// Waits until it listens at so many addresses, and returns them.
fn addresses(probe: &mut Probe, listeners: usize) -> Vec<SocketAddr> {
    let mut addresses = Vec::new();
    probe.wait_until("it listens", |probe| {
        let messages = probe.messages();
        let said = messages.lines().filter(|line| line.contains(": listens,"));
        let urls = said.filter_map(|line| line.split("://").nth(1)?.split(": ").next());
        addresses = urls.map(|url| url.parse().expect("an address")).collect();
        addresses.len() == listeners
    });
    addresses
}

/// A socket of an exporter with this address.
pub fn exporter(address: impl Into<Ipv4Addr>) -> UdpSocket {
    UdpSocket::bind((address.into(), 0)).expect("all of 127/8 is the loopback interface")
}

/// Waits until the program has heard so many datagrams, and ends it.
pub fn end(mut probe: Probe, datagrams: u64, status: i32) -> Run {
    probe.wait_until("all datagrams have come", |probe| {
        probe.signal(Signal::SIGUSR1);
        thread::sleep(Duration::from_millis(100));
        let totals = probe.totals();
        let heard = |name: &str| totals.last().and_then(|it| it["collected"][name].as_u64());
        let all = heard("frames").unwrap_or(0) + heard("kernel_dropped").unwrap_or(0);
        all >= datagrams
    });
    probe.signal(Signal::SIGTERM);
    let run = probe.wait();
    assert_eq!(run.status, status, "{}", run.stderr);
    assert_conservation(&run);
    run
}

fn templates() -> Vec<u8> {
    ipfix(0, &[set(2, &template(300, &FIELDS))])
}

fn records(sequence: u32) -> Vec<u8> {
    ipfix(sequence, &[set(300, &[flow(1), flow(2)].concat())])
}

#[test]
fn datagrams_of_an_exporter_come_to_one_worker() {
    let listeners = ["ipfix://127.0.0.1:0", "flow://127.0.0.1:0"];
    for workers in ["--workers=1", "--workers=3"] {
        let (probe, addresses) = listen(&listeners, &[workers]);
        // Templates and data come from different ports, as from routers with several cards.
        for host in 1..=40 {
            let (one, other) = (exporter([127, 0, 1, host]), exporter([127, 0, 1, host]));
            one.send_to(&templates(), addresses[0]).unwrap();
            other.send_to(&records(0), addresses[usize::from(host) % 2]).unwrap();
        }
        let run = end(probe, 80, 0);
        let of = |name: &str| run.count(&format!("collected.{name}"));
        let all = (of("frames"), of("records"), of("exporters"), of("templates"));
        assert_eq!(all, (80, 80, 40, 40), "{workers}: {}", run.stderr);
        assert_eq!((of("no_template"), of("lost"), of("kernel_dropped")), (0, 0, 0), "{workers}");
        assert_eq!(run.documents().len(), 80);
    }
}

#[test]
fn documents_have_the_exporter_and_the_time_of_arrival() {
    let (probe, addresses) = listen(&["netflow://127.0.0.1:0"], &["--sampling", "127.0.3.1=50"]);
    for host in [1, 2] {
        let message = netflow9(5, &[set(0, &template(300, &FIELDS)), set(300, &flow(1))]);
        exporter([127, 0, 3, host]).send_to(&message, addresses[0]).unwrap();
    }
    let run = end(probe, 2, 0);
    let documents = run.documents();
    let mut intervals = Vec::new();
    for document in &documents {
        let created = document["event"]["created"].as_str().unwrap();
        assert!(created > "2025", "by the clock of this host, not of the exporter: {created}");
        let exporter = document["observer"]["ip"].as_str().unwrap();
        intervals.push((exporter, document["netflow"]["sampling_interval"].as_u64()));
    }
    intervals.sort_unstable();
    assert_eq!(intervals, [("127.0.3.1", Some(50)), ("127.0.3.2", None)]);
}

#[test]
fn only_allowed_networks_and_protocols_are_heard() {
    let listeners = ["netflow://127.0.0.1:0", "ipfix://127.0.0.1:0"];
    let (probe, addresses) = listen(&listeners, &["--allow", "127.0.4.0/24", "--workers=2"]);
    let (allowed, other) = (exporter([127, 0, 4, 1]), exporter([127, 0, 5, 1]));
    for message in [templates(), records(0)] {
        allowed.send_to(&message, addresses[1]).unwrap();
        allowed.send_to(&message, addresses[0]).unwrap();
        other.send_to(&message, addresses[1]).unwrap();
    }
    allowed.send_to(b"hello", addresses[0]).unwrap();
    let run = end(probe, 7, 0);
    let of = |name: &str| run.count(&format!("collected.{name}"));
    assert_eq!((of("not_allowed"), of("not_listened"), of("unknown_version")), (2, 2, 1));
    assert_eq!((of("records"), of("exporters")), (2, 1));
}

#[test]
fn what_a_full_socket_drops_is_counted() {
    let settings = ["--receive-buffer=1M", "--fail-on-loss"];
    let (probe, addresses) = listen(&["flow://127.0.0.1:0"], &settings);
    let exporter = exporter([127, 0, 0, 1]);
    exporter.send_to(&templates(), addresses[0]).unwrap();
    probe.signal(Signal::SIGSTOP);
    let message = ipfix(0, &[set(300, &flow(1).repeat(200))]);
    for _ in 0..5000 {
        exporter.send_to(&message, addresses[0]).unwrap();
    }
    probe.signal(Signal::SIGCONT);
    let run = end(probe, 5001, 3);
    let of = |name: &str| run.count(&format!("collected.{name}"));
    assert_eq!(of("frames") + of("kernel_dropped"), 5001);
    assert!(of("kernel_dropped") > 1000, "{}", run.stderr);
    assert!(run.stderr.contains("the receive buffer was full"), "{}", run.stderr);
}

/// Who has not the right to a larger buffer is told what permits it.
#[test]
fn a_buffer_that_the_system_cuts_is_said() {
    if !geteuid().is_root() || !support::has_tool("setpriv") {
        return support::skip_without("root and setpriv (util-linux)");
    }
    let folder = support::scratch();
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    command.arg(support::flowprobe_for_all(folder.path())).args(["collect", "--quiet"]);
    command.args(["-l", "netflow://127.0.0.1:0", "--receive-buffer", "1Gi", "-o", "json:-"]);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut probe = command.spawn().expect("setpriv starts");
    let mut first = String::new();
    let stderr = probe.stderr.take().expect("it is a pipe");
    BufReader::new(stderr).read_line(&mut first).expect("it says something");
    support::signal(probe.id(), Signal::SIGTERM).expect("it runs");
    assert!(probe.wait().expect("it ends").success());
    assert!(first.contains("net.core.rmem_max="), "{first}");
}

#[test]
fn a_port_is_not_shared_with_another_program() {
    let (probe, addresses) = listen(&["flow://127.0.0.1:0"], &["--workers=2"]);
    let listener = format!("flow://{}", addresses[0]);
    for workers in ["--workers=1", "--workers=2"] {
        let run = support::run(["collect", "-l", &listener, workers, "-o", "json:-"]);
        assert_eq!(run.status, 1, "{}", run.stderr);
        assert!(run.stderr.contains("in use"), "{}", run.stderr);
    }
    end(probe, 0, 0);
}

#[test]
fn outputs_change_while_it_listens() {
    let folder = support::scratch();
    let files = ["a.json", "b.json"].map(|name| folder.path().join(name));
    let configuration = |outputs: &[PathBuf]| {
        let outputs: Vec<_> = outputs.iter().map(|it| format!("json:{}", it.display())).collect();
        format!("listen = [\"flow://127.0.0.1:0\"]\noutput = {outputs:?}\n")
    };
    let file = support::write(&folder, "c.toml", configuration(&files[..1]).as_bytes());
    let mut command = Command::new("setsid");
    command.arg(support::flowprobe().get_program()).args(["collect", "--config"]).arg(&file);
    let mut probe = Probe::start_with_totals(command, &[]);
    let address = addresses(&mut probe, 1)[0];
    let exporter = exporter([127, 0, 0, 1]);
    exporter.send_to(&templates(), address).unwrap();
    exporter.send_to(&records(0), address).unwrap();
    let documents = |file: &Path| support::documents(&fs::read(file).unwrap_or_default()).len();
    probe.wait_until("records leave", |_| documents(&files[0]) == 2);
    fs::write(&file, configuration(&files)).unwrap();
    probe.signal(Signal::SIGHUP);
    probe.wait_until("settings are read", |probe| probe.messages().contains("read again"));
    exporter.send_to(&records(2), address).unwrap();
    let run = end(probe, 3, 0);
    assert_eq!([documents(&files[0]), documents(&files[1])], [4, 2], "{}", run.stderr);
    assert_eq!(run.count("outputs.1.absent.records"), 2, "{}", run.stats);
    assert_eq!(run.count("collected.templates"), 1, "the collector goes on");
    assert_eq!(web::without_metric(&run.stats), Vec::<String>::new());
    let [exporter] = &run.stats["exporters"].as_array().unwrap()[..] else { panic!() };
    let count = |name: &str| exporter[name].as_i64().unwrap();
    assert_eq!((exporter["address"].as_str(), count("records")), (Some("127.0.0.1"), 4));
    assert_eq!((count("datagrams"), count("lost"), count("templates")), (3, 0, 1));
    assert!(count("clock_offset_ms") < -1_000_000, "its messages are of 2024: {exporter}");
}

#[test]
fn exporters_behind_one_address_have_templates_of_their_own() {
    let longer = [&FIELDS[..], &[(152, 8)]].concat();
    for (scope, records, changed) in [("address", 3, 1), ("port", 4, 0)] {
        let settings = ["--template-scope", scope];
        let (probe, addresses) = listen(&["ipfix://127.0.0.1:0"], &settings);
        let (one, other) = (exporter([127, 0, 13, 1]), exporter([127, 0, 13, 1]));
        one.send_to(&templates(), addresses[0]).unwrap();
        let template = ipfix(0, &[set(2, &template(300, &longer))]);
        other.send_to(&template, addresses[0]).unwrap();
        let record = [&flow(4)[..], &[0; 8]].concat();
        other.send_to(&ipfix(0, &[set(300, &record.repeat(2))]), addresses[0]).unwrap();
        one.send_to(&self::records(0), addresses[0]).unwrap();
        let run = end(probe, 4, 0);
        let of = |name: &str| run.count(&format!("collected.{name}"));
        assert_eq!((of("records"), of("templates_changed")), (records, changed), "{scope}");
        assert_eq!(of("exporters"), 1 + u64::from(scope == "port"), "{scope}");
    }
}

#[test]
fn settings_that_have_no_meaning_are_refused() {
    for (arguments, problem) in [
        (&["collect", "-l", "flow://:0", "-r", "x.pcap"][..], "cannot be used with capture files"),
        (&["collect", "-l", "flow://:0", "--filter", "udp"], "--filter needs frames"),
        (&["collect", "-l", "flow://:1", "-l", "sflow://:1"], "the address is given twice"),
        (&["collect", "-l", "flow://:1", "--max-flows=9"], "cannot be used with collect"),
        (&["-i", "lo", "--listen", "flow://:1"], "needs the command collect"),
        (&["collect", "-l", "tcp://:1"], "PROTOCOL://ADDRESS:PORT is needed"),
        (
            &["collect", "-l", "flow://:1", "--template-scope=port", "--template-store=x"],
            "--template-store keeps templates of addresses",
        ),
        (&["collect", "-l", "ipfix+tls://:1"], "ipfix+tls needs ?cert=FILE&key=FILE"),
    ] {
        let run = support::run(arguments);
        assert_eq!(run.status, 2, "{arguments:?}: {}", run.stderr);
        assert!(run.stderr.contains(problem), "{arguments:?}: {}", run.stderr);
    }
}

#[test]
fn the_next_run_knows_the_templates_of_the_last() {
    let folder = support::scratch();
    let store = folder.path().join("templates");
    let store = store.to_str().unwrap();
    for workers in ["--workers=1", "--workers=3"] {
        let settings = ["--template-store", store, workers];
        let (probe, addresses) = listen(&["ipfix://127.0.0.1:0"], &settings);
        for host in 1..=40 {
            exporter([127, 0, 6, host]).send_to(&templates(), addresses[0]).unwrap();
        }
        end(probe, 40, 0);
        let (probe, addresses) = listen(&["ipfix://127.0.0.1:0"], &settings);
        for host in 1..=40 {
            exporter([127, 0, 6, host]).send_to(&records(0), addresses[0]).unwrap();
        }
        let run = end(probe, 40, 0);
        let of = |name: &str| run.count(&format!("collected.{name}"));
        assert_eq!((of("records"), of("no_template"), of("templates")), (80, 0, 40), "{workers}");
    }
    fs::write(store, "something else").unwrap();
    let run = support::run(["collect", "-l", "flow://127.0.0.1:0", "--template-store", store]);
    assert_eq!(run.status, 1, "{}", run.stderr);
    assert_eq!(fs::read(store).unwrap(), b"something else", "it is left alone");
}
