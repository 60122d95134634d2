//! Orders about the flows in the tables of a live run: to show some of them, or to end them early.
//!
//! A worker does a piece of an order with each tick, so that no packet waits for it.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crossbeam_channel::Sender;
use flow::{FlowRecord, FlowTable, RecordTally};
use ipnet::IpNet;

use crate::pipeline::queue::RecordQueue;

/// Groups of flows that a worker visits with a tick: at most 24,000 flows.
const GROUPS: u32 = 2048;

/// Maximum number of flows that are shown.
pub(crate) const SHOWN_MAX: usize = 1000;

/// What is to be done with flows in the tables.
#[derive(Clone, Debug)]
pub(crate) struct TableOrder {
    pub(crate) task: TableTask,
    pub(crate) meant: FlowMatch,
    /// The pieces that workers have done: they show that the work goes on.
    pub(crate) pieces: Arc<AtomicU64>,
    /// Nobody waits for the answers any more: the rest is left undone.
    pub(crate) is_over: Arc<AtomicBool>,
    /// Each worker answers once; with `None` if it has too much to do.
    pub(crate) answer: Sender<Option<TableAnswer>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TableTask {
    /// Show this number of flows, the first in this order.
    Show(FlowOrder, usize),
    End,
}

/// The order of flows that are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FlowOrder {
    /// The largest first.
    Octets,
    Packets,
    /// The oldest first.
    Start,
    /// The one with the latest packet first.
    Latest,
}

/// Which flows are meant. What is not given is the same for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FlowMatch {
    /// Of one of both sides.
    pub(crate) host: Option<IpNet>,
    pub(crate) port: Option<u16>,
    pub(crate) source: Option<IpNet>,
    pub(crate) source_port: Option<u16>,
    pub(crate) destination: Option<IpNet>,
    pub(crate) destination_port: Option<u16>,
    pub(crate) protocol: Option<u8>,
}

/// The answer of a worker.
#[derive(Clone, Debug, Default)]
pub(crate) struct TableAnswer {
    /// The flows to show, as the records that they would be now.
    pub(crate) flows: Vec<FlowRecord>,
    /// All flows that are meant.
    pub(crate) meant: RecordTally,
}

impl FlowOrder {
    pub(crate) const ALL: [(Self, &'static str); 4] = [
        (Self::Octets, "octets"),
        (Self::Packets, "packets"),
        (Self::Start, "start"),
        (Self::Latest, "latest"),
    ];

    /// The value by which flows are sorted, the smallest first.
    fn key(self, flow: &FlowRecord) -> u64 {
        match self {
            Self::Octets => u64::MAX - flow.octets,
            Self::Packets => u64::MAX - flow.packets,
            Self::Start => flow.start.as_millis(),
            Self::Latest => u64::MAX - flow.end.as_millis(),
        }
    }

    /// The same of a flow with these counts, if they suffice.
    fn of_counts(self, tally: &RecordTally) -> Option<u64> {
        match self {
            Self::Octets => Some(u64::MAX - tally.octets),
            Self::Packets => Some(u64::MAX - tally.packets),
            Self::Start | Self::Latest => None,
        }
    }

    /// Keeps the first flows in this order.
    pub(crate) fn keep_first(self, flows: &mut Vec<FlowRecord>, count: usize) {
        flows.sort_by_key(|flow| (self.key(flow), flow.key));
        flows.truncate(count);
    }
}

impl FlowMatch {
    pub(crate) fn contains(&self, flow: &FlowRecord) -> bool {
        let key = &flow.key;
        let (source, destination) = (key.source_address(), key.destination_address());
        let is_in = |network: Option<IpNet>, address: IpAddr| {
            network.is_none_or(|network| network.contains(&address))
        };
        let is_port = |wanted: Option<u16>, port: u16| wanted.is_none_or(|wanted| wanted == port);
        (is_in(self.host, source) || is_in(self.host, destination))
            && (is_port(self.port, key.source_port) || is_port(self.port, key.destination_port))
            && is_in(self.source, source)
            && is_in(self.destination, destination)
            && is_port(self.source_port, key.source_port)
            && is_port(self.destination_port, key.destination_port)
            && self.protocol.is_none_or(|wanted| wanted == key.protocol)
    }
}

/// An order that a worker is doing.
#[derive(Debug)]
pub(crate) struct TableWalk {
    order: TableOrder,
    next: u32,
    found: TableAnswer,
    /// Flows whose value is not smaller are not shown, because there are enough that come before.
    last: Option<u64>,
}

impl TableWalk {
    pub(crate) fn new(order: TableOrder) -> Self {
        Self { order, next: 0, found: TableAnswer::default(), last: None }
    }

    /// Does the next piece. Returns true after the last, when the answer is sent.
    pub(crate) fn step(&mut self, table: &mut FlowTable, records: &mut RecordQueue) -> bool {
        let Self { order, next, found, last } = self;
        let TableOrder { task, meant, pieces, is_over, answer } = order;
        if is_over.load(Ordering::Relaxed) {
            return true;
        }
        pieces.fetch_add(1, Ordering::Relaxed);
        let on = match *task {
            TableTask::Show(order, count) => {
                let are_all_meant = *meant == FlowMatch::default();
                table.look(*next, GROUPS, &mut |flow| {
                    let tally = flow.tally();
                    let is_behind = |value: u64| last.is_some_and(|last| value >= last);
                    if are_all_meant && order.of_counts(&tally).is_some_and(is_behind) {
                        found.meant += tally;
                        return;
                    }
                    let record = flow.record();
                    if !meant.contains(&record) {
                        return;
                    }
                    found.meant += tally;
                    if is_behind(order.key(&record)) {
                        return;
                    }
                    found.flows.push(record);
                    if found.flows.len() >= 2 * count.max(1) {
                        order.keep_first(&mut found.flows, count);
                        *last = found.flows.last().map(|record| order.key(record));
                    }
                })
            }
            TableTask::End => {
                let mut is_meant = |flow: &FlowRecord| {
                    let is_meant = meant.contains(flow);
                    if is_meant {
                        found.meant.count(flow);
                    }
                    is_meant
                };
                table.end_some(*next, GROUPS, &mut is_meant, &mut |record| records.push(record))
            }
        };
        if let Some(group) = on {
            *next = group;
            return false;
        }
        if let TableTask::Show(order, count) = *task {
            order.keep_first(&mut found.flows, count);
            records.restore(&mut found.flows);
        }
        // Who does not wait any more needs no answer.
        drop(answer.try_send(Some(std::mem::take(found))));
        true
    }
}
