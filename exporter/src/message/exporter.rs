//! The exporter of messages: an encoder, a transport, and when templates are due.

use std::sync::Arc;
use std::time::Duration;

use element::ExporterState;
use flow::{Batch, Conversation, FlowRecord, RecordTally, Tally, Timestamp};

use super::builder::{Content, Message};
use super::netflow5::NotAdded;
use super::{ipfix, netflow5, netflow9};
use crate::error::ExportError;
use crate::exporter::{ExportCounts, Exporter, Interface, MeterReport};
use crate::muted::Muted;
use crate::transport::{Transport, TransportCounts};

/// When templates and options are sent again. Over UDP nobody says that they are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refresh {
    /// After so much time of the trace clock.
    pub interval: Duration,
    /// After so many messages.
    pub messages: u32,
}

/// Flow records as messages of a protocol over a transport.
#[derive(Debug)]
pub(crate) struct MessageExporter {
    name: String,
    encoder: Encoder,
    transport: Transport,
    /// None where once for each session is enough.
    refresh: Option<Refresh>,
    announced: Announced,
    /// The trace clock, live the time of day: export times never go back, unless it does for good.
    clock: Timestamp,
    observation_domain_id: u32,
    sampling_interval: u32,
    ignored: Tally,
    interfaces: Arc<[Interface]>,
    given: RecordTally,
    /// Given to the transport.
    handed_on: Content,
    not_exportable: RecordTally,
    dropped: RecordTally,
    /// Records of a batch that were left when the transport gave up.
    left: RecordTally,
    events_not_exportable: u64,
    trouble: Muted,
}

#[derive(Debug)]
pub(crate) enum Encoder {
    Netflow5(netflow5::Encoder),
    Netflow9(netflow9::Encoder),
    Ipfix(ipfix::Encoder),
}

/// When templates were last sent.
#[derive(Clone, Copy, Debug)]
enum Announced {
    Never,
    Before { at: Timestamp, messages: u32 },
}

/// What an announcement has in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Announcement {
    /// Templates and options.
    Whole,
    /// Where the templates are known.
    Options,
}

/// The clock behind the records may be behind ours by so much: late packets, several workers, a
/// queue that was full. Beyond, it was set back.
const SET_BACK_MS: u64 = 24 * 60 * 60 * 1000;

/// Live, the time of day does not wait in a queue. What it is set back by less than this, it has
/// soon caught up with.
const WALL_SET_BACK_MS: u64 = 60 * 1000;

/// Flows of one message may have been exported so far apart, by the trace clock.
const JUMP_MS: u64 = 60 * 60 * 1000;

impl MessageExporter {
    pub(crate) fn new(
        name: String,
        encoder: Encoder,
        transport: Transport,
        refresh: Option<Refresh>,
        observation_domain_id: u32,
        sampling_interval: u32,
    ) -> Self {
        let mut transport = transport;
        // The first session is announced in any case.
        transport.session_began();
        Self {
            name,
            encoder,
            transport,
            refresh,
            announced: Announced::Never,
            clock: Timestamp::default(),
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
        }
    }

    fn add(&mut self, record: &FlowRecord) -> Result<(), ExportError> {
        self.given.count(record);
        self.move_clock(record.exported, SET_BACK_MS)?;
        loop {
            if self.announcement_is_due() {
                self.announce(Announcement::Whole)?;
            }
            match self.encoder.add(record, self.clock) {
                Ok(()) => return Ok(()),
                Err(NotAdded::Full) => self.send_message()?,
                Err(NotAdded::NotExportable) => {
                    self.not_exportable.count(record);
                    self.trouble.warn(format_args!("{}: IPv6 flows are left out", self.name));
                    return Ok(());
                }
            }
        }
    }

    /// Before the clock moves far, what was gathered leaves with the time that it was gathered at.
    /// It goes back only by more than `slack_ms`.
    fn move_clock(&mut self, to: Timestamp, slack_ms: u64) -> Result<(), ExportError> {
        let set_back = self.clock.millis_since(to) > slack_ms;
        let far = to.millis_since(self.clock) > JUMP_MS || !self.encoder.can_reach(to);
        if set_back || far {
            self.send_message()?;
        }
        if set_back || to > self.clock {
            self.clock = to;
        }
        Ok(())
    }

    fn announcement_is_due(&self) -> bool {
        match (self.announced, self.refresh) {
            _ if !self.encoder.has_templates() => false,
            (Announced::Never, _) => true,
            (Announced::Before { .. }, None) => false,
            (Announced::Before { at, messages }, Some(refresh)) => {
                messages >= refresh.messages
                    || u128::from(self.clock.abs_diff(at)) >= refresh.interval.as_millis()
            }
        }
    }

    /// Sends templates and options, or options only, in a message of their own.
    fn announce(&mut self, announcement: Announcement) -> Result<(), ExportError> {
        self.send_message()?;
        let TransportCounts { failed, .. } = self.transport.counts();
        let mut exported = self.handed_on;
        exported -= failed;
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
        self.encoder.announce(announcement, &state, self.clock);
        self.announced = Announced::Before { at: self.clock, messages: 0 };
        self.send_message()?;
        if announcement == Announcement::Whole {
            self.announce_interfaces()?;
        }
        if let Announced::Before { messages, .. } = &mut self.announced {
            *messages = 0;
        }
        Ok(())
    }

    /// Sends the names of interfaces, those that have one.
    fn announce_interfaces(&mut self) -> Result<(), ExportError> {
        let Encoder::Ipfix(encoder) = &mut self.encoder else { return Ok(()) };
        // In a session that has just begun they follow its templates.
        if self.interfaces.is_empty() || matches!(self.announced, Announced::Never) {
            return Ok(());
        }
        encoder.add_interface_template();
        for interface in Arc::clone(&self.interfaces).iter() {
            let state = ExporterState {
                interface_number: interface.number,
                interface_name: &interface.name,
                ..ExporterState::default()
            };
            while let Encoder::Ipfix(encoder) = &mut self.encoder
                && encoder.add_interface(&state).is_err()
            {
                self.send_message()?;
                if matches!(self.announced, Announced::Never) {
                    return Ok(());
                }
            }
        }
        self.send_message()
    }

    /// Sends the message under construction, if there is anything in it.
    fn send_message(&mut self) -> Result<(), ExportError> {
        let Some(message) = self.encoder.finish(self.clock) else { return Ok(()) };
        self.handed_on += message.content();
        let result = self.transport.send(message);
        self.encoder.clear();
        self.encoder.set_limit(self.transport.message_limit());
        if let Announced::Before { messages, .. } = &mut self.announced {
            *messages += 1;
        }
        self.begin_session();
        result
    }

    /// Between messages: where a session has begun, it gets templates before anything else.
    fn begin_session(&mut self) {
        if self.transport.session_began() {
            self.encoder.begin_session();
            self.announced = Announced::Never;
        }
    }
}

impl Exporter for MessageExporter {
    fn export(&mut self, batch: &Batch) -> Result<(), ExportError> {
        let records = &batch.records;
        self.events_not_exportable += batch.events.len() as u64;
        if self.encoder.is_empty() {
            self.begin_session();
        }
        for (index, record) in records.iter().enumerate() {
            self.add(record).inspect_err(|_| {
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
            self.announced = Announced::Never;
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

    fn finish(&mut self) -> Result<(), ExportError> {
        if matches!(self.announced, Announced::Before { .. }) {
            // The final counts. Who may have lost the templates gets them once more.
            let lossy = self.refresh.is_some();
            self.announce(if lossy { Announcement::Whole } else { Announcement::Options })?;
        }
        self.send_message()?;
        self.transport.finish()
    }

    fn counts(&self) -> ExportCounts {
        let transport = self.transport.counts();
        ExportCounts {
            sent: transport.sent.records,
            not_exportable: self.not_exportable,
            failed: transport.failed.records + self.left,
            messages: transport.sent.messages,
            octets: transport.sent.octets,
            errors: transport.errors,
            reconnects: transport.reconnects,
            times_clamped: self.encoder.times_clamped(),
            events_not_exportable: self.events_not_exportable,
            ..ExportCounts::default()
        }
    }

    fn conversations(&self) -> Vec<Conversation> {
        self.transport.conversation().into_iter().collect()
    }
}

impl Encoder {
    #[inline]
    fn add(&mut self, record: &FlowRecord, clock: Timestamp) -> Result<(), NotAdded> {
        match self {
            Self::Netflow5(encoder) => encoder.add(record, clock),
            Self::Netflow9(encoder) => Ok(encoder.add(record, clock)?),
            Self::Ipfix(encoder) => Ok(encoder.add(record)?),
        }
    }

    #[inline]
    fn can_reach(&self, clock: Timestamp) -> bool {
        match self {
            Self::Netflow5(encoder) => encoder.can_reach(clock),
            Self::Netflow9(encoder) => encoder.can_reach(clock),
            Self::Ipfix(_) => true,
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Netflow5(encoder) => encoder.is_empty(),
            Self::Netflow9(encoder) => encoder.is_empty(),
            Self::Ipfix(encoder) => encoder.is_empty(),
        }
    }

    fn has_templates(&self) -> bool {
        match self {
            Self::Netflow5(_) => false,
            Self::Netflow9(_) | Self::Ipfix(_) => true,
        }
    }

    fn announce(&mut self, what: Announcement, state: &ExporterState<'_>, clock: Timestamp) {
        match self {
            Self::Netflow5(_) => {}
            Self::Netflow9(encoder) => {
                if what == Announcement::Whole {
                    encoder.add_templates(clock);
                }
                encoder.add_options(state);
            }
            Self::Ipfix(encoder) => {
                if what == Announcement::Whole {
                    encoder.add_templates();
                }
                encoder.add_options(state);
            }
        }
    }

    fn finish(&mut self, clock: Timestamp) -> Option<Message<'_>> {
        match self {
            Self::Netflow5(encoder) => encoder.finish(clock),
            Self::Netflow9(encoder) => encoder.finish(clock),
            Self::Ipfix(encoder) => encoder.finish(clock),
        }
    }

    fn clear(&mut self) {
        match self {
            Self::Netflow5(encoder) => encoder.clear(),
            Self::Netflow9(encoder) => encoder.clear(),
            Self::Ipfix(encoder) => encoder.clear(),
        }
    }

    fn set_limit(&mut self, limit: usize) {
        match self {
            Self::Netflow5(encoder) => encoder.set_limit(limit),
            Self::Netflow9(encoder) => encoder.set_limit(limit),
            Self::Ipfix(encoder) => encoder.set_limit(limit),
        }
    }

    /// Only IPFIX goes over connections.
    fn begin_session(&mut self) {
        match self {
            Self::Netflow5(_) | Self::Netflow9(_) => {}
            Self::Ipfix(encoder) => encoder.begin_session(),
        }
    }

    fn times_clamped(&self) -> u64 {
        match self {
            Self::Netflow5(encoder) => encoder.times_clamped(),
            Self::Netflow9(encoder) => encoder.times_clamped(),
            Self::Ipfix(_) => 0,
        }
    }
}
