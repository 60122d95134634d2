//! The packets of interfaces as the input of a live run.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Scope;
use std::time::Duration;

use exporter::MeterReport;
use flow::{Conversation, FlowTable};

use crate::host::ports::Ports;
use crate::pipeline::feed::{Feed, LiveInput};
use crate::pipeline::live::{Attached, MeterChange};
use crate::pipeline::queue::RecordQueue;
use crate::pipeline::snapshot::{Snapshot, are_alive, copies, sum};
use crate::pipeline::table_order::TableOrder;
use crate::pipeline::workers::{Processors, WorkerStarter, Workers};
use crate::report::totals::Totals;
use crate::settings::config::Config;

/// Interfaces, and what their workers need.
pub(crate) struct PacketInput<'a> {
    pub(crate) config: &'a Config,
    pub(crate) ports: Ports,
    /// The sockets of each worker.
    pub(crate) sockets: Vec<Vec<Attached>>,
    /// One for each worker.
    pub(crate) tables: Vec<FlowTable>,
    /// Where each worker publishes its counters.
    pub(crate) snapshots: &'a [Mutex<Snapshot>],
    /// Conversations of the outputs. Their packets are not metered.
    pub(crate) left_out: Vec<Conversation>,
    /// The packets of the outputs are metered too.
    pub(crate) meter_own_exports: bool,
    /// The main thread has real-time priority, which workers inherit.
    pub(crate) is_real_time: bool,
}

impl LiveInput for PacketInput<'_> {
    fn workers(&self) -> usize {
        self.sockets.len()
    }

    fn start<'scope, 'env>(
        self,
        scope: &'scope Scope<'scope, 'env>,
        queues: Vec<RecordQueue>,
        ended: &'env AtomicBool,
    ) -> Box<dyn Feed + 'scope>
    where
        Self: 'env,
    {
        let starter = WorkerStarter {
            config: self.config,
            left_out: self.left_out,
            processors: Processors::find(self.sockets.len()),
            is_real_time: self.is_real_time,
            snapshots: self.snapshots,
            stop: ended,
        };
        let parts = self.sockets.into_iter().zip(self.tables).zip(queues);
        Box::new(PacketFeed {
            workers: Some(starter.start(scope, parts)),
            ports: self.ports,
            snapshots: self.snapshots,
            meter_own_exports: self.meter_own_exports,
            ended,
        })
    }
}

/// The workers of packets.
struct PacketFeed<'scope, 'env> {
    ports: Ports,
    /// `None` after they have ended.
    workers: Option<Workers<'scope>>,
    snapshots: &'env [Mutex<Snapshot>],
    meter_own_exports: bool,
    /// XDP is detached: workers drain the rings and stop.
    ended: &'env AtomicBool,
}

impl Feed for PacketFeed<'_, '_> {
    fn look(&mut self, is_round: bool) {
        let mut sockets = Vec::new();
        if is_round || self.ports.have_news() {
            let snapshots = self.snapshots;
            sockets = self.ports.look(&|| sum(&copies(snapshots)).sources);
        }
        self.workers.iter_mut().for_each(|workers| workers.hand_out(std::mem::take(&mut sockets)));
    }

    fn is_over(&self) -> bool {
        self.ports.are_all_gone()
    }

    fn is_alive(&self, longest: Duration) -> bool {
        are_alive(self.snapshots, longest)
    }

    fn change(&mut self, mut change: MeterChange) {
        if self.meter_own_exports {
            change.left_out.clear();
        }
        self.workers.iter().for_each(|workers| workers.change(&change));
    }

    fn is_up_to_date(&self) -> bool {
        self.workers.as_ref().is_none_or(Workers::are_up_to_date)
    }

    fn order(&self, order: &TableOrder) {
        self.workers.iter().for_each(|workers| workers.order(order));
    }

    fn end(&mut self) {
        self.ports.detach();
        self.ended.store(true, Ordering::Relaxed);
        self.workers.take().into_iter().for_each(Workers::join);
    }

    fn put(&self, totals: &mut Totals) {
        let workers = copies(self.snapshots);
        let snapshot = sum(&workers);
        totals.workers = workers.iter().map(Snapshot::counts).collect();
        totals.meter = snapshot.meter;
        totals.ended = snapshot.ended;
        totals.flows = snapshot.flows;
        totals.ports = self.ports.counts(&snapshot.sources);
    }

    fn report(&self, totals: &Totals) -> MeterReport {
        MeterReport {
            ignored: totals.meter.ignored_total(),
            interfaces: self.ports.named(),
            ..MeterReport::default()
        }
    }
}
