//! From the command line to the exit status.

use std::io::{ErrorKind, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anstream::{stderr, stdout};
use clap::CommandFactory;
use exporter::{Exporter, sentence};
use log::error;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::args::{self, Cli, Command, StatsForm};
use crate::capture::file::FileSource;
use crate::config::Config;
use crate::doctor::{self, Form};
use crate::logger::{self, Progress};
use crate::stats::Totals;
use crate::top::TopFlows;
use crate::worker::{self, Output};

/// Something failed or was interrupted.
const FAILED: u8 = 1;

/// Wrong usage.
const USAGE: u8 = 2;

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = match args::parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => {
            // Also help and version come this way. Nobody is left to hear of a failure.
            drop(error.print());
            return if error.use_stderr() { USAGE.into() } else { ExitCode::SUCCESS };
        }
    };
    logger::init(cli.args.quiet);
    match cli.command {
        Some(Command::Completions { shell }) => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "flowprobe", &mut script);
            if print(&script) { ExitCode::SUCCESS } else { FAILED.into() }
        }
        Some(Command::Doctor { interface, json }) => {
            let examined = doctor::examine(&interface, if json { Form::Json } else { Form::Text });
            let shown = print(examined.text.as_bytes());
            if examined.works && shown { ExitCode::SUCCESS } else { FAILED.into() }
        }
        None => match Config::new(&cli.args) {
            Ok(config) => replay(&config, cli.args.quiet),
            Err(problem) => {
                error!("{problem}");
                USAGE.into()
            }
        },
    }
}

fn replay(config: &Config, quiet: bool) -> ExitCode {
    let begin = Instant::now();
    let stop = Arc::new(AtomicBool::new(false));
    if let Err(problem) = stop_on_signals(&stop) {
        error!("cannot handle signals: {}", sentence(&problem));
        return FAILED.into();
    }
    let mut exporters = Vec::with_capacity(config.outputs.len());
    for output in &config.outputs {
        match output.open(&config.context) {
            Ok(exporter) => exporters.push((output.as_str().to_owned(), exporter)),
            Err(problem) => {
                error!("{problem}");
                return FAILED.into();
            }
        }
    }
    let mut top = exporters.is_empty().then(|| TopFlows::new(config.top));
    let table = top
        .iter_mut()
        .map(|top| Output { name: "table".to_owned(), exporter: top as &mut dyn Exporter });
    let outputs = exporters
        .iter_mut()
        .map(|(name, exporter)| Output { name: name.clone(), exporter: exporter.as_mut() })
        .chain(table)
        .collect();
    let mut source = FileSource::open(&config.files, &config.ifindex, &stop);
    let mut progress = Progress::new(quiet);
    let end = worker::replay(config, &mut source, outputs, &stop, &mut |source| {
        let (done, size) = source.progress();
        progress.update(done, size);
    });
    drop(progress);
    source.finish();
    if let Some(failure) = &end.failure {
        error!("{failure}");
    }
    let totals = Totals {
        meter: end.meter,
        input: source.report(),
        ended: end.ended,
        outputs: end.outputs,
        elapsed: begin.elapsed(),
        interrupted: stop.load(Ordering::Relaxed),
    };
    let shown = top.as_ref().is_none_or(|top| show_table(top, &totals, config.stats));
    if top.is_none() || config.stats == StatsForm::Json || !std::io::stdout().is_terminal() {
        let text = match config.stats {
            StatsForm::Text => totals.text(),
            StatsForm::Json => totals.json() + "\n",
        };
        // Nothing can be said where standard error takes nothing.
        drop(stderr().write_all(text.as_bytes()));
    }
    let input_is_sound = end.failure.is_none()
        && totals.input.files_damaged == 0
        && totals.input.blocks_damaged == 0;
    if input_is_sound && shown && !totals.interrupted && totals.all_arrived() {
        ExitCode::SUCCESS
    } else {
        FAILED.into()
    }
}

/// The table and the totals on standard output. `false` if they could not be written.
fn show_table(top: &TopFlows, totals: &Totals, stats: StatsForm) -> bool {
    let mut text = top.table();
    if stats == StatsForm::Text {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&totals.text());
    }
    print(text.as_bytes())
}

/// Writes to standard output. A reader that wants no more is none of our business.
fn print(text: &[u8]) -> bool {
    let mut stdout = stdout();
    match stdout.write_all(text).and_then(|()| stdout.flush()) {
        Ok(()) => true,
        Err(problem) if problem.kind() == ErrorKind::BrokenPipe => true,
        Err(problem) => {
            error!("cannot write to standard output: {}", sentence(&problem));
            false
        }
    }
}

/// The first signal ends the replay in good order, the second at once.
fn stop_on_signals(stop: &Arc<AtomicBool>) -> std::io::Result<()> {
    for signal in [SIGINT, SIGTERM] {
        let again = i32::from(FAILED);
        signal_hook::flag::register_conditional_shutdown(signal, again, Arc::clone(stop))?;
        signal_hook::flag::register(signal, Arc::clone(stop))?;
    }
    Ok(())
}
