//! The run of the program, from the command line to the exit status.

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use exporter::{ExportError, ending, sentence};
use flow::FlowTable;
use log::error;

use crate::capture::file::{FileSource, Input};
use crate::check;
use crate::cluster;
use crate::collect::collect;
use crate::host::doctor::{self, Form};
use crate::host::ports::Ports;
use crate::host::signals::{self, Run};
use crate::host::start::Start;
use crate::host::{memory, priority, rights};
use crate::pipeline::live::Attached;
use crate::pipeline::opened::{open_outputs, outputs};
use crate::pipeline::reload::Reloader;
use crate::pipeline::replay;
use crate::pipeline::replay_end::ReplayEnd;
use crate::pipeline::session::Session;
use crate::pipeline::stages;
use crate::pipeline::worker::new_tables;
use crate::places::Places;
use crate::report::incidents;
use crate::report::live::LiveTotals;
use crate::report::logger::{self, Progress};
use crate::report::output::TotalsOutput;
use crate::report::page::{Page, ShownPage};
use crate::report::stdout::print;
use crate::report::terminal;
use crate::report::top::{Status, TopFlows};
use crate::report::totals::Totals;
use crate::settings::args::{self, Arguments, Command, LiveSettings};
use crate::settings::config::{Config, Source};
use crate::settings::file::FromFile;
use crate::settings::parse::parse;
use crate::sys;

/// Something failed or was interrupted.
pub(crate) const FAILED: u8 = 1;

/// Wrong usage.
const USAGE: u8 = 2;

/// Packets or records were lost. There was no other failure.
pub(crate) const LOST: u8 = 3;

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = match parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are also printed here. If printing fails, no message can be shown.
            drop(error.print());
            return if error.use_stderr() { USAGE.into() } else { ExitCode::SUCCESS };
        }
    };
    logger::init(cli.args.quiet);
    rights::raise_file_limit();
    memory::prepare();
    match cli.command {
        Some(Command::Rules) => {
            if print(incidents::rules(terminal::columns_of_stdout()).as_bytes()) {
                ExitCode::SUCCESS
            } else {
                FAILED.into()
            }
        }
        Some(Command::Man) => {
            let is_printed = args::man_page().is_ok_and(|page| print(&page));
            if is_printed { ExitCode::SUCCESS } else { FAILED.into() }
        }
        Some(Command::Completions { shell }) => {
            let script = args::completions(shell);
            if print(&script) { ExitCode::SUCCESS } else { FAILED.into() }
        }
        Some(Command::Doctor { interface, json }) => {
            let examined = doctor::examine(&interface, if json { Form::Json } else { Form::Text });
            let shown = print(examined.text.as_bytes());
            if examined.works && shown { ExitCode::SUCCESS } else { FAILED.into() }
        }
        Some(Command::Elastic { command }) => match cluster::run(&command) {
            Ok(done) => {
                let shown = print(done.text.as_bytes());
                if done.works && shown { ExitCode::SUCCESS } else { FAILED.into() }
            }
            Err(problem) => {
                error!("{problem}");
                USAGE.into()
            }
        },
        Some(Command::Collect { .. }) | None => match Config::new(&cli.args) {
            Ok(config) if cli.args.check_config => {
                say_if_right(&cli.from_file, &check::mistakes(&config))
            }
            Ok(config) => meter(&config, &cli.args),
            Err(problems) => refuse(&cli.from_file, &problems),
        },
    }
}

/// The end of a run with wrong settings.
fn refuse(from_file: &FromFile, problems: &[String]) -> ExitCode {
    from_file.located(problems).iter().for_each(|problem| error!("{problem}"));
    USAGE.into()
}

/// The end of `--check-config`.
fn say_if_right(from_file: &FromFile, mistakes: &[String]) -> ExitCode {
    if !mistakes.is_empty() {
        return refuse(from_file, mistakes);
    }
    if print(b"the settings are right\n") { ExitCode::SUCCESS } else { FAILED.into() }
}

fn meter(config: &Config, args: &Arguments) -> ExitCode {
    let run = match &config.source {
        Source::Files(_) | Source::Datagrams(_) => Run::Replay,
        Source::Live(_) => Run::Live,
    };
    let begun = signals::set_up(run)
        .map_err(|problem| format!("cannot handle signals: {}", sentence(&problem)))
        .and_then(|stop| Ok((stop, Arc::new(TotalsOutput::open(config, run)?))));
    let status = match begun {
        Ok((stop, stats)) => run_with(config, args, &stop, &stats).unwrap_or_else(|problems| {
            stats.fail(&problems);
            FAILED.into()
        }),
        Err(problem) => {
            error!("{problem}");
            FAILED.into()
        }
    };
    logger::release();
    status
}

/// # Errors
///
/// Why the run could not begin, in sentences.
fn run_with(
    config: &Config,
    args: &Arguments,
    stop: &Arc<AtomicBool>,
    stats: &Arc<TotalsOutput>,
) -> Result<ExitCode, Vec<String>> {
    let start = Start::begin(stats);
    let places = Places::open(&config.places)?.map(Arc::new);
    let sides = Sides { start, places, stats, args, stop };
    let done = match &config.source {
        Source::Files(files) => replay(config, files, sides),
        Source::Datagrams(files) => collect(config, files, sides),
        Source::Live(settings) => live(config, settings, sides),
    };
    done.map_err(|problem| vec![problem])
}

/// What a run has besides its settings and its packets.
pub(crate) struct Sides<'a> {
    pub(crate) start: Start,
    pub(crate) places: Option<Arc<Places>>,
    pub(crate) stats: &'a TotalsOutput,
    pub(crate) args: &'a Arguments,
    pub(crate) stop: &'a Arc<AtomicBool>,
}

/// Output files are opened only after an input has turned out to be a capture.
///
/// # Errors
///
/// A resource could not be opened; in one sentence.
fn replay(
    config: &Config,
    files: &[Input],
    Sides { start, places, stats, args, stop }: Sides<'_>,
) -> Result<ExitCode, String> {
    let (begin, quiet) = (Instant::now(), args.quiet);
    let tables = new_tables(config, replay::workers(config))?;
    let opened = open_outputs(config)?;
    drop(start);
    let page = open_page(config)?.map(Page::show).transpose()?;
    let mut recorder = page.as_ref().map(ShownPage::recorder);
    let mut top = config.outputs.is_empty().then(|| TopFlows::new(config.top.clone()));
    let mut source = FileSource::open(files, &config.ifindex, stop);
    let mut progress = Progress::new(quiet);
    let outputs = outputs(opened, &mut top, &mut recorder);
    let publish = |totals: &Totals| page.iter().for_each(|page| page.publish(totals));
    let stages = stages::configured(config, places);
    let stage_counts = stages.counts.clone();
    // Files of an earlier run are kept if there is no data to replace them.
    let end = if source.has_capture() {
        let watch = replay::Watch {
            progress: &mut |source| {
                let (done, size) = source.progress();
                progress.update(done, size);
            },
            wanted: &|totals| {
                stats.print(false, totals);
            },
            second: page.is_some().then_some(&publish),
        };
        replay::replay(config, &mut source, stages, outputs, tables, stop, watch)
    } else {
        ReplayEnd::of_nothing(outputs)
    };
    drop(progress);
    source.finish();
    if let Some(failure) = &end.failure {
        error!("{failure}");
    }
    let mut totals = Totals {
        meter: end.meter,
        input: source.report(),
        ended: end.ended,
        outputs: end.outputs,
        elapsed: begin.elapsed(),
        interrupted: stop.load(Ordering::Relaxed),
        ..Totals::default()
    };
    stage_counts.put(&mut totals);
    let shown = show(stats, quiet, top.as_ref(), &totals);
    if let Some(page) = &page {
        page.publish(&totals);
        page.stay(stop);
    }
    let input_is_sound = end.failure.is_none()
        && totals.input.files_damaged == 0
        && totals.input.blocks_damaged == 0;
    let all_went_well = input_is_sound && shown && !totals.interrupted && no_output_failed(&totals);
    if !all_went_well || totals.has_loss() && !config.fail_on_loss {
        return Ok(FAILED.into());
    }
    Ok(status_of(config, &totals))
}

/// The exit status of a run without failures.
fn status_of(config: &Config, totals: &Totals) -> ExitCode {
    if config.fail_on_loss && totals.has_loss() { LOST.into() } else { ExitCode::SUCCESS }
}

/// Whether no output has failed, except those whose reader has closed its end.
pub(crate) fn no_output_failed(totals: &Totals) -> bool {
    let outputs = totals.outputs.iter().filter(|output| !output.is_removed);
    let mut errors = outputs.filter_map(|output| output.error.as_ref());
    errors.all(ExportError::is_reader_left)
}

/// Live: everything is opened, then capabilities are dropped, then threads start.
///
/// # Errors
///
/// A resource could not be opened; in one sentence.
fn live(
    config: &Config,
    settings: &LiveSettings,
    Sides { start, places, stats, args, stop }: Sides<'_>,
) -> Result<ExitCode, String> {
    let (begin, quiet) = (Instant::now(), args.quiet);
    let user = settings.user.as_deref().map(rights::user).transpose()?;
    let opened = open_outputs(config)?;
    drop(start);
    let page = open_page(config)?;
    let mut recorder = page.as_ref().map(Page::recorder);
    let not_ready = opened.iter().find(|output| !output.exporter.is_ready());
    if let (Some(output), true) = (not_ready, settings.require_outputs) {
        let name = &output.name;
        return Err(format!("output {name} cannot be reached, and --require-outputs is given"));
    }
    let conversations: Vec<_> =
        opened.iter().flat_map(|output| output.exporter.conversations()).collect();
    let collectors = conversations.iter().map(|conversation| conversation.remote.ip()).collect();
    let reads = (config.observer.dissection(), config.payload.is_some());
    let mut ports = Ports::find(settings, &config.ifindex, collectors, config.workers, reads)?;
    let (tables, sockets) = open_capture(config, &mut ports)?;
    let is_real_time =
        !settings.no_realtime && needs_real_time(&sockets) && priority::take_real_time();
    let page = rights::give_up(user.as_ref(), ports.keeps_capabilities())
        .and_then(|()| page.map(Page::show).transpose())
        .inspect_err(|_problem| ports.detach())?;
    let screen = config.outputs.is_empty() && io::stdout().is_terminal();
    let status = Status::default();
    let mut top = config.outputs.is_empty().then(|| {
        let top = TopFlows::new(config.top.clone());
        if screen { top.shown_on(status.clone()) } else { top }
    });
    let _watch = places.as_ref().map(|places| places.watch(is_real_time));
    let reloader = Reloader::new(args, config, places.as_ref());
    let session = Session {
        config,
        settings,
        ports,
        sockets,
        tables,
        stages: stages::configured(config, places),
        outputs: outputs(opened, &mut top, &mut recorder),
        left_out: if settings.meter_own_exports { Vec::new() } else { conversations },
        stop,
        is_real_time,
        begin,
        reloader,
    };
    let mut watch = LiveTotals::new(stats, quiet, screen.then_some(status), page.as_ref());
    let totals = session.run(&mut watch);
    watch.end(&totals);
    let is_all_there = all_is_there(&totals);
    let shown = show(stats, quiet, top.as_ref(), &totals);
    Ok(if shown && is_all_there && !ending::is_hurried() {
        status_of(config, &totals)
    } else {
        FAILED.into()
    })
}

/// Binds the address of the page, if one is configured.
fn open_page(config: &Config) -> Result<Option<Page>, String> {
    let is_live = matches!(config.source, Source::Live(_));
    config.http.clone().map(|settings| Page::open(settings, is_live)).transpose()
}

/// Creates the tables and opens the sockets.
fn open_capture(
    config: &Config,
    ports: &mut Ports,
) -> Result<(Vec<FlowTable>, Vec<Vec<Attached>>), String> {
    // Packets that come while memory is populated would wait, so tables are created first.
    let mut tables = live_tables(config, ports.workers())?;
    let sockets = ports.open()?;
    if sockets.len() < tables.len() {
        // Their memory is freed before the new tables are allocated.
        tables.clear();
        tables = live_tables(config, sockets.len()).inspect_err(|_problem| ports.detach())?;
    }
    Ok((tables, sockets))
}

/// Whether a worker that waits for its CPU soon loses packets.
fn needs_real_time(sockets: &[Vec<Attached>]) -> bool {
    sockets.iter().flatten().any(Attached::has_little_room)
}

/// Whether at least one interface is left, all existing ones are captured, and no output has
/// failed, except those whose reader has closed its end.
fn all_is_there(totals: &Totals) -> bool {
    if totals.interfaces_gone {
        error!("no interface is left to capture from");
    }
    let missed: Vec<_> = totals.ports.iter().filter(|port| port.is_missed).collect();
    for port in &missed {
        error!("{} was there at the end, but {}", port.name, port.method);
    }
    !totals.interfaces_gone && missed.is_empty() && no_output_failed(totals)
}

/// A table for each worker, with all its memory populated.
fn live_tables(config: &Config, workers: usize) -> Result<Vec<FlowTable>, String> {
    let tables = new_tables(config, workers)?;
    tables.iter().for_each(|table| sys::populate(table.memory()));
    Ok(tables)
}

/// Shows the table, if there is one, and the totals. `false` if they could not be written.
pub(crate) fn show(
    stats: &TotalsOutput,
    quiet: bool,
    top: Option<&TopFlows>,
    totals: &Totals,
) -> bool {
    let shown = top.is_none_or(|top| show_table(top, totals, stats));
    // On a terminal, the totals are already below the table.
    let seen = top.is_some() && io::stdout().is_terminal();
    stats.print(quiet || seen, totals) && shown
}

/// Prints the table and the totals on standard output. `false` if they could not be written.
fn show_table(top: &TopFlows, totals: &Totals, stats: &TotalsOutput) -> bool {
    let columns = terminal::columns_of_stdout();
    let mut text = top.table(columns);
    for part in [Some(top.incidents(columns)), stats.is_text().then(|| totals.text(columns))] {
        let part = part.unwrap_or_default();
        if !text.is_empty() && !part.is_empty() {
            text.push('\n');
        }
        text.push_str(&part);
    }
    print(text.as_bytes())
}
