//! As an unprivileged user with exactly the capabilities that the manual names.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::ends::{frames, packets};
use crate::probe::{METHODS, PATIENT, Probe};
use crate::support;
use crate::support::net::{Host, Links, Network};

/// Of most Unix systems.
const NOBODY: &str = "65534";

/// What capture takes.
const RIGHTS: [&str; 4] = ["net_raw", "net_admin", "bpf", "ipc_lock"];

/// The program as a user with these capabilities only.
fn unprivileged(network: &Network, folder: &Path, rights: &[&str]) -> Command {
    let with = rights.iter().map(|right| format!(",+{right}")).collect::<String>();
    let exactly = format!("-all{with}");
    let mut command = network.command(Host::Probe, "setpriv");
    command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--no-new-privs"]);
    // The bounding set too: what is not named cannot come back.
    command.args(["--inh-caps", &exactly, "--ambient-caps", &exactly, "--bounding-set", &exactly]);
    command.arg(support::flowprobe_for_all(folder));
    command
}

/// A file of each thread of a process, below `/proc`.
fn of_threads(pid: u32, file: &str) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("it runs");
    let read = |task: io::Result<fs::DirEntry>| {
        let path = task.expect("the thread runs").path().join(file);
        fs::read_to_string(path).expect("the thread runs")
    };
    tasks.map(read).collect()
}

/// Effective capabilities and users of all threads of a process.
pub fn threads(pid: u32) -> Vec<(u64, String)> {
    let of = |status: &String| {
        let field = |name: &str| {
            let mut lines = status.lines();
            lines.find_map(|line| line.strip_prefix(name)).expect(name).trim().to_owned()
        };
        let capabilities = u64::from_str_radix(&field("CapEff:"), 16).expect("hexadecimal");
        (capabilities, field("Uid:"))
    };
    of_threads(pid, "status").iter().map(of).collect()
}

#[test]
fn it_captures_with_exactly_the_named_capabilities() {
    let Some(network) = Network::new(Links { queues: 2, ..Links::default() }) else { return };
    if !support::has_tool("setpriv") {
        return support::skip("setpriv (util-linux) is not installed");
    }
    let folder = support::scratch();
    let file = support::write(&folder, "some.pcap", &frames(100));
    for method in METHODS {
        let command = unprivileged(&network, folder.path(), &RIGHTS);
        let mut probe = Probe::capture_by(command, &["rx0"], &[method, &PATIENT]);
        probe.wait_until("it captures", |probe| probe.messages().contains("rx0: "));
        let sent = network.send_file("tx0", &file, &[]);
        for (capabilities, user) in threads(probe.pid()) {
            assert_eq!(capabilities, 0, "{method:?}: rights are given up");
            assert!(user.starts_with(NOBODY), "{method:?}: {user}");
        }
        let run = probe.stop();
        assert_eq!(packets(&run.flows()), sent.packets, "{method:?}: {}", run.stats);
    }
}

#[test]
fn root_becomes_the_user_that_it_is_told_to() {
    let Some(network) = Network::beside(Links { queues: 2, ..Links::default() }) else { return };
    let folder = support::scratch();
    let file = support::write(&folder, "some.pcap", &frames(100));
    for method in METHODS {
        let user = ["--user", "nobody"];
        let probe = Probe::capture(&network, &["rx0"], &[method, &PATIENT, &user]);
        let sent = network.send_file("tx0", &file, &[]);
        for (capabilities, user) in threads(probe.pid()) {
            assert_eq!(capabilities, 0, "{method:?}: rights are given up");
            assert!(user.starts_with(NOBODY), "{method:?}: {user}");
        }
        let run = probe.stop();
        assert_eq!(packets(&run.flows()), sent.packets, "{method:?}: {}", run.stats);
    }
}

#[test]
fn a_missing_capability_is_named() {
    let Some(network) = Network::new(Links::default()) else { return };
    if !support::has_tool("setpriv") {
        return support::skip("setpriv (util-linux) is not installed");
    }
    let folder = support::scratch();
    let needs: [&[&str]; 2] = [&["net_raw", "net_admin", "bpf"], &["net_raw"]];
    for (method, needs) in METHODS.into_iter().zip(needs) {
        for missing in needs {
            let rights: Vec<_> = RIGHTS.into_iter().filter(|right| right != missing).collect();
            let command = unprivileged(&network, folder.path(), &rights);
            let run = Probe::capture_by(command, &["rx0"], &[method]).wait();
            assert_eq!(run.status, 1, "{method:?} without {missing}: {}", run.stderr);
            let name = format!("CAP_{}", missing.to_uppercase());
            assert!(run.stderr.contains(&name), "{method:?} without {missing}: {}", run.stderr);
            assert!(run.stderr.contains("; run it with sudo, or give it"), "{}", run.stderr);
        }
    }
}

/// Names of the threads, and whether they go before those of other programs.
fn priorities(pid: u32) -> Vec<(String, bool)> {
    const SCHED_RR: &str = "2";
    let of = |stat: &String| {
        let (name, fields) = stat.rsplit_once(") ").expect("a name");
        let policy = fields.split(' ').nth(38).expect("a policy");
        (name.split_once('(').expect("a name").1.to_owned(), policy == SCHED_RR)
    };
    of_threads(pid, "stat").iter().map(of).collect()
}

#[test]
fn only_workers_of_afxdp_go_before_other_programs() {
    let Some(network) = Network::beside(Links { queues: 2, ..Links::default() }) else { return };
    let cases: [(&[&str], usize); 3] = [
        (&["--capture", "afxdp"], 2),
        (&["--capture", "afxdp", "--no-realtime"], 0),
        (&["--capture", "packet"], 0),
    ];
    let others = ["--workers", "2", "--http", "127.0.0.1:0"];
    for (options, count) in cases {
        let mut probe = Probe::capture(&network, &["rx0"], &[options, &others]);
        probe.wait_until("main, workers, page, stages, outputs run", |probe| {
            priorities(probe.pid()).len() == 7
        });
        thread::sleep(Duration::from_millis(300));
        let mut first = priorities(probe.pid());
        first.retain(|(_, is_first)| *is_first);
        assert_eq!(first, vec![("worker".to_owned(), true); count], "{options:?}");
        probe.stop();
    }
}

#[test]
fn packet_sockets_need_one_capability() {
    let Some(network) = Network::beside(Links::default()) else { return };
    if !support::has_tool("setpriv") {
        return support::skip("setpriv (util-linux) is not installed");
    }
    let folder = support::scratch();
    let file = support::write(&folder, "some.pcap", &frames(100));
    let command = unprivileged(&network, folder.path(), &["net_raw"]);
    let mut probe = Probe::capture_by(command, &["rx0"], &[METHODS[1], &PATIENT]);
    probe.wait_until("it captures", |probe| probe.messages().contains("rx0: "));
    let sent = network.send_file("tx0", &file, &[]);
    let run = probe.stop();
    assert_eq!(packets(&run.flows()), sent.packets, "{}", run.stats);
}

#[test]
fn capabilities_that_are_kept_are_those_of_one_thread() {
    let Some(network) = Network::beside(Links { queues: 2, ..Links::default() }) else { return };
    for method in METHODS {
        let keep = ["--keep-capabilities", "--user", "nobody"];
        let probe = Probe::capture(&network, &["rx0"], &[method, &PATIENT, &keep]);
        // Threads that have just started give theirs up at once.
        thread::sleep(Duration::from_millis(200));
        let with: Vec<_> = threads(probe.pid()).into_iter().map(|(all, _)| all).collect();
        assert!(with.len() > 2, "{method:?}: {with:?}");
        assert_eq!(with.iter().filter(|&&all| all != 0).count(), 1, "{method:?}: {with:?}");
        probe.stop();
    }
}
