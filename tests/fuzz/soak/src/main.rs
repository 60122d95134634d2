//! Runs the check `datagram` of the fuzz targets with mutations of seeds, as often as one wants.
//!
//! Each case depends on the seed, its number and the files only: a finding is shown again by its
//! number. It stands in `finding-SEED-NUMBER` too, as libFuzzer would have written it.

#![allow(clippy::cast_possible_truncation, reason = "mutations take what fits")]

mod case;
mod choose;
#[path = "../../checks/datagram.rs"]
mod datagram;
#[path = "../../checks/input.rs"]
#[allow(dead_code, reason = "other checks take more kinds of numbers")]
mod input;
mod mutate;
#[path = "../../../support/random.rs"]
mod random;
mod seeds;
mod sflow;

use std::env;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use choose::of_case;
use seeds::Seeds;

const USAGE: &str = "soak RUNS SEED FIRST FOLDER...: so many cases from this number on, of the \
                     files in these folders";

/// The case that is checked.
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// Time between two messages, and the longest that a case may take.
const LOOK: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [runs, seed, first, folders @ ..] = &arguments[..] else { return usage() };
    let number = |text: &String| text.replace('_', "").parse::<u64>();
    let (Ok(runs), Ok(seed), Ok(first)) = (number(runs), number(seed), number(first)) else {
        return usage();
    };
    let folders: Vec<_> = folders.iter().map(PathBuf::from).collect();
    let seeds = match Seeds::read(&folders) {
        Ok(seeds) if !seeds.is_empty() => seeds,
        Ok(_) => {
            eprintln!("there are no seeds");
            return ExitCode::FAILURE;
        }
        Err(problem) => {
            eprintln!("{problem}");
            return ExitCode::FAILURE;
        }
    };
    let (cases, captures) = seeds.len();
    eprintln!("{cases} cases and {captures} captures, {runs} runs, seed {seed}, from {first}");
    thread::spawn(move || watch(first, seed));
    let (mut octets, mut sum) = (Vec::new(), 0_u64);
    let begin = Instant::now();
    let ended = catch_unwind(AssertUnwindSafe(|| {
        for number in first..first + runs {
            NUMBER.store(number, Ordering::Relaxed);
            let mut random = of_case(seed, number);
            let mut case = seeds.case(&mut random);
            mutate::mutate(&mut case, &seeds, &mut random);
            case.put(&mut octets);
            sum += octets.len() as u64;
            datagram::check(&octets);
        }
    }));
    if ended.is_err() {
        let name = format!("finding-{seed}-{}", NUMBER.load(Ordering::Relaxed));
        eprintln!("found in case {name}: {:?}", fs::write(&name, &octets));
        return ExitCode::FAILURE;
    }
    let seconds = begin.elapsed().as_secs();
    println!("{runs} runs, seed {seed}, from {first}: nothing found; {sum} octets, {seconds} s");
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::FAILURE
}

/// Tells how far it is, and ends it if a case takes too long.
fn watch(first: u64, seed: u64) {
    let mut before = u64::MAX;
    loop {
        thread::sleep(LOOK);
        let number = NUMBER.load(Ordering::Relaxed);
        eprintln!("{} runs", number - first);
        if number == before {
            eprintln!("found: case {number} of seed {seed} does not end");
            std::process::exit(1);
        }
        before = number;
    }
}
