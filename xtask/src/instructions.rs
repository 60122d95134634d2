//! Counts the instructions of the hot functions and compares them with a reference. So a regression
//! is found even on a busy machine.
//!
//! callgrind counts them while benches/instructions processes fixed inputs. Instructions of the
//! C library are excluded, because it selects its functions by the CPU.

use std::collections::HashMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use commands::debian::{self, Need};
use commands::{cargo, root};
use serde_json::Value;

/// Use of the counts.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Options {
    /// Write the counts as the new reference
    #[arg(long)]
    update: bool,

    /// Only scenarios with this in their name
    #[arg(conflicts_with = "update", default_value = "")]
    filter: String,
}

const REFERENCE: &str = "benches/instructions.txt";

/// An increase above this is a regression. Two checkouts of the same state differ by up to 4 %: the
/// compiler orders code by names that include a hash of the folder, which changes inlining.
const TOLERANCE_PERCENT: f64 = 8.0;

/// Scenarios, each with its instructions per packet or record.
type Counts = Vec<(String, f64)>;

pub(crate) fn run(options: &Options) -> Result<()> {
    debian::install(&[Need { package: "valgrind", check: &["valgrind", "--version"] }]);
    let program = build()?;
    let compiler = compiler()?;
    let counts = count_all(&program, &options.filter)?;
    if options.update {
        let path = root().join(REFERENCE);
        fs::write(&path, text(&compiler, &counts))
            .with_context(|| format!("writing {REFERENCE}"))?;
        println!("written: {REFERENCE}");
        return Ok(());
    }
    let reference = fs::read_to_string(root().join(REFERENCE))
        .with_context(|| format!("reading {REFERENCE}: `cargo xtask instructions --update`"))?;
    compare(&reference, &compiler, &counts)
}

/// Builds the program, and finds it in the output of cargo.
fn build() -> Result<PathBuf> {
    let arguments = ["build", "--release", "--package", "instructions", "--message-format", "json"];
    let output = cargo()
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()
        .context("building benches/instructions")?;
    ensure!(output.status.success(), "benches/instructions does not build");
    let text = String::from_utf8_lossy(&output.stdout);
    let messages = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut programs = messages.filter_map(|message| Some(message["executable"].as_str()?.into()));
    programs.next_back().context("cargo names no program")
}

/// The version of the compiler. Another compiler generates different instructions.
fn compiler() -> Result<String> {
    let output = Command::new("rustc").arg("--version").output().context("asking rustc")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn count_all(program: &Path, filter: &str) -> Result<Counts> {
    let list = Command::new(program).output().context("asking for the scenarios")?;
    let list = String::from_utf8_lossy(&list.stdout).into_owned();
    let mut counts = Counts::new();
    for line in list.lines().filter(|line| line.contains(filter)) {
        let (name, unit) = line.split_once(' ').context("a scenario and its unit")?;
        let count = count(program, name).with_context(|| format!("counting {name}"))?;
        println!("{name:28} {count:>10.1} a {unit}");
        counts.push((name.to_owned(), count));
    }
    ensure!(!counts.is_empty(), "no scenario has {filter} in its name");
    Ok(counts)
}

fn count(program: &Path, name: &str) -> Result<f64> {
    let profile = program.with_extension("callgrind");
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--quiet", "--collect-atstart=no"]);
    valgrind.arg("--toggle-collect=*::measured").env("PATH", debian::path());
    valgrind.arg(format!("--callgrind-out-file={}", profile.display())).arg(program).arg(name);
    let output = valgrind.output().context("starting valgrind")?;
    if !output.status.success() {
        bail!("valgrind: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    let units = String::from_utf8_lossy(&output.stdout);
    let units: u32 = units.trim().parse().context("how many packets there were")?;
    let text = fs::read_to_string(&profile).context("reading the profile")?;
    fs::remove_file(&profile).context("removing the profile")?;
    let instructions = own(&text);
    ensure!(instructions > 0, "nothing was counted: is there no function `measured` any more?");
    Ok(instructions as f64 / f64::from(units))
}

/// The instructions in a profile without those of the C library.
fn own(profile: &str) -> u64 {
    let mut names = HashMap::new();
    let mut is_own = true;
    let mut of_call = false;
    let mut sum = 0;
    for line in profile.lines() {
        let object = line.strip_prefix("ob=");
        let called = line.strip_prefix("cob=");
        if let Some(text) = object.or(called) {
            // The name is there only the first time: (3) /lib/libc.so.6
            let (number, name) = text.split_once(' ').unwrap_or((text, ""));
            let is_library = *names
                .entry(number.to_owned())
                .or_insert_with(|| name.contains("/libc.so") || name.contains("/ld-linux"));
            if object.is_some() {
                is_own = !is_library;
            }
        } else if line.starts_with("calls=") {
            // The next line is the cost of the called function, which is also listed separately.
            of_call = true;
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
            let cost = line.rsplit(' ').next().and_then(|cost| cost.parse::<u64>().ok());
            if is_own && !of_call {
                sum += cost.unwrap_or(0);
            }
            of_call = false;
        }
    }
    sum
}

fn text(compiler: &str, counts: &Counts) -> String {
    let mut text = format!(
        "# Instructions of a packet or record; `cargo xtask instructions --update` writes this.\n# {compiler}\n"
    );
    for (name, count) in counts {
        writeln!(text, "{name} {count:.1}").expect("a string takes all");
    }
    text
}

fn compare(reference: &str, compiler: &str, counts: &Counts) -> Result<()> {
    let lines = reference.lines().filter(|line| !line.starts_with('#'));
    let known: HashMap<&str, f64> = lines
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(name, count)| Some((name, count.parse().ok()?)))
        .collect();
    let mut worse = Vec::new();
    for (name, count) in counts {
        let Some(before) = known.get(name.as_str()) else {
            worse.push(format!("{name}: not in {REFERENCE}"));
            continue;
        };
        let change = (count - before) * 100.0 / before;
        if change > TOLERANCE_PERCENT {
            worse.push(format!("{name}: {before:.1} before, now {count:.1}: {change:+.1} %"));
        } else if change < -TOLERANCE_PERCENT {
            println!("{name} is better: {before:.1} before, now {count:.1}: {change:+.1} %");
        }
    }
    if worse.is_empty() {
        return Ok(());
    }
    let worse = worse.join("\n");
    if !reference.lines().any(|line| line.strip_prefix("# ") == Some(compiler)) {
        println!("{worse}\nnot a failure: the reference is of another compiler than {compiler}");
        return Ok(());
    }
    bail!(
        "more instructions than in {REFERENCE}, by more than {TOLERANCE_PERCENT} %:\n{worse}\n\
         If that is worth it, `cargo xtask instructions --update`, and say why in the commit."
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILE: &str = "\
events: Ir
ob=(1) /bin/program
fn=(1) measured
10 5
cob=(2) /lib/libc.so.6
cfn=(2) memcpy
calls=1 0
11 400
+2 7
ob=(2)
fn=(2)
3 400
ob=(1)
fn=(3) encode
* 20
";

    #[test]
    fn own_instructions_are_counted_once_and_those_of_the_library_not() {
        assert_eq!(own(PROFILE), 32);
    }

    #[test]
    fn more_than_the_tolerance_fails_where_the_compiler_is_the_same() {
        let reference = "# about\n# rustc 1\ntable 100.0\n";
        let check = |compiler, count| {
            compare(reference, compiler, &vec![("table".to_owned(), count)]).is_ok()
        };
        assert!(check("rustc 1", 100.0 + TOLERANCE_PERCENT - 0.1));
        assert!(check("rustc 1", 50.0));
        assert!(!check("rustc 1", 100.0 + TOLERANCE_PERCENT + 0.1));
        assert!(check("rustc 2", 100.0 + TOLERANCE_PERCENT + 0.1));
        assert!(compare(reference, "rustc 1", &vec![("new".to_owned(), 1.0)]).is_err());
    }
}
