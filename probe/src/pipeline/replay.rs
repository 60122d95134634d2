//! The loop of a replay: reads capture files as fast as the outputs take records.
//!
//! The output does not depend on the size of bursts, the speed of the disk or the speed of an
//! output. Packets alone decide the order of records of a table. Blocks are counted in frames.
//! Records of several workers are taken block by block, worker by worker.

use std::sync::atomic::AtomicBool;

use exporter::{Destination, MeterReport};
use flow::{ConversationKeys, FlowTable, MeterCounts, Observer, Timestamp};

use crate::capture::file::FileSource;
use crate::capture::filter::FrameFilter;
use crate::capture::{CaptureError, Polled};
use crate::pipeline::files_end::FilesEnd;
use crate::pipeline::files_run::{FilesRun, Running, Watch, reads_pipe};
use crate::pipeline::handles::WorkerHandles;
use crate::pipeline::observe::observe;
use crate::pipeline::output::Output;
use crate::pipeline::payload::PayloadReader;
use crate::pipeline::stages::Stages;
use crate::pipeline::worker::{Ended, Worker, join};
use crate::report::workers;
use crate::settings::config::Config;

/// Frames of a block.
const BLOCK_FRAMES: usize = 8192;

/// Frames of a block that several workers share. Each block wakes them.
const BLOCK_FRAMES_SHARED: usize = 16_384;

/// A table for fewer flows is not split by default: its halves would not be full at the same time.
const FLOWS_SPLIT: u32 = 10_000;

/// Packet time between two ticks of the table of a pipe. Its records should leave soon.
const PIPE_SWEEP_MS: u64 = 250;

/// Replays capture files through the stages into the outputs. Ends at the end of the files, when
/// `stop` is set, or when no output is left.
pub(crate) fn replay(
    config: &Config,
    source: &mut FileSource,
    stages: Stages,
    outputs: Vec<Output<'_>>,
    tables: Vec<FlowTable>,
    stop: &AtomicBool,
    watch: Watch<'_>,
) -> FilesEnd {
    let Watch { progress, wanted, second } = watch;
    let (workers, is_pipe) = (tables.len(), reads_pipe(config));
    let run = FilesRun { stages, outputs, workers, is_pipe, stop, wanted, second };
    let (replayed, outputs) = run.run(|scope, queues, running| {
        let reader = Reader {
            is_pipe,
            source,
            filter: config.filter.as_ref(),
            payload: config.payload.as_ref().map(|settings| {
                PayloadReader::new(settings, 1, ConversationKeys::new(&config.observer))
            }),
            observer: Observer::new(&config.observer),
            progress,
            running,
        };
        let new = |(table, records)| Worker::new(table, records, config, workers);
        let workers: Vec<_> = tables.into_iter().zip(queues).map(new).collect();
        match <[Worker; 1]>::try_from(workers) {
            Ok([worker]) => reader.replay_alone(worker),
            Err(workers) => {
                let (table, so_far) = (&config.table, running.so_far);
                let by_conversation = reader.payload.is_some();
                let workers = WorkerHandles::new(scope, table, workers, so_far, by_conversation);
                reader.replay_with_workers(workers)
            }
        }
    });
    let (meter, by_worker, failure) = replayed;
    let mut ended = Ended::default();
    by_worker.iter().for_each(|one| ended += *one);
    let by_worker: Vec<_> = by_worker.into_iter().map(|one| (one, 0)).collect();
    let workers = workers::of_replay(&by_worker, &meter);
    FilesEnd { meter, ended, workers, outputs, failure, ..FilesEnd::default() }
}

/// The number of workers: by default two, which keep two or three CPUs busy with the reader. A
/// small table is not split. Packets of a pipe should not wait until a block is full, so a pipe has
/// one worker. So has a file for each hour, because records of several workers leave by blocks, not
/// by time. The number does not depend on the CPUs of the host, because the order of records would
/// depend on it.
pub(crate) fn workers(config: &Config) -> usize {
    let is_large = config.table.flows_max >= FLOWS_SPLIT;
    let by_time = config.outputs.iter().any(Destination::rotates_by_time);
    let fitting = if is_large && !reads_pipe(config) && !by_time { 2 } else { 1 };
    config.workers.unwrap_or(fitting)
}

/// The thread that reads the files.
struct Reader<'a> {
    is_pipe: bool,
    source: &'a mut FileSource,
    filter: Option<&'a FrameFilter>,
    payload: Option<PayloadReader>,
    observer: Observer,
    progress: &'a mut dyn FnMut(&FileSource),
    running: Running<'a>,
}

/// With what each worker has ended.
type Replayed = (MeterCounts, Vec<Ended>, Option<CaptureError>);

impl Reader<'_> {
    /// Reads and processes packets on this thread.
    fn replay_alone(mut self, mut worker: Worker) -> Replayed {
        let mut report = MeterReport::default();
        let mut left = BLOCK_FRAMES;
        let mut tick_at = if self.is_pipe { Timestamp::default() } else { Timestamp::MAX };
        let failure = loop {
            // Records do not wait for the rest of a block, which a pipe may not have yet.
            worker.records.flush();
            self.running.so_far.kept(0, &worker);
            if self.block_is_over(&mut left, BLOCK_FRAMES) {
                worker.settle(self.observer.now());
                if self.update(&mut report) {
                    worker.records.report(report.clone());
                }
            }
            let Self { source, observer, filter, payload, .. } = &mut self;
            let payload = payload.as_mut();
            let polled = observe(
                *source,
                left,
                *filter,
                payload,
                observer,
                &mut worker,
                |observer, worker| {
                    left -= 1;
                    if observer.now() >= tick_at {
                        worker.tick(observer.now());
                        tick_at = observer.now().plus_millis(PIPE_SWEEP_MS);
                    }
                },
            );
            if let Some(end) = self.is_over(polled) {
                break end;
            }
        };
        self.observer.finish(&mut worker);
        if self.update(&mut report) {
            worker.records.report(report);
        }
        (self.counts(), vec![worker.finish(self.observer.now())], failure)
    }

    /// Reads on this thread. Each packet goes to a worker, by its flow key.
    fn replay_with_workers(mut self, mut workers: WorkerHandles<'_>) -> Replayed {
        let mut report = MeterReport::default();
        let mut left = BLOCK_FRAMES_SHARED;
        let failure = loop {
            if self.block_is_over(&mut left, BLOCK_FRAMES_SHARED) {
                workers.pass(self.observer.now());
                if self.update(&mut report) {
                    workers.report(&report);
                }
            }
            let Self { source, observer, filter, payload, .. } = &mut self;
            let payload = payload.as_mut();
            let frames_max = left;
            let count = |_: &mut _, _: &mut _| left -= 1;
            let polled =
                observe(*source, frames_max, *filter, payload, observer, &mut workers, count);
            if let Some(end) = self.is_over(polled) {
                break end;
            }
        };
        self.observer.finish(&mut workers);
        workers.pass(self.observer.now());
        if self.update(&mut report) {
            workers.report(&report);
        }
        workers.pass(self.observer.now());
        // All queues are closed before a thread is waited for.
        let threads: Vec<_> = workers.handles.into_iter().map(|handle| handle.thread).collect();
        (self.counts(), threads.into_iter().map(join).collect(), failure)
    }

    fn counts(&self) -> MeterCounts {
        let payload = self.payload.as_ref().map(PayloadReader::counts);
        MeterCounts { payload, ..self.observer.counts() }
    }

    /// Whether the block is complete; `left` then counts for the next block. Only packets and
    /// interfaces decide the end of a block, not the speed of a pipe.
    fn block_is_over(&self, left: &mut usize, frames: usize) -> bool {
        let is_over = *left == 0 || self.source.has_new_interfaces();
        if is_over {
            *left = frames;
        }
        is_over
    }

    /// Updates the report. Returns whether there is news.
    fn update(&mut self, report: &mut MeterReport) -> bool {
        let before = std::mem::replace(&mut report.ignored, self.observer.counts().ignored_total());
        let mut is_news = report.ignored != before;
        if let Some(interfaces) = self.source.new_interfaces() {
            report.interfaces = interfaces;
            is_news = true;
        }
        is_news
    }

    /// `Some` if the block just read was the last, with the failure if there was one.
    fn is_over(&mut self, polled: Result<Polled, CaptureError>) -> Option<Option<CaptureError>> {
        (self.progress)(self.source);
        self.running.so_far.read(self.counts(), self.source.report());
        match polled {
            Ok(Polled::More | Polled::Idle) if self.running.should_stop() => Some(None),
            Ok(Polled::More | Polled::Idle) => None,
            Ok(Polled::End) => Some(None),
            Err(failure) => Some(Some(failure)),
        }
    }
}
