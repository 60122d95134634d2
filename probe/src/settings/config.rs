//! Settings of a run: the command line, after all checks.

use std::fmt::Debug;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use analysis::Site;
use analysis::detect::DetectSettings;
use analysis::top::TopBy;
use exporter::{Context, Destination, FilesInUse, Patience};
use flow::{HashSeed, KeyField, KeyFields, ObserverSettings, Sampling, TableSettings, Tpids};

use super::args::{Arguments, LiveSettings, Order};
use super::contradictions;
use super::detect::AlertTarget;
use super::domain::Domain;
use super::listen::{CollectSettings, ListenSettings};
use super::places::PlaceSettings;
use super::run_id;
use super::site::When;
use super::values::{LogFormat, Seed, Stats};
use crate::capture::file::Input;
use crate::capture::filter::FrameFilter;
use crate::capture::packet::Direction;
use crate::pipeline::payload::PayloadSettings;
use crate::pipeline::worker::wall_clock;

/// All settings, checked before anything is opened.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) source: Source,
    pub(crate) outputs: Vec<Destination>,
    pub(crate) top: TopSettings,
    pub(crate) observer: ObserverSettings,
    /// Names in payload. `None`: payload is not read.
    pub(crate) payload: Option<PayloadSettings>,
    /// Filter of the frames to be metered. `None`: all frames.
    pub(crate) filter: Option<FrameFilter>,
    /// The table of a single worker with all flows.
    pub(crate) table: TableSettings,
    /// Idle timeouts in milliseconds of protocols that have one of their own.
    pub(crate) idle_ms_of: Vec<(u8, u32)>,
    /// `None`: the default number.
    pub(crate) workers: Option<usize>,
    pub(crate) ifindex: Vec<(String, u32)>,
    /// What is collected, and how much is kept.
    pub(crate) collect: CollectSettings,
    /// Inside and outside networks.
    pub(crate) site: Site,
    /// `None`: there are no detectors.
    pub(crate) detect: Option<DetectSettings>,
    /// Destinations of alerts besides the outputs.
    pub(crate) alerts: Vec<AlertTarget>,
    /// Records get tags.
    pub(crate) has_tags: bool,
    /// Settings of outputs. Each output has its own Observation Domain ID.
    pub(crate) context: Context,
    pub(crate) domain: Domain,
    pub(crate) places: PlaceSettings,
    pub(crate) stats: Stats,
    pub(crate) log_format: LogFormat,
    /// The page, if there is one.
    pub(crate) http: Option<web::Settings>,
    /// A loss changes the exit status.
    pub(crate) fail_on_loss: bool,
}

/// Source of packets.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// Capture files.
    Files(Vec<Input>),
    /// Capture files of datagrams of other exporters.
    Datagrams(Vec<Input>),
    /// Sockets at which datagrams of other exporters come in.
    Listen(ListenSettings),
    /// Interfaces of this host.
    Live(LiveSettings),
}

impl Source {
    /// Whether data comes as the time goes by.
    pub(crate) fn is_live(&self) -> bool {
        matches!(self, Self::Live(_) | Self::Listen(_))
    }
}

/// The table on the terminal.
#[derive(Clone, Debug)]
pub(crate) struct TopSettings {
    /// Rows of the table or of each list.
    pub(crate) flows: usize,
    /// Lists that are shown instead of flows.
    pub(crate) lists: Vec<TopBy>,
    /// Seed of the lists' estimates.
    pub(crate) seed: HashSeed,
    pub(crate) order: Order,
    /// The flow key. The table has no columns of other fields.
    pub(crate) key: KeyFields,
}

const TOP_DEFAULT: usize = 10;

const ACTIVE_TIMEOUT: Duration = Duration::from_secs(60);

/// Active timeout of a live table, which should not be a minute behind.
const ACTIVE_TIMEOUT_OF_LIVE_TABLE: Duration = Duration::from_secs(5);

/// Initial size of a large table of a replay, in flows, so that a small file uses little memory.
/// Live tables have their full size from the start: no packet waits while a table grows.
const REPLAY_FLOWS_START: u32 = 1_000_000;

/// Number of flows above which a table counts as large. A table of this size takes 744 MB and has
/// its full size from the start. Growth costs a sixth of the time of a replay in which each packet
/// is a flow.
const REPLAY_FLOWS_WHOLE: u32 = 8_000_000;

/// Seed of a replay, so that its output is always the same. In a live run the seed is random,
/// because a sender must not know it.
const REPLAY_SEED: u64 = 1;

impl Config {
    /// Checks the settings against each other.
    ///
    /// # Errors
    ///
    /// All settings that contradict each other, each in one sentence.
    pub(crate) fn new(args: &Arguments) -> Result<Self, Vec<String>> {
        let problems = contradictions::of(args).into_iter();
        let mut problems: Vec<_> = problems.map(|problem| problem.sentence).collect();
        let filter = args.filter.as_deref().map(FrameFilter::new).transpose();
        let filter = filter.unwrap_or_else(|problem| {
            problems.push(problem);
            None
        });
        if problems.is_empty() {
            Self::of_checked(args, filter).map_err(|problem| vec![problem])
        } else {
            Err(problems)
        }
    }

    fn of_checked(args: &Arguments, filter: Option<FrameFilter>) -> Result<Self, String> {
        let source = source(args)?;
        let files = Arc::new(files_in_use(args, &source));
        let live = source.is_live();
        let seed = HashSeed::new(match args.hash_seed {
            Some(Seed::Fixed(seed)) => seed,
            None if !live => REPLAY_SEED,
            None | Some(Seed::Random) => RandomState::new().hash_one("flowprobe"),
        });
        let key = key(args);
        let workers = args.workers.map(|workers| workers.get() as usize);
        let (observer, table, idle_ms_of) = meter_settings(args, live, key, seed);
        let site = args.site.site().map_err(|problems| problems.join("; "))?;
        let local_networks = site.local_networks.clone();
        let name = args.name.clone().unwrap_or_else(host_name);
        let detect = args.detect.settings(&args.output, live, key, seed, &name);
        let payload = args.payload.settings(&args.output)?;
        let read = payload.map(|it| (it.kinds, it.memory, it.telling, it.has_transactions));
        let selected = (&args.filter, &read);
        let metered = (&observer, &table, &idle_ms_of, workers, &args.ifindex, selected);
        let places: Vec<_> = args.places.paths().collect();
        let alerts = args.detect.alerts.contains(&AlertTarget::Outputs);
        let detected = detect.as_ref().map(|detect| (&detect.rules, detect.memory, alerts));
        let collect = args.collect.settings(&args.output, &name)?;
        let wants = args.output.iter().find(|output| output.wants_options());
        if let Some(output) = wants.filter(|_| !args.collects) {
            return Err(format!("output {}: options=1 needs the command collect", output.name()));
        }
        let kept = args.collects.then_some(&collect);
        let meaning = (places, args.site.tags, &site, detected, kept);
        let run = run_of(args, &source, &(metered, meaning));
        Ok(Self {
            source,
            outputs: args.output.clone(),
            top: top(args, seed),
            observer,
            payload,
            filter,
            table,
            idle_ms_of,
            workers,
            ifindex: args.ifindex.clone(),
            collect,
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
                has_places: args.places.is_given() || args.collects,
                has_tunnels: observer.decap.opens_any(),
                has_exporters: args.collects,
                has_names: payload.is_some(),
                run,
                change: 0,
                name,
                version: env!("CARGO_PKG_VERSION").to_owned(),
                files,
            },
            domain: domain(args, live),
            places: args.places.clone(),
            stats: args.stats.clone(),
            log_format: args.service.log_format,
            http: args.http.settings()?,
            fail_on_loss: args.fail_on_loss,
        })
    }

    /// These settings, for a run that goes on after [`Config`] `before`. It is the change with this
    /// number.
    pub(crate) fn after(mut self, before: &Self, change: u64) -> Self {
        let of_outputs = self.outputs.iter().flat_map(Destination::files_read);
        let read = self.places.paths().map(PathBuf::as_path).chain(of_outputs);
        let files = Arc::clone(&before.context.files);
        read.filter_map(|path| path.metadata().ok()).for_each(|it| files.reserve(&it));
        let uptime_start = before.context.uptime_start;
        self.context = Context { uptime_start, change, files, ..self.context };
        self.http.clone_from(&before.http);
        self.filter.clone_from(&before.filter);
        self.payload = before.payload;
        self
    }

    /// The settings for this output.
    pub(crate) fn context_of(&self, output: &Destination) -> Context {
        let observation_domain_id = output.domain_or(self.domain.id(output));
        Context { observation_domain_id, ..self.context.clone() }
    }

    /// The settings of the table of one worker.
    pub(crate) fn table(&self, workers: usize) -> TableSettings {
        TableSettings {
            flows_max: table_share(self.table.flows_max, workers),
            flows_start: table_share(self.table.flows_start, workers),
            ..self.table
        }
    }
}

/// The part of this number of flows that is in the table of one of so many workers.
pub(crate) fn table_share(flows: u32, workers: usize) -> u32 {
    (flows / u32::try_from(workers).unwrap_or(u32::MAX)).max(1)
}

/// The settings of dissection and of the table, and the idle timeouts of protocols.
fn meter_settings(
    args: &Arguments,
    live: bool,
    key: KeyFields,
    seed: HashSeed,
) -> (ObserverSettings, TableSettings, Vec<(u8, u32)>) {
    let idle_timeout_ms = millis(args.idle_timeout);
    let idle_of = args.timeouts.idle().into_iter();
    let idle_ms_of: Vec<_> = idle_of.map(|(number, time)| (number, millis(time))).collect();
    let longest_ms = idle_ms_of.iter().fold(idle_timeout_ms, |longest, it| longest.max(it.1));
    let active_timeout =
        if live && args.output.is_empty() { ACTIVE_TIMEOUT_OF_LIVE_TABLE } else { ACTIVE_TIMEOUT };
    let active_timeout_ms = millis(args.active_timeout.unwrap_or(active_timeout));
    let observer = ObserverSettings {
        key,
        idle_timeout_ms,
        // A clock's number is free when its flows have ended.
        active_timeout_ms: active_timeout_ms + (longest_ms - idle_timeout_ms),
        tpids: tpids(&args.tpid),
        decap: args.tunnels.settings(),
        sampling: Sampling { interval: args.sample.get() },
        seed,
    };
    let flows_max = args.max_flows.get();
    let starts_small = !live && flows_max > REPLAY_FLOWS_WHOLE;
    let table = TableSettings {
        flows_max,
        flows_start: if starts_small { REPLAY_FLOWS_START } else { flows_max },
        idle_timeout_ms,
        active_timeout_ms,
        key: observer.decap.table_key(key),
        seed,
        burst: args.burst,
    };
    (observer, table, idle_ms_of)
}

fn top(args: &Arguments, seed: HashSeed) -> TopSettings {
    TopSettings {
        flows: args.top.unwrap_or(TOP_DEFAULT),
        order: args.order.unwrap_or(Order::Octets),
        lists: args.site.top_by.clone(),
        seed,
        key: key(args),
    }
}

/// The fields of the flow key.
pub(super) fn key(args: &Arguments) -> KeyFields {
    let has_direction = !args.live.interface.is_empty() && args.live.direction == Direction::Both;
    if has_direction { args.flow_key.with(KeyField::Direction) } else { args.flow_key }
}

/// The name of this run in the ids of documents, if an output has such. The settings are all that
/// decide which documents there are, in which order, and what they say.
fn run_of(args: &Arguments, source: &Source, settings: &impl Debug) -> String {
    match source {
        _ if !args.output.iter().any(Destination::names_documents) => String::new(),
        Source::Files(inputs) | Source::Datagrams(inputs) => run_id::of_replay(inputs, settings),
        Source::Live(_) | Source::Listen(_) => run_id::random(),
    }
}

/// The files to which no output with time-based file names may write.
fn files_in_use(args: &Arguments, source: &Source) -> FilesInUse {
    let files = FilesInUse::default();
    if let Source::Files(inputs) | Source::Datagrams(inputs) = source {
        inputs.iter().filter_map(|input| input.metadata().ok()).for_each(|it| files.reserve(&it));
    }
    let of_outputs = args.output.iter().flat_map(Destination::files_read);
    let others = args.config.iter().chain(args.places.paths()).map(PathBuf::as_path);
    let others = others.chain(args.collect.exporters_file.as_deref());
    let others = others.chain(of_outputs).filter_map(|path| path.metadata().ok());
    others.for_each(|metadata| files.reserve(&metadata));
    for stream in [io::stdout().as_fd(), io::stderr().as_fd()] {
        let same = stream.try_clone_to_owned().map(File::from);
        let metadata = same.and_then(|file| file.metadata());
        metadata.iter().for_each(|metadata| files.reserve(metadata));
    }
    files
}

/// The Ethertypes of `--tpid`. Their number has been checked.
fn tpids(ethertypes: &[u16]) -> Tpids {
    let mut tpids = Tpids::default();
    for (place, ethertype) in tpids.0.iter_mut().zip(ethertypes) {
        *place = *ethertype;
    }
    tpids
}

/// The source of Observation Domain IDs. A probe and a collector on one host differ.
fn domain(args: &Arguments, live: bool) -> Domain {
    if !live {
        return Domain::Replay;
    }
    let listeners = args.collect.listen.iter().map(ToString::to_string);
    let interfaces = args.live.interface.iter().map(ToString::to_string);
    Domain::live(listeners.chain(interfaces).collect())
}

fn source(args: &Arguments) -> Result<Source, String> {
    if !args.collect.listen.is_empty() {
        Ok(Source::Listen(ListenSettings {
            listeners: args.collect.listen.clone(),
            receive_buffer: args.collect.receive_buffer,
            template_store: args.collect.template_store.clone(),
            live: args.live.clone(),
        }))
    } else if args.collects {
        Ok(Source::Datagrams(Input::of_names(&args.inputs)?))
    } else if args.live.interface.is_empty() {
        Ok(Source::Files(Input::of_names(&args.inputs)?))
    } else {
        Ok(Source::Live(args.live.clone()))
    }
}

/// NetFlow and IPFIX have no fields for tags.
fn has_tags(args: &Arguments) -> bool {
    match args.site.tags {
        When::On => true,
        When::Off => false,
        When::Auto => {
            args.output.is_empty() || args.output.iter().any(Destination::writes_documents)
        }
    }
}

/// Milliseconds of a timeout, which has been checked.
fn millis(timeout: Duration) -> u32 {
    u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX)
}

pub(super) fn host_name() -> String {
    nix::unistd::gethostname()
        .map_or_else(|_| "flowprobe".to_owned(), |name| name.to_string_lossy().into_owned())
}
