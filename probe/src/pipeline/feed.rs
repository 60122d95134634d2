//! What gives records in a live run: packets of interfaces, or datagrams of other exporters.

use std::sync::atomic::AtomicBool;
use std::thread::Scope;
use std::time::Duration;

use exporter::MeterReport;

use crate::pipeline::live::MeterChange;
use crate::pipeline::queue::RecordQueue;
use crate::pipeline::table_order::TableOrder;
use crate::report::totals::Totals;

/// The input of a live run, with everything open.
pub(crate) trait LiveInput {
    /// The number of its workers.
    fn workers(&self) -> usize;

    /// Starts the workers, each with its queue. They end when `ended` is set.
    fn start<'scope, 'env>(
        self,
        scope: &'scope Scope<'scope, 'env>,
        queues: Vec<RecordQueue>,
        ended: &'env AtomicBool,
    ) -> Box<dyn Feed + 'scope>
    where
        Self: 'env;
}

/// Workers that run, for the main thread.
pub(crate) trait Feed {
    /// Looks for what comes and goes. Called several times a second, and once a second with
    /// `is_round`.
    fn look(&mut self, is_round: bool);

    /// Whether there is nothing any more from which data could come.
    fn is_over(&self) -> bool;

    /// Whether no worker is late by this time with its counters.
    fn is_alive(&self, longest: Duration) -> bool;

    /// Sends new settings to the workers.
    fn change(&mut self, change: MeterChange);

    /// Whether all workers have taken them.
    fn is_up_to_date(&self) -> bool;

    /// Gives an order about the flows in the tables to the workers. Without tables nobody answers.
    fn order(&self, _order: &TableOrder) {}

    /// Ends the input: nothing more comes in. Then waits until the workers have given what they
    /// have.
    fn end(&mut self);

    /// Adds its counts.
    fn put(&self, totals: &mut Totals);

    /// Its report to outputs and stages.
    fn report(&self, totals: &Totals) -> MeterReport;
}
