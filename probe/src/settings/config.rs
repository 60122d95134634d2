//! What the program is to do: the command line, checked.

use std::fmt::Debug;
use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use analysis::Site;
use analysis::detect::DetectSettings;
use analysis::top::TopBy;
use exporter::{Context, Destination, Patience};
use flow::{HashSeed, KeyField, KeyFields, ObserverSettings, Sampling, TableSettings, Tpids};

use super::args::{Arguments, CaptureMethod, LiveSettings, Order};
use super::detect::AlertTarget;
use super::domain::Domain;
use super::places::PlaceSettings;
use super::run_id;
use super::site::When;
use super::values::{Seed, Stats};
use crate::capture::file::{Input, Place};
use crate::capture::filter::FrameFilter;
use crate::capture::packet::Direction;
use crate::pipeline::worker::wall_clock;

/// All settings, checked before anything is opened.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) source: Source,
    pub(crate) outputs: Vec<Destination>,
    pub(crate) top: TopSettings,
    pub(crate) observer: ObserverSettings,
    /// Frames that are metered; `None`: all.
    pub(crate) filter: Option<FrameFilter>,
    /// The table of a single worker with all flows.
    pub(crate) table: TableSettings,
    /// `None`: the default number.
    pub(crate) workers: Option<usize>,
    pub(crate) ifindex: Vec<(String, u32)>,
    /// What is inside and outside.
    pub(crate) site: Site,
    /// `None`: there are no detectors.
    pub(crate) detect: Option<DetectSettings>,
    /// Where alerts go besides the outputs.
    pub(crate) alerts: Vec<AlertTarget>,
    /// Records get tags.
    pub(crate) has_tags: bool,
    /// What outputs need to know; each has an Observation Domain ID of its own.
    pub(crate) context: Context,
    pub(crate) domain: Domain,
    pub(crate) places: PlaceSettings,
    pub(crate) stats: Stats,
    /// The page, if there is one.
    pub(crate) http: Option<web::Settings>,
    /// A loss changes the exit status.
    pub(crate) fail_on_loss: bool,
}

/// Where packets come from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// Capture files.
    Files(Vec<Input>),
    /// Interfaces of this host.
    Live(LiveSettings),
}

/// The table on the terminal.
#[derive(Clone, Debug)]
pub(crate) struct TopSettings {
    /// Rows of it, or of each list.
    pub(crate) flows: usize,
    /// Lists that are shown instead of flows.
    pub(crate) lists: Vec<TopBy>,
    /// Seed of the lists' estimates.
    pub(crate) seed: HashSeed,
    pub(crate) order: Order,
}

const TOP_DEFAULT: usize = 10;

const ACTIVE_TIMEOUT: Duration = Duration::from_secs(60);

/// Active timeout of a live table, which should not be a minute behind.
const ACTIVE_TIMEOUT_OF_LIVE_TABLE: Duration = Duration::from_secs(5);

/// Flows for which a large table of a replay has room at first, so that a small file touches little
/// memory. Live no packet waits while a table grows: all is in use.
const REPLAY_FLOWS_START: u32 = 1_000_000;

/// A larger table is large. One of this size takes 744 MB, and is in use as a whole: growth costs a
/// sixth of the time of a replay in which each packet is a flow.
const REPLAY_FLOWS_WHOLE: u32 = 8_000_000;

/// Flows for which a table has room at first if a pipe is among the inputs: all room is looked
/// through for flows that are over in each second of packet time.
const PIPE_FLOWS_START: u32 = REPLAY_FLOWS_START / 16;

/// Seed of a replay, so that its output is the same each time. Live the seed is random: a sender
/// must not know it.
const REPLAY_SEED: u64 = 1;

impl Config {
    /// Checks the settings against each other.
    ///
    /// # Errors
    ///
    /// One sentence about settings that contradict each other.
    pub(crate) fn new(args: &Arguments) -> Result<Self, String> {
        let source = source(args)?;
        check_outputs(args)?;
        check_files(args, &source)?;
        check_interfaces(&args.ifindex)?;
        let live = matches!(source, Source::Live(_));
        let seed = HashSeed::new(match args.hash_seed {
            Some(Seed::Fixed(seed)) => seed,
            None if !live => REPLAY_SEED,
            None | Some(Seed::Random) => RandomState::new().hash_one("flowprobe"),
        });
        let key = match &source {
            Source::Live(live) if live.direction == Direction::Both => {
                args.flow_key.with(KeyField::Direction)
            }
            Source::Live(_) | Source::Files(_) => args.flow_key,
        };
        for by in &args.site.top_by {
            by.check(key).map_err(|problem| format!("--top-by {problem}"))?;
        }
        let workers = workers(args)?;
        let (observer, table) = meter_settings(args, &source, key, seed)?;
        let site = args.site.site()?;
        let local_networks = site.local_networks.clone();
        let name = args.name.clone().unwrap_or_else(host_name);
        let detect = args.detect.settings(&args.output, live, &table, &name, &site)?;
        let filter = args.filter.as_deref().map(FrameFilter::new).transpose()?;
        let settings = (&observer, &table, workers, &args.ifindex);
        let places: Vec<_> = args.places.paths().collect();
        // Documents of other frames, or with other places, are other documents.
        let run = if places.is_empty() && filter.is_none() {
            run_of(args, &source, &settings)
        } else {
            run_of(args, &source, &(settings, places, &args.filter))
        };
        Ok(Self {
            source,
            outputs: args.output.clone(),
            top: TopSettings {
                flows: args.top.unwrap_or(TOP_DEFAULT),
                order: args.order.unwrap_or(Order::Octets),
                lists: args.site.top_by.clone(),
                seed,
            },
            observer,
            filter,
            table,
            workers,
            ifindex: args.ifindex.clone(),
            site,
            detect,
            alerts: args.detect.alerts.clone(),
            has_tags: has_tags(args),
            context: Context {
                patience: if live { Patience::GoOn } else { Patience::Wait },
                uptime_start: live.then(wall_clock),
                observation_domain_id: 0,
                sampling_interval: args.sample.get(),
                key,
                local_networks,
                has_places: args.places.is_given(),
                run,
                name,
                version: env!("CARGO_PKG_VERSION").to_owned(),
            },
            domain: if live { Domain::live(&args.live.interface) } else { Domain::Replay },
            places: args.places.clone(),
            stats: args.stats.clone(),
            http: args.http.settings()?,
            fail_on_loss: args.fail_on_loss,
        })
    }

    /// What this output needs to know.
    pub(crate) fn context_of(&self, output: &Destination) -> Context {
        let observation_domain_id = output.domain_or(self.domain.id(output));
        Context { observation_domain_id, ..self.context.clone() }
    }

    /// The settings of the table of one worker.
    pub(crate) fn table(&self, workers: usize) -> TableSettings {
        let workers = u32::try_from(workers).unwrap_or(u32::MAX);
        let share = |flows: u32| (flows / workers).max(1);
        TableSettings {
            flows_max: share(self.table.flows_max),
            flows_start: share(self.table.flows_start),
            ..self.table
        }
    }
}

/// The settings of dissection and of the table.
fn meter_settings(
    args: &Arguments,
    source: &Source,
    key: KeyFields,
    seed: HashSeed,
) -> Result<(ObserverSettings, TableSettings), String> {
    let live = matches!(source, Source::Live(_));
    let idle_timeout_ms = millis(args.idle_timeout);
    let active_timeout =
        if live && args.output.is_empty() { ACTIVE_TIMEOUT_OF_LIVE_TABLE } else { ACTIVE_TIMEOUT };
    let active_timeout_ms = millis(args.active_timeout.unwrap_or(active_timeout));
    let observer = ObserverSettings {
        key,
        idle_timeout_ms,
        active_timeout_ms,
        tpids: tpids(&args.tpid)?,
        decap: args.tunnels.settings()?,
        sampling: Sampling { interval: args.sample.get() },
        seed,
    };
    let flows_max = args.max_flows.get();
    let flows_start = match source {
        Source::Live(_) => flows_max,
        Source::Files(files) if files.iter().any(Input::is_pipe) => PIPE_FLOWS_START,
        Source::Files(_) if flows_max > REPLAY_FLOWS_WHOLE => REPLAY_FLOWS_START,
        Source::Files(_) => flows_max,
    };
    let table = TableSettings {
        flows_max,
        flows_start: if flows_max / 2 > flows_start { flows_start } else { flows_max },
        idle_timeout_ms,
        active_timeout_ms,
        key: observer.decap.table_key(key),
        seed,
        burst: args.burst,
    };
    Ok((observer, table))
}

/// The name of this run in the ids of documents, if an output has such.
fn run_of(args: &Arguments, source: &Source, settings: &impl Debug) -> String {
    match source {
        _ if !args.output.iter().any(Destination::names_documents) => String::new(),
        Source::Files(inputs) => run_id::of_replay(inputs, settings),
        Source::Live(_) => run_id::random(),
    }
}

/// Checks the Ethertypes of `--tpid`.
fn tpids(ethertypes: &[u16]) -> Result<Tpids, String> {
    let mut tpids = Tpids::default();
    if ethertypes.len() > Tpids::MAX {
        return Err(format!("--tpid can be given {} times", Tpids::MAX));
    }
    tpids.0[..ethertypes.len()].copy_from_slice(ethertypes);
    Ok(tpids)
}

fn source(args: &Arguments) -> Result<Source, String> {
    let live = &args.live;
    if live.interface.is_empty() {
        return Ok(Source::Files(inputs(&args.inputs)?));
    }
    for (index, name) in live.interface.iter().enumerate() {
        if live.interface[..index].contains(name) {
            return Err(format!("interface {name} given twice"));
        }
    }
    if live.capture == CaptureMethod::Afxdp && live.direction != Direction::In {
        return Err("--capture afxdp sees incoming packets only; use --capture packet".to_owned());
    }
    if live.take_interface && live.capture != CaptureMethod::Afxdp {
        return Err("--take-interface has an effect with --capture afxdp only".to_owned());
    }
    let is_asked_for = |name: &str| live.interface.iter().any(|one| one.selects(name));
    if let Some((name, _)) = args.ifindex.iter().find(|(name, _)| !is_asked_for(name)) {
        return Err(format!("--ifindex {name}: there is no -i {name}"));
    }
    Ok(Source::Live(live.clone()))
}

/// NetFlow and IPFIX have no place for tags.
fn has_tags(args: &Arguments) -> bool {
    match args.site.tags {
        When::On => true,
        When::Off => false,
        When::Auto => {
            args.output.is_empty() || args.output.iter().any(Destination::writes_documents)
        }
    }
}

fn inputs(paths: &[PathBuf]) -> Result<Vec<Input>, String> {
    if paths.is_empty() {
        return Err(
            "nothing to do: give an interface with -i IFACE, or a capture file with -r FILE"
                .to_owned(),
        );
    }
    Input::of_names(paths)
}

fn workers(args: &Arguments) -> Result<Option<usize>, String> {
    let Some(workers) = args.workers.map(NonZeroU32::get) else { return Ok(None) };
    if args.max_flows.get() < workers {
        return Err(format!(
            "--max-flows {}: --workers {workers} needs at least one flow for each",
            args.max_flows
        ));
    }
    Ok(Some(workers as usize))
}

fn check_outputs(args: &Arguments) -> Result<(), String> {
    for (index, output) in args.output.iter().enumerate() {
        output.check(args.sample.get())?;
        if args.output[..index].contains(output) {
            return Err(format!("output {} given twice", output.as_str()));
        }
    }
    let alerts = args.detect.alerts.iter().filter_map(AlertTarget::file);
    let mut on_stdout = args.output.iter().chain(alerts).filter(|output| output.is_stdout());
    let first = on_stdout.next();
    if let Some(second) = on_stdout.next() {
        let name = second.as_str();
        return Err(format!("output {name}: only one output can go to standard output"));
    }
    if args.stats == Stats::JsonStdout {
        if args.output.is_empty() {
            return Err("--stats json:- needs an --output: the table is on standard output".into());
        }
        if let Some(output) = first {
            let name = output.as_str();
            return Err(format!("output {name}: --stats json:- goes to standard output"));
        }
    }
    Ok(())
}

/// Refuses a file or pipe that is written twice, or read and written, whatever its names are.
fn check_files(args: &Arguments, source: &Source) -> Result<(), String> {
    let mut read: Vec<_> = match source {
        Source::Files(inputs) => inputs.iter().filter_map(Input::place).collect(),
        Source::Live(_) => Vec::new(),
    };
    read.extend(args.config.as_deref().and_then(Place::of_path));
    read.extend(args.places.paths().filter_map(|path| Place::of_path(path)));
    let mut written = Vec::new();
    if let Stats::JsonFile(path) = &args.stats
        && let Some(place) = Place::of_path(path)
    {
        if read.contains(&place) {
            return Err(format!("--stats json:{}: this file is read", path.display()));
        }
        written.push(place);
    }
    let alerts = args.detect.alerts.iter().filter_map(AlertTarget::file);
    for output in args.output.iter().chain(alerts) {
        let place = output
            .path()
            .map_or_else(|| output.is_stdout().then(Place::of_stdout).flatten(), Place::of_path);
        let Some(place) = place else { continue };
        if written.contains(&place) {
            return Err(format!("output {}: another output writes the same file", output.as_str()));
        }
        if read.contains(&place) {
            return Err(format!("output {}: this file is read", output.as_str()));
        }
        written.push(place);
    }
    // Without outputs there is a table.
    if args.output.is_empty() && Place::of_stdout().is_some_and(|place| read.contains(&place)) {
        return Err("standard output goes to a file that is read".to_owned());
    }
    Ok(())
}

fn check_interfaces(numbers: &[(String, u32)]) -> Result<(), String> {
    for (index, (name, number)) in numbers.iter().enumerate() {
        if let Some((other, _)) = numbers[..index].iter().find(|(_, given)| given == number) {
            return Err(format!("--ifindex {name}={number}: {other} has this number"));
        }
        if numbers[..index].iter().any(|(other, _)| other == name) {
            return Err(format!("--ifindex {name}: interface given twice"));
        }
    }
    Ok(())
}

/// Milliseconds of a timeout, which is in range.
fn millis(timeout: Duration) -> u32 {
    u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX)
}

pub(super) fn host_name() -> String {
    nix::unistd::gethostname()
        .map_or_else(|_| "flowprobe".to_owned(), |name| name.to_string_lossy().into_owned())
}
