//! The program while it runs, with its output in files.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;
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
    pub fn start(command: Command) -> Self {
        Self::start_in(super::scratch(), command)
    }

    fn start_in(folder: TempDir, mut command: Command) -> Self {
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
        command.args(["-o", "json:-", "--name", "test"]);
        Self::start_with_totals(command, settings)
    }

    /// Starts it on the probe's host, without a terminal, with the settings of a file, and waits
    /// until it captures from `rx0`.
    pub fn configured(network: &Network, file: &Path, settings: &[&[&str]]) -> Self {
        let mut command = network.command(Host::Probe, "setsid");
        command.arg(super::flowprobe().get_program()).arg("--config").arg(file);
        command.args(settings.concat()).args(["-i", "rx0", "--name", "test"]);
        let mut probe = Self::start_with_totals(command, settings);
        probe.wait_until_it_captures("rx0");
        probe
    }

    /// Starts it by this command, with totals in a file.
    pub fn start_with_totals(mut command: Command, settings: &[&[&str]]) -> Self {
        let folder = super::scratch();
        if !settings.concat().contains(&"--stats") {
            // Messages are then text. Any user may open the file.
            let path = folder.path().join("stats");
            let opened = [(folder.path(), 0o755), (&path, 0o666)];
            File::create(&path).expect("a file for totals");
            for (path, mode) in opened {
                fs::set_permissions(path, Permissions::from_mode(mode)).expect("it is ours");
            }
            command.arg("--stats").arg(format!("json:{}", path.display()));
        }
        Self::start_in(folder, command)
    }

    pub fn wait_until_it_captures(&mut self, interface: &str) {
        // Said once its sockets are open.
        let said = format!("{interface}: ");
        self.wait_until("it captures", |probe| probe.messages().contains(&said));
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The most memory that it has had so far, in octets.
    pub fn memory(&self) -> u64 {
        peak(self.pid())
    }

    /// What it has said so far.
    pub fn messages(&self) -> String {
        fs::read_to_string(self.folder.path().join("stderr")).unwrap_or_default()
    }

    /// The totals it has given so far.
    pub fn totals(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.folder.path().join("stats")).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
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
            self.assert_runs(what);
            let messages = || self.messages();
            assert!(begin.elapsed() < PATIENCE, "not in time: {what}: {}", messages());
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// It has not ended yet. `what` is to happen next.
    pub fn assert_runs(&mut self, what: &str) {
        let ended = self.child.try_wait().expect("a child can be asked");
        assert!(ended.is_none(), "it ended before {what}: {}", self.messages());
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
        let status = self.status_within(longest);
        let read = |name| fs::read(self.folder.path().join(name)).unwrap_or_default();
        let stderr = [read("stderr"), read("stats")].concat();
        let output = Output { status, stdout: read("stdout"), stderr };
        (super::finished(output), self.memory)
    }

    /// Waits until it ends. Gives all of its standard error.
    pub fn wait_for_text(mut self) -> String {
        self.begin = Instant::now();
        self.status_within(PATIENCE);
        self.messages()
    }

    #[track_caller]
    fn status_within(&mut self, longest: Duration) -> ExitStatus {
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be asked") {
                return status;
            }
            self.memory = self.memory.max(peak(self.pid()));
            assert!(self.begin.elapsed() < longest, "it does not end: {}", self.messages());
            thread::sleep(Duration::from_millis(10));
        }
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
