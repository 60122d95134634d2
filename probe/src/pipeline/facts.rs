//! What was found in payload, until the records of its conversations leave.
//!
//! Each finding makes a new version of a conversation's facts. The times of a record decide which
//! version it has, so that it does not matter how far the reader is ahead of the table.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use flow::number::tcp_control;
use flow::{
    Batch, ConversationKey, ConversationKeys, Details, Facts, FlowEndReason, FlowRecord,
    NameCounts, Timestamp,
};

use payload::reader::Found;

use crate::pipeline::payload::Finding;
use crate::pipeline::telling::{self, Telling, octets};

/// A conversation that was silent for this time begins anew.
const SILENCE_MS: u64 = 60_000;

/// Versions of the facts of a conversation that are kept: more than packets wait for the table.
const VERSIONS_MAX: usize = 64;

/// Counts of a conversation that are kept, each of a millisecond: more than there are between the
/// timeout of a flow and the sweep that ends it.
const COUNTS_MAX: usize = 1024;

/// Memory of a conversation besides its versions and counts.
const ENTRY_OCTETS: usize = 340;

/// The facts of conversations.
#[derive(Debug)]
pub(crate) struct FactTable {
    entries: HashMap<ConversationKey, Entry, BuildHasherDefault<KeyedHash>>,
    /// In the order in which they were looked at: key, number, time. The last one of a key counts.
    order: VecDeque<(ConversationKey, u64, Timestamp)>,
    keys: ConversationKeys,
    telling: Telling,
    timeouts: FactTimeouts,
    memory: usize,
    memory_max: usize,
    next: u64,
    evicted: u64,
    /// Conversations of which records of one direction only got facts.
    one_sided: u64,
}

/// Timeouts of the flows to whose records facts belong, in milliseconds.
#[derive(Clone, Debug)]
pub(crate) struct FactTimeouts {
    /// The idle timeout of protocols that have none of their own.
    pub(crate) idle_ms: u32,
    pub(crate) active_ms: u32,
    /// Protocols with an idle timeout of their own. It stays when the others change.
    pub(crate) idle_ms_of: Vec<(u8, u32)>,
}

impl FactTimeouts {
    fn idle_of(&self, protocol: u8) -> u64 {
        let own = self.idle_ms_of.iter().find(|(number, _)| *number == protocol);
        own.map_or(self.idle_ms, |(_, own_ms)| *own_ms).into()
    }

    /// Time after the last packet for which facts are kept.
    fn keep_ms(&self) -> u64 {
        let own = self.idle_ms_of.iter().map(|(_, own_ms)| *own_ms);
        let longest_ms = own.fold(self.idle_ms, u32::max);
        u64::from(longest_ms) + u64::from(self.active_ms) + SILENCE_MS
    }
}

#[derive(Debug)]
struct Entry {
    versions: Vec<FactsVersion>,
    /// In the order of time. The number of workers must not matter, so each record gets those up
    /// to its end, not those so far.
    counts: VecDeque<CountsVersion>,
    /// Time of the last finding, or of the last packet of a record.
    last: Timestamp,
    number: u64,
    memory: usize,
}

#[derive(Debug)]
struct FactsVersion {
    /// Time of the last finding in it.
    time: Timestamp,
    /// Time of the first one of this conversation: what ended before is of another one.
    since: Timestamp,
    /// Time of the last one that was seen, whether it was news or not.
    last: Timestamp,
    /// Another connection has begun: what is found now is of that one.
    is_over: bool,
    /// The client is the lower end of the conversation.
    is_client_lower: bool,
    /// Of the first version of a conversation: the directions of its records, as bits.
    sides: u8,
    facts: Arc<Facts>,
}

/// Messages of a conversation up to a time.
#[derive(Clone, Copy, Debug)]
struct CountsVersion {
    time: Timestamp,
    /// As in the versions of facts.
    since: Timestamp,
    counts: NameCounts,
}

/// What a record gets.
struct OfRecord {
    facts: Arc<Facts>,
    counts: NameCounts,
    is_client_lower: bool,
}

impl FactTable {
    /// An empty table, for flows with these timeouts.
    pub(crate) fn new(
        keys: ConversationKeys,
        telling: Telling,
        memory_max: usize,
        timeouts: FactTimeouts,
    ) -> Self {
        Self {
            entries: HashMap::default(),
            order: VecDeque::new(),
            keys,
            telling,
            timeouts,
            memory: 0,
            memory_max,
            next: 0,
            evicted: 0,
            one_sided: 0,
        }
    }

    /// Changes the idle and the active timeout, in milliseconds.
    pub(crate) fn set_timeouts(&mut self, idle_ms: u32, active_ms: u32) {
        (self.timeouts.idle_ms, self.timeouts.active_ms) = (idle_ms, active_ms);
    }

    /// Conversations whose facts gave their memory to others.
    pub(crate) fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Conversations with names of which all records so far are of one direction.
    pub(crate) fn one_sided(&self) -> u64 {
        self.one_sided
    }

    /// Keeps a finding.
    pub(crate) fn learn(&mut self, finding: &Finding) {
        let (conversation, time) = (finding.conversation, finding.time);
        let Some(found) = &finding.found else {
            self.entries.get_mut(&conversation).into_iter().for_each(Entry::end);
            return;
        };
        let entry = self.entries.remove(&conversation);
        self.memory -= entry.as_ref().map_or(0, |entry| entry.memory);
        let mut entry = entry.unwrap_or(Entry {
            versions: Vec::new(),
            counts: VecDeque::new(),
            last: time,
            number: 0,
            memory: ENTRY_OCTETS,
        });
        entry.add(finding, found, &self.telling);
        self.next += 1;
        (entry.number, entry.last) = (self.next, entry.last.max(time));
        self.order.push_back((conversation, self.next, time));
        self.memory += entry.memory;
        self.entries.insert(conversation, entry);
        self.make_room(time);
    }

    /// Whether nothing is kept.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Gives the last record of a batch what was found in its conversation.
    pub(crate) fn attach_last(&mut self, batch: &mut Batch) {
        let Some(last) = batch.records.len().checked_sub(1) else { return };
        if let Some((found, from_client)) =
            self.of(&batch.records[last], batch.details_of(&batch.records[last]))
        {
            let OfRecord { facts, counts, .. } = found;
            let details = batch.details_mut(last);
            details.server_name = facts.tls.as_ref().and_then(|tls| tls.server_name.clone());
            (details.facts, details.name_counts) = (Some(facts), counts);
            details.from_client = from_client;
        }
    }

    /// What was found for a record, and whether its source is the client.
    fn of(&mut self, record: &FlowRecord, details: Option<&Details>) -> Option<(OfRecord, bool)> {
        let (conversation, is_forward) = self.keys.of_record(record, details);
        // What was found until it was clear that the flow had ended. That does not depend on how
        // far the table is behind.
        let until = match record.end_reason {
            FlowEndReason::IdleTimeout => {
                record.end.plus_millis(self.timeouts.idle_of(record.key.protocol))
            }
            FlowEndReason::ForcedEnd => Timestamp::MAX,
            FlowEndReason::Unknown
            | FlowEndReason::ActiveTimeout
            | FlowEndReason::EndOfFlow
            | FlowEndReason::LackOfResources => record.end,
        };
        let entry = self.entries.get_mut(&conversation)?;
        let (found, since) = entry.of(record, until)?;
        match entry.add_side(since, is_forward) {
            (0, _) => self.one_sided += 1,
            (before, after) => self.one_sided -= u64::from(before != after),
        }
        let from_client = found.is_client_lower == is_forward;
        Some((found, from_client))
    }

    /// Forgets the oldest conversations if memory is short. They stay until then: the table is
    /// behind the reader by some packets, which may be any time.
    fn make_room(&mut self, now: Timestamp) {
        let in_order = size_of::<(ConversationKey, u64, Timestamp)>();
        while self.memory + self.order.len() * in_order > self.memory_max {
            let Some((key, number, _)) = self.order.pop_front() else { return };
            if let Some(entry) = self.entries.get(&key).filter(|entry| entry.number == number) {
                self.evicted += u64::from(entry.last.plus_millis(self.timeouts.keep_ms()) >= now);
                self.remove(&key);
            }
        }
    }

    fn remove(&mut self, key: &ConversationKey) {
        if let Some(entry) = self.entries.remove(key) {
            self.memory -= entry.memory;
        }
    }
}

impl Entry {
    fn add(&mut self, finding: &Finding, found: &Found, telling: &Telling) {
        let time = finding.time;
        let goes_on =
            |it: &&mut FactsVersion| !it.is_over && it.last.plus_millis(SILENCE_MS) >= time;
        let before = self.versions.last_mut().filter(goes_on);
        let (known, since, is_client_lower) = match before {
            Some(version) => {
                version.last = version.last.max(time);
                (Some(Arc::clone(&version.facts)), version.since, version.is_client_lower)
            }
            None => (None, time, finding.is_client_lower()),
        };
        self.count(time, since, known.is_some(), found);
        let Some(facts) = telling.with(&known.unwrap_or_default(), found) else { return };
        if self.versions.len() == VERSIONS_MAX {
            let oldest = self.versions.remove(0);
            self.memory -= octets(&oldest.facts);
            let next = self.versions.first_mut().filter(|next| next.since == oldest.since);
            next.into_iter().for_each(|next| next.sides = oldest.sides);
        }
        self.memory += octets(&facts);
        let facts = Arc::new(facts);
        let (last, is_over, sides) = (time, false, 0);
        let version = FactsVersion { time, since, last, is_over, is_client_lower, sides, facts };
        self.versions.push(version);
    }

    /// Counts a message of the conversation that began at `since`.
    fn count(&mut self, time: Timestamp, since: Timestamp, goes_on: bool, found: &Found) {
        let last = self.counts.back_mut().filter(|last| goes_on && last.since == since);
        let mut counts = last.as_ref().map(|last| last.counts).unwrap_or_default();
        telling::count(&mut counts, found);
        if let Some(last) = last.filter(|last| last.time >= time) {
            last.counts = counts;
            return;
        }
        if self.counts.len() == COUNTS_MAX {
            self.counts.pop_front();
            self.memory -= size_of::<CountsVersion>();
        }
        self.memory += size_of::<CountsVersion>();
        self.counts.push_back(CountsVersion { time, since, counts });
    }

    /// The counts of the conversation that began at `since`. The oldest that are kept if all are
    /// of a later time.
    fn counts(&self, since: Timestamp, until: Timestamp) -> NameCounts {
        let mut of_it = self.counts.iter().rev().filter(|it| it.since == since).peekable();
        let mut counts = NameCounts::default();
        while let Some(next) = of_it.next() {
            if next.time <= until || of_it.peek().is_none() {
                counts = next.counts;
                break;
            }
        }
        counts
    }

    /// Another connection begins.
    fn end(&mut self) {
        self.versions.last_mut().into_iter().for_each(|version| version.is_over = true);
    }

    /// The directions of records of the conversation that began at `since`: those before, and with
    /// this one.
    fn add_side(&mut self, since: Timestamp, is_forward: bool) -> (u8, u8) {
        let first = self.versions.iter_mut().find(|version| version.since == since);
        first.map_or((0, 0), |first| {
            let before = first.sides;
            first.sides |= if is_forward { 1 } else { 2 };
            (before, first.sides)
        })
    }

    /// The facts of a record, and when the conversation began. If several conversations used the
    /// same ports, those of the first one that it had packets of.
    fn of(&mut self, record: &FlowRecord, found_until: Timestamp) -> Option<(OfRecord, Timestamp)> {
        let begins = record.tcp_control_bits & tcp_control::SYN != 0;
        let mut chosen: Option<&FactsVersion> = None;
        let until = self.last;
        for version in self.versions.iter().filter(|it| it.time <= found_until) {
            if version.since > record.end {
                break;
            }
            // A connection begins before anything is found in it.
            if begins && version.since < record.start {
                continue;
            }
            let had_packets = |before: &FactsVersion| {
                before.since != version.since
                    && record.start <= before.last.plus_millis(SILENCE_MS)
                    && record.start < version.since
            };
            if chosen.is_some_and(had_packets) {
                break;
            }
            chosen = Some(version);
        }
        let FactsVersion { facts, since, is_client_lower, .. } = chosen?;
        let counts = self.counts(*since, found_until);
        let (facts, is_client_lower, since) = (Arc::clone(facts), *is_client_lower, *since);
        // After a silence it is another conversation, in which nothing was found.
        if record.start > until.plus_millis(SILENCE_MS) {
            return None;
        }
        self.last = until.max(record.end);
        Some((OfRecord { facts, counts, is_client_lower }, since))
    }
}

/// Passes on the keyed hash that a conversation writes as one word.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct KeyedHash(u64);

impl Hasher for KeyedHash {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, octets: &[u8]) {
        octets.iter().for_each(|octet| self.0 = self.0.rotate_left(8) ^ u64::from(*octet));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
