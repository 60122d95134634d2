//! From frames to observations: clock, sampling, dissection, and ports of fragments.

mod excluded;
mod fast;

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::clock::{Clocks, Misfit, NO_CLOCK, NewClock, TraceTime};
use crate::counts::MeterCounts;
use crate::decap::Decapsulator;
use crate::fragment::FragmentCache;
use crate::frame::tunnel::{DecapSettings, Screen};
use crate::frame::{Dissection, Frame, Ignored, Packet, Tpids, dissect_plain, dissect_with};
use crate::hash::HashSeed;
use crate::key::{KeyField, KeyFields};
use crate::names::Naming;
use crate::observation::Observation;
use crate::point::ObservationPoint;
use crate::record::Tally;
use crate::time::Timestamp;

pub use excluded::Conversation;

/// One of every `interval` frames is metered (systematic count-based sampling, RFC 5475).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampling {
    /// 1 meters every frame.
    pub interval: u32,
}

/// Settings of an [`Observer`].
#[derive(Clone, Copy, Debug)]
pub struct ObserverSettings {
    /// Fields of the flow key. Other fields become 0.
    pub key: KeyFields,
    /// Milliseconds. Determines which packets belong to a clock.
    pub idle_timeout_ms: u32,
    /// Milliseconds. Determines when the number of a clock is used again.
    ///
    /// If the table has a protocol with a longer idle timeout, the difference is added here: the
    /// sum of both is the longest that a flow can be in the table without a packet.
    pub active_timeout_ms: u32,
    /// Sampling of frames.
    pub sampling: Sampling,
    /// Further tag protocols.
    pub tpids: Tpids,
    /// Tunnels that are opened.
    pub decap: DecapSettings,
    /// Seed of the fragment cache's keyed hash.
    pub seed: HashSeed,
}

impl ObserverSettings {
    /// The settings of dissection.
    pub const fn dissection(&self) -> Dissection {
        Dissection { tpids: self.tpids, decap: self.decap }
    }
}

/// Receiver of observations: a flow table, or the lists of several workers.
pub trait Sink {
    /// The place to write the next observation to, before [`Sink::push`].
    fn vacancy(&mut self) -> &mut Observation;

    /// Keeps the observation at the vacancy.
    fn push(&mut self);

    /// Announces the offset of a clock, before the first observation of that clock.
    fn begin_clock(&mut self, clock: NewClock);

    /// Announces the meaning of a number in observations, before its first use. Only with
    /// decapsulation.
    fn learn(&mut self, naming: Naming);
}

/// A dissected frame that has no trace time yet.
#[derive(Clone, Copy, Debug)]
struct Read {
    time: Timestamp,
    wire_length: u32,
    packet: Result<(Packet, ObservationPoint), Ignored>,
}

/// The part of the Metering Process before the flow table. One thread owns it.
#[derive(Debug)]
pub struct Observer {
    key: KeyFields,
    tpids: Tpids,
    sampling_interval: u32,
    until_sample: u32,
    clocks: Clocks,
    /// A frame ahead of all clocks: the next one shows whether its time is right.
    held: Option<Read>,
    fragments: FragmentCache,
    /// Conversations of outputs, which are not metered.
    excluded: Vec<Conversation>,
    /// Set if decapsulation is on.
    decap: Option<Box<Decapsulator>>,
    screen: Screen,
    /// True if a plain packet is tried first.
    fast_path: bool,
    /// True if a plain tunnel is tried first, because the last frame was one.
    after_tunnel: bool,
    /// True if some plain packets may need the slow path.
    has_suspects: bool,
    /// Wire octets of the frames of metered packets.
    metered_wire_octets: u64,
    /// `received` is derived in `counts()`.
    counts: MeterCounts,
}

impl Observer {
    /// An observer without any frames. The fragment cache takes 448 KiB. With decapsulation there
    /// are two of them, and up to 8.6 MB for the numbers of tunnels.
    pub fn new(settings: &ObserverSettings) -> Self {
        let vlan_in_key = settings.key.contains(KeyField::Vlan);
        Self {
            key: settings.key,
            tpids: settings.tpids,
            sampling_interval: settings.sampling.interval.max(1),
            until_sample: 0,
            clocks: Clocks::new(settings.idle_timeout_ms, settings.active_timeout_ms),
            held: None,
            fragments: FragmentCache::new(settings.seed),
            excluded: Vec::new(),
            decap: settings
                .decap
                .opens_any()
                .then(|| Box::new(Decapsulator::new(settings.decap, vlan_in_key, settings.seed))),
            screen: Screen::new(&settings.decap, vlan_in_key),
            has_suspects: settings.decap.opens_any(),
            fast_path: fast::applies(settings),
            after_tunnel: false,
            metered_wire_octets: 0,
            counts: MeterCounts::default(),
        }
    }

    /// Excludes packets of these conversations, which count as filtered. A mirror port may show the
    /// exporter's own messages.
    pub fn exclude(&mut self, conversations: Vec<Conversation>) {
        self.has_suspects = !conversations.is_empty() || self.decap.is_some();
        self.excluded = conversations;
    }

    /// Changes the timeouts, in milliseconds. The table needs the same.
    pub fn set_timeouts(&mut self, idle_ms: u32, active_ms: u32) {
        self.clocks.set_timeouts(idle_ms, active_ms);
    }

    /// Counts a frame that a filter excluded. It does not move the clock.
    pub fn count_filtered(&mut self, frame: &Frame<'_>) {
        self.counts.ignored[Ignored::Filtered as usize].count(frame.wire_length.into());
    }

    /// Now: the running maximum of trace time.
    pub fn now(&self) -> Timestamp {
        self.clocks.now()
    }

    /// Moves now without a packet.
    pub fn tick(&mut self, time: Timestamp, sink: &mut impl Sink) {
        if let Some(held) = self.held.take() {
            let is_real = self.clocks.tick_confirms(held.time, time);
            self.release(held, is_real, sink);
        }
        self.clocks.tick(time);
    }

    /// Ends the input: a held frame is accepted.
    pub fn finish(&mut self, sink: &mut impl Sink) {
        if let Some(held) = self.held.take() {
            self.release(held, true, sink);
        }
    }

    /// All counts so far.
    pub fn counts(&self) -> MeterCounts {
        let clocks = self.clocks.counts();
        let Tally { packets, .. } = self.counts.metered;
        let metered = Tally { packets, octets: self.metered_wire_octets };
        MeterCounts {
            received: self.counts.ignored_total() + metered,
            fragments_unknown: self.fragments.unknown(),
            clock_steps_back: clocks.behind,
            clock_jumps: clocks.jumps,
            clock_jumps_refused: clocks.jumps_refused,
            clocks_added: clocks.clocks,
            without_clock: clocks.without_clock,
            tunnels: self.decap.as_ref().map(|decap| decap.counts()).unwrap_or_default(),
            ..self.counts
        }
    }

    /// Any frame that is not a normal step ahead of the current clock.
    #[inline(never)]
    fn observe_off_pace(&mut self, frame: Frame<'_>, sink: &mut impl Sink) {
        let read = self.read(&frame);
        let time = read.time;
        if !self.clocks.has_started() {
            let at = self.clocks.start(time);
            self.place(read, at, sink);
            return;
        }
        if let Some(held) = self.held.take() {
            let is_real = self.clocks.confirms(held.time, time);
            self.release(held, is_real, sink);
        }
        match self.clocks.find(time) {
            Ok(clock) => {
                let at = self.clocks.enter(clock, time);
                self.place(read, at, sink);
            }
            Err(Misfit::Ahead) => {
                self.clocks.hold();
                self.held = Some(read);
            }
            Err(Misfit::Behind) => {
                if let Some(clock) = self.begin_clock(&read, Misfit::Behind, sink) {
                    self.clocks.enter(clock, time);
                }
            }
        }
    }

    /// Places a held frame: after a gap, or in a new clock.
    #[cold]
    fn release(&mut self, held: Read, is_real: bool, sink: &mut impl Sink) {
        self.clocks.release();
        if is_real && self.clocks.is_in_range(held.time) {
            let at = self.clocks.jump(held.time);
            self.place(held, at, sink);
        } else {
            self.begin_clock(&held, Misfit::Ahead, sink);
        }
    }

    /// Places a frame in a new clock, at now. Returns the number of the clock, if one was free.
    fn begin_clock(&mut self, read: &Read, misfit: Misfit, sink: &mut impl Sink) -> Option<u8> {
        let new = self.clocks.begin(read.time, misfit);
        let at = match new {
            Some(clock) => {
                sink.begin_clock(clock);
                TraceTime { time: clock.now, late_ms: 0, clock: clock.number }
            }
            None => TraceTime { time: read.time, late_ms: NO_CLOCK, clock: 0 },
        };
        self.place(*read, at, sink);
        new.map(|clock| clock.number)
    }

    /// Does the part of the work that does not depend on trace time.
    fn read(&mut self, frame: &Frame<'_>) -> Read {
        let packet = if !self.is_sampled() {
            Err(Ignored::NotSampled)
        } else if let Some(packet) = dissect_plain(frame)
            && !self.decap.as_ref().is_some_and(|decap| decap.concerns(&packet, frame.point))
        {
            Ok((packet, frame.point))
        } else {
            self.dissect(frame)
        };
        let Frame { time, wire_length, .. } = *frame;
        Read { time, wire_length, packet }
    }

    fn dissect(&mut self, frame: &Frame<'_>) -> Result<(Packet, ObservationPoint), Ignored> {
        let packet = match &mut self.decap {
            Some(decap) => decap.dissect(frame, self.tpids),
            None => dissect_with(frame, self.tpids),
        };
        packet.map_err(|stop| {
            self.counts.unread.count(stop.unread, frame.wire_length);
            stop.reason
        })
    }

    /// Meters or ignores a frame at its trace time.
    fn place(&mut self, read: Read, at: TraceTime, sink: &mut impl Sink) {
        match self.consider(read, at, sink.vacancy()) {
            Ok(octets) => {
                if let Some(decap) = &mut self.decap {
                    decap.news().for_each(|naming| sink.learn(naming));
                }
                self.metered_wire_octets += u64::from(read.wire_length);
                self.counts.metered.count(octets.into());
                sink.push();
            }
            Err(reason) => {
                self.counts.ignored[reason as usize].count(read.wire_length.into());
            }
        }
    }

    /// Writes the observation of a frame. Returns the octets of its packet.
    fn consider(
        &mut self,
        read: Read,
        at: TraceTime,
        observation: &mut Observation,
    ) -> Result<u32, Ignored> {
        let (mut packet, point) = read.packet?;
        let (tunnel, interface_bits) = match &self.decap {
            Some(_) => (point.interface.to_be_bytes(), INTERFACE_BITS),
            None => ([0; 4], u32::MAX),
        };
        let [high, low, ..] = tunnel;
        self.fragments.resolve(&mut packet, u16::from_be_bytes([high, low]), at.time);
        *observation = Observation::new(&packet, point, at);
        if !self.excluded.is_empty() && self.is_excluded(observation) {
            return Err(Ignored::Filtered);
        }
        self.counts.exceeding_wire += u64::from(packet.exceeds_wire);
        if !self.key.contain_the_seven() {
            observation.keep(self.key, interface_bits);
        }
        Ok(packet.octets)
    }

    fn is_excluded(&self, packet: &Observation) -> bool {
        let key = packet.key();
        self.excluded.iter().any(|conversation| conversation.contains(&key))
    }

    fn is_sampled(&mut self) -> bool {
        if self.sampling_interval == 1 {
            return true;
        }
        if self.until_sample > 0 {
            self.until_sample -= 1;
            return false;
        }
        self.until_sample = self.sampling_interval - 1;
        true
    }
}

/// The lower half of the interface's word. With decapsulation the upper half has the network.
const INTERFACE_BITS: u32 = 0xffff;
