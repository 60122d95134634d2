//! A pair of connected interfaces for tests, each in its own network namespace.

use std::fs::File;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns};
use pnet_datalink::{Channel, Config, DataLinkSender, NetworkInterface};

use crate::host::namespace::{output, skip};

/// Frames after which the sender pauses, so that the kernel's queue does not overflow.
const BURST: usize = 64;

const PAUSE: Duration = Duration::from_micros(500);

/// Maximum time for an interface to find out that its peer is up.
const CARRIER_PATIENCE: Duration = Duration::from_secs(10);

/// Names of the receiving end and the sending end.
pub(super) const NEAR: &str = "near0";
const FAR: &str = "far0";

/// The pair. Its namespaces are removed with it.
#[derive(Debug)]
pub(super) struct Pair {
    near: String,
    far: String,
}

impl Pair {
    /// Makes a pair with this number of queues at each end, both up. `None`, with a message, if it
    /// is not permitted.
    pub(super) fn make(queues: u32, mtu: u32) -> Option<Self> {
        Self::make_unequal(queues, queues, mtu)
    }

    /// Like `make`, with different numbers of queues at the receiving end and the sending end.
    pub(super) fn make_unequal(near: u32, far: u32, mtu: u32) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        if !nix::unistd::geteuid().is_root() {
            skip("root is not here");
            return None;
        }
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = |end: &str| format!("flowprobe-{}-{count}-{end}", std::process::id());
        let pair = Self { near: name("near"), far: name("far") };
        for (namespace, end) in [(&pair.near, NEAR), (&pair.far, FAR)] {
            ip(&["netns", "add", namespace]);
            // No packets of IPv6 by themselves: only the test sends.
            let quiet = "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6; \
                         echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6";
            ip(&["netns", "exec", namespace, "sh", "-c", quiet]);
            if end == FAR {
                let (near, far) = (near.to_string(), far.to_string());
                let link = ["-n", &pair.near, "link", "add", NEAR];
                let peer = ["type", "veth", "peer", "name", FAR, "netns", &pair.far];
                let near = ["numtxqueues", &near, "numrxqueues", &near];
                let far = ["numtxqueues", &far, "numrxqueues", &far];
                ip(&[&link[..], &near, &peer, &far].concat());
            }
        }
        for (namespace, end) in [(&pair.near, NEAR), (&pair.far, FAR)] {
            ip(&["-n", namespace, "link", "set", end, "mtu", &mtu.to_string(), "up"]);
        }
        Some(pair)
    }

    /// Runs a function in the namespace of the receiving end.
    pub(super) fn at_near<T: Send>(&self, run: impl FnOnce() -> T + Send) -> T {
        inside(&self.near, run)
    }

    /// Runs `ip` in the namespace of the receiving end.
    pub(super) fn ip(&self, arguments: &[&str]) -> String {
        ip(&[&["-n", &self.near], arguments].concat())
    }

    /// A command that runs a program in the namespace of the receiving end.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.near]).arg(program);
        command
    }

    /// Sends frames from the sending end.
    pub(super) fn send(&self, frames: &[Vec<u8>]) {
        let carries = || ip(&["-n", &self.far, "link", "show", "dev", FAR]).contains("state UP");
        let begin = Instant::now();
        while !carries() && begin.elapsed() < CARRIER_PATIENCE {
            thread::sleep(PAUSE);
        }
        inside(&self.far, || {
            let mut sender = sender(FAR);
            for burst in frames.chunks(BURST) {
                for frame in burst {
                    sender.send_to(frame, None).unwrap().unwrap();
                }
                thread::sleep(PAUSE);
            }
        });
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        for namespace in [&self.near, &self.far] {
            let removed = Command::new("ip").args(["netns", "del", namespace]).status();
            // A second panic would hide the first.
            assert!(removed.is_ok_and(|status| status.success()) || thread::panicking());
        }
    }
}

/// In a thread, because each thread has its own namespace.
fn inside<T: Send>(namespace: &str, run: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let file = File::open(format!("/run/netns/{namespace}")).unwrap();
            setns(file, CloneFlags::CLONE_NEWNET).unwrap();
            run()
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn sender(name: &str) -> Box<dyn DataLinkSender> {
    let interface = interface(name);
    let config = Config { write_buffer_size: 1 << 17, ..Config::default() };
    match pnet_datalink::channel(&interface, config).unwrap() {
        Channel::Ethernet(sender, _) => sender,
        _ => unreachable!("an Ethernet channel is asked for"),
    }
}

/// The system's data on an interface of this namespace.
pub(super) fn interface(name: &str) -> NetworkInterface {
    pnet_datalink::interfaces().into_iter().find(|interface| interface.name == name).unwrap()
}

fn ip(arguments: &[&str]) -> String {
    output(Command::new("ip").args(arguments))
}
