//! What the program is to do: the command line, checked.

use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};

use exporter::{Context, Destination, Patience};
use flow::{HashSeed, ObserverSettings, Sampling, TableSettings};

use crate::args::{Arguments, Order, Seed, StatsForm};
use crate::capture::file::Input;

/// Everything that was settled before anything is opened.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) files: Vec<Input>,
    pub(crate) outputs: Vec<Destination>,
    pub(crate) top: TopSettings,
    pub(crate) observer: ObserverSettings,
    /// Of each worker.
    pub(crate) table: TableSettings,
    pub(crate) workers: usize,
    pub(crate) burst: usize,
    pub(crate) ifindex: Vec<(String, u32)>,
    pub(crate) context: Context,
    pub(crate) stats: StatsForm,
}

/// The table on the terminal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TopSettings {
    pub(crate) flows: usize,
    pub(crate) order: Order,
}

/// More workers than this are a mistake.
const WORKERS_MAX: usize = 256;

const TOP_DEFAULT: usize = 10;

/// The Observation Domain ID of a replay. Live it is one of the host's own.
const REPLAY_DOMAIN: u32 = 1;

impl Config {
    /// Checks the settings against each other.
    ///
    /// # Errors
    ///
    /// A contradiction, in words.
    pub(crate) fn new(args: &Arguments) -> Result<Self, String> {
        let files = inputs(&args.read)?;
        check_outputs(args)?;
        check_interfaces(&args.ifindex)?;
        let workers = args.workers.get() as usize;
        if workers > WORKERS_MAX {
            return Err(format!("--workers {workers}: at most {WORKERS_MAX} are possible"));
        }
        if args.max_flows.get() < args.workers.get() {
            return Err(format!(
                "--max-flows {}: each of the {workers} workers needs at least one",
                args.max_flows
            ));
        }
        let seed = HashSeed::new(match args.hash_seed {
            Seed::Fixed(seed) => seed,
            Seed::Random => RandomState::new().hash_one("flowprobe"),
        });
        let idle_timeout_ms = millis(args.idle_timeout);
        Ok(Self {
            files,
            outputs: args.output.clone(),
            top: TopSettings {
                flows: args.top.unwrap_or(TOP_DEFAULT),
                order: args.order.unwrap_or(Order::Octets),
            },
            observer: ObserverSettings {
                key: args.flow_key,
                idle_timeout_ms,
                sampling: Sampling { interval: args.sample.get() },
                seed,
            },
            table: TableSettings {
                flows_max: args.max_flows.get() / args.workers.get(),
                idle_timeout_ms,
                active_timeout_ms: millis(args.active_timeout),
                key: args.flow_key,
                seed,
            },
            workers,
            burst: args.burst.into(),
            ifindex: args.ifindex.clone(),
            context: Context {
                patience: Patience::Wait,
                uptime_start: None,
                observation_domain_id: REPLAY_DOMAIN,
                sampling_interval: args.sample.get(),
                key: args.flow_key,
                name: args.name.clone().unwrap_or_else(host_name),
                version: env!("CARGO_PKG_VERSION").to_owned(),
            },
            stats: args.stats,
        })
    }
}

fn inputs(paths: &[PathBuf]) -> Result<Vec<Input>, String> {
    if paths.is_empty() {
        return Err("nothing to read: give a capture file with -r FILE".to_owned());
    }
    let is_stdin = |path: &PathBuf| path == Path::new("-");
    if paths.iter().filter(|path| is_stdin(path)).count() > 1 {
        return Err("-r -: standard input can be read only once".to_owned());
    }
    let input = |path: &PathBuf| {
        if is_stdin(path) { Input::Stdin } else { Input::File(path.clone()) }
    };
    Ok(paths.iter().map(input).collect())
}

fn check_outputs(args: &Arguments) -> Result<(), String> {
    for (index, output) in args.output.iter().enumerate() {
        output.check(args.sample.get())?;
        if args.output[..index].contains(output) {
            return Err(format!("output {} is there twice", output.as_str()));
        }
    }
    check_files(args)?;
    if args.output.iter().filter(|output| output.is_stdout()).count() > 1 {
        return Err("only one output can go to standard output".to_owned());
    }
    Ok(())
}

/// No file is written twice, or read and written.
fn check_files(args: &Arguments) -> Result<(), String> {
    let mut written: Vec<PathBuf> = Vec::new();
    for output in &args.output {
        let Some(path) = output.path().and_then(regular_file) else { continue };
        if written.contains(&path) {
            return Err(format!("output {}: another output writes the same file", output.as_str()));
        }
        if args.read.iter().filter_map(|read| regular_file(read)).any(|read| read == path) {
            return Err(format!("output {}: this file is read", output.as_str()));
        }
        written.push(path);
    }
    Ok(())
}

/// The path by which a file can be told from others; none of a device or a pipe.
fn regular_file(path: &Path) -> Option<PathBuf> {
    match path.metadata() {
        Ok(metadata) if metadata.is_file() => path.canonicalize().ok(),
        Ok(_) => None,
        // It is still to be created.
        Err(_) => std::path::absolute(path).ok(),
    }
}

fn check_interfaces(numbers: &[(String, u32)]) -> Result<(), String> {
    for (index, (name, _)) in numbers.iter().enumerate() {
        if numbers[..index].iter().any(|(other, _)| other == name) {
            return Err(format!("--ifindex {name}: this interface is there twice"));
        }
    }
    Ok(())
}

/// Timeouts were checked to be in range.
fn millis(timeout: std::time::Duration) -> u32 {
    u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX)
}

fn host_name() -> String {
    nix::unistd::gethostname()
        .map_or_else(|_| "flowprobe".to_owned(), |name| name.to_string_lossy().into_owned())
}
