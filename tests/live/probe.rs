//! The program while it captures.

use std::fs::{self, File};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::support::flows::{Flow, flows};
use crate::support::net::{Host, Network};
use crate::support::{self, Run};

/// How long the program may take to start or to end, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// How packets are taken.
pub const METHODS: [&[&str]; 2] =
    [&["--capture", "afxdp", "--take-interface"], &["--capture", "packet"]];

/// Timeouts that do not end a flow while a test runs.
pub const PATIENT: [&str; 4] = ["--idle-timeout", "1h", "--active-timeout", "1h"];

/// A running program, with documents on its standard output. It is killed when a test fails.
#[derive(Debug)]
pub struct Probe {
    child: Child,
    folder: TempDir,
}

impl Probe {
    /// Starts it on the probe's host and waits until it captures from these interfaces.
    pub fn start(network: &Network, interfaces: &[&str], settings: &[&[&str]]) -> Self {
        let program = support::flowprobe();
        let command = network.command(Host::Probe, program.get_program());
        let mut probe = Self::spawn(command, interfaces, settings);
        for interface in interfaces {
            // Said once its sockets are open.
            let said = format!("{interface}: ");
            probe.wait_until("it captures", |probe| probe.messages().contains(&said));
        }
        probe
    }

    /// Starts it by this command, which may be about to fail.
    pub fn spawn(mut command: Command, interfaces: &[&str], settings: &[&[&str]]) -> Self {
        let folder = support::scratch();
        let file = |name| File::create(folder.path().join(name)).expect("a file for output");
        command.args(interfaces.iter().flat_map(|interface| ["-i", interface]));
        command.args(settings.concat());
        command.args(["-o", "json:-", "--stats", "json", "--name", "test"]);
        command.stdin(Stdio::null()).stdout(file("stdout")).stderr(file("stderr"));
        Self { child: command.spawn().expect("the program starts"), folder }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has said so far.
    pub fn messages(&self) -> String {
        fs::read_to_string(self.folder.path().join("stderr")).unwrap_or_default()
    }

    /// The flows it has reported so far, without a document that is half written.
    pub fn flows(&self) -> Vec<Flow> {
        let octets = fs::read(self.folder.path().join("stdout")).unwrap_or_default();
        let whole = octets.iter().rposition(|&octet| octet == b'\n').map_or(0, |end| end + 1);
        let mut flows = flows(&octets[..whole]);
        flows.sort();
        flows
    }

    /// Polls, while it runs.
    pub fn wait_until(&mut self, what: &str, mut is_so: impl FnMut(&Self) -> bool) {
        let begin = Instant::now();
        while !is_so(self) {
            let ended = self.child.try_wait().expect("a child can be asked");
            assert!(ended.is_none(), "it ended before {what}: {}", self.messages());
            let messages = || self.messages();
            assert!(begin.elapsed() < PATIENCE, "not in time: {what}: {}", messages());
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Asks it to end, in good order.
    pub fn stop(self) -> Run {
        self.signal(Signal::SIGTERM);
        let run = self.wait();
        assert_eq!(run.status, 0, "{}", run.stderr);
        run.assert_conservation();
        run
    }

    pub fn signal(&self, signal: Signal) {
        support::signal(self.pid(), signal).expect("it runs");
    }

    /// Waits until it ends.
    pub fn wait(self) -> Run {
        self.wait_for(PATIENCE)
    }

    /// Waits until it ends, which may take long.
    pub fn wait_for(mut self, longest: Duration) -> Run {
        let begin = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child can be asked") {
                break status;
            }
            assert!(begin.elapsed() < longest, "it does not end: {}", self.messages());
            thread::sleep(Duration::from_millis(10));
        };
        let read = |name| fs::read(self.folder.path().join(name)).expect("it had output");
        support::finished(Output { status, stdout: read("stdout"), stderr: read("stderr") })
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Packets that all layers of capture say were lost.
pub fn lost(run: &Run) -> u64 {
    let interfaces = run.stats["interfaces"].as_array().expect("live statistics");
    interfaces.iter().map(|interface| interface["lost"].as_u64().expect("a count")).sum()
}
