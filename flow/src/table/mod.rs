//! The flow table: a fixed amount of memory in which flows are created, updated and ended.
//!
//! A keyed hash of the flow key selects a group of 12 slots. The tags of a group (one octet of the
//! hash per slot) determine which slots to compare; then the whole key is compared. A flow whose
//! group is full goes to one of the next groups, and the full groups count it, so that a search
//! knows where to stop. The memory of `flows_max` flows is reserved at the start; the table grows
//! within it (growth.rs). When it has `flows_max` flows, or all groups of a new flow are full, the
//! longest-idle flow of the group is exported early (reason 5).
//!
//! Packets are added strictly in order, up to three bursts after they were pushed: in the meantime
//! their memory is prefetched (pending.rs).
//!
//! Times in slots are the low 32 bits of milliseconds. They are unambiguous: the sweep visits every
//! flow within [`HORIZON_MS`](sweep::HORIZON_MS), and packets that are later than that never enter
//! the table.

mod group;
mod groups;
mod growth;
mod look;
mod pending;
mod settings;
mod slot;
mod sweep;
mod timeouts;

use group::Position;
use groups::Groups;
use pending::{Burst, Pending};
use slot::{LastSeen, Slot};
use sweep::Sweep;
use timeouts::{Age, Timeouts};

use crate::clock::{CLOCKS, NO_CLOCK, NewClock};
use crate::details::DetailsIndex;
use crate::hash::HashSeed;
use crate::number::tcp_control::{FIN, RST, SYN};
use crate::observation::{KeyMask, Observation, Words, low32};
use crate::record::{FlowEndReason, FlowRecord, RecordTally};
use crate::tags::Tags;
use crate::time::Timestamp;

pub use groups::NoMemory;
pub use look::SeenFlow;
pub use pending::BURST_MAX;
pub use settings::{TIMEOUT_MS_MAX, TableSettings};

/// Packets between two steps of the sweep.
const PACKETS_PER_SWEEP: u32 = 64;

/// The flows of one worker.
#[derive(Debug)]
pub struct FlowTable {
    seed: HashSeed,
    mask: KeyMask,
    timeouts: Timeouts,
    /// FIN and RST; 0 if the key does not have the whole five-tuple.
    closing_bits: u8,
    /// Wraps around.
    packets_added: u32,
    flows: u32,
    /// Number of flows for which groups are in use.
    room: u32,
    flows_max: u32,
    groups: Groups,
    pending: Pending,
    now: Timestamp,
    /// Trace time minus the time of each clock, in milliseconds.
    offsets: [i64; CLOCKS],
    sweep: Sweep,
    ended: [RecordTally; FlowEndReason::ALL.len()],
    /// The earliest and the latest packet time of all records.
    period: (Timestamp, Timestamp),
}

impl FlowTable {
    /// An empty table. All memory is reserved here.
    ///
    /// # Errors
    ///
    /// The system does not provide this memory.
    ///
    /// # Panics
    ///
    /// If a setting is out of its range.
    pub fn new(settings: &TableSettings) -> Result<Self, NoMemory> {
        settings.check();
        let connections = settings.key.contains_five_tuple();
        Ok(Self {
            seed: settings.seed,
            mask: KeyMask::new(settings.key),
            timeouts: Timeouts::new(settings.idle_timeout_ms, settings.active_timeout_ms, [0; 256]),
            closing_bits: if connections { FIN | RST } else { 0 },
            packets_added: 0,
            flows: 0,
            room: settings.flows_start,
            flows_max: settings.flows_max,
            groups: Groups::new(settings.flows_max, settings.flows_start)?,
            pending: Pending::new(settings.burst),
            now: Timestamp::default(),
            offsets: [0; CLOCKS],
            sweep: Sweep::default(),
            ended: [RecordTally::default(); FlowEndReason::ALL.len()],
            period: (Timestamp::MAX, Timestamp::default()),
        })
    }

    /// Flows in the table.
    pub fn flows(&self) -> u32 {
        self.flows
    }

    /// Records that left the table, by reason in the order of [`FlowEndReason::ALL`].
    pub fn ended(&self) -> [RecordTally; FlowEndReason::ALL.len()] {
        self.ended
    }

    /// The earliest and the latest packet time of these records.
    pub fn period(&self) -> Option<(Timestamp, Timestamp)> {
        (self.period.0 <= self.period.1).then_some(self.period)
    }

    /// The memory of the table, for advice to the operating system.
    pub fn memory(&self) -> &[u8] {
        self.groups.memory()
    }

    /// The place to write the next packet to, before [`FlowTable::push`].
    #[inline(always)]
    pub fn vacancy(&mut self) -> &mut Observation {
        self.pending.vacancy()
    }

    /// Keeps the packet at the vacancy. It is added to its flow when later packets are pushed, or
    /// by [`FlowTable::settle`]; always after the packets before it.
    #[inline(always)]
    pub fn push(&mut self, end: &mut impl FnMut(FlowRecord)) {
        if self.pending.push() {
            self.advance_bursts(end);
        }
    }

    /// Pushes packets, in order.
    pub fn process(&mut self, packets: &[Observation], end: &mut impl FnMut(FlowRecord)) {
        for packet in packets {
            *self.vacancy() = *packet;
            self.push(end);
        }
    }

    /// Adds all pushed packets to their flows.
    pub fn settle(&mut self, end: &mut impl FnMut(FlowRecord)) {
        while !self.pending.is_empty() {
            self.advance_bursts(end);
        }
    }

    /// For live runs: moves now without a packet. If it is called often, flows end within 0.6 s
    /// after their expiry.
    pub fn tick(&mut self, now: Timestamp, end: &mut impl FnMut(FlowRecord)) {
        self.settle(end);
        self.advance(now, end);
        self.sweep_due(end);
    }

    /// Ends all flows that have been idle for too long at `now`. A flow that ends later has a
    /// packet at or after `now` minus the returned milliseconds, in trace time.
    pub fn end_idle(&mut self, now: Timestamp, end: &mut impl FnMut(FlowRecord)) -> u64 {
        self.settle(end);
        self.sweep_idle(now, end);
        self.timeouts.longest_idle_ms.into()
    }

    /// Sets the offset of a clock, before the first packet of that clock is pushed. Flows of an
    /// earlier clock with this number end.
    #[cold]
    pub fn begin_clock(&mut self, clock: NewClock, end: &mut impl FnMut(FlowRecord)) {
        self.settle(end);
        self.sweep_all(clock.now, end);
        self.now = self.now.max(clock.now);
        self.offsets[usize::from(clock.number) % CLOCKS] = clock.offset_ms;
    }

    /// Ends all flows because the input or the program ends. No packet may follow.
    pub fn finish(&mut self, now: Timestamp, end: &mut impl FnMut(FlowRecord)) {
        self.settle(end);
        self.advance(now, end);
        let mut next = 0;
        while let Some(group) = self.groups.next_occupied(next) {
            for lane in self.groups.occupied(group) {
                let position = Position { group, lane };
                let reason = self.expired(position, now).unwrap_or(FlowEndReason::ForcedEnd);
                self.emit(self.record(position, reason, now), end);
            }
            self.groups.release_group(group);
            next = group + 1;
        }
        self.flows = 0;
    }

    /// Moves all bursts to the next step.
    #[inline(never)]
    fn advance_bursts(&mut self, end: &mut impl FnMut(FlowRecord)) {
        self.groups.guess_all(self.pending.first().packets().1);
        let mut second = self.pending.take_second();
        self.add_all(&mut second, end);
        self.prefetch_groups();
        self.pending.advance(second);
    }

    #[inline(never)]
    fn prefetch_groups(&mut self) {
        let (packets, lookups) = self.pending.filling().packets();
        for (packet, lookup) in packets.iter().zip(lookups) {
            lookup.hash = self.seed.hash(self.mask.identity(&packet.words));
            self.groups.prefetch(lookup.hash);
        }
    }

    #[inline(never)]
    fn add_all(&mut self, burst: &mut Burst, end: &mut impl FnMut(FlowRecord)) {
        let (packets, lookups) = burst.packets();
        for (packet, lookup) in packets.iter().zip(lookups) {
            if !self.update_fast(packet, lookup.guess) {
                self.update(packet, lookup.hash, end);
            }
            self.packets_added = self.packets_added.wrapping_add(1);
            if self.packets_added.is_multiple_of(PACKETS_PER_SWEEP) {
                self.sweep_some(end);
            }
        }
    }

    /// Adds a packet to the flow at the guessed position, if the packet is in order and the flow
    /// continues, as for most packets. Returns true if the packet was added.
    #[inline(always)]
    fn update_fast(&mut self, packet: &Observation, guess: Position) -> bool {
        let Some((slot, last_seen)) = self.groups.guessed(guess) else { return false };
        let in_order = packet.late_ms == 0 && packet.time >= self.now;
        if !in_order
            || packet.time > self.sweep.visit_at
            || !self.mask.same_flow(&slot.words, &packet.words)
            || last_seen.closed()
            || last_seen.age_ms(packet.time) > self.timeouts.shortest_idle_ms
            || slot.age_ms(packet.time) > self.timeouts.active_ms
            || slot.is_full()
        {
            return false;
        }
        self.now = packet.time;
        slot.count(packet);
        *last_seen =
            LastSeen::new(packet.time, packet.words.tcp_control_bits() & self.closing_bits != 0);
        true
    }

    /// Adds any packet to its flow.
    #[inline(never)]
    fn update(&mut self, packet: &Observation, hash: u64, end: &mut impl FnMut(FlowRecord)) {
        if packet.late_ms == NO_CLOCK {
            self.end_lone_packet(packet, end);
            return;
        }
        self.advance(packet.now(), end);
        let is_it = |slot: &Slot| self.mask.same_flow(&slot.words, &packet.words);
        match self.groups.find(hash, is_it) {
            Some(position) => self.add(position, packet, end),
            None => self.create(hash, packet, end),
        }
    }

    /// Moves now forward. Sweeps if there was no sweep for a second of trace time.
    #[inline]
    fn advance(&mut self, now: Timestamp, end: &mut impl FnMut(FlowRecord)) {
        if now > self.now {
            if now > self.sweep.visit_at {
                self.sweep_after_pause(now, end);
            }
            self.now = now;
        }
    }

    /// Adds a packet to its flow. If the flow has expired, the packet begins the next one.
    #[inline(always)]
    fn add(&mut self, position: Position, packet: &Observation, end: &mut impl FnMut(FlowRecord)) {
        let bits = packet.words.tcp_control_bits();
        let (slot, last_seen) = self.groups.get_mut(position);
        let age = Age {
            first_ms: slot.age_ms(self.now).into(),
            last_ms: last_seen.age_ms(self.now).into(),
            closed: last_seen.closed(),
        };
        let reopens = age.closed && bits & SYN != 0;
        if !self.timeouts.allow(age, packet.words.protocol()) || reopens || slot.is_full() {
            self.restart(position, age, packet, end);
            return;
        }
        slot.count(packet);
        let closed = age.closed || bits & self.closing_bits != 0;
        let seen = if packet.late_ms == 0 {
            packet.time
        } else {
            // A late packet may be the first or the last of its flow.
            if u64::from(packet.late_ms) > age.first_ms {
                slot.first = low32(packet.time.as_millis());
            }
            packet.time.max(self.now.minus_millis(age.last_ms))
        };
        *last_seen = LastSeen::new(seen, closed);
    }

    /// Ends a flow that has expired, or whose counter is full. The packet begins the next flow in
    /// the same slot.
    #[cold]
    #[inline(never)]
    fn restart(
        &mut self,
        position: Position,
        age: Age,
        packet: &Observation,
        end: &mut impl FnMut(FlowRecord),
    ) {
        let reopens = age.closed && packet.words.tcp_control_bits() & SYN != 0;
        let otherwise =
            if reopens { FlowEndReason::EndOfFlow } else { FlowEndReason::ActiveTimeout };
        let expired = self.timeouts.check(age, packet.words.protocol());
        let record = self.record(position, expired.unwrap_or(otherwise), self.now);
        self.emit(record, end);
        self.begin(position, packet);
    }

    #[inline(never)]
    fn create(&mut self, hash: u64, packet: &Observation, end: &mut impl FnMut(FlowRecord)) {
        if self.flows == self.room {
            self.make_room(hash, end);
        }
        let position = self.claim(hash, end);
        self.flows += 1;
        self.begin(position, packet);
    }

    /// Takes a slot for a flow with this hash.
    fn claim(&mut self, hash: u64, end: &mut impl FnMut(FlowRecord)) -> Position {
        match self.groups.claim(hash) {
            Some(position) => position,
            None => {
                self.evict(hash, end);
                self.groups.claim(hash).expect("the first group has a free slot now")
            }
        }
    }

    fn begin(&mut self, position: Position, packet: &Observation) {
        let closed = packet.words.tcp_control_bits() & self.closing_bits != 0;
        let (slot, last_seen) = self.groups.get_mut(position);
        *slot = Slot {
            words: packet.words,
            octets: packet.octets.into(),
            packets: 1,
            first: low32(packet.time.as_millis()),
        };
        *last_seen = LastSeen::new(packet.time, closed);
    }

    /// Ends the longest-idle flow of the first group of a hash, or of the next group with flows.
    #[cold]
    fn evict(&mut self, hash: u64, end: &mut impl FnMut(FlowRecord)) {
        let now = self.now;
        let victim = self
            .groups
            .first_occupied(hash)
            .and_then(|group| {
                let positions = self.groups.occupied(group).map(|lane| Position { group, lane });
                positions.max_by_key(|&position| self.groups.get(position).1.age_ms(now))
            })
            .expect("a full table has flows");
        let reason = self.expired(victim, now).unwrap_or(FlowEndReason::LackOfResources);
        self.end(victim, reason, now, end);
    }

    /// The reason why a flow has expired at `now`, which may be ahead of the table's clock. `None`
    /// if it has not expired.
    fn expired(&self, position: Position, now: Timestamp) -> Option<FlowEndReason> {
        let ahead_ms = now.millis_since(self.now);
        let (slot, last_seen) = self.groups.get(position);
        let age = Age {
            first_ms: u64::from(slot.age_ms(self.now)) + ahead_ms,
            last_ms: u64::from(last_seen.age_ms(self.now)) + ahead_ms,
            closed: last_seen.closed(),
        };
        self.timeouts.check(age, slot.words.protocol())
    }

    /// Removes a flow from the table, and exports its record.
    fn end(
        &mut self,
        position: Position,
        reason: FlowEndReason,
        now: Timestamp,
        end: &mut impl FnMut(FlowRecord),
    ) {
        let record = self.record(position, reason, now);
        let hash = self.hash(&self.groups.get(position).0.words);
        self.groups.release(hash, position);
        self.flows -= 1;
        self.emit(record, end);
    }

    /// Inlined: the record is written at its destination, which saves 35 instructions.
    #[inline(always)]
    fn record(&self, position: Position, end_reason: FlowEndReason, now: Timestamp) -> FlowRecord {
        let (slot, last_seen) = self.groups.get(position);
        let (first_ms, last_ms) = (slot.age_ms(self.now), last_seen.age_ms(self.now));
        let offset_ms = self.offsets[usize::from(slot.words.clock())];
        let own = |trace: Timestamp| trace.minus_offset(offset_ms);
        FlowRecord {
            key: slot.words.key(),
            octets: slot.octets,
            packets: slot.packets.into(),
            start: own(self.now.minus_millis(first_ms.into())),
            end: own(self.now.minus_millis(last_ms.into())),
            exported: own(now),
            vlan_id: slot.words.vlan_id(),
            direction: slot.words.direction(),
            tcp_control_bits: slot.words.tcp_control_bits(),
            minimum_ttl: slot.words.lowest_ttl(),
            maximum_ttl: slot.words.highest_ttl(),
            end_reason,
            tags: Tags::NONE,
            details: DetailsIndex::of_clock(slot.words.clock()),
        }
    }

    /// Makes its own record for a packet without a clock.
    #[cold]
    fn end_lone_packet(&mut self, packet: &Observation, end: &mut impl FnMut(FlowRecord)) {
        let words = packet.words;
        let record = FlowRecord {
            key: words.key(),
            octets: packet.octets.into(),
            packets: 1,
            start: packet.time,
            end: packet.time,
            exported: packet.time,
            vlan_id: words.vlan_id(),
            direction: words.direction(),
            tcp_control_bits: words.tcp_control_bits(),
            minimum_ttl: words.lowest_ttl(),
            maximum_ttl: words.highest_ttl(),
            end_reason: FlowEndReason::ForcedEnd,
            tags: Tags::NONE,
            details: DetailsIndex::WITHOUT_CLOCK,
        };
        self.emit(record, end);
    }

    #[inline]
    fn emit(&mut self, record: FlowRecord, end: &mut impl FnMut(FlowRecord)) {
        self.ended[record.end_reason as usize - 1].count(&record);
        self.period.0 = self.period.0.min(record.start);
        self.period.1 = self.period.1.max(record.end);
        end(record);
    }

    #[inline]
    fn hash(&self, words: &Words) -> u64 {
        self.seed.hash(self.mask.identity(words))
    }
}

#[cfg(test)]
mod tests;
