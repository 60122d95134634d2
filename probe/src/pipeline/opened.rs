//! Open outputs of a run, including those that get only alerts.

use exporter::{ExportCounts, ExportError, Exporter, MeterReport};
use flow::{Batch, Conversation, EventKind, RecordTally, Timestamp};
use log::info;
use web::Recorder;

use crate::pipeline::output::Output;
use crate::report::page;
use crate::report::top::{self, TopFlows};
use crate::settings::config::{Config, Source};
use crate::settings::detect::AlertTarget;

/// Opens the outputs, and the outputs of alerts.
///
/// # Errors
///
/// An output cannot be opened; in one sentence.
pub(crate) fn open_outputs(config: &Config) -> Result<Vec<Opened>, String> {
    let mut opened = Vec::with_capacity(config.outputs.len());
    for output in &config.outputs {
        let context = config.context_of(output);
        if matches!(config.source, Source::Live(_)) {
            info!("{}", output.domain_words(context.observation_domain_id));
        }
        let exporter = output.open(&context).map_err(|problem| problem.to_string())?;
        opened.push(Opened { name: output.as_str().to_owned(), exporter, takes_records: true });
    }
    for target in &config.alerts {
        let exporter = match target {
            AlertTarget::File(file) => file.open(&config.context_of(file)),
            AlertTarget::Webhook(webhook) => webhook.open(&config.context),
            AlertTarget::Outputs => continue,
        };
        let exporter = exporter.map_err(|problem| problem.to_string())?;
        let exporter = Box::new(AlertExporter(exporter));
        opened.push(Opened { name: target.name(), exporter, takes_records: false });
    }
    Ok(opened)
}

/// An output that is open, and its name.
pub(crate) struct Opened {
    pub(crate) name: String,
    pub(crate) exporter: Box<dyn Exporter>,
    /// It gets records too, not only alerts.
    takes_records: bool,
}

/// All outputs, including the table and the web page if they are in use.
pub(crate) fn outputs<'a>(
    opened: &'a mut [Opened],
    top: &'a mut Option<TopFlows>,
    recorder: &'a mut Option<Recorder>,
) -> Vec<Output<'a>> {
    let of_records = |name: &str, exporter: &'a mut dyn Exporter| Output {
        name: name.to_owned(),
        exporter,
        takes_records: true,
    };
    let table = top.iter_mut().map(|top| of_records(top::NAME, top));
    let page = recorder.iter_mut().map(|page| of_records(page::NAME, page));
    let opened = opened.iter_mut().map(|opened| Output {
        name: opened.name.clone(),
        exporter: opened.exporter.as_mut(),
        takes_records: opened.takes_records,
    });
    opened.chain(table).chain(page).collect()
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
