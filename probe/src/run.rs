//! The run of the program, from the command line to the exit status.

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use exporter::{ending, sentence};
use flow::FlowTable;
use log::error;

use crate::capture;
use crate::check;
use crate::cluster;
use crate::ctl;
use crate::files::read_files;
use crate::host::control::Control;
use crate::host::doctor::{self, Form};
use crate::host::ports::Ports;
use crate::host::signals::{self, Run};
use crate::host::start::Start;
use crate::host::{memory, priority, rights};
use crate::listen::listen;
use crate::pipeline::feed::LiveInput;
use crate::pipeline::live::Attached;
use crate::pipeline::opened::{open_outputs, outputs};
use crate::pipeline::output::Output;
use crate::pipeline::packets::PacketInput;
use crate::pipeline::reload::Reloader;
use crate::pipeline::session::Session;
use crate::pipeline::stages;
use crate::pipeline::worker::new_tables;
use crate::places::Places;
use crate::report::incidents;
use crate::report::live::{Asks, LiveTotals};
use crate::report::logger;
use crate::report::output::TotalsOutput;
use crate::report::page::{Page, ShownPage};
use crate::report::stdout::print;
use crate::report::terminal;
use crate::report::top::{Status, TopFlows};
use crate::report::totals::Totals;
use crate::settings::args::{Arguments, Command, LiveSettings};
use crate::settings::config::{Config, Source};
use crate::settings::file::FromFile;
use crate::settings::help;
use crate::settings::parse::parse;
use crate::status::{FAILED, USAGE, no_output_failed, status_of};
use crate::sys;

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
    logger::init(cli.args.quiet, cli.args.service.log_format);
    rights::raise_file_limit();
    memory::prepare();
    match cli.command {
        Some(Command::Rules) => {
            status(print(incidents::rules(terminal::columns_of_stdout()).as_bytes()))
        }
        Some(Command::Man) => status(help::man_page().is_ok_and(|page| print(&page))),
        Some(Command::Completions { shell }) => status(print(&help::completions(shell))),
        Some(Command::Doctor { interface, json }) => {
            let examined = doctor::examine(&interface, if json { Form::Json } else { Form::Text });
            let shown = print(examined.text.as_bytes());
            status(examined.works && shown)
        }
        Some(Command::Ctl(arguments)) => status(ctl::ask(&arguments)),
        Some(Command::Elastic { command }) => match cluster::run(&command) {
            Ok(done) => {
                let shown = print(done.text.as_bytes());
                status(done.works && shown)
            }
            Err(problem) => {
                error!("{problem}");
                USAGE.into()
            }
        },
        Some(Command::Collect { .. }) | None => match Config::new(&cli.args) {
            Ok(config) if cli.args.check_config => {
                capture::file::Input::warn_of_repeated(&cli.args.inputs);
                say_if_right(&cli.from_file, &check::mistakes(&config, &cli.args))
            }
            Ok(config) => meter(&config, &cli.args),
            Err(problems) => refuse(&cli.from_file, &problems),
        },
    }
}

/// The exit status of a command.
fn status(is_done: bool) -> ExitCode {
    if is_done { ExitCode::SUCCESS } else { FAILED.into() }
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
    status(print(b"the settings are right\n"))
}

fn meter(config: &Config, args: &Arguments) -> ExitCode {
    let run = match &config.source {
        Source::Files(_) | Source::Datagrams(_) => Run::Replay,
        Source::Live(_) | Source::Listen(_) => Run::Live,
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
    capture::file::Input::warn_of_repeated(&args.inputs);
    let places = Places::open(&config.places)?.map(Arc::new);
    let sides = Sides { start, places, stats, args, stop };
    let done = match &config.source {
        Source::Files(files) | Source::Datagrams(files) => read_files(config, files, sides),
        Source::Listen(settings) => listen(config, settings, sides),
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
    let begin = Instant::now();
    let user = settings.user.as_deref().map(rights::user).transpose()?;
    let opened = open_outputs(config)?;
    drop(start);
    let page = open_page(config)?;
    check_ready(&opened, settings)?;
    let conversations: Vec<_> =
        opened.iter().flat_map(|output| output.exporter.conversations()).collect();
    let collectors = conversations.iter().map(|conversation| conversation.remote.ip()).collect();
    let reads = (config.observer.dissection(), config.payload.is_some());
    let mut ports = Ports::find(settings, &config.ifindex, collectors, config.workers, reads)?;
    let (tables, sockets) = open_capture(config, &mut ports)?;
    let is_real_time =
        !settings.no_realtime && needs_real_time(&sockets) && priority::take_real_time();
    let page = rights::give_up(user.as_ref(), ports.keeps_capabilities())
        .and_then(|()| page.map(|page| page.show(is_real_time)).transpose())
        .inspect_err(|_problem| ports.detach())?;
    let control = open_control(args, is_real_time).inspect_err(|_problem| ports.detach())?;
    let snapshots: Vec<_> = sockets.iter().map(|_| Mutex::default()).collect();
    let input = PacketInput {
        config,
        ports,
        sockets,
        tables,
        snapshots: &snapshots,
        left_out: if settings.meter_own_exports { Vec::new() } else { conversations },
        meter_own_exports: settings.meter_own_exports,
        is_real_time,
    };
    let run = LiveRun {
        config,
        settings,
        places,
        stats,
        args,
        stop,
        opened,
        page,
        control,
        is_real_time,
    };
    Ok(run.run(input, begin))
}

/// A live run, after everything was opened and rights were given up.
pub(crate) struct LiveRun<'a> {
    pub(crate) config: &'a Config,
    pub(crate) settings: &'a LiveSettings,
    pub(crate) places: Option<Arc<Places>>,
    pub(crate) stats: &'a TotalsOutput,
    pub(crate) args: &'a Arguments,
    pub(crate) stop: &'a AtomicBool,
    pub(crate) opened: Vec<Output<'static>>,
    pub(crate) page: Option<ShownPage>,
    pub(crate) control: Option<Control>,
    pub(crate) is_real_time: bool,
}

impl LiveRun<'_> {
    /// Runs with this input. Returns the exit status.
    pub(crate) fn run(self, input: impl LiveInput, begin: Instant) -> ExitCode {
        let Self { config, places, stats, stop, page, control, is_real_time, .. } = self;
        let quiet = self.args.quiet;
        let mut recorder = page.as_ref().map(ShownPage::recorder);
        let screen = config.outputs.is_empty() && io::stdout().is_terminal();
        let status = Status::default();
        let mut top = config.outputs.is_empty().then(|| {
            let top = TopFlows::new(config.top.clone());
            if screen { top.shown_on(status.clone()) } else { top }
        });
        let _watch = places.as_ref().map(|places| places.watch(is_real_time));
        let reloader = Reloader::new(self.args, config, places.as_ref());
        let session = Session {
            config,
            interval: self.settings.interval(),
            stages: stages::of_live_run(config, places),
            outputs: outputs(self.opened, &mut top, &mut recorder),
            stop,
            is_real_time,
            begin,
            reloader,
        };
        let asks = Asks { page: page.as_ref(), control: control.as_ref() };
        let mut watch = LiveTotals::new(stats, quiet, screen.then_some(status), asks);
        let totals = session.run(input, &mut watch);
        watch.end(&totals);
        let is_all_there = all_is_there(&totals);
        let shown = show(stats, quiet, top.as_ref(), &totals);
        if shown && is_all_there && !ending::is_hurried() {
            status_of(config, &totals)
        } else {
            FAILED.into()
        }
    }
}

/// Whether all outputs can be reached, if that is required.
///
/// # Errors
///
/// One cannot be reached; in one sentence.
pub(crate) fn check_ready(opened: &[Output<'_>], settings: &LiveSettings) -> Result<(), String> {
    let not_ready = opened.iter().find(|output| !output.exporter.is_ready());
    if let (Some(output), true) = (not_ready, settings.require_outputs) {
        let name = &output.name;
        return Err(format!("output {name} cannot be reached, and --require-outputs is given"));
    }
    Ok(())
}

/// Opens the control socket, if one is configured.
///
/// # Errors
///
/// It cannot be made; in one sentence.
pub(crate) fn open_control(
    args: &Arguments,
    is_real_time: bool,
) -> Result<Option<Control>, String> {
    args.service.control.as_ref().map(|path| Control::open(path, is_real_time)).transpose()
}

/// Binds the address of the page, if one is configured.
pub(crate) fn open_page(config: &Config) -> Result<Option<Page>, String> {
    let is_live = config.source.is_live();
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
        let what = if totals.collected.is_some() { "socket of a listener" } else { "interface" };
        error!("no {what} is left to capture from");
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
    // On a terminal, the totals are below the table.
    let is_below = stats.is_text() && io::stdout().is_terminal();
    let shown = top.is_none_or(|top| show_table(top, is_below.then_some(totals)));
    stats.print(quiet || is_below && top.is_some(), totals) && shown
}

/// Prints the table on standard output, and totals below it. `false` if they could not be written.
fn show_table(top: &TopFlows, totals: Option<&Totals>) -> bool {
    let columns = terminal::columns_of_stdout();
    let mut text = top.table(columns);
    let totals = totals.map(|totals| totals.text(columns));
    for part in [top.incidents(columns), totals.unwrap_or_default()] {
        if !text.is_empty() && !part.is_empty() {
            text.push('\n');
        }
        text.push_str(&part);
    }
    print(text.as_bytes())
}
