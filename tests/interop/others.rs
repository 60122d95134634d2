//! goflow2, and the collectors of pmacct: how they are started, and what they print.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

use crate::collector::{self, Collector};
use crate::support;

const VERSION: &str = "v2.2.6";

/// goflow2, built from its published source once for all tests and kept in the target directory; or
/// why there is none.
fn program() -> Result<&'static Path, &'static str> {
    static PROGRAM: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    PROGRAM.get_or_init(build).as_deref().map_err(String::as_str)
}

fn build() -> Result<PathBuf, String> {
    let test = std::env::current_exe().expect("a test knows where it is");
    // The test is in TARGET/PROFILE/deps.
    let target = test.ancestors().nth(3).expect("it is in a target directory");
    let folder = target.join(format!("goflow2-{VERSION}"));
    let program = folder.join("goflow2");
    if program.is_file() {
        return Ok(program);
    }
    let package = format!("github.com/netsampler/goflow2/v2/cmd/goflow2@{VERSION}");
    let mut go = Command::new("go");
    match go.env("GOBIN", &folder).args(["install", &package]).output() {
        Ok(output) if output.status.success() => Ok(program),
        Ok(output) => {
            let error = String::from_utf8_lossy(&output.stderr);
            Err(format!("goflow2 cannot be built: {error}"))
        }
        Err(error) => Err(format!("goflow2 cannot be built without go: {error}")),
    }
}

/// Starts goflow2 for `netflow` (and IPFIX) or `sflow`, if it can be had.
pub fn goflow2(folder: &Path, scheme: &str) -> Option<Collector> {
    let program = match program() {
        Ok(program) => program,
        Err(reason) => {
            support::skip(reason);
            return None;
        }
    };
    Some(Collector::start(folder, |port| {
        let mut goflow2 = Command::new(program);
        // Several workers would take messages in any order, also before their templates.
        let listen = format!("{scheme}://127.0.0.1:{port}?count=1&workers=1");
        goflow2.args(["-listen", &listen, "-format", "json", "-addr", "127.0.0.1:0"]);
        goflow2
    }))
}

/// Waits until goflow2 has printed so many records, stops it and reads them.
pub fn printed(collector: Collector, folder: &Path, records: u64) -> Vec<Value> {
    let lines = || collector::read(folder, "stdout").lines().count();
    support::wait_until("goflow2 prints all records", || lines() as u64 >= records);
    collector.wait_until_read();
    collector.stop("TERM");
    let log = collector::read(folder, "stderr");
    assert!(!log.contains("level=WARN") && !log.contains("level=ERROR"), "{log}");
    let output = collector::read(folder, "stdout");
    output.lines().map(|line| serde_json::from_str(line).expect("goflow2's JSON")).collect()
}

/// Starts `nfacctd` or `sfacctd`, if it is installed. It sums up by these fields.
pub fn pmacct(program: &str, folder: &Path, address: &str, aggregate: &str) -> Option<Collector> {
    if !support::has_tool(program) {
        support::skip("pmacct is not installed");
        return None;
    }
    let collector = Collector::start(folder, |port| {
        let settings = folder.join("pmacct.conf");
        let output = folder.join("flows");
        fs::write(&settings, configuration(program, address, port, aggregate, &output)).unwrap();
        let mut command = Command::new(program);
        command.arg("-f").arg(settings);
        command
    });
    // The process that prints is another one than that which listens.
    let says = || log(folder).contains("setting object handlers");
    support::wait_until("pmacct can print", says);
    Some(collector)
}

fn log(folder: &Path) -> String {
    collector::read(folder, "stdout") + &collector::read(folder, "stderr")
}

/// `*_time_new` takes the times from the flows; what was sampled is scaled.
fn configuration(
    program: &str,
    address: &str,
    port: u16,
    aggregate: &str,
    output: &Path,
) -> String {
    format!(
        "daemonize: false\n\
         {program}_ip: {address}\n\
         {program}_port: {port}\n\
         {program}_time_new: true\n\
         {program}_renormalize: true\n\
         plugins: print\n\
         aggregate: {aggregate}\n\
         print_num_protos: true\n\
         print_output: json\n\
         print_output_file: {}\n\
         print_output_file_append: true\n\
         print_refresh_time: 3600\n",
        output.display()
    )
}

/// Stops a collector of pmacct, whereupon it prints.
pub fn accounted(collector: Collector, folder: &Path) -> Vec<Value> {
    collector.wait_until_read();
    collector.stop("INT");
    let log = log(folder);
    assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
    let output = collector::read(folder, "flows");
    output.lines().map(|line| serde_json::from_str(line).expect("pmacct's JSON")).collect()
}
