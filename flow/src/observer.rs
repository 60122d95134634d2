//! From frames to observations: clock, sampling, dissection, ports of fragments.

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use crate::clock::{Advance, Clock};
use crate::fragment::FragmentCache;
use crate::frame::{
    Frame, Ignored, Packet, Tpids, dissect_plain, dissect_plain_ipv4, dissect_plain_ipv6,
    dissect_with,
};
use crate::hash::HashSeed;
use crate::key::{FlowKey, KeyFields};
use crate::observation::Observation;
use crate::record::Tally;
use crate::time::Timestamp;
use crate::unread::UnreadCounts;

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
    /// Milliseconds; packets older than now by more than this may mean a clock set back.
    pub idle_timeout_ms: u32,
    /// The frames that are metered.
    pub sampling: Sampling,
    /// Further tag protocols.
    pub tpids: Tpids,
    /// Of the keyed hash of the fragment cache.
    pub seed: HashSeed,
}

/// Counters of the meter up to the flow table.
///
/// `received = ignored (sum) + metered`, in packets. Octets of received and ignored frames are
/// octets on the wire. Octets of metered packets are octets of IP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MeterCounts {
    /// Frames delivered by the source, with their wire octets.
    pub received: Tally,
    /// Frames ignored, by reason in the order of [`Ignored::ALL`], with their wire octets.
    pub ignored: [Tally; Ignored::ALL.len()],
    /// What frames had that were ignored as not IP or for their link type.
    pub unread: UnreadCounts,
    /// Packets given to the flow table, with their IP octets.
    pub metered: Tally,
    /// Metered packets whose header claims more octets than the frame had: they count with what
    /// the wire had behind the link layers.
    pub exceeding_wire: u64,
    /// Metered fragments whose first fragment was not seen in time: their ports are 0.
    pub fragments_unknown: u64,
    /// How often the clock behind the packets was set back.
    pub clock_steps_back: u64,
    /// How often it jumped forward by more than a day.
    pub clock_jumps: u64,
}

impl MeterCounts {
    /// All ignored frames.
    pub fn ignored_total(&self) -> Tally {
        self.ignored.iter().copied().fold(Tally::default(), |sum, tally| sum + tally)
    }
}

impl core::ops::AddAssign for MeterCounts {
    fn add_assign(&mut self, other: Self) {
        self.received += other.received;
        for (mine, theirs) in self.ignored.iter_mut().zip(other.ignored) {
            *mine += theirs;
        }
        self.unread += other.unread;
        self.metered += other.metered;
        self.exceeding_wire += other.exceeding_wire;
        self.fragments_unknown += other.fragments_unknown;
        self.clock_steps_back += other.clock_steps_back;
        self.clock_jumps += other.clock_jumps;
    }
}

/// Where an [`Observer`] puts observations: a flow table, or the lists of several workers.
pub trait Sink {
    /// Where the next observation is written, before [`Sink::push`].
    fn vacancy(&mut self) -> &mut Observation;

    /// Keeps the observation at the vacancy.
    fn push(&mut self);

    /// Ends all flows: the clock was set back.
    fn set_back(&mut self, step: SetBack);
}

/// The clock behind the packets was set back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetBack {
    /// Now before.
    pub before: Timestamp,
    /// Now after.
    pub now: Timestamp,
}

/// The part of the Metering Process before the flow table. One thread owns it.
#[derive(Debug)]
pub struct Observer {
    key: KeyFields,
    tpids: Tpids,
    sampling_interval: u32,
    until_sample: u32,
    clock: Clock,
    /// Lateness of the current frame, in milliseconds.
    late_ms: u32,
    fragments: FragmentCache,
    /// At most one for each output.
    excluded: Vec<Conversation>,
    /// No sampling, and all seven key fields are kept.
    fast_path: bool,
    /// Wire octets of the frames of metered packets.
    metered_wire_octets: u64,
    /// `received` is derived in `counts()`.
    counts: MeterCounts,
}

/// Packets between two endpoints, in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conversation {
    /// IP protocol.
    pub protocol: u8,
    /// One end, at any port.
    pub local: IpAddr,
    /// The other end.
    pub remote: SocketAddr,
}

impl Conversation {
    /// Whether protocol and port match.
    #[inline]
    fn may_contain(&self, packet: &Packet) -> bool {
        let port = self.remote.port();
        packet.protocol == self.protocol
            && (packet.ports.destination() == port || packet.ports.source() == port)
    }

    fn contains(&self, key: &FlowKey) -> bool {
        let port = self.remote.port();
        let ends = (key.source_address(), key.destination_address());
        let there = key.destination_port == port && ends == (self.local, self.remote.ip());
        let back = key.source_port == port && ends == (self.remote.ip(), self.local);
        key.protocol == self.protocol && (there || back)
    }
}

impl Observer {
    /// An observer that has seen nothing yet. The fragment cache takes about 700 KiB.
    pub fn new(settings: &ObserverSettings) -> Self {
        Self {
            key: settings.key,
            tpids: settings.tpids,
            sampling_interval: settings.sampling.interval.max(1),
            until_sample: 0,
            clock: Clock::new(settings.idle_timeout_ms),
            late_ms: 0,
            fragments: FragmentCache::new(settings.seed),
            excluded: Vec::new(),
            fast_path: settings.sampling.interval <= 1 && settings.key.contain_the_seven(),
            metered_wire_octets: 0,
            counts: MeterCounts::default(),
        }
    }

    /// Excludes packets of these conversations: they are counted as filtered. A mirror port may
    /// show the exporter's own messages.
    pub fn exclude(&mut self, conversations: Vec<Conversation>) {
        self.excluded = conversations;
    }

    /// Now: the running maximum of packet times.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Moves now without a packet.
    pub fn tick(&mut self, time: Timestamp, sink: &mut impl Sink) {
        if let Some(before) = self.clock.tick(time) {
            sink.set_back(SetBack { before, now: time });
        }
    }

    /// All counts so far.
    pub fn counts(&self) -> MeterCounts {
        let (clock_steps_back, clock_jumps) = self.clock.steps();
        let Tally { packets, .. } = self.counts.metered;
        let metered = Tally { packets, octets: self.metered_wire_octets };
        MeterCounts {
            received: self.counts.ignored_total() + metered,
            fragments_unknown: self.fragments.unknown(),
            clock_steps_back,
            clock_jumps,
            ..self.counts
        }
    }

    /// Observes a frame: moves the clock by its time, then pushes the observation of its packet to
    /// `sink`. Every frame is counted once: as metered, or as ignored for a reason.
    #[inline(always)]
    pub fn observe(&mut self, frame: &Frame<'_>, sink: &mut impl Sink) {
        match self.clock.advance(frame.time) {
            Advance::Late(late_ms) => self.late_ms = late_ms,
            Advance::SetBack { before } => {
                self.late_ms = 0;
                sink.set_back(SetBack { before, now: frame.time });
            }
        }
        if self.dissect(frame, sink.vacancy()) {
            sink.push();
        }
    }

    /// Writes the observation of a frame to `packet`. Returns whether there is one.
    #[inline(always)]
    fn dissect(&mut self, frame: &Frame<'_>, packet: &mut Observation) -> bool {
        if self.fast_path
            && let Some(dissected) = dissect_plain_ipv4(frame)
            && !self.may_be_excluded(&dissected)
        {
            *packet = self.observation(frame, &dissected);
            self.count_metered(frame, dissected.octets);
            return true;
        }
        self.dissect_other(*frame, packet)
    }

    /// The same for frames that are not plain IPv4.
    #[inline(never)]
    fn dissect_other(&mut self, frame: Frame<'_>, packet: &mut Observation) -> bool {
        if self.fast_path
            && let Some(dissected) = dissect_plain_ipv6(&frame)
            && !self.may_be_excluded(&dissected)
        {
            *packet = self.observation(&frame, &dissected);
            self.count_metered(&frame, dissected.octets);
            return true;
        }
        self.dissect_any(&frame, packet)
    }

    /// The same for all frames and all settings.
    #[inline(never)]
    fn dissect_any(&mut self, frame: &Frame<'_>, packet: &mut Observation) -> bool {
        match self.consider(frame, packet) {
            Ok(()) => {
                self.count_metered(frame, packet.octets);
                true
            }
            Err(reason) => {
                self.counts.ignored[reason as usize].count(frame.wire_length.into());
                false
            }
        }
    }

    #[inline(always)]
    fn count_metered(&mut self, frame: &Frame<'_>, octets: u32) {
        self.metered_wire_octets += u64::from(frame.wire_length);
        self.counts.metered.count(octets.into());
    }

    fn consider(&mut self, frame: &Frame<'_>, packet: &mut Observation) -> Result<(), Ignored> {
        if self.sampling_interval > 1 && !self.is_sampled() {
            return Err(Ignored::NotSampled);
        }
        // On the fast path this was tried before, nearly always without success.
        let plain = if self.fast_path { None } else { dissect_plain(frame) };
        let dissected = match plain {
            Some(dissected) => dissected,
            None => {
                let dissected = dissect_with(frame, self.tpids).map_err(|stop| {
                    self.counts.unread.count(stop.unread, frame.wire_length);
                    stop.reason
                });
                let mut dissected = dissected?;
                self.fragments.resolve(&mut dissected, frame.time);
                dissected
            }
        };
        *packet = self.observation(frame, &dissected);
        if !self.excluded.is_empty() && self.is_excluded(packet) {
            return Err(Ignored::Filtered);
        }
        self.counts.exceeding_wire += u64::from(dissected.exceeds_wire);
        if !self.key.contain_the_seven() {
            packet.keep(self.key);
        }
        Ok(())
    }

    #[inline(always)]
    fn observation(&self, frame: &Frame<'_>, dissected: &Packet) -> Observation {
        Observation::new(dissected, frame.ingress_interface, frame.time, self.late_ms)
    }

    /// Whether protocol and port are those of an excluded conversation.
    #[inline(always)]
    fn may_be_excluded(&self, packet: &Packet) -> bool {
        self.excluded.iter().any(|conversation| conversation.may_contain(packet))
    }

    fn is_excluded(&self, packet: &Observation) -> bool {
        let key = packet.key();
        self.excluded.iter().any(|conversation| conversation.contains(&key))
    }

    fn is_sampled(&mut self) -> bool {
        if self.until_sample > 0 {
            self.until_sample -= 1;
            return false;
        }
        self.until_sample = self.sampling_interval - 1;
        true
    }
}
