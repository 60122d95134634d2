//! A day of churn in compressed time: flows, collectors and outputs that come and go, while memory
//! stays at what was announced.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;

use crate::control::ctl;
use crate::probe::{METHODS, Probe, lost};
use crate::support;
use crate::support::ipfix::{PACKETS, number, session};
use crate::support::net::{Host, Links, Network};

/// Rounds, unless `FLOWPROBE_ROUNDS` says more: 1440 are the minutes of a day.
const ROUNDS: usize = 30;

/// Flows of a round, each with one packet.
const FLOWS: u64 = 20_000;

/// What is captured, and how: as the probe has it, and as the memory is announced.
const CAPTURE: [&str; 4] = ["--max-flows", "50k", "--packet-ring", "8M"];

/// The settings of a round: a group of collectors, and files that take turns.
fn settings(round: usize, folder: &Path, ports: [u16; 2]) -> String {
    let folder = folder.display();
    let file = ["even", "odd"][round % 2];
    let odid = 5 + round / 3 % 2;
    let [one, other] = ports.map(|port| format!("ipfix://127.0.0.1:{port}"));
    format!(
        r#"
control = "{folder}/control"
idle-timeout = "1s"
[[output]]
url = "ipfix-file:{folder}/always"
[[output]]
url = "ipfix-file:{folder}/{file}"
[[output]]
url = "balance:{one},{other}"
odid = {odid}
pps = 0
takeover = "1s"
"#
    )
}

/// The memory that `flowprobe doctor` announces, in MiB.
fn announced(network: &Network) -> u64 {
    let program = support::flowprobe();
    let mut doctor = network.command(Host::Probe, program.get_program());
    doctor.args(["doctor", "-i", "rx0"]).args(METHODS[1]).args(CAPTURE);
    let said = String::from_utf8(doctor.output().expect("it starts").stdout).expect("text");
    let of = |line: &str| {
        line.split_once("memory")?.1.trim_start_matches([' ', ':']).split(' ').next()?.parse().ok()
    };
    said.lines().find_map(of).unwrap_or_else(|| panic!("no memory in {said}"))
}

/// A number of kibibytes in the status of a process, in MiB.
fn memory(pid: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let number = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    number.expect("a number") / 1024
}

fn collector(network: &Network, at: SocketAddr) -> UdpSocket {
    network.on(Host::Probe, || UdpSocket::bind(at)).expect("a port")
}

#[test]
fn memory_stays_at_what_was_announced() {
    let Some(network) = Network::new(Links::default()) else { return };
    let rounds = std::env::var("FLOWPROBE_ROUNDS").map_or(ROUNDS, |it| it.parse().unwrap());
    let folder = support::scratch();
    let [file, socket] = ["flowprobe.toml", "control"].map(|name| folder.path().join(name));
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let steady = collector(&network, any);
    let mut other = Some(collector(&network, any));
    let [steady_at, other_at] = [Some(&steady), other.as_ref()]
        .map(|it| it.expect("it is open").local_addr().expect("it has an address"));
    let set = |round| {
        let settings = settings(round, folder.path(), [steady_at.port(), other_at.port()]);
        fs::write(&file, settings).expect("the folder is ours");
    };
    set(0);
    let announced = announced(&network);
    let mut probe = Probe::configured(&network, &file, &[METHODS[1], &CAPTURE]);
    let always = format!("ipfix-file:{}/always", folder.path().display());
    let (mut sent, mut after_some) = (0, 0);
    for round in 1..=rounds {
        let count = FLOWS.to_string();
        let flows = ["--flows", &count, "--packets", &count, "--rate", "50k"];
        sent += network.send_flows("tx0", &flows).packets;
        set(round);
        let (status, said) = ctl(&socket, &["reload"]);
        assert_eq!(status, Some(0), "{said}");
        match round % 6 {
            1 => other = None,
            4 => other = Some(collector(&network, other_at)),
            2 => assert_eq!(ctl(&socket, &["pause", &always]).0, Some(0)),
            3 => assert_eq!(ctl(&socket, &["resume", &always]).0, Some(0)),
            _ => assert_eq!(ctl(&socket, &["flows", "--limit", "1000"]).0, Some(0)),
        }
        if round == rounds / 5 {
            after_some = memory(probe.pid(), "VmRSS");
        }
    }
    drop(other);
    let (now, most) = (memory(probe.pid(), "VmRSS"), memory(probe.pid(), "VmHWM"));
    println!("announced {announced} MiB, most {most}, after a fifth {after_some}, now {now}");
    assert!(most * 10 <= announced * 11, "{most} MiB of {announced}");
    assert!(now * 10 <= after_some * 11, "{now} MiB, before {after_some}");
    probe.wait_until("the last flows have left", |_| {
        ctl(&socket, &["expire", "--all"]).1.starts_with("0 flows")
    });
    let run = probe.stop();
    assert_eq!(run.count("metered.packets") + lost(&run), sent);
    // What is in the file and what was paused are all records.
    let output = &run.stats["outputs"][0];
    let records = |what: &str| output[what]["packets"].as_u64().expect("a count");
    let written = session(&fs::read(folder.path().join("always")).expect("it is there"));
    let flows = written.iter().flat_map(|message| message.flows());
    let packets: u64 = flows.map(|flow| number(flow, PACKETS)).sum();
    assert_eq!(packets, records("sent"), "{output}");
    assert_eq!(
        records("sent") + records("absent") + records("dropped"),
        run.count("metered.packets")
    );
    assert!(records("absent") > 0 && run.count("reloads.applied") == rounds as u64, "{output}");
}
