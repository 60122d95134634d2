//! The loop of `flowprobe collect -r`: reads the datagrams of other exporters out of capture files,
//! and gives their records to stages and outputs.
//!
//! The time of a frame is the time of the datagram's arrival. The output depends only on the files
//! and the settings.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use collect::{Collector, ExporterReport, OptionsRecord, Sink};
use flow::{
    BATCH_RECORDS, Details, Exporter, FlowRecord, Frame, NoDatagram, Origin, Timestamp, Tpids,
    datagram,
};

use crate::capture::file::FileSource;
use crate::capture::filter::FrameFilter;
use crate::capture::{PacketSource, Polled};
use crate::pipeline::files_end::FilesEnd;
use crate::pipeline::files_run::{FilesRun, Watch, reads_pipe};
use crate::pipeline::options;
use crate::pipeline::output::Output;
use crate::pipeline::queue::RecordQueue;
use crate::pipeline::stages::Stages;
use crate::report::collected::CollectReport;
use crate::report::exporters;
use crate::settings::config::Config;
use crate::settings::listen::CollectSettings;

/// Frames that are read before the stop flag is looked at.
const BLOCK_FRAMES: usize = 8192;

/// How much later than its last packet a record may come, in milliseconds, so that detectors count
/// it. Exporters send a flow within their idle timeout, usually 15 s, and the time in their caches.
pub(super) const LATE_MS: u64 = 120_000;

/// Packet time between two messages about that.
pub(super) const SETTLE_MS: u64 = 1000;

/// Collects from capture files through the stages into the outputs. Ends at the end of the files,
/// when `stop` is set, or when no output is left.
pub(crate) fn collect(
    config: &Config,
    source: &mut FileSource,
    stages: Stages,
    outputs: Vec<Output<'_>>,
    stop: &AtomicBool,
    watch: Watch<'_>,
) -> FilesEnd {
    let Watch { progress, wanted, second } = watch;
    let is_pipe = reads_pipe(config);
    let run = FilesRun { stages, outputs, workers: 0, is_pipe, stop, wanted, second };
    let ((report, exporters, failure), outputs) = run.run(|_, mut queues, running| {
        let mut reader = Reader {
            collector: Collector::new(config.collect.limits)
                .with_tpids(config.observer.tpids)
                .with_scope(config.collect.scope)
                .with_sflow_exporter(config.collect.sflow_exporter)
                .with_names(&config.collect.names)
                .with_options(config.collect.options_from.is_some())
                .with_sampling(config.collect.sampling.clone()),
            settings: &config.collect,
            filter: config.filter.as_ref(),
            tpids: config.observer.tpids,
            report: CollectReport::default(),
            records: queues.pop().expect("there is one queue"),
            now: Timestamp::default(),
            settle_at: Timestamp::default(),
        };
        let failure = loop {
            let polled = source.poll(BLOCK_FRAMES, |frame| reader.frame(frame));
            reader.end_block();
            progress(source);
            running.so_far.collected(reader.report(), source.report());
            match polled {
                Ok(Polled::End) => break None,
                Ok(Polled::More | Polled::Idle) if running.should_stop() => break None,
                Ok(Polled::More | Polled::Idle) => {}
                Err(failure) => break Some(failure),
            }
        };
        let (report, exporters) = reader.finish();
        (report, exporters, failure)
    });
    FilesEnd { collected: Some(report), exporters, outputs, failure, ..FilesEnd::default() }
}

/// Reads frames.
struct Reader<'run> {
    collector: Collector,
    settings: &'run CollectSettings,
    filter: Option<&'run FrameFilter>,
    tpids: Tpids,
    report: CollectReport,
    records: RecordQueue,
    /// The latest time of a frame.
    now: Timestamp,
    /// Time of the next settle message.
    settle_at: Timestamp,
}

impl Reader<'_> {
    fn frame(&mut self, frame: &Frame<'_>) {
        self.now = self.now.max(frame.time);
        self.report.frames += 1;
        if !self.filter.is_none_or(|filter| filter.passes(frame)) {
            self.report.filtered += 1;
            return;
        }
        match datagram(frame, self.tpids) {
            Ok(datagram) => {
                let (from, octets) = (datagram.source, datagram.payload);
                if self.settings.allows(from.ip()) {
                    let (records, settings) = (&mut self.records, self.settings);
                    let mut sink = Given { records, settings };
                    self.collector.datagram(from, frame.time, octets, &mut sink);
                } else {
                    self.report.not_allowed += 1;
                }
            }
            Err(NoDatagram::Ignored(_)) => self.report.unreadable += 1,
            Err(NoDatagram::NotUdp) => self.report.not_udp += 1,
            Err(NoDatagram::Fragment) => self.report.fragments += 1,
            Err(NoDatagram::Incomplete) => self.report.incomplete += 1,
        }
        if self.now >= self.settle_at && self.records.wants_settle() {
            self.settle_at = self.now.plus_millis(SETTLE_MS);
            self.records.settle(self.now.minus_millis(LATE_MS));
        }
    }

    /// Records do not wait for frames that a pipe may not have yet.
    fn end_block(&mut self) {
        self.records.flush();
    }

    fn report(&self) -> CollectReport {
        CollectReport { counts: self.collector.counts(), ..self.report }
    }

    fn finish(mut self) -> (CollectReport, Vec<ExporterReport>) {
        self.collector.finish();
        (self.report(), exporters::largest(self.collector.exporters(usize::MAX)))
    }
}

/// The way of a collector's records into a queue.
pub(super) struct Given<'a> {
    pub(super) records: &'a mut RecordQueue,
    pub(super) settings: &'a CollectSettings,
}

impl Given<'_> {
    /// Begins another batch if the one that is filled is of another exporter.
    fn begin(&mut self, exporter: &Arc<Exporter>) {
        let origin = &self.records.batch.origin;
        let is_same = matches!(origin, Origin::Exporter(other) if Arc::ptr_eq(other, exporter));
        if !is_same {
            self.records.flush();
            self.records.batch.origin = Origin::Exporter(Arc::clone(exporter));
        }
    }
}

impl Sink for Given<'_> {
    /// Adds the record to the batch of its exporter.
    fn record(&mut self, exporter: &Arc<Exporter>, record: FlowRecord, details: Details) {
        self.begin(exporter);
        let records = &mut *self.records;
        records.batch.push(record, details);
        if records.batch.records.len() == BATCH_RECORDS {
            records.flush();
        }
    }

    /// Adds the event of an options record.
    fn options(&mut self, exporter: &Arc<Exporter>, record: OptionsRecord) {
        let Some(name) = &self.settings.options_from else { return };
        self.begin(exporter);
        let records = &mut *self.records;
        records.batch.events.push(options::event(exporter, record, name));
        if records.batch.events.len() == BATCH_RECORDS {
            records.flush();
        }
    }
}
