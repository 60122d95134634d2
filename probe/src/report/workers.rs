//! The counts of each worker and of each queue between threads, in totals.

use flow::{MeterCounts, RecordTally, Tally};
use serde_json::{Value, json};

use crate::pipeline::dropped::QueueReport;
use crate::pipeline::output::OutputEnd;
use crate::pipeline::worker::Ended;
use crate::report::collected::CollectReport;
use crate::report::totals::{records_json, tally_json};

/// What a worker did.
#[derive(Clone, Debug, Default)]
pub(crate) struct WorkerCounts {
    /// Frames of its sockets, and frames for which they had no room. Only of interfaces.
    pub(crate) rings: Option<(u64, u64)>,
    /// `None` if another thread reads the packets.
    pub(crate) read: Option<Read>,
    /// `None` if it has no flows.
    pub(crate) flows: Option<Flows>,
    /// `None` if packets are metered.
    pub(crate) collected: Option<CollectReport>,
    /// Records for which the queue behind the workers had no room.
    pub(crate) dropped: RecordTally,
}

/// Packets that a worker has read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Read {
    received: Tally,
    ignored: Tally,
    metered_octets: u64,
}

/// Packets in the flows of a worker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flows {
    metered_packets: u64,
    /// Flows in the table.
    kept: u32,
    ended: RecordTally,
}

impl Read {
    pub(crate) fn of(meter: &MeterCounts) -> Self {
        Self {
            received: meter.received,
            ignored: meter.ignored_total(),
            metered_octets: meter.metered.octets,
        }
    }
}

impl WorkerCounts {
    /// The counts of a worker that has metered so many packets, and has so many flows.
    pub(crate) fn of_flows(ended: &Ended, kept: u32, metered_packets: u64) -> Self {
        let flows = Flows { metered_packets, kept, ended: ended.records() };
        Self { flows: Some(flows), dropped: ended.dropped, ..Self::default() }
    }

    /// The counts of a worker that collects.
    pub(crate) fn of_collecting(report: CollectReport, dropped: RecordTally) -> Self {
        Self { collected: Some(report), dropped, ..Self::default() }
    }

    fn json(&self, number: usize) -> Value {
        let mut worker = json!({
            "worker": number.to_string(),
            "dropped": records_json(self.dropped),
        });
        if let Some((frames, lost)) = self.rings {
            worker["frames"] = frames.into();
            worker["lost"] = lost.into();
        }
        if let Some(read) = &self.read {
            worker["received"] = tally_json(read.received);
            worker["ignored"] = tally_json(read.ignored);
        }
        if let Some(Flows { metered_packets, kept, ended }) = self.flows {
            worker["metered"] = json!({ "packets": metered_packets });
            if let Some(read) = &self.read {
                worker["metered"]["octets"] = read.metered_octets.into();
            }
            let kept_packets = metered_packets.saturating_sub(ended.packets);
            worker["kept"] = json!({ "flows": kept, "packets": kept_packets });
            worker["ended"] = records_json(ended);
        }
        if let Some(CollectReport { counts, kernel_dropped, .. }) = &self.collected {
            worker["collected"] = json!({
                "datagrams": counts.datagrams,
                "kernel_dropped": kernel_dropped,
                "records": counts.records,
            });
        }
        worker
    }
}

/// The workers of a replay, from what each has ended and the flows that it has. A worker that is
/// alone reads the packets, too.
pub(crate) fn of_replay(workers: &[(Ended, u32)], meter: &MeterCounts) -> Vec<WorkerCounts> {
    if let [(ended, flows)] = workers {
        let alone = WorkerCounts::of_flows(ended, *flows, meter.metered.packets);
        return vec![WorkerCounts { read: Some(Read::of(meter)), ..alone }];
    }
    let of = |(ended, flows): &(Ended, u32)| WorkerCounts::of_flows(ended, *flows, ended.taken);
    workers.iter().map(of).collect()
}

/// The workers, numbered from 0.
pub(super) fn json(workers: &[WorkerCounts]) -> Value {
    workers.iter().enumerate().map(|(number, worker)| worker.json(number)).collect()
}

/// The queue behind the workers, and those of outputs that have one of their own. None in a replay,
/// where a full queue makes its sender wait.
pub(super) fn queues_json(of_workers: Option<&QueueReport>, outputs: &[OutputEnd]) -> Value {
    let queue = |name: &str, dropped: RecordTally, waiting: usize, room: usize| {
        json!({
            "queue": name,
            "waiting": waiting,
            "room": room,
            "dropped": records_json(dropped),
        })
    };
    let Some(of_workers) = of_workers else { return json!([]) };
    let QueueReport { name, dropped, waiting, room } = of_workers;
    let first = queue(name, *dropped, *waiting, *room);
    let others = outputs.iter().filter(|output| output.takes_records).filter_map(|output| {
        let (waiting, room) = output.waiting?;
        Some(queue(&output.name, output.dropped - output.dropped_before, waiting, room))
    });
    [first].into_iter().chain(others).collect()
}
