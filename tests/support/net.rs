//! A network of two hosts, a sender and a probe. Each is a network namespace. Virtual links connect
//! them. All of it is removed at the end, even if the test fails.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread;
use std::time::Duration;

use nix::sched::{CloneFlags, setns};
use serde_json::Value;

/// One of the hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    Sender,
    Probe,
}

/// Settings of the links.
#[derive(Clone, Copy, Debug)]
pub struct Links {
    pub count: u32,
    /// Receive queues of the probe's end, and transmit queues of the sender's end.
    pub queues: u32,
    pub mtu: u32,
}

impl Default for Links {
    fn default() -> Self {
        Self { count: 1, queues: 1, mtu: 1500 }
    }
}

/// The hosts and their links: `tx0`, `tx1` ... of the sender are connected to `rx0`, `rx1` ... of
/// the probe. They have no addresses, and send no packets by themselves.
#[derive(Debug)]
pub struct Network {
    sender: String,
    probe: String,
    _turn: Turn,
}

/// The turn of a network: alone, or beside others.
#[derive(Debug, Default)]
struct Turn {
    _alone: Option<RwLockWriteGuard<'static, ()>>,
    _beside: Option<RwLockReadGuard<'static, ()>>,
}

static TURNS: RwLock<()> = RwLock::new(());

impl Network {
    /// Creates a network, the only one meanwhile: tests that measure time or load would affect each
    /// other. `None`, with a message, if that is not permitted.
    pub fn new(links: Links) -> Option<Self> {
        let alone = || TURNS.write().unwrap_or_else(PoisonError::into_inner);
        Self::create(links, || Turn { _alone: Some(alone()), ..Turn::default() })
    }

    /// Creates a network beside others, for a test that neither measures nor loads the host.
    pub fn beside(links: Links) -> Option<Self> {
        let beside = || TURNS.read().unwrap_or_else(PoisonError::into_inner);
        Self::create(links, || Turn { _beside: Some(beside()), ..Turn::default() })
    }

    fn create(links: Links, turn: impl FnOnce() -> Turn) -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            super::skip_without("root");
            return None;
        }
        for tool in ["ip", "ethtool"] {
            if !has_tool(tool) {
                super::skip(&format!("{tool} is not installed"));
                return None;
            }
        }
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let turn = turn();
        let id = format!("fp{}n{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let network = Self { sender: format!("{id}tx"), probe: format!("{id}rx"), _turn: turn };
        for host in [Host::Sender, Host::Probe] {
            run(Command::new("ip").args(["netns", "add", network.namespace(host)]));
            // Otherwise neighbour discovery and similar packets would be metered too.
            let quiet = "for name in all default; do \
                         echo 1 > /proc/sys/net/ipv6/conf/$name/disable_ipv6; done";
            run(network.command(host, "sh").args(["-c", quiet]));
            network.ip(host, &["link", "set", "lo", "up"]);
        }
        (0..links.count).for_each(|number| network.add_link(number, links));
        Some(network)
    }

    /// Creates the link with this number.
    pub fn add_link(&self, number: u32, Links { queues, mtu, .. }: Links) {
        let (tx, rx) = (format!("tx{number}"), format!("rx{number}"));
        let (queues, mtu) = (queues.to_string(), mtu.to_string());
        let sizes = ["mtu", &mtu, "numrxqueues", &queues, "numtxqueues", &queues];
        let mut words = vec!["link", "add", &tx];
        words.extend(sizes);
        words.extend(["type", "veth", "peer", "name", &rx, "netns", &self.probe]);
        words.extend(sizes);
        self.ip(Host::Sender, &words);
        self.ip(Host::Sender, &["link", "set", &tx, "up"]);
        self.ip(Host::Probe, &["link", "set", &rx, "up"]);
    }

    pub fn namespace(&self, host: Host) -> &str {
        match host {
            Host::Sender => &self.sender,
            Host::Probe => &self.probe,
        }
    }

    /// A command in the namespace of a host.
    pub fn command(&self, host: Host, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", self.namespace(host)]).arg(program.as_ref());
        command.env("PATH", path()).stdin(Stdio::null());
        command
    }

    /// Runs `ip` in the namespace of a host.
    pub fn ip(&self, host: Host, words: &[&str]) {
        run(Command::new("ip").args(["-n", self.namespace(host)]).args(words));
    }

    /// The same; an error if it cannot.
    pub fn try_ip(&self, host: Host, words: &[&str]) -> Result<(), String> {
        let mut ip = Command::new("ip");
        ip.args(["-n", self.namespace(host)]).args(words).env("PATH", path());
        let output = ip.output().expect("ip runs");
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(()) } else { Err(message) }
    }

    /// What `ip -json` says about an interface.
    pub fn interface(&self, host: Host, name: &str) -> Value {
        let words = ["-n", self.namespace(host), "-d", "-s", "-json", "link", "show", "dev", name];
        let output = Command::new("ip").args(words).env("PATH", path()).output().expect("ip runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let interfaces: Value = serde_json::from_slice(&output.stdout).expect("ip's JSON");
        interfaces[0].clone()
    }

    /// Switches an offload of an interface.
    pub fn offload(&self, host: Host, interface: &str, offload: &str, to: &str) {
        run(self.command(host, "ethtool").args(["-K", interface, offload, to]));
    }

    /// Runs a function in the namespace of a host.
    pub fn on<T: Send>(&self, host: Host, function: impl FnOnce() -> T + Send) -> T {
        let path = Path::new("/run/netns").join(self.namespace(host));
        let namespace = File::open(path).expect("the namespace has a name");
        let enter_and_run = || {
            // Only for this thread.
            setns(namespace, CloneFlags::CLONE_NEWNET).expect("root may enter a namespace");
            function()
        };
        thread::scope(|scope| {
            let thread = scope.spawn(enter_and_run);
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Sends a capture file to a link, with `cargo xtask loadgen`.
    pub fn send_file(&self, interface: &str, file: &Path, settings: &[&str]) -> Sent {
        let mut words: Vec<&str> = vec!["file", file.to_str().expect("a path in UTF-8")];
        words.extend(settings);
        self.send(interface, &words)
    }

    /// Sends synthetic flows to a link.
    pub fn send_flows(&self, interface: &str, settings: &[&str]) -> Sent {
        let mut words = vec!["flows"];
        words.extend(settings);
        self.send(interface, &words)
    }

    fn send(&self, interface: &str, words: &[&str]) -> Sent {
        let mut command = Command::new(xtask());
        command.args(["loadgen", interface, "--netns", &self.sender]).args(words);
        let output = command.output().expect("the load generator runs");
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {message}");
        let said: Value = serde_json::from_slice(&output.stdout).expect("it says what it sent");
        let of = |pointer: &str| said.pointer(pointer).and_then(Value::as_u64).expect(pointer);
        assert_eq!(of("/refused/not_sendable"), 0, "{said}");
        let seconds = said["seconds"].as_f64().expect("a time");
        Sent {
            packets: of("/sent/packets"),
            refused: of("/refused/queue_full"),
            time: Duration::from_secs_f64(seconds),
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for host in [Host::Sender, Host::Probe] {
            // The links are removed with them. A namespace that could not be created cannot be
            // removed either.
            let mut delete = Command::new("ip");
            delete.args(["netns", "del", self.namespace(host)]).stderr(Stdio::null());
            drop(delete.env("PATH", path()).status());
        }
    }
}

/// Counts of the load generator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    pub packets: u64,
    /// Frames that were dropped because the link was full.
    pub refused: u64,
    /// How long that took.
    pub time: Duration,
}

/// Search path of commands, including the folders for root.
fn path() -> String {
    format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default())
}

fn has_tool(name: &str) -> bool {
    path().split(':').any(|folder| Path::new(folder).join(name).is_file())
}

fn run(command: &mut Command) {
    let output = command.env("PATH", path()).output().expect("the command starts");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The load generator, built in the same target folder as the tests.
fn xtask() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let arguments = ["build", "--quiet", "--package", "xtask", "--bin", "xtask"];
        let status = super::cargo().args(arguments).status().expect("cargo runs");
        assert!(status.success(), "the load generator builds");
        let program = super::flowprobe();
        let target = Path::new(program.get_program()).ancestors().nth(2);
        target.expect("the program is in TARGET/PROFILE").join("debug/xtask")
    })
}
