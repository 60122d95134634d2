//! The program while it captures.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;
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
        command.args(["-o", "json:-", "--name", "test"]);
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

    /// Waits until it ends; what was on standard error.
    pub fn wait_for_text(mut self) -> String {
        self.wait_for_status(PATIENCE);
        self.messages()
    }

    /// Waits until it ends, which may take long.
    pub fn wait_for(mut self, longest: Duration) -> Run {
        let status = self.wait_for_status(longest);
        let read = |name| fs::read(self.folder.path().join(name)).unwrap_or_default();
        let stderr = [read("stderr"), read("stats")].concat();
        support::finished(Output { status, stdout: read("stdout"), stderr })
    }

    fn wait_for_status(&mut self, longest: Duration) -> ExitStatus {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be asked") {
                return status;
            }
            assert!(begin.elapsed() < longest, "it does not end: {}", self.messages());
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

/// Packets that all layers of capture say were lost.
pub fn lost(run: &Run) -> u64 {
    let interfaces = run.stats["interfaces"].as_array().expect("live statistics");
    interfaces.iter().map(|interface| interface["lost"].as_u64().expect("a count")).sum()
}
