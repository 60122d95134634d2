//! What a worker of datagrams hears goes to a collector, whose records go into the worker's queue.

use std::net::SocketAddr;

use collect::{Collector, Limits, StoredTemplate};
use flow::{Timestamp, Tpids};

use crate::host::listeners::ListenSocket;
use crate::pipeline::collect::Given;
use crate::pipeline::connections::MessageSink;
use crate::pipeline::queue::RecordQueue;
use crate::pipeline::worker::wall_clock;
use crate::report::collected::CollectReport;
use crate::settings::listen::CollectSettings;
use crate::sys::datagrams::Datagram;

/// A collector and the queue of its records.
pub(crate) struct Hearing<'a> {
    pub(crate) collector: Collector,
    settings: &'a CollectSettings,
    pub(crate) records: RecordQueue,
    /// Counts of the sockets; those of the collector are its own.
    pub(crate) report: CollectReport,
}

impl<'a> Hearing<'a> {
    pub(crate) fn new(
        settings: &'a CollectSettings,
        limits: Limits,
        tpids: Tpids,
        records: RecordQueue,
        stored: &[StoredTemplate],
    ) -> Self {
        let sampling = settings.sampling.clone();
        let collector = Collector::new(limits).with_tpids(tpids).with_sampling(sampling);
        let mut collector = collector.with_scope(settings.scope).with_names(&settings.names);
        collector = collector.with_sflow_exporter(settings.sflow_exporter);
        collector = collector.with_options(settings.options_from.is_some());
        let now = wall_clock();
        stored.iter().for_each(|template| collector.restore(template, now));
        let report = CollectReport { listens: true, ..CollectReport::default() };
        Self { collector, settings, records, report }
    }

    /// Gives the collector a datagram, if its sender and its protocol are wanted.
    pub(crate) fn take(&mut self, socket: &ListenSocket, datagram: &Datagram<'_>) {
        self.report.frames += 1;
        if !self.settings.allows(datagram.from.ip()) {
            self.report.not_allowed += 1;
        } else if !socket.takes.takes(datagram.octets) {
            self.report.not_listened += 1;
        } else {
            let received = datagram.received.map_or_else(wall_clock, |since| {
                Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
            });
            let mut sink = Given { records: &mut self.records, settings: self.settings };
            self.collector.datagram(datagram.from, received, datagram.octets, &mut sink);
        }
    }
}

impl MessageSink for Hearing<'_> {
    fn allows(&self, from: SocketAddr) -> bool {
        self.settings.allows(from.ip())
    }

    fn message(&mut self, connection: u64, from: SocketAddr, octets: &[u8]) -> bool {
        self.report.frames += 1;
        let mut sink = Given { records: &mut self.records, settings: self.settings };
        self.collector.message_of(connection, from, wall_clock(), octets, &mut sink)
    }

    fn ended(&mut self, connection: u64, from: SocketAddr) {
        self.collector.end_connection(connection, from);
    }

    fn report(&mut self) -> &mut CollectReport {
        &mut self.report
    }
}
