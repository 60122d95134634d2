//! The exporter of messages: connects an encoder and a transport, and counts each record.

use std::sync::Arc;

use element::{ExporterState, Flow, UptimeBase};
use flow::{Batch, Conversation, FlowRecord, Origin, RecordTally, Tally, Timestamp};
use log::warn;

use super::announcement::{Announcements, Refresh};
use super::encoder::{Inexact, MessageEncoder, NotAdded};
use crate::content::Content;
use crate::error::ExportError;
use crate::exporter::{ExportCounts, Exporter, Interface, MeterReport};
use crate::muted::Muted;
use crate::patience::Patience;
use crate::transport::{Transport, TransportCounts};

/// Flow records as messages of a protocol over a transport.
#[derive(Debug)]
pub(crate) struct MessageExporter<E> {
    name: String,
    encoder: E,
    transport: Box<dyn Transport>,
    announcements: Announcements,
    /// The export time of the next message.
    clock: Timestamp,
    time: ExportTime,
    /// When the next of several files is to be begun.
    rotation_due: Timestamp,
    observation_domain_id: u32,
    sampling_interval: u32,
    ignored: Tally,
    interfaces: Arc<[Interface]>,
    given: RecordTally,
    /// Messages given to the transport.
    handed_on: Content,
    not_exportable: RecordTally,
    dropped: RecordTally,
    /// Records of a batch that remained when the transport gave up.
    left: RecordTally,
    events_not_exportable: u64,
    trouble: Muted,
    interfaces_warned: bool,
}

/// Where export times come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ExportTime {
    /// The trace clock, which never goes back: of a replay, where flows have absolute times.
    OfTrace,
    /// The clocks of the records, live also the time of day. They may be set back.
    OfRecords,
}

/// What an announcement has in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Announcement {
    /// Templates and options.
    Whole,
    /// Options only, if the templates are known.
    Options,
}

/// Largest normal delay of records: late packets, several workers, a full queue. If a record is
/// older than this, the clock was set back.
const SET_BACK_MS: u64 = 24 * 60 * 60 * 1000;

/// The same for the time of day in a live run, which has no queue. After a smaller step back the
/// clock soon catches up.
const WALL_SET_BACK_MS: u64 = 60 * 1000;

/// Largest difference of export times within one message, by the trace clock.
const JUMP_MS: u64 = 60 * 60 * 1000;

impl<E: MessageEncoder> MessageExporter<E> {
    pub(crate) fn new(
        name: String,
        encoder: E,
        mut transport: Box<dyn Transport>,
        refresh: Option<Refresh>,
        observation_domain_id: u32,
        sampling_interval: u32,
        patience: Patience,
    ) -> Self {
        let of_trace = E::HAS_ABSOLUTE_TIMES && patience == Patience::Wait;
        // The first session is announced in any case.
        transport.session_began();
        let rotation_due = transport.rotation_due();
        Self {
            name,
            encoder,
            transport,
            announcements: Announcements::new(refresh),
            clock: Timestamp::default(),
            time: if of_trace { ExportTime::OfTrace } else { ExportTime::OfRecords },
            rotation_due,
            observation_domain_id,
            sampling_interval,
            ignored: Tally::default(),
            interfaces: Arc::default(),
            given: RecordTally::default(),
            handed_on: Content::default(),
            not_exportable: RecordTally::default(),
            dropped: RecordTally::default(),
            left: RecordTally::default(),
            events_not_exportable: 0,
            trouble: Muted::default(),
            interfaces_warned: false,
        }
    }

    fn add(&mut self, record: &FlowRecord, batch: &Batch) -> Result<(), ExportError> {
        self.given.count(record);
        match self.time {
            ExportTime::OfTrace => {
                let to = batch.trace_exported(record).unwrap_or(self.clock);
                self.move_clock(to, u64::MAX)?;
            }
            ExportTime::OfRecords => self.move_clock(record.exported, SET_BACK_MS)?,
        }
        let flow = Flow {
            record,
            details: batch.details_of(record),
            exporter: match &batch.origin {
                Origin::ThisMeter => None,
                Origin::Exporter(exporter) => Some(exporter),
            },
            uptime_base: UptimeBase::default(),
        };
        loop {
            if self.announcement_is_due() {
                self.announce(Announcement::Whole)?;
            }
            match self.encoder.add(&flow, self.clock) {
                Ok(()) => return Ok(()),
                Err(NotAdded::Full) => self.send_message()?,
                Err(NotAdded::NotExportable(reason)) => {
                    self.not_exportable.count(record);
                    self.trouble.warn(format_args!("{}: {reason}", self.name));
                    return Ok(());
                }
            }
        }
    }

    /// Moves the clock. Before a large move, sends the message with its old export time. The clock
    /// goes back only by more than `slack_ms`.
    #[inline]
    fn move_clock(&mut self, to: Timestamp, slack_ms: u64) -> Result<(), ExportError> {
        let is_step = to >= self.clock
            && to.millis_since(self.clock) <= JUMP_MS
            && to < self.rotation_due
            && self.encoder.can_reach(to);
        if is_step {
            self.clock = to;
            return Ok(());
        }
        self.leave_clock(to, slack_ms)
    }

    /// Any move that is not a small step forward.
    #[inline(never)]
    fn leave_clock(&mut self, to: Timestamp, slack_ms: u64) -> Result<(), ExportError> {
        let set_back = self.clock.millis_since(to) > slack_ms;
        let far = to.millis_since(self.clock) > JUMP_MS || !self.encoder.can_reach(to);
        if set_back || far {
            self.send_message()?;
        }
        if self.clock.max(to) >= self.rotation_due {
            self.rotate(self.clock.max(to))?;
        }
        if set_back || to > self.clock {
            self.clock = to;
        }
        Ok(())
    }

    /// Ends a file with the final counts, and begins the next one.
    fn rotate(&mut self, now: Timestamp) -> Result<(), ExportError> {
        if self.announcements.were_sent() {
            self.announce(Announcement::Options)?;
        }
        self.send_message()?;
        self.transport.rotate(now)?;
        self.rotation_due = self.transport.rotation_due();
        self.begin_session();
        Ok(())
    }

    fn announcement_is_due(&self) -> bool {
        E::HAS_TEMPLATES && self.announcements.are_due(self.clock)
    }

    /// Sends templates and options, or options only, in their own messages.
    fn announce(&mut self, announcement: Announcement) -> Result<(), ExportError> {
        self.send_message()?;
        let TransportCounts { failed, .. } = self.transport.counts();
        let exported = self.handed_on - failed;
        let state = ExporterState {
            observation_domain_id: self.observation_domain_id,
            sampling_interval: self.sampling_interval,
            exported_messages: exported.messages,
            exported_octets: exported.octets,
            exported_records: exported.records.records,
            observed_flows: self.given.records + self.dropped.records,
            ignored: self.ignored,
            not_sent: failed.records + self.not_exportable + self.dropped,
            ..ExporterState::default()
        };
        if announcement == Announcement::Whole {
            self.encoder.add_templates(self.clock);
        }
        self.encoder.add_options(&state);
        self.announcements.sent(self.clock);
        self.send_message()?;
        if announcement == Announcement::Whole {
            self.announce_interfaces()?;
        }
        self.announcements.begin_count();
        Ok(())
    }

    /// Sends the names of interfaces.
    fn announce_interfaces(&mut self) -> Result<(), ExportError> {
        // If a session has just begun, the names follow its templates later.
        let later = !self.announcements.were_sent();
        if self.interfaces.is_empty() || later || !self.encoder.add_interface_template() {
            return Ok(());
        }
        for interface in Arc::clone(&self.interfaces).iter() {
            let state = ExporterState {
                interface_number: interface.number,
                interface_name: &interface.name,
                ..ExporterState::default()
            };
            while self.encoder.add_interface(&state).is_err() {
                self.send_message()?;
                if !self.announcements.were_sent() {
                    return Ok(());
                }
            }
        }
        self.send_message()
    }

    /// Sends the message under construction, unless it is empty.
    fn send_message(&mut self) -> Result<(), ExportError> {
        let inexact = self.encoder.inexact();
        let Some(message) = self.encoder.finish(self.clock) else { return Ok(()) };
        self.handed_on += message.content();
        let result = self.transport.send(message);
        self.encoder.clear();
        self.encoder.set_limit(self.transport.message_limit());
        self.rotation_due = self.transport.rotation_due();
        self.announcements.count_message();
        self.begin_session();
        self.warn_of_inexact(inexact);
        result
    }

    /// Logs once that interface numbers were replaced. The totals have the count.
    fn warn_of_inexact(&mut self, inexact: Inexact) {
        if inexact.interfaces > 0 && !self.interfaces_warned {
            self.interfaces_warned = true;
            warn!(
                "{}: interface numbers above 65535 are sent as 0, NetFlow v5 has no room for them; \
                 --ifindex NAME=N gives an interface another number",
                self.name
            );
        }
    }

    /// Between messages: a new session gets templates first.
    fn begin_session(&mut self) {
        if self.transport.session_began() {
            self.encoder.begin_session();
            self.announcements.forget();
        }
    }
}

impl<E: MessageEncoder> Exporter for MessageExporter<E> {
    fn export(&mut self, batch: &Batch) -> Result<(), ExportError> {
        let records = &batch.records;
        self.events_not_exportable += batch.events.len() as u64;
        if self.encoder.is_empty() {
            self.begin_session();
        }
        for (index, record) in records.iter().enumerate() {
            self.add(record, batch).inspect_err(|_| {
                records[index..].iter().for_each(|record| self.left.count(record));
            })?;
        }
        Ok(())
    }

    fn observe(&mut self, meter: &MeterReport) {
        self.ignored = meter.ignored;
        self.dropped = meter.dropped;
        if self.interfaces != meter.interfaces {
            self.interfaces = Arc::clone(&meter.interfaces);
            self.announcements.forget();
        }
    }

    fn tick(&mut self, now: Timestamp) -> Result<(), ExportError> {
        self.move_clock(now, WALL_SET_BACK_MS)?;
        self.send_message()?;
        self.begin_session();
        if self.announcement_is_due() {
            self.announce(Announcement::Whole)?;
        }
        self.transport.flush()
    }

    fn reopen(&mut self) -> Result<(), ExportError> {
        self.send_message()?;
        self.transport.reopen()?;
        self.begin_session();
        Ok(())
    }

    fn finish(&mut self) -> Result<(), ExportError> {
        if self.announcements.were_sent() {
            // The final counts. A collector that may have lost the templates gets them again.
            let lossy = self.announcements.are_repeated();
            self.announce(if lossy { Announcement::Whole } else { Announcement::Options })?;
        }
        self.send_message()?;
        self.transport.finish()
    }

    fn counts(&self) -> ExportCounts {
        let mut counts = self.transport.export_counts();
        counts.failed += self.left;
        counts.not_exportable = self.not_exportable;
        let inexact = self.encoder.inexact();
        counts.times_clamped = inexact.times;
        counts.interfaces_zeroed = inexact.interfaces;
        counts.events_not_exportable = self.events_not_exportable;
        counts
    }

    fn is_ready(&self) -> bool {
        self.transport.is_ready()
    }

    fn is_answering(&self) -> bool {
        self.transport.is_answering()
    }

    /// Sends templates with the next tick.
    fn probe(&mut self) -> bool {
        self.announcements.forget();
        E::HAS_TEMPLATES
    }

    fn conversations(&self) -> Vec<Conversation> {
        self.transport.conversations()
    }
}
