//! New settings for a live run that goes on.
//!
//! A thread reads the file of `--config` again, checks it as a whole, and opens what is new. Only
//! then the main thread exchanges the old for the new. A mistake leaves everything as it was.

use std::ffi::OsString;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use exporter::{Unopened, sentence};
use flow::{NetworkSet, Stage};
use log::{error, info, warn};

use crate::host::{rights, signals};
use crate::pipeline::opened::Target;
use crate::pipeline::outputs::{LEAVING_MAX, NAMES_MAX};
use crate::pipeline::stages::{StageCounts, StageKind};
use crate::pipeline::starting::{Known, Starting};
use crate::places::{PlaceChange, Places};
use crate::settings::again::{self, Reread};
use crate::settings::args::Arguments;
use crate::settings::config::Config;

/// The settings in force, and what reads them again.
pub(crate) struct Reloader {
    /// The words of the command line.
    words: Vec<OsString>,
    args: Arguments,
    config: Arc<Config>,
    places: Option<Arc<Places>>,
    /// Requests that were heeded.
    heeded: usize,
    preparing: Option<JoinHandle<Result<Prepared, Vec<String>>>>,
    counts: ReloadCounts,
}

/// How often the settings were read again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ReloadCounts {
    pub(crate) applied: u64,
    /// Because of a mistake.
    pub(crate) refused: u64,
}

/// The outputs of a run at some time.
pub(crate) struct Outputs {
    pub(crate) known: Vec<Known>,
    /// The number of names over time.
    pub(crate) names: usize,
}

/// New settings, checked, with everything open.
pub(crate) struct Prepared {
    args: Arguments,
    config: Arc<Config>,
    words: Vec<String>,
    restart: Vec<String>,
    pub(crate) removed: Vec<Target>,
    pub(crate) added: Vec<Starting<'static>>,
    /// Milliseconds. `None`: as before.
    pub(crate) timeouts_ms: Option<(u32, u32)>,
    pub(crate) wants_settle: bool,
    pub(crate) stages: Vec<(StageKind, Option<Box<dyn Stage>>)>,
    pub(crate) stage_counts: StageCounts,
    /// `None`: as before.
    pub(crate) local_networks: Option<NetworkSet>,
    places: Option<PlaceChange>,
}

impl Reloader {
    /// For a live run whose settings come from a file.
    pub(crate) fn new(
        args: &Arguments,
        config: &Config,
        places: Option<&Arc<Places>>,
    ) -> Option<Self> {
        args.config.as_ref()?;
        Some(Self {
            words: std::env::args_os().collect(),
            args: args.clone(),
            config: Arc::new(config.clone()),
            places: places.cloned(),
            // The settings may have been read before a request that came while the run began.
            heeded: 0,
            preparing: None,
            counts: ReloadCounts::default(),
        })
    }

    pub(crate) fn counts(&self) -> ReloadCounts {
        self.counts
    }

    /// Whether a request has come that was not heeded yet.
    pub(crate) fn is_asked(&self) -> bool {
        self.preparing.is_none() && signals::reopenings() != self.heeded
    }

    /// Whether settings are being read.
    pub(crate) fn is_busy(&self) -> bool {
        self.preparing.is_some()
    }

    /// Begins to read the settings if that was requested. Returns new ones when they are ready.
    pub(crate) fn look(
        &mut self,
        outputs: impl FnOnce() -> Outputs,
        stages: &StageCounts,
    ) -> Option<Prepared> {
        if let Some(thread) = self.preparing.take_if(|thread| thread.is_finished()) {
            let result = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            return result.map_err(|mistakes| self.refuse(&mistakes)).ok();
        }
        if self.is_asked() {
            self.heeded = signals::reopenings();
            let job = Job {
                words: self.words.clone(),
                args: self.args.clone(),
                config: Arc::clone(&self.config),
                places: self.places.clone(),
                outputs: outputs(),
                stages: stages.clone(),
                change: self.counts.applied + 1,
            };
            let thread = thread::Builder::new().name("settings".to_owned());
            match thread.spawn(move || job.run()) {
                Ok(thread) => self.preparing = Some(thread),
                Err(problem) => {
                    let problem = sentence(&problem);
                    self.refuse(&[format!("cannot start a thread: {problem}")]);
                }
            }
        }
        None
    }

    fn refuse(&mut self, mistakes: &[String]) {
        self.counts.refused += 1;
        mistakes.iter().for_each(|mistake| error!("{mistake}"));
        error!("{}: not applied, all settings stay as they were", self.file());
    }

    /// Takes new settings, whose parts are all in use, and says what has changed.
    pub(crate) fn applied(&mut self, prepared: Prepared) {
        if let (Some(places), Some(change)) = (&self.places, prepared.places) {
            places.change(change);
        }
        (self.args, self.config) = (prepared.args, prepared.config);
        self.counts.applied += 1;
        for name in &prepared.restart {
            warn!("{}: {name} changed: needs a restart", self.file());
        }
        let words = prepared.words.join("; ");
        let words = if words.is_empty() { "nothing changed" } else { words.as_str() };
        info!("{}: read again: {words}", self.file());
    }

    fn file(&self) -> String {
        self.args.config.as_ref().map(|path| path.display().to_string()).unwrap_or_default()
    }
}

/// What the thread that prepares new settings knows.
struct Job {
    words: Vec<OsString>,
    args: Arguments,
    config: Arc<Config>,
    places: Option<Arc<Places>>,
    outputs: Outputs,
    stages: StageCounts,
    change: u64,
}

impl Job {
    fn run(mut self) -> Result<Prepared, Vec<String>> {
        // Files are opened with the rights of the user as whom the program runs.
        rights::give_up_in_thread().map_err(|problem| vec![problem])?;
        let reread = again::read(&self.words, &self.args)?;
        let config = Arc::new(reread.config()?.after(&self.config, self.change));
        let (removed, added) = self.difference(&config);
        self.check_limits(&added)?;
        let mut words = reread.words();
        words.extend(output_words(&removed, &added));
        let places = match &self.places {
            Some(places) if reread.places_changed() => Some(places.prepare(&config.places)?),
            _ => None,
        };
        let added: Result<Vec<_>, String> =
            added.into_iter().map(|target| self.start(target, &removed, &config)).collect();
        let added = added.map_err(|problem| vec![problem])?;
        let timeouts =
            |config: &Config| (config.table.idle_timeout_ms, config.table.active_timeout_ms);
        let changed = timeouts(&config) != timeouts(&self.config);
        Ok(Prepared {
            words,
            restart: reread.restart.iter().cloned().collect(),
            removed,
            added,
            timeouts_ms: changed.then(|| timeouts(&config)),
            wants_settle: config.detect.is_some(),
            stages: self.new_stages(&reread, &config),
            stage_counts: self.stages,
            local_networks: reread.site_changed().then(|| config.context.local_networks.clone()),
            places,
            args: reread.args,
            config,
        })
    }

    /// The outputs that end, and those that begin.
    fn difference(&self, config: &Config) -> (Vec<Target>, Vec<Target>) {
        let known = self.outputs.known.iter().filter(|known| !known.is_leaving);
        let mut removed: Vec<_> = known.map(|known| known.target.clone()).collect();
        let mut added = Target::all(config);
        added.retain(|target| match removed.iter().position(|known| known == target) {
            Some(same) => {
                removed.remove(same);
                false
            }
            None => true,
        });
        (removed, added)
    }

    fn check_limits(&self, added: &[Target]) -> Result<(), Vec<String>> {
        let leaving = self.outputs.known.iter().filter(|known| known.is_leaving).count();
        if leaving > LEAVING_MAX {
            let problem = format!("{leaving} outputs that were removed have not ended yet");
            return Err(vec![problem]);
        }
        if self.outputs.names + added.len() > NAMES_MAX {
            let problem = format!("there were {NAMES_MAX} outputs in this run: needs a restart");
            return Err(vec![problem]);
        }
        Ok(())
    }

    /// Opens an output, unless it needs the place of one that has to end first.
    fn start(
        &self,
        target: Target,
        removed: &[Target],
        config: &Arc<Config>,
    ) -> Result<Starting<'static>, String> {
        let known = self.outputs.known.iter();
        let in_its_place = known.filter(|known| {
            let ends = known.is_leaving || removed.contains(&known.target);
            ends && known.target.shares_a_place(&target)
        });
        let others: Vec<Known> = in_its_place.cloned().collect();
        if others.is_empty() {
            return target.output(config).map(Starting::of);
        }
        let (opened, config) = (target.clone(), Arc::clone(config));
        Ok(Starting::after(target, others, move || {
            opened.open(&config).unwrap_or_else(|problem| Box::new(Unopened::new(problem)))
        }))
    }

    /// Stages whose settings have changed.
    fn new_stages(
        &mut self,
        reread: &Reread,
        config: &Config,
    ) -> Vec<(StageKind, Option<Box<dyn Stage>>)> {
        let (site, before) = (reread.site_changed(), &self.config);
        let mut stages = Vec::new();
        if config.has_tags != before.has_tags || config.has_tags && site {
            let stage = config.has_tags.then(|| self.stages.tag_stage(config));
            stages
                .push((StageKind::Tags, stage.map(|stage| -> Box<dyn Stage> { Box::new(stage) })));
        }
        let rules = ["rule", "detector-memory"].iter().any(|name| reread.changed.contains(*name));
        let had = before.detect.is_some();
        if config.detect.is_some() != had || had && (site || rules) {
            stages.push((StageKind::Detectors, self.stages.other_detectors(config)));
        }
        stages
    }
}

/// What has become of outputs, in words.
fn output_words(removed: &[Target], added: &[Target]) -> Vec<String> {
    let removed = removed.iter().map(|target| format!("{} removed", words_of(target)));
    let added = added.iter().map(|target| format!("{} added", words_of(target)));
    removed.chain(added).collect()
}

fn words_of(target: &Target) -> String {
    match target {
        Target::Records(_) => format!("output {}", target.name()),
        Target::Alerts(_) => format!("alerts {}", target.name()),
    }
}
