//! Two network namespaces and a link between them, which are removed at the end.

use std::fs::File;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{self, Command, Stdio};
use std::thread;

use anyhow::{Context, Result, anyhow, ensure};
use commands::{debian, execute};
use nix::sched::{CloneFlags, setns};

/// Address to which programs send their flows.
pub(super) const COLLECTOR: &str = "127.0.0.1:9995";

/// `tx0` in one namespace, `rx0` in the other.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) sender: String,
    receiver: String,
    /// Receives the exports of programs and discards them.
    _collector: UdpSocket,
}

impl Link {
    pub(super) fn make() -> Result<Self> {
        let id = format!("fpbench{}", process::id());
        let namespaces = Namespaces([format!("{id}tx"), format!("{id}rx")]);
        for name in &namespaces.0 {
            ip(&["netns", "add", name]).context("making a network namespace; it takes root")?;
            // Otherwise neighbour discovery and similar packets would be metered too.
            let quiet = "for name in all default; do \
                         echo 1 > /proc/sys/net/ipv6/conf/$name/disable_ipv6; done";
            execute(within(name, "sh").args(["-c", quiet]))?;
        }
        let [sender, receiver] = &namespaces.0;
        let pair = ["type", "veth", "peer", "name", "rx0", "netns", receiver];
        ip(&[&["-n", sender, "link", "add", "tx0"], &pair[..]].concat())?;
        for (name, interface) in [(sender, "tx0"), (receiver, "rx0"), (receiver, "lo")] {
            ip(&["-n", name, "link", "set", interface, "up"])?;
        }
        // Otherwise frames from a program are accepted only while an XDP program receives them.
        execute(within(receiver, "ethtool").args(["-K", "rx0", "gro", "on"]))?;
        let collector = collector(receiver)?;
        let [sender, receiver] = namespaces.keep();
        Ok(Self { sender, receiver, _collector: collector })
    }

    /// What moves a thread into the receiving namespace.
    pub(super) fn entrance(&self) -> impl FnOnce() -> Result<()> + Send + use<> {
        let path = Path::new("/run/netns").join(&self.receiver);
        move || {
            let file = File::open(path).context("the namespace")?;
            setns(file, CloneFlags::CLONE_NEWNET).context("entering the namespace")
        }
    }

    /// A command in the receiving namespace.
    pub(super) fn receiving(&self, program: impl AsRef<Path>) -> Command {
        within(&self.receiver, program)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        remove(&[&self.sender, &self.receiver]);
    }
}

/// Namespaces of an incomplete link.
struct Namespaces([String; 2]);

impl Namespaces {
    fn keep(mut self) -> [String; 2] {
        std::mem::take(&mut self.0)
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        let [sender, receiver] = &self.0;
        remove(&[sender, receiver]);
    }
}

fn remove(names: &[&String]) {
    for name in names.iter().filter(|name| !name.is_empty()) {
        let mut command = Command::new("ip");
        command.args(["netns", "del", name]).env("PATH", debian::path()).stderr(Stdio::null());
        if !command.status().is_ok_and(|status| status.success()) {
            println!("network namespace {name}: not removed");
        }
    }
}

fn ip(words: &[&str]) -> Result<()> {
    execute(Command::new("ip").args(words).env("PATH", debian::path()))
}

fn within(namespace: &str, program: impl AsRef<Path>) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace]).arg(program.as_ref());
    command.env("PATH", debian::path()).stdin(Stdio::null());
    command
}

/// A socket without a reader: reading would use the generator's processor.
fn collector(namespace: &str) -> Result<UdpSocket> {
    let file = File::open(Path::new("/run/netns").join(namespace)).context("the namespace")?;
    let open = move || -> Result<UdpSocket> {
        // Only for this thread.
        setns(file, CloneFlags::CLONE_NEWNET).context("entering the namespace")?;
        UdpSocket::bind(COLLECTOR).context("binding the collector's socket")
    };
    let opened = thread::spawn(open).join();
    let opened = opened.map_err(|_panic| anyhow!("the thread in the namespace has failed"))?;
    ensure!(opened.is_ok(), "{:#}", opened.expect_err("it is an error"));
    opened
}
