//! Stages and outputs, tested with a stage and an output of the tests.

use std::ffi::OsString;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::thread;

use exporter::{ExportCounts, ExportError, Exporter, MeterReport};
use flow::{
    BATCH_RECORDS, Batch, Conversation, Event, EventKind, RecordTally, Stage, Tag, Tags, Timestamp,
    Value,
};

use crate::capture::file::FileSource;
use crate::host::signals;
use crate::pipeline::files_end::FilesEnd;
use crate::pipeline::files_run::Watch;
use crate::pipeline::output::{Output, OutputEnd, OutputLoop};
use crate::pipeline::queues::{QueueSet, StageNeeds};
use crate::pipeline::replay;
use crate::pipeline::stages::{Mode, StageKind, StageList, StageLoop, Stages};
use crate::pipeline::worker::{join, new_tables, spawn};
use crate::settings::config::{Config, Source};
use crate::settings::parse::parse;

const CAPTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/office.pcap");

/// Stands for any tag.
const LONG: Tag = Tag::Land;

/// Tags flows of many packets, gives a name to flows to port 443, and says how many records are
/// complete.
#[derive(Default)]
struct TestStage {
    records: u64,
}

impl Stage for TestStage {
    fn batch(&mut self, batch: &mut Batch) {
        for index in 0..batch.records.len() {
            self.records += 1;
            if batch.records[index].packets >= 10 {
                batch.tag(index, LONG.into());
            }
            if batch.records[index].key.destination_port == 443 {
                batch.details_mut(index).server_name = Some(self.records.to_string().into());
            }
        }
    }

    fn wants_settle(&self) -> bool {
        true
    }

    fn settle(&mut self, until: Timestamp, events: &mut Vec<Event>) {
        let fields = vec![("records", Value::Number(self.records))];
        events.push(Event { kind: EventKind::Alert, time: until, fields });
    }
}

/// Asserts that no record comes after it was settled.
#[derive(Default)]
struct InTime {
    settled: Timestamp,
    settles: u64,
}

impl Stage for InTime {
    fn batch(&mut self, batch: &mut Batch) {
        for record in &batch.records {
            let end = batch.trace_end(record).expect("the packets fit a clock");
            assert!(end >= self.settled, "{record:?} at {end}, settled until {}", self.settled);
        }
    }

    fn wants_settle(&self) -> bool {
        true
    }

    fn settle(&mut self, until: Timestamp, events: &mut Vec<Event>) {
        assert!(until > self.settled);
        (self.settled, self.settles) = (until, self.settles + 1);
        if until == Timestamp::MAX {
            let fields = vec![("settles", Value::Number(self.settles))];
            events.push(Event { kind: EventKind::Alert, time: until, fields });
        }
    }
}

#[test]
fn no_record_is_late() {
    let in_time = || -> StageList { vec![(StageKind::Tags, Box::<InTime>::default())] };
    for workers in [1, 2, 4] {
        let mut outputs = [Kept::default()];
        run_stages(workers, Stages { list: in_time(), ..Stages::default() }, &mut outputs);
        let settles = settles_at_the_end(&outputs[0]);
        assert!(settles[0] > 1, "{workers} workers");
        assert_eq!(settles.len(), 1);
        // A second thread is told the same.
        let mut outputs = [Kept::default()];
        let stages = Stages { list: in_time(), later: in_time(), ..Stages::default() };
        run_stages(workers, stages, &mut outputs);
        assert_eq!(settles_at_the_end(&outputs[0]), [settles[0]; 2]);
    }
}

/// How often each stage was told that records are complete.
fn settles_at_the_end(kept: &Kept) -> Vec<u64> {
    let last = kept.batches.last().expect("events come at the end");
    let number = |event: &Event| {
        let Value::Number(settles) = event.fields[0].1 else { panic!("it is a number") };
        settles
    };
    last.events.iter().map(number).collect()
}

/// Keeps all batches, takes records, and does not export events.
#[derive(Default)]
struct Kept {
    batches: Vec<Batch>,
    counts: ExportCounts,
    /// Requests to reopen files that came before it was opened.
    reopenings: usize,
    reopened: u64,
}

impl Exporter for Kept {
    fn export(&mut self, batch: &Batch) -> Result<(), ExportError> {
        batch.records.iter().for_each(|record| self.counts.sent.count(record));
        self.counts.events_not_exportable += batch.events.len() as u64;
        self.batches.push(batch.clone());
        Ok(())
    }

    fn observe(&mut self, _meter: &MeterReport) {}

    fn tick(&mut self, _now: Timestamp) -> Result<(), ExportError> {
        Ok(())
    }

    fn reopen(&mut self) -> Result<(), ExportError> {
        self.reopened += 1;
        Ok(())
    }

    fn finish(&mut self) -> Result<(), ExportError> {
        Ok(())
    }

    fn counts(&self) -> ExportCounts {
        self.counts
    }

    fn conversations(&self) -> Vec<Conversation> {
        Vec::new()
    }
}

fn run(workers: usize, stages: StageList, outputs: &mut [Kept]) -> FilesEnd {
    run_stages(workers, Stages { list: stages, ..Stages::default() }, outputs)
}

fn run_stages(workers: usize, stages: Stages, outputs: &mut [Kept]) -> FilesEnd {
    let count = workers.to_string();
    let words = ["flowprobe", "-r", CAPTURE, "--workers", count.as_str()];
    let cli = parse(words.map(OsString::from)).expect("the command line is right");
    let config = Config::new(&cli.args).expect("the settings are right");
    let Source::Files(files) = &config.source else { panic!("a replay was asked for") };
    let stop = Arc::new(AtomicBool::new(false));
    let mut source = FileSource::open(files, &config.ifindex, &stop);
    let outputs = outputs.iter_mut().map(output).collect();
    let tables = new_tables(&config, replay::workers(&config)).unwrap();
    let watch = Watch { progress: &mut |_| (), wanted: &|_| (), second: None };
    replay::replay(&config, &mut source, stages, outputs, tables, &stop, watch)
}

fn output(kept: &mut Kept) -> Output<'_> {
    let (name, reopenings) = (String::from("kept"), kept.reopenings);
    Output { name, exporter: Box::new(kept), takes_records: true, target: None, reopenings }
}

fn stages() -> StageList {
    vec![(StageKind::Tags, Box::<TestStage>::default())]
}

fn sum(end: &FilesEnd) -> RecordTally {
    end.ended.records()
}

#[test]
fn a_stage_reaches_every_record_once() {
    for workers in [1, 2, 4] {
        let mut outputs = [Kept::default(), Kept::default()];
        let end = run(workers, stages(), &mut outputs);
        assert!(sum(&end).records > BATCH_RECORDS as u64);
        for (kept, end_of_output) in outputs.iter().zip(&end.outputs) {
            assert_eq!(kept.counts.sent, sum(&end), "{workers} workers");
            assert_eq!(end_of_output.counts, kept.counts);
            let mut named = 0;
            for batch in &kept.batches {
                for record in &batch.records {
                    let tags = if record.packets >= 10 { LONG.into() } else { Tags::NONE };
                    assert_eq!(record.tags, tags);
                    let details = batch.details_of(record);
                    assert_eq!(details.is_some(), record.key.destination_port == 443);
                    named += u64::from(details.is_some());
                }
            }
            assert!(named > 0, "the capture has flows to port 443");
            let last = kept.batches.iter().flat_map(|batch| &batch.events).last();
            let fields = &last.expect("the end made an event").fields;
            assert_eq!(fields[0].1, Value::Number(sum(&end).records));
        }
        assert_eq!(outputs[0].batches, outputs[1].batches, "both outputs get the same");
    }
}

/// Outputs get the same, whether stages that change records are alone or before another thread.
#[test]
fn a_second_thread_of_stages_gets_every_record_in_order() {
    for workers in [1, 2] {
        let mut alone = [Kept::default(), Kept::default()];
        let mut in_turn = [Kept::default(), Kept::default()];
        let one = run(workers, stages(), &mut alone);
        let later: StageList = vec![(StageKind::Detectors, Box::<InTime>::default())];
        let two = run_stages(
            workers,
            Stages { list: stages(), later, ..Stages::default() },
            &mut in_turn,
        );
        assert_eq!(sum(&one), sum(&two));
        let records = |kept: &Kept| -> Vec<_> {
            kept.batches.iter().flat_map(|batch| batch.records.clone()).collect()
        };
        assert_eq!(records(&alone[0]), records(&in_turn[0]));
        assert_eq!(in_turn[0].batches, in_turn[1].batches);
    }
}

#[test]
fn what_leaves_a_stage_is_the_same_each_time() {
    for workers in [1, 2, 4] {
        let [mut first, mut second] = [[Kept::default()], [Kept::default()]];
        run(workers, stages(), &mut first);
        run(workers, stages(), &mut second);
        assert_eq!(first[0].batches, second[0].batches, "{workers} workers");
    }
}

#[test]
fn without_a_stage_records_are_those_of_the_worker() {
    for workers in [1, 2] {
        let mut alone = [Kept::default()];
        let mut two = [Kept::default(), Kept::default()];
        run(workers, Vec::new(), &mut alone);
        run(workers, Vec::new(), &mut two);
        assert_eq!(alone[0].batches, two[0].batches);
        assert!(alone[0].batches.iter().all(|batch| batch.events.is_empty()));
        let records = alone[0].batches.iter().flat_map(|batch| &batch.records);
        assert!(records.clone().all(|record| record.tags.is_empty()));
    }
}

#[test]
fn an_output_heeds_the_requests_after_it_was_opened() {
    signals::request_reopening();
    let now = signals::reopenings();
    let mut outputs = [now, now - 1].map(|reopenings| Kept { reopenings, ..Kept::default() });
    run(1, Vec::new(), &mut outputs);
    assert_eq!(outputs.map(|kept| kept.reopened), [0, 1]);
}

#[test]
fn events_that_an_output_cannot_say_are_counted() {
    let mut outputs = [Kept::default()];
    let end = run(1, stages(), &mut outputs);
    let events: usize = outputs[0].batches.iter().map(|batch| batch.events.len()).sum();
    assert!(events > 1);
    assert_eq!(end.outputs[0].counts.events_not_exportable, events as u64);
}

/// Live: the queues are filled before any data is taken from them. Of twice their length, half is
/// lost.
#[test]
fn what_a_live_queue_does_not_take_counts_for_every_output() {
    let mut all = [Kept::default()];
    run(1, Vec::new(), &mut all);
    let record = all[0].batches[0].records[0];
    let mut kept = [Kept::default(), Kept::default()];
    let mut queues =
        QueueSet::live(1, kept.len(), &StageNeeds { exist: true, ..StageNeeds::default() }, 1);
    let batches = 2048;
    let mut given = RecordTally::default();
    let mut worker = queues.workers.remove(0);
    for _ in 0..batches * BATCH_RECORDS {
        given.count(&record);
        worker.push(record);
    }
    drop(worker);
    let at_stages = queues.stages.take().expect("there is a stage");
    let ended = AtomicBool::new(false);
    // The first queue has dropped its part. The queues of the outputs drop nothing more.
    StageLoop::new(stages(), at_stages, Mode::Live(&ended)).run();
    let outputs_left = AtomicUsize::new(kept.len());
    let ends: Vec<OutputEnd> = thread::scope(|scope| {
        let mut threads = Vec::new();
        for (exporter, merge) in kept.iter_mut().zip(queues.outputs) {
            let output = output(exporter);
            let (pool, outputs_left) = (queues.pool.clone(), &outputs_left);
            let output = OutputLoop::new(output, merge, pool, None, Arc::default(), outputs_left);
            threads.push(spawn(scope, "output", move || output.run().0));
        }
        threads.into_iter().map(join).collect()
    });
    for end in ends {
        assert_eq!(end.dropped.records, given.records / 2);
        assert_eq!(end.counts.sent + end.dropped, given);
        // The queue of the output was full, so the event of the end was dropped.
        assert_eq!(end.counts.events_not_exportable + end.counts.events_failed, 1);
        assert_eq!(end.counts.events_failed, 1);
    }
}
