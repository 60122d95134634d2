//! Runs the tests, after installing what they need.

use std::env;
use std::fmt::{self, Display, Formatter};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use commands::debian::{self, Need};
use commands::{cargo, execute, with_default_signals};

/// Selection of tests.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Options {
    /// Only tests with one of these in their name
    filters: Vec<String>,

    /// Also tests that are normally ignored because they take long
    #[arg(long)]
    all: bool,
}

/// Tests of the stable compiler take options that are for nightly ones where they are told to.
const RUNNER: &str = "target.'cfg(all())'.runner = ['env', 'RUSTC_BOOTSTRAP=1']";

/// How long each test takes is printed behind its result.
const TIMES: [&str; 2] = ["-Zunstable-options", "--report-time"];

/// Number of tests that are named for the time that they take.
const SLOWEST: usize = 10;

/// What the tests drive besides the program itself.
const NEEDS: [Need; 25] = [
    // With dpkg-dev for the Debian package.
    Need { package: "binutils", check: &["strip", "--version"] },
    Need { package: "chromium", check: &["chromium", "--version"] },
    Need { package: "debootstrap", check: &["debootstrap", "--version"] },
    Need { package: "docker-compose", check: &["docker-compose", "--version"] },
    Need { package: "dpkg-dev", check: &["dpkg-shlibdeps", "--version"] },
    Need { package: "ethtool", check: &["ethtool", "--version"] },
    Need { package: "iproute2", check: &["ip", "-V"] },
    // Kafka with TLS, with --all.
    Need { package: "libssl-dev", check: &["dpkg", "-s", "libssl-dev"] },
    Need { package: "mmdb-bin", check: &["mmdblookup", "--version"] },
    Need { package: "musl-tools", check: &["musl-gcc", "--version"] },
    Need { package: "nfdump", check: &["nfcapd", "-V"] },
    Need { package: "nfdump-sflow", check: &["sfcapd", "-V"] },
    Need { package: "pmacct", check: &["nfacctd", "-V"] },
    Need { package: "prometheus", check: &["promtool", "--version"] },
    Need { package: "softflowd", check: &["softflowd", "-h"] },
    Need { package: "tshark", check: &["tshark", "--version"] },
    Need { package: "tcpdump", check: &["tcpdump", "--version"] },
    Need { package: "systemd-container", check: &["systemd-nspawn", "--version"] },
    Need { package: "ruby", check: &["ruby", "--version"] },
    Need { package: "ruby-bindata", check: &["ruby", "-e", "require 'bindata'"] },
    // Search engines and a broker are downloaded as jars.
    Need { package: "default-jdk-headless", check: &["jar", "--version"] },
    Need { package: "maven", check: &["mvn", "--version"] },
    // Another reader of Kafka.
    Need { package: "rsyslog-elasticsearch", check: &["dpkg", "-s", "rsyslog-elasticsearch"] },
    Need { package: "rsyslog-kafka", check: &["dpkg", "-s", "rsyslog-kafka"] },
    // A consumer of Kafka, and a newer Java than Debian's.
    Need { package: "python3-pip", check: &["python3", "-m", "pip", "--version"] },
];

pub(crate) fn run(options: &Options) -> Result<()> {
    let outcome = outcome(options)?;
    println!("{outcome}");
    outcome.check()
}

/// Runs the tests and counts their results.
pub(crate) fn outcome(options: &Options) -> Result<Outcome> {
    debian::install(&NEEDS);
    let kafka = ["--features", if options.all { "kafka-tls" } else { "kafka" }];
    execute(cargo().args(["build", "--package", "probe", "--bin", "flowprobe"]).args(kafka))?;
    let skips = skips_file()?;
    let mut command = cargo();
    command.args(["test", "--workspace", "--tests", "--no-fail-fast"]).args(kafka);
    command.args(["--config", RUNNER, "--"]).args(TIMES).args(&options.filters);
    if options.all {
        command.arg("--include-ignored");
    }
    command.env("FLOWPROBE_SKIPS", &skips).env("PATH", debian::path());
    let mut command = with_default_signals(&command);
    command.stdout(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("starting {command:?}"))?;
    let output = child.stdout.take().expect("it is a pipe");
    let mut outcome = Outcome::default();
    for line in BufReader::new(output).lines() {
        let line = line.context("reading what the tests print")?;
        println!("{line}");
        outcome.read(&line);
    }
    outcome.succeeded = child.wait().context("waiting for the tests")?.success();
    if !outcome.succeeded && outcome.failed.is_empty() {
        outcome.failed.push("not all tests could be built and run to their end".to_owned());
    }
    let skipped = fs::read_to_string(&skips).with_context(|| skips.display().to_string())?;
    outcome.skipped = skipped.lines().map(str::to_owned).collect();
    outcome.skipped.sort();
    outcome.skipped.dedup();
    Ok(outcome)
}

/// Results of the tests.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    succeeded: bool,
    passed: u64,
    ignored: u64,
    /// Names of tests.
    failed: Vec<String>,
    /// Parts of tests, each with the reason.
    skipped: Vec<String>,
    /// Seconds of each test, with its name. Tests that wait for their turn are longer.
    times: Vec<(f64, String)>,
}

impl Outcome {
    /// Evaluates a line of the test runner's output.
    fn read(&mut self, line: &str) {
        if let Some(counts) = line.strip_prefix("test result: ") {
            let count = |what: &str| {
                let words = counts.split(['.', ';']).map(str::trim);
                words.filter_map(|words| words.strip_suffix(what)?.trim().parse::<u64>().ok()).sum()
            };
            let (passed, ignored): (u64, u64) = (count("passed"), count("ignored"));
            self.passed += passed;
            self.ignored += ignored;
        } else if let Some((test, result)) =
            line.strip_prefix("test ").and_then(|line| line.split_once(" ... "))
        {
            let (result, time) = result.split_once(" <").unwrap_or((result, ""));
            if result == "FAILED" {
                self.failed.push(test.to_owned());
            }
            let seconds = time.strip_suffix("s>").and_then(|seconds| seconds.parse().ok());
            self.times.extend(seconds.map(|seconds| (seconds, test.to_owned())));
        }
    }

    /// Adds the result of another check.
    pub(crate) fn add(&mut self, name: &str, passed: bool) {
        if passed {
            self.passed += 1;
        } else {
            self.failed.push(name.to_owned());
        }
    }

    pub(crate) fn check(&self) -> Result<()> {
        ensure!(self.succeeded && self.failed.is_empty(), "not everything passed");
        ensure!(self.passed > 0, "no test has such a name");
        Ok(())
    }
}

/// The last lines. The very last one has a form for tools.
impl Display for Outcome {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut times: Vec<_> = self.times.iter().collect();
        times.sort_by(|one, other| other.0.total_cmp(&one.0));
        for (seconds, test) in times.into_iter().take(SLOWEST) {
            writeln!(f, "{seconds:7.1} s: {test}")?;
        }
        for skipped in &self.skipped {
            writeln!(f, "skipped: {skipped}")?;
        }
        for failed in &self.failed {
            writeln!(f, "FAILED: {failed}")?;
        }
        if self.ignored > 0 {
            writeln!(f, "left out because they take long: {}", self.ignored)?;
        }
        let (passed, skipped) = (self.passed, self.skipped.len());
        let failed = self.failed.len();
        write!(f, "tests: {passed} passed, {failed} failed, {skipped} skipped")
    }
}

/// Creates an empty file, in which tests record what they skip.
fn skips_file() -> Result<PathBuf> {
    // This program is in TARGET/PROFILE.
    let program = env::current_exe().context("finding the target folder")?;
    let target = program.ancestors().nth(2).context("finding the target folder")?;
    let path = target.join("skipped-tests.txt");
    fs::write(&path, "").with_context(|| format!("writing {}", path.display()))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_several_runners_add_up() {
        let mut outcome = Outcome::default();
        for line in [
            "test one ... ok <1.310s>",
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out",
            "test a::two ... FAILED <20.004s>",
            "test b::three ... ok",
            "test result: FAILED. 3 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out",
        ] {
            outcome.read(line);
        }
        let left_out = "left out because they take long: 3";
        let closing = "tests: 15 passed, 1 failed, 0 skipped";
        let times = "   20.0 s: a::two\n    1.3 s: one\n";
        let expected = format!("{times}FAILED: a::two\n{left_out}\n{closing}");
        assert_eq!(outcome.to_string(), expected);
    }
}
