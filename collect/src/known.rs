//! All exporters that are known, and what they have in common.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use flow::Tpids;

use crate::counts::Counts;
use crate::exporter::{ExporterReport, KnownExporter};
use crate::given::Shared;
use crate::limits::Limits;
use crate::names::ExporterNames;
use crate::store::StoredTemplate;
use crate::templates::Kept;

/// What all exporters have in common.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Datagrams so far: the number of a use.
    pub(crate) turn: u64,
    pub(crate) kept: Kept,
    pub(crate) shared: Shared,
    /// Further tag protocols in sampled frames.
    pub(crate) tpids: Tpids,
    /// Options records are given too.
    pub(crate) tells_options: bool,
    /// Octets of all waiting sets.
    pub(crate) waiting_octets: usize,
    /// Interfaces of all agents of sFlow.
    pub(crate) interfaces: usize,
    /// Octets of the names of all exporters.
    pub(crate) name_octets: usize,
    pub(crate) counts: Counts,
}

/// The exporters. Those that send datagrams are known by their addresses. One that has a connection
/// is known by its number: templates and sequence numbers are those of the connection.
#[derive(Debug, Default)]
pub(crate) struct Exporters {
    pub(crate) scope: TemplateScope,
    /// What the user calls exporters.
    pub(crate) names: ExporterNames,
    /// The port is 0 if ports do not matter.
    by_address: BTreeMap<SocketAddr, KnownExporter>,
    /// These exporters in the order of their last use.
    order: BTreeMap<u64, SocketAddr>,
    connected: BTreeMap<u64, KnownExporter>,
}

/// Whose the templates in datagrams are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TemplateScope {
    /// All ports of an address are one exporter: some send templates and data from different ones.
    #[default]
    Address,
    /// Each port is an exporter: behind one address, several have templates with the same ids.
    Port,
}

/// Who the exporter of a datagram of sFlow is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SflowExporter {
    /// The agent that the datagram names, whoever forwards it.
    #[default]
    Agent,
    /// The source of the datagram: the address of the agent may be wrong, or that of several.
    Source,
}

impl TemplateScope {
    /// The exporter that sends from here.
    fn exporter(self, from: SocketAddr) -> SocketAddr {
        match self {
            Self::Address => SocketAddr::new(from.ip(), 0),
            Self::Port => from,
        }
    }
}

impl Exporters {
    /// Finds or adds an exporter. The one that was not used for longest goes if there are too many.
    pub(crate) fn find(
        &mut self,
        from: SocketAddr,
        state: &mut State,
        limits: &Limits,
    ) -> &mut KnownExporter {
        let address = self.scope.exporter(from);
        if !self.by_address.contains_key(&address) {
            while self.by_address.len() >= limits.exporters
                && let Some((_, oldest)) = self.order.pop_first()
            {
                self.forget(oldest, state);
                state.counts.exporters_evicted += 1;
            }
        }
        let name = || self.names.get(&address.ip().to_canonical()).cloned();
        let known = self.by_address.entry(address).or_insert_with(|| KnownExporter::named(name()));
        self.order.remove(&known.used);
        known.used = state.turn;
        self.order.insert(state.turn, address);
        known
    }

    /// Finds or adds the exporter of a connection.
    pub(crate) fn connected(&mut self, connection: u64, from: SocketAddr) -> &mut KnownExporter {
        let name = || self.names.get(&from.ip().to_canonical()).cloned();
        self.connected.entry(connection).or_insert_with(|| KnownExporter::connected(name()))
    }

    /// Notes a datagram that contradicts itself, if its exporter is known. The agent of sFlow has
    /// to be its sender.
    pub(crate) fn note_malformed(&mut self, from: SocketAddr, octets: &[u8]) {
        if let Some(known) = self.by_address.get_mut(&self.scope.exporter(from)) {
            known.note_malformed(octets);
        }
    }

    /// The same of a connection.
    pub(crate) fn note_malformed_of(&mut self, connection: u64, octets: &[u8]) {
        if let Some(known) = self.connected.get_mut(&connection) {
            known.note_malformed(octets);
        }
    }

    /// Lets templates of this exporter go while there are too many of all and it has more than half
    /// of the room, so that it does not push the others out. Then lets exporters go while there are
    /// too many templates or fields: those first that were not used for longest, but not this one.
    pub(crate) fn make_room(&mut self, current: Current, state: &mut State, limits: &Limits) {
        let has_too_many = |state: &State| {
            state.kept.templates > limits.templates || state.kept.fields > limits.fields
        };
        if !has_too_many(state) {
            return;
        }
        let scope = self.scope;
        let known = match current {
            Current::Address(from) => self.by_address.get_mut(&scope.exporter(from)),
            Current::Connection(number) => self.connected.get_mut(&number),
        };
        if let Some(known) = known {
            let half = |limit: usize| (limit / 2).max(1);
            while has_too_many(state)
                && (known.templates.len() > half(limits.templates)
                    || known.templates.fields() > half(limits.fields))
            {
                known.templates.remove_oldest(&mut state.kept);
                state.counts.templates_evicted += 1;
            }
        }
        let is_current = |known: SocketAddr| match current {
            Current::Address(from) => scope.exporter(from) == known,
            Current::Connection(_) => false,
        };
        while has_too_many(state)
            && let Some((used, oldest)) = self.order.pop_first()
        {
            if is_current(oldest) {
                // Only connections are left, and this one, which has at most half of the room.
                self.order.insert(used, oldest);
                return;
            }
            self.forget(oldest, state);
            state.counts.exporters_evicted += 1;
        }
        // The others have connections, whose templates are not sent again.
        if let Current::Connection(number) = current
            && has_too_many(state)
            && let Some(known) = self.connected.get_mut(&number)
        {
            state.counts.templates_evicted += known.templates.len() as u64;
            known.templates.clear(&mut state.kept);
        }
    }

    /// Ends a connection. What was heard of its exporter goes to its address.
    pub(crate) fn end(
        &mut self,
        connection: u64,
        from: SocketAddr,
        state: &mut State,
        limits: &Limits,
    ) {
        let Some(mut ended) = self.connected.remove(&connection) else { return };
        ended.waiting.clear(&mut state.waiting_octets, &mut state.counts);
        ended.templates.clear(&mut state.kept);
        ended.names.clear(&mut state.name_octets);
        state.turn += 1;
        let turn = state.turn;
        self.find(from, state, limits).join(ended, turn, limits, &mut state.counts);
    }

    /// Gives up all that waits for templates.
    pub(crate) fn finish(&mut self, state: &mut State) {
        let State { waiting_octets, counts, .. } = state;
        let all = self.by_address.values_mut().chain(self.connected.values_mut());
        all.for_each(|known| known.waiting.clear(waiting_octets, counts));
    }

    pub(crate) fn len(&self) -> usize {
        self.by_address.len() + self.connected.len()
    }

    /// What is known of the exporters that were heard last.
    pub(crate) fn reports(&self) -> impl Iterator<Item = ExporterReport> {
        let latest = self.order.values().rev().filter_map(|it| self.by_address.get(it));
        self.connected.values().chain(latest).flat_map(KnownExporter::reports)
    }

    /// The templates that are to be stored. Those of connections have no meaning later.
    pub(crate) fn templates(&self) -> impl Iterator<Item = StoredTemplate> {
        self.by_address.iter().flat_map(|(address, known)| known.templates.to_store(address.ip()))
    }

    fn forget(&mut self, address: SocketAddr, state: &mut State) {
        if let Some(mut known) = self.by_address.remove(&address) {
            known.waiting.clear(&mut state.waiting_octets, &mut state.counts);
            state.counts.templates_evicted += known.templates.len() as u64;
            known.templates.clear(&mut state.kept);
            known.names.clear(&mut state.name_octets);
            state.interfaces -= known.interfaces.len();
        }
    }
}

/// The exporter whose message is read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Current {
    Address(SocketAddr),
    Connection(u64),
}
