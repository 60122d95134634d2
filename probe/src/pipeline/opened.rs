//! Open outputs of a run, including those that get only alerts.

use exporter::{Destination, ExportCounts, ExportError, Exporter, MeterReport};
use flow::{Batch, Conversation, EventKind, RecordTally, Timestamp};
use log::info;
use web::Recorder;

use crate::host::signals;
use crate::pipeline::output::Output;
use crate::report::page;
use crate::report::top::{self, TopFlows};
use crate::settings::config::Config;
use crate::settings::detect::AlertTarget;

/// The settings of an output.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Target {
    /// It gets records, and alerts.
    Records(Destination),
    /// It gets only alerts.
    Alerts(AlertTarget),
}

impl Target {
    /// All outputs of these settings, except the table and the page.
    pub(crate) fn all(config: &Config) -> Vec<Self> {
        let outputs = config.outputs.iter().cloned().map(Self::Records);
        // Alerts for outputs go with their records.
        let alerts = config.alerts.iter().filter(|target| **target != AlertTarget::Outputs);
        outputs.chain(alerts.cloned().map(Self::Alerts)).collect()
    }

    /// The name in totals and messages.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Records(output) => output.as_str().to_owned(),
            Self::Alerts(target) => target.name(),
        }
    }

    /// Whether both write to the same place, so that one has to end before the other is opened.
    pub(crate) fn shares_a_place(&self, other: &Self) -> bool {
        match (self.destination(), other.destination()) {
            (Some(one), Some(other)) => one.shares_a_place(other),
            _ => false,
        }
    }

    pub(crate) fn destination(&self) -> Option<&Destination> {
        match self {
            Self::Records(output) => Some(output),
            Self::Alerts(AlertTarget::File(file)) => Some(file),
            Self::Alerts(AlertTarget::Webhook(_) | AlertTarget::Outputs) => None,
        }
    }

    /// Opens it.
    ///
    /// # Errors
    ///
    /// The action that failed.
    pub(crate) fn open(&self, config: &Config) -> Result<Box<dyn Exporter>, ExportError> {
        match self {
            Self::Records(output) => {
                let context = config.context_of(output);
                if config.source.is_live() {
                    info!("{}", output.domain_words(context.observation_domain_id));
                }
                output.open(&context)
            }
            Self::Alerts(target) => {
                let exporter = match target {
                    AlertTarget::File(file) => file.open(&config.context_of(file))?,
                    AlertTarget::Webhook(webhook) => webhook.open(&config.context)?,
                    AlertTarget::Outputs => {
                        let problem = "alerts for outputs have no output of their own".to_owned();
                        return Err(ExportError::NotOpened(problem));
                    }
                };
                Ok(Box::new(AlertExporter(exporter)))
            }
        }
    }

    /// Opens it, as an output of a run.
    ///
    /// # Errors
    ///
    /// The action that failed; in one sentence.
    pub(crate) fn output<'a>(&self, config: &Config) -> Result<Output<'a>, String> {
        // A request that comes meanwhile opens the files again.
        let reopenings = signals::reopenings();
        let exporter = self.open(config).map_err(|problem| problem.to_string())?;
        let takes_records = matches!(self, Self::Records(_));
        let (name, target) = (self.name(), Some(self.clone()));
        Ok(Output { name, exporter, takes_records, target, reopenings })
    }
}

/// Opens the outputs, and the outputs of alerts.
///
/// # Errors
///
/// An output cannot be opened; in one sentence.
pub(crate) fn open_outputs(config: &Config) -> Result<Vec<Output<'static>>, String> {
    Target::all(config).iter().map(|target| target.output(config)).collect()
}

/// All outputs, including the table and the web page if they are in use.
pub(crate) fn outputs<'a>(
    opened: Vec<Output<'static>>,
    top: &'a mut Option<TopFlows>,
    recorder: &'a mut Option<Recorder>,
) -> Vec<Output<'a>> {
    let mut outputs: Vec<Output<'a>> = opened;
    let mut add = |name: &str, exporter| {
        let (name, reopenings) = (name.to_owned(), signals::reopenings());
        outputs.push(Output { name, exporter, takes_records: true, target: None, reopenings });
    };
    top.iter_mut().for_each(|top| add(top::NAME, Box::new(top)));
    recorder.iter_mut().for_each(|page| add(page::NAME, Box::new(page)));
    outputs
}

/// An exporter that gets only alerts.
struct AlertExporter(Box<dyn Exporter>);

impl Exporter for AlertExporter {
    fn export(&mut self, batch: &Batch) -> Result<(), ExportError> {
        let alerts = batch.events.iter().filter(|event| event.kind == EventKind::Alert);
        let events: Vec<_> = alerts.cloned().collect();
        if events.is_empty() {
            return Ok(());
        }
        self.0.export(&Batch { events, ..Batch::default() })
    }

    fn observe(&mut self, _meter: &MeterReport) {}

    fn tick(&mut self, now: Timestamp) -> Result<(), ExportError> {
        self.0.tick(now)
    }

    fn reopen(&mut self) -> Result<(), ExportError> {
        self.0.reopen()
    }

    fn finish(&mut self) -> Result<(), ExportError> {
        self.0.finish()
    }

    fn counts(&self) -> ExportCounts {
        // It gets no records, so it can lose none.
        ExportCounts { failed: RecordTally::default(), ..self.0.counts() }
    }

    fn is_ready(&self) -> bool {
        self.0.is_ready()
    }

    fn conversations(&self) -> Vec<Conversation> {
        self.0.conversations()
    }
}
