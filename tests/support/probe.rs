//! The program while it runs, with its output in files.

use std::fs::{self, File};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::Run;
use super::flows::{Flow, flows};
use super::net::{Host, Network};

/// How long the program may take to start or to end, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running program. It is killed when a test fails.
#[derive(Debug)]
pub struct Probe {
    child: Child,
    folder: TempDir,
    begin: Instant,
    /// The most memory that it was seen to have while its end was waited for, in octets.
    memory: u64,
}

impl Probe {
    /// Starts it by this command, which may be about to fail.
    pub fn start(mut command: Command) -> Self {
        let folder = super::scratch();
        let file = |name| File::create(folder.path().join(name)).expect("a file for output");
        command.stdin(Stdio::null()).stdout(file("stdout")).stderr(file("stderr"));
        let child = command.spawn().expect("the program starts");
        Self { child, folder, begin: Instant::now(), memory: 0 }
    }

    /// Starts it on the probe's host, with documents on its standard output, and waits until it
    /// captures from these interfaces.
    pub fn capture(network: &Network, interfaces: &[&str], settings: &[&[&str]]) -> Self {
        let program = super::flowprobe();
        let command = network.command(Host::Probe, program.get_program());
        let mut probe = Self::capture_by(command, interfaces, settings);
        interfaces.iter().for_each(|interface| probe.wait_until_it_captures(interface));
        probe
    }

    /// Starts it by this command, with documents on its standard output. It may be about to fail.
    pub fn capture_by(mut command: Command, interfaces: &[&str], settings: &[&[&str]]) -> Self {
        command.args(interfaces.iter().flat_map(|interface| ["-i", interface]));
        command.args(settings.concat());
        command.args(["-o", "json:-", "--stats", "json", "--name", "test"]);
        Self::start(command)
    }

    pub fn wait_until_it_captures(&mut self, interface: &str) {
        // Said once its sockets are open.
        let said = format!("{interface}: ");
        self.wait_until("it captures", |probe| probe.messages().contains(&said));
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

    /// Ends it at once, as a crash does. It has not ended before.
    pub fn kill(mut self) {
        let ended = self.child.try_wait().expect("a child can be asked");
        assert!(ended.is_none(), "it has ended: {}", self.messages());
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
        super::signal(self.pid(), signal).expect("it runs");
    }

    /// Waits until it ends.
    pub fn wait(self) -> Run {
        self.wait_for(PATIENCE)
    }

    /// Waits until it ends, which may take long.
    pub fn wait_for(mut self, longest: Duration) -> Run {
        self.begin = Instant::now();
        self.end_within(longest).0
    }

    /// Waits for its end, which comes within a time from its start. Also gives the most memory
    /// that it had, in octets.
    #[track_caller]
    pub fn end_within(mut self, longest: Duration) -> (Run, u64) {
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child can be asked") {
                break status;
            }
            self.memory = self.memory.max(peak(self.pid()));
            assert!(self.begin.elapsed() < longest, "it does not end: {}", self.messages());
            thread::sleep(Duration::from_millis(10));
        };
        let read = |name| fs::read(self.folder.path().join(name)).expect("it had output");
        let output = Output { status, stdout: read("stdout"), stderr: read("stderr") };
        (super::finished(output), self.memory)
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The most memory that a process has had, in octets.
fn peak(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}
