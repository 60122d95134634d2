//! From the sets of a message to records: templates are learned, data is read with them.

use std::sync::Arc;

use flow::{ExportProtocol, Timestamp};

use crate::collector::{Arrival, Sink};
use crate::exporter::KnownExporter;
use crate::given::{read_flows, read_set};
use crate::known::State;
use crate::limits::Limits;
use crate::message::{Header, Message, Set, SetKind};
use crate::names::NameRoom;
use crate::options::{self, OptionsRecord};
use crate::record::Common;
use crate::waiting::WaitingSet;

/// A message that is read.
pub(crate) struct MessageReader<'a> {
    pub(crate) limits: &'a Limits,
    pub(crate) state: &'a mut State,
    pub(crate) known: &'a mut KnownExporter,
    pub(crate) arrival: Arrival,
    pub(crate) header: Header,
}

impl MessageReader<'_> {
    /// Reads all sets of a message, and gives their records.
    pub(crate) fn read(mut self, message: &Message<'_>, sink: &mut impl Sink) {
        let header = self.header;
        let before = self.state.counts.records;
        self.state.counts.decoded(header.protocol);
        let mut records = Some(0_u32);
        for set in message.sets() {
            let added = match set.kind {
                SetKind::Templates | SetKind::OptionsTemplates => {
                    self.templates(set, sink);
                    Some(0)
                }
                SetKind::Data(id) => self.data(id, set.content, sink),
                SetKind::Unknown => {
                    self.state.counts.unknown_sets += 1;
                    Some(0)
                }
            };
            records = records.zip(added).map(|(records, added)| records.wrapping_add(added));
        }
        // NetFlow v9 counts messages, IPFIX counts records.
        let units = if header.protocol == ExportProtocol::Netflow9 { Some(1) } else { records };
        let Self { limits, state, known, arrival, .. } = self;
        let domain = known.domain(&header, arrival.from, state.turn, limits, &mut state.counts);
        domain.hear(&header, arrival.received, units, &mut state.counts);
        domain.heard.records += state.counts.records - before;
    }

    /// Learns the templates of a set, and reads what waited for them.
    fn templates(&mut self, set: Set<'_>, sink: &mut impl Sink) {
        let (now, turn, header) = (self.arrival.received, self.state.turn, self.header);
        for record in set.templates(header.protocol) {
            let State { kept, waiting_octets, counts, .. } = &mut *self.state;
            let templates = &mut self.known.templates;
            if !templates.learn(&record, &header, (now, turn), self.limits, (kept, counts)) {
                continue;
            }
            let is_for = |set: &WaitingSet| {
                let of = set.header;
                (of.protocol, of.domain, set.template)
                    == (header.protocol, header.domain, record.id)
            };
            let waiting = self.known.waiting.take(is_for, now, waiting_octets, counts);
            let own = (self.arrival, self.header);
            for set in waiting {
                self.arrival = Arrival { from: set.from, received: set.received };
                self.header = set.header;
                self.data_with(set.template, &set.content, now, sink);
            }
            (self.arrival, self.header) = own;
        }
    }

    /// Reads a Data Set, or keeps it until its template comes. The number of its records; `None`
    /// if that is not known.
    fn data(&mut self, id: u16, content: &[u8], sink: &mut impl Sink) -> Option<u32> {
        let records = self.data_with(id, content, self.arrival.received, sink);
        if records.is_none() {
            let set = WaitingSet {
                template: id,
                header: self.header,
                from: self.arrival.from,
                received: self.arrival.received,
                content: content.into(),
            };
            let State { waiting_octets, counts, .. } = &mut *self.state;
            self.known.waiting.push(set, self.limits, waiting_octets, counts);
        }
        records
    }

    fn data_with(
        &mut self,
        id: u16,
        content: &[u8],
        now: Timestamp,
        sink: &mut impl Sink,
    ) -> Option<u32> {
        let (header, turn) = (self.header, self.state.turn);
        let tells_options = self.state.tells_options;
        let domain = {
            let counts = &mut self.state.counts;
            self.known.domain(&header, self.arrival.from, turn, self.limits, counts)
        };
        let (exporter, init_time) = (Arc::clone(&domain.exporter), domain.init_time);
        let State { kept, shared, name_octets, tpids, counts, .. } = &mut *self.state;
        let KnownExporter { templates, samplers, names, .. } = &mut *self.known;
        let template = templates.get(&header, id, (now, turn), (kept, counts))?;
        if template.scope.is_none() {
            let received = self.arrival.received;
            let header = &header;
            let common =
                Common { template, template_id: id, header, received, init_time, tpids: *tpids };
            return Some(read_flows(
                common,
                content,
                &exporter,
                (samplers, names),
                shared,
                (counts, sink),
            ));
        }
        let (mut init_time, mut name) = (init_time, None);
        let octets_max = self.limits.name_octets;
        let records = read_set(template, content, counts, |_octets, reading, counts| {
            counts.options += 1;
            samplers.learn(header.domain, reading);
            init_time = reading.init_time.or(init_time);
            let refused = &mut counts.names_refused;
            names.learn(
                header.domain,
                reading,
                &mut NameRoom { octets: name_octets, octets_max, refused },
            );
            name = reading.names.take().and_then(|names| names.domain).or_else(|| name.take());
        });
        let told = tells_options.then(|| options::records(template, header.protocol, content));
        for fields in told.into_iter().flatten() {
            let Header { export_time, uptime_ms, .. } = header;
            let received = self.arrival.received;
            sink.options(&exporter, OptionsRecord { received, export_time, uptime_ms, fields });
        }
        let domain = {
            let counts = &mut self.state.counts;
            self.known.domain(&header, self.arrival.from, turn, self.limits, counts)
        };
        domain.init_time = init_time;
        name.into_iter().for_each(|name| domain.learn_name(&name));
        Some(records)
    }
}
