//! The biggest flows, or top lists: an exporter for runs without outputs, which shows them on the
//! terminal.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use analysis::top::{TopBy, TopList};
use exporter::{ExportCounts, ExportError, Exporter, MeterReport, wrapped};
use flow::{Batch, Conversation, Details, FlowRecord, RecordTally, Tags, Timestamp};

use crate::report::incidents::IncidentList;
use crate::report::lists;
use crate::report::table::{Flow, Subject, Table};
use crate::report::terminal;
use crate::settings::args::Order;
use crate::settings::config::TopSettings;

/// Maximum number of flows that are kept. At twice this number, the smaller half is forgotten.
const KEPT: usize = 65_536;

/// The name of this output in the totals.
pub(crate) const NAME: &str = "table";

/// Adds up the records of each flow and keeps the biggest flows.
#[derive(Debug)]
pub(crate) struct TopFlows {
    settings: TopSettings,
    flows: HashMap<Subject, Flow>,
    /// Top lists. If there are any, they are shown instead of flows.
    lists: Vec<TopList>,
    given: RecordTally,
    incidents: IncidentList,
    /// Alerts that were received.
    alerts: u64,
    /// Other events, which the table does not show.
    events: u64,
    /// Number of forgotten flows. If a forgotten flow comes again, its row lacks the earlier part.
    forgotten: u64,
    /// Only in a live run on a terminal.
    status: Option<Status>,
}

/// A line above the table, written by another thread.
#[derive(Clone, Debug, Default)]
pub(crate) struct Status(Arc<Mutex<String>>);

impl Status {
    pub(crate) fn set(&self, line: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = line;
    }

    fn line(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl TopFlows {
    pub(crate) fn new(settings: TopSettings) -> Self {
        let given = RecordTally::default();
        let list = |by: &TopBy| TopList::new(*by, settings.seed);
        let lists = settings.lists.iter().map(list).collect();
        Self {
            settings,
            flows: HashMap::new(),
            lists,
            given,
            incidents: IncidentList::default(),
            alerts: 0,
            events: 0,
            forgotten: 0,
            status: None,
        }
    }

    /// The table, drawn on the terminal at each tick below a status line.
    pub(crate) fn shown_on(self, status: Status) -> Self {
        Self { status: Some(status), ..self }
    }

    /// Draws the table over the previous one.
    fn draw(&self, status: &Status) {
        const TO_THE_TOP: &str = "\x1b[H";
        const CLEAR_LINE: &str = "\x1b[K\n";
        const CLEAR_BELOW: &str = "\x1b[J";
        let columns = terminal::columns_of_stdout();
        let line = wrapped(&status.line(), columns.unwrap_or(usize::MAX), 0);
        let text = format!("{line}\n\n{}", self.table(columns));
        let text = text.replace('\n', CLEAR_LINE);
        // If the terminal is gone, the run is about to end.
        drop(write!(anstream::stdout(), "{TO_THE_TOP}{text}{CLEAR_BELOW}"));
    }

    fn add(&mut self, record: &FlowRecord, details: Option<&Details>) {
        self.given.count(record);
        if !self.lists.is_empty() {
            self.lists.iter_mut().for_each(|list| list.add(record));
            return;
        }
        let flow = self.flows.entry(Subject::of(record, details)).or_insert(Flow {
            octets: 0,
            packets: 0,
            start: record.start,
            end: record.end,
            tcp_control_bits: 0,
            tags: Tags::NONE,
            name: None,
        });
        if flow.name.is_none() {
            let facts = details.and_then(|details| details.facts.as_deref());
            flow.name = facts.and_then(|facts| facts.hosts().next()).map(Arc::from);
        }
        flow.octets += record.octets;
        flow.packets += record.packets;
        flow.start = flow.start.min(record.start);
        flow.end = flow.end.max(record.end);
        flow.tcp_control_bits |= record.tcp_control_bits;
        flow.tags |= record.tags;
        if self.flows.len() == 2 * KEPT {
            let mut order = self.in_order();
            self.forgotten += (order.len() - KEPT) as u64;
            order.truncate(KEPT);
            self.flows = order.into_iter().collect();
        }
    }

    /// The flows in order, the biggest first. Equal ones are ordered by key.
    fn in_order(&self) -> Vec<(Subject, Flow)> {
        let mut order: Vec<_> = self.flows.iter().map(|(key, flow)| (*key, flow.clone())).collect();
        order.sort_unstable_by_key(|(key, flow)| {
            Reverse(match self.settings.order {
                Order::Octets => (flow.octets, flow.packets, Reverse(*key)),
                Order::Packets => (flow.packets, flow.octets, Reverse(*key)),
            })
        });
        order
    }

    /// The incidents, the most severe first.
    pub(crate) fn incidents(&self, columns: Option<usize>) -> String {
        self.incidents.text(columns)
    }

    /// The table, or the lists, for a terminal with this number of columns.
    pub(crate) fn table(&self, columns: Option<usize>) -> String {
        if !self.lists.is_empty() {
            return lists::text(&self.lists, self.settings.flows, columns);
        }
        let flows = self.in_order();
        let shown = flows.len().min(self.settings.flows);
        let table = Table {
            flows: &flows[..shown],
            order: self.settings.order,
            key: self.settings.key,
            whole: self.given,
            smaller_flows: (flows.len() - shown) as u64,
            forgotten: self.forgotten,
        };
        table.text(columns)
    }
}

impl Exporter for TopFlows {
    fn export(&mut self, batch: &Batch) -> Result<(), ExportError> {
        batch.records.iter().for_each(|record| self.add(record, batch.details_of(record)));
        for event in &batch.events {
            *(if self.incidents.note(event) { &mut self.alerts } else { &mut self.events }) += 1;
        }
        Ok(())
    }

    fn observe(&mut self, _meter: &MeterReport) {}

    fn tick(&mut self, _now: Timestamp) -> Result<(), ExportError> {
        if let Some(status) = &self.status {
            self.draw(status);
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), ExportError> {
        Ok(())
    }

    fn counts(&self) -> ExportCounts {
        ExportCounts {
            sent: self.given,
            events_sent: self.alerts,
            events_not_exportable: self.events,
            ..ExportCounts::default()
        }
    }

    fn conversations(&self) -> Vec<Conversation> {
        Vec::new()
    }
}
