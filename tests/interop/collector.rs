//! A real collector: started on a free port of the loopback, fed, stopped in good order.

use std::fs::{self, File};
use std::io;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use serde_json::Value;

use crate::support::{self, wait_until};

/// A collector that listens. It is killed when a test fails.
pub struct Collector {
    child: Child,
    pub port: u16,
}

/// Starts nfcapd, if it is installed.
pub fn nfcapd(folder: &Path, address: &str) -> Option<Collector> {
    if !support::has_tool("nfcapd") || !support::has_tool("nfdump") {
        support::skip("nfdump is not installed");
        return None;
    }
    Some(Collector::start(folder, |port| {
        let mut nfcapd = Command::new("nfcapd");
        nfcapd.args(["-b", address, "-t", "3600", "-p", &port.to_string(), "-w"]).arg(folder);
        nfcapd
    }))
}

/// The records that nfdump prints of the files in a folder.
pub fn nfdump(folder: &Path) -> Vec<Value> {
    let mut nfdump = Command::new("nfdump");
    let output = nfdump.env("TZ", "UTC").args(["-q", "-o", "json", "-R"]).arg(folder).output();
    let output = String::from_utf8(output.expect("nfdump runs").stdout).expect("nfdump's text");
    // Objects with commas between them.
    serde_json::from_str(&format!("[{output}]")).expect("nfdump's JSON")
}

impl Collector {
    /// Starts the command that is made for a port; its output goes to `stdout` and `stderr` in a
    /// folder. Returns when it listens.
    pub fn start(folder: &Path, command: impl FnOnce(u16) -> Command) -> Self {
        let port = free_port();
        let file = |name| File::create(folder.join(name)).expect("a file for output");
        let child = command(port)
            .env("TZ", "UTC")
            .stdin(Stdio::null())
            .stdout(file("stdout"))
            .stderr(file("stderr"))
            // Some have processes of their own: a signal to the group reaches them all.
            .process_group(0)
            .spawn()
            .expect("the collector starts");
        let mut collector = Self { child, port };
        wait_until("the collector listens", || {
            let ended = collector.child.try_wait().expect("a child can be asked");
            assert!(ended.is_none(), "the collector ended: {}", read(folder, "stderr"));
            receive_queue(port).is_some()
        });
        collector
    }

    /// Waits until it has taken all datagrams from its socket and waits for more; none may have
    /// been dropped.
    pub fn wait_until_read(&self) {
        wait_until("the collector has read all", || {
            let queue = receive_queue(self.port).expect("the collector listens");
            assert_eq!(queue.drops, 0, "datagrams did not fit in the collector's socket");
            queue.octets == 0 && self.sleeps()
        });
    }

    fn sleeps(&self) -> bool {
        let path = format!("/proc/{}/stat", self.child.id());
        let stat = fs::read_to_string(path).expect("the collector is a process");
        stat.rsplit_once(") ").expect("a state after the name").1.starts_with('S')
    }

    /// Asks it to end, and waits until it and its children have.
    pub fn stop(mut self, signal: &str) {
        let leader = self.child.id();
        send(signal, &leader.to_string());
        let mut status: Option<ExitStatus> = None;
        wait_until("the collector ends", || {
            status = self.child.try_wait().expect("a child can be asked");
            status.is_some()
        });
        wait_until("the collector's children end", || !send("0", &format!("-{leader}")));
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        send("KILL", &format!("-{}", self.child.id()));
        drop(self.child.wait());
    }
}

/// Sends a signal to a process, or to a group if the number is negative. Whether there was one.
fn send(signal: &str, process: &str) -> bool {
    let script = format!("kill -s {signal} -- {process} 2>/dev/null");
    Command::new("sh").args(["-c", &script]).status().expect("there is a shell").success()
}

/// What a collector has printed so far.
pub fn read(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap_or_default()
}

fn free_port() -> u16 {
    let bind = || -> io::Result<u16> {
        Ok(UdpSocket::bind((IpAddr::from(Ipv4Addr::LOCALHOST), 0))?.local_addr()?.port())
    };
    bind().expect("there is a free port")
}

struct ReceiveQueue {
    octets: u64,
    drops: u64,
}

/// The kernel's view of the UDP socket on a port, if there is one.
fn receive_queue(port: u16) -> Option<ReceiveQueue> {
    let tables = ["/proc/net/udp", "/proc/net/udp6"].map(fs::read_to_string);
    let tables = tables.into_iter().flatten().collect::<String>();
    let suffix = format!(":{port:04X}");
    let line = tables.lines().find(|line| {
        line.split_whitespace().nth(1).is_some_and(|address| address.ends_with(&suffix))
    })?;
    let columns: Vec<&str> = line.split_whitespace().collect();
    let (_, receive) = columns[4].split_once(':').expect("two queues");
    Some(ReceiveQueue {
        octets: u64::from_str_radix(receive, 16).expect("a hexadecimal number"),
        drops: columns[12].parse().expect("a number"),
    })
}
