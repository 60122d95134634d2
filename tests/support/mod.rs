//! Shared parts of tests: the program, captures as its input, and skipping when a tool is missing.
//!
//! Each test file compiles its own copy and uses a part of it.

#![allow(dead_code, reason = "each test file uses a part of it")]

pub mod authority;
pub mod capture;
pub mod flows;
pub mod install;
pub mod ipfix;
pub mod mmdb;
pub mod net;
pub mod package;
pub mod packet;
pub mod payload;
pub mod probe;
pub mod random;
pub mod record;
pub mod time;
pub mod tunnel;
pub mod turn;

use std::fs::Permissions;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::flag::register;

/// The program, built with the profile of the tests.
pub fn flowprobe() -> Command {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    Command::new(PROGRAM.get_or_init(|| {
        heed_signals();
        build()
    }))
}

/// Has programs heed the signals that this one ignores, as what a shell runs in the background
/// ignores SIGINT. A program that is started ignores what its parent ignores, and no signal that
/// its parent handles.
fn heed_signals() {
    let status = fs::read_to_string("/proc/self/status").expect("Linux has it");
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).expect("it has it");
    let ignored = u64::from_str_radix(ignored.trim(), 16).expect("a bit for each signal");
    for signal in [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2] {
        if ignored & 1 << (signal - 1) != 0 {
            // Handled by doing nothing.
            register(signal, Arc::default()).expect("the signal can be handled");
        }
    }
}

/// A copy of the program in a folder where any user may run it. Other users may not have access to
/// the checkout.
pub fn flowprobe_for_all(folder: &Path) -> PathBuf {
    let copy = folder.join("flowprobe");
    if !copy.exists() {
        fs::set_permissions(folder, Permissions::from_mode(0o755)).expect("the folder is ours");
        fs::copy(flowprobe().get_program(), &copy).expect("the program can be copied");
    }
    copy
}

fn build() -> PathBuf {
    let mut cargo = cargo();
    cargo.args(["build", "--quiet", "--package", "probe", "--bin", "flowprobe"]);
    if cfg!(feature = "kafka") {
        let features = if cfg!(feature = "kafka-tls") { "kafka-tls" } else { "kafka" };
        cargo.args(["--features", features]);
    }
    // Tests that measure may want the program that users have.
    let wants_release = env::var_os("FLOWPROBE_RELEASE").is_some();
    if wants_release || !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let status = cargo.status().expect("cargo runs");
    assert!(status.success(), "the program builds");
    // The test is in TARGET/PROFILE/deps.
    let test = env::current_exe().expect("a test knows where it is");
    let profile = test.parent().and_then(Path::parent).expect("it is in a folder of deps");
    if wants_release { profile.with_file_name("release") } else { profile.to_owned() }
        .join("flowprobe")
}

/// Cargo, in the root folder of the workspace.
pub fn cargo() -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root());
    // Variables of cargo about the test's package would make build scripts that use them run again.
    let told = ["CARGO_MANIFEST_", "CARGO_PKG_"];
    let names = env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    for name in names.filter(|name| told.iter().any(|prefix| name.starts_with(prefix))) {
        cargo.env_remove(name);
    }
    // `cargo xtask test` tells it to tests, not to compilers.
    cargo.env_remove("RUSTC_BOOTSTRAP");
    cargo
}

/// The status of `flowprobe ctl`, and what it says.
pub fn ctl(socket: &Path, command: &[&str]) -> (Option<i32>, String) {
    let mut ctl = flowprobe();
    let output = ctl.args(["ctl", "--socket"]).arg(socket).args(command).output();
    let output = output.expect("the program starts");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).expect("text"))
}

/// Another program, which is killed when this is dropped.
#[derive(Debug)]
pub struct Killed(pub Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The root folder of the workspace.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The sample capture of an office.
pub fn office() -> PathBuf {
    root().join("tests/data/office.pcap")
}

/// Result of a run of the program.
#[derive(Debug)]
pub struct Run {
    pub status: i32,
    pub stdout: Vec<u8>,
    /// Messages, including those in the statistics.
    pub stderr: String,
    /// The output of `--stats json`. Null if the run ended before it.
    pub stats: Value,
}

impl Run {
    /// A count of the statistics, by its keys.
    pub fn count(&self, keys: &str) -> u64 {
        let value = keys.split('.').fold(&self.stats, |value, key| match key.parse::<usize>() {
            Ok(index) => &value[index],
            Err(_) => &value[key],
        });
        value.as_u64().unwrap_or_else(|| panic!("no {keys} in {}", self.stats))
    }

    /// The documents on standard output, one per line.
    pub fn documents(&self) -> Vec<Value> {
        documents(&self.stdout)
    }

    /// Checks that every packet and octet is accounted for, in the meter and in each output.
    pub fn assert_conservation(&self) {
        let stats = &self.stats;
        let sum = |value: &Value, key: &str| -> u64 {
            value.as_object().unwrap().values().map(|one| one[key].as_u64().unwrap()).sum()
        };
        let received = self.count("received.packets");
        let metered = self.count("metered.packets");
        assert_eq!(received, metered + sum(&stats["ignored"], "packets"), "{stats}");
        assert_eq!(metered, sum(&stats["ended"], "packets"), "{stats}");
        assert_eq!(self.count("metered.octets"), sum(&stats["ended"], "octets"), "{stats}");
        for (index, output) in stats["outputs"].as_array().unwrap().iter().enumerate() {
            for key in ["records", "packets", "octets"] {
                let ended = sum(&stats["ended"], key);
                let of = |what: &str| self.count(&format!("outputs.{index}.{what}.{key}"));
                let left =
                    ["not_exportable", "failed", "dead_lettered", "spooled", "dropped", "absent"];
                let accounted = of("sent") + left.into_iter().map(of).sum::<u64>();
                assert_eq!(ended, accounted, "{key} of {output}");
            }
        }
        assert_workers_add_up(stats);
    }
}

/// Checks that what each worker did adds up to the totals at the end of a run that meters, and what
/// each worker dropped to what its queue dropped.
pub fn assert_workers_add_up(stats: &Value) {
    let workers = stats["workers"].as_array().expect("a list of workers");
    let sum = |place: &str| -> Option<u64> {
        workers.iter().map(|worker| worker.pointer(place)?.as_u64()).sum()
    };
    let all = |list: &str, key: &str| -> u64 {
        let parts = stats[list].as_object().expect("an object").values();
        parts.map(|part| part[key].as_u64().expect("a count")).sum()
    };
    let metered = stats["metered"]["packets"].as_u64();
    assert_eq!(sum("/metered/packets"), metered, "{stats}");
    for key in ["records", "packets", "octets"] {
        assert_eq!(sum(&format!("/ended/{key}")), Some(all("ended", key)), "{key}: {stats}");
        let dropped = stats["queues"][0]["dropped"][key].as_u64().unwrap_or(0);
        assert_eq!(sum(&format!("/dropped/{key}")), Some(dropped), "{key}: {stats}");
    }
    assert_eq!((sum("/kept/flows"), sum("/kept/packets")), (Some(0), Some(0)), "{stats}");
    // With several workers in a replay, another thread reads the packets.
    if workers.iter().all(|worker| worker.get("received").is_some()) && !workers.is_empty() {
        for key in ["packets", "octets"] {
            for list in ["received", "metered"] {
                let sum = sum(&format!("/{list}/{key}"));
                assert_eq!(sum, stats[list][key].as_u64(), "{list} {key}: {stats}");
            }
            let ignored = sum(&format!("/ignored/{key}"));
            assert_eq!(ignored, Some(all("ignored", key)), "{key}: {stats}");
        }
    }
}

/// Documents, one per line.
pub fn documents(lines: &[u8]) -> Vec<Value> {
    let lines = lines.split(|&octet| octet == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).expect("a line is a document")).collect()
}

/// Runs the program with these arguments and `--stats json`.
pub fn run<A: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = A>) -> Run {
    run_with_input(arguments, &[])
}

/// Like [`run`], with octets on standard input.
pub fn run_with_input<A: AsRef<std::ffi::OsStr>>(
    arguments: impl IntoIterator<Item = A>,
    input: &[u8],
) -> Run {
    let mut child = flowprobe()
        .args(arguments)
        .args(["--stats", "json", "--name", "test"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("standard input is a pipe");
    let input = input.to_vec();
    let feeder = thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().expect("the program ends");
    feeder.join().expect("the input was given");
    finished(output)
}

/// Parses the output of a finished run.
pub fn finished(output: Output) -> Run {
    let stderr = String::from_utf8(output.stderr).expect("messages are text");
    assert!(!stderr.contains("panicked"), "{stderr}");
    let lines = stderr.lines().map(|line| serde_json::from_str::<Value>(line).map_err(|_| line));
    let lines: Vec<_> = lines.collect();
    let stats = lines.iter().rev().find_map(|line| line.as_ref().ok()).cloned();
    // The order is as without --stats json: messages first, then the totals.
    let messages = lines.iter().flat_map(|line| match line {
        Ok(stats) => {
            let mut totals = stats.clone();
            totals.as_object_mut().map(|totals| totals.remove("messages"));
            let held = stats["messages"].as_array().into_iter().flatten();
            let held = held.filter_map(Value::as_str).map(|held| format!("flowprobe: {held}"));
            held.chain([totals.to_string()]).collect()
        }
        Err(line) => vec![(*line).to_owned()],
    });
    Run {
        status: output.status.code().unwrap_or(-1),
        stdout: output.stdout,
        stderr: messages.map(|message| message + "\n").collect(),
        stats: stats.unwrap_or(Value::Null),
    }
}

/// Sends a signal to a process.
pub fn signal(pid: u32, signal: Signal) -> nix::Result<()> {
    kill(Pid::from_raw(pid.try_into().expect("a process id")), signal)
}

/// A folder for the files of a test, which is removed at its end.
pub fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder for the test")
}

/// A folder among others for what the tests of this process share. It outlives the process, so what
/// earlier processes left is removed here.
pub fn shared_folder(folders: &Path) -> tempfile::TempDir {
    fs::create_dir_all(folders).expect("a folder for folders");
    for entry in fs::read_dir(folders).expect("the folder can be read").flatten() {
        let name = entry.file_name().into_string().unwrap_or_default();
        let process = name.split('-').next().unwrap_or_default();
        if !Path::new("/proc").join(process).exists() {
            drop(fs::remove_dir_all(entry.path()));
        }
    }
    let prefix = format!("{}-", std::process::id());
    tempfile::Builder::new().prefix(&prefix).tempdir_in(folders).expect("a folder for the process")
}

/// Writes a file of a test.
pub fn write(folder: &tempfile::TempDir, name: &str, octets: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, octets).expect("a file for the test");
    path
}

/// Reports that a part of a test is skipped because a tool is missing that can be installed. If
/// `CI` is set, this is a failure.
pub fn skip(reason: &str) {
    say_skipped(reason);
    assert!(env::var_os("CI").is_none(), "in CI nothing is skipped: {reason}");
}

/// Reports that a part of a test is skipped because this machine lacks something.
pub fn skip_without(what: &str) {
    say_skipped(&format!("{what} is not here"));
}

/// Prints to standard output, and writes to the file in which the test command collects skipped
/// tests.
fn say_skipped(reason: &str) {
    let test = thread::current().name().unwrap_or("a test").to_owned();
    println!("skipped: {test}: {reason}");
    if let Some(path) = env::var_os("FLOWPROBE_SKIPS") {
        let mut file = fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        // One write: other tests append to the file at the same time.
        file.write_all(format!("{test}: {reason}\n").as_bytes()).unwrap();
    }
}

/// Polls until it is so, for a minute at most.
#[track_caller]
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < Duration::from_secs(60), "not in time: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A port of the loopback that nobody uses now.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
    listener.local_addr().expect("it has an address").port()
}

/// Whether a tool is installed.
pub fn has_tool(name: &str) -> bool {
    let paths = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&paths).any(|folder| folder.join(name).is_file())
}

/// Whether tshark is installed. If it is not, says that the test is skipped, which CI refuses.
pub fn has_tshark() -> bool {
    let is_there = has_tool("tshark");
    if !is_there {
        skip("tshark is not installed");
    }
    is_there
}

/// A folder of test data outside of the checkout: from a variable, or beside the checkout.
pub fn material(variable: &str, beside: &str) -> Option<PathBuf> {
    let path =
        env::var_os(variable).map_or_else(|| root().join("../shared").join(beside), PathBuf::from);
    path.is_dir().then_some(path)
}

/// Real captures: the files of `FLOWPROBE_CAPTURES`, or of a folder beside the checkout.
pub fn real_captures() -> Vec<PathBuf> {
    let Some(folder) = material("FLOWPROBE_CAPTURES", "pcaps") else { return Vec::new() };
    let entries = fs::read_dir(folder).expect("the folder of captures can be read");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|kind| kind == "pcap" || kind == "pcapng"));
    paths.sort();
    paths
}
