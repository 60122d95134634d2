//! From frames to observations: dissection, sampling, the clock, the ports of fragments.

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use crate::clock::{Advance, Clock};
use crate::fragment::FragmentCache;
use crate::frame::{
    Frame, Ignored, Packet, dissect, dissect_plain, dissect_plain_ipv4, dissect_plain_ipv6,
};
use crate::hash::HashSeed;
use crate::key::{FlowKey, KeyFields};
use crate::observation::Observation;
use crate::record::Tally;
use crate::time::Timestamp;

/// One of every `interval` frames is metered (systematic count-based sampling, RFC 5475).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampling {
    /// 1 meters every frame.
    pub interval: u32,
}

/// What an [`Observer`] needs to know.
#[derive(Clone, Copy, Debug)]
pub struct ObserverSettings {
    /// Fields of the flow key; others become 0.
    pub key: KeyFields,
    /// Milliseconds; packets older than now by more than this may mean a clock set back.
    pub idle_timeout_ms: u32,
    /// Which frames are metered.
    pub sampling: Sampling,
    /// Of the fragment cache.
    pub seed: HashSeed,
}

/// Counters of the meter up to the flow table.
///
/// `received = ignored (sum) + metered`, in packets; the octets of received and ignored frames
/// are those on the wire, the octets of metered packets those of IP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MeterCounts {
    /// Frames delivered by the source, with their wire octets.
    pub received: Tally,
    /// Frames ignored, by reason in the order of [`Ignored::ALL`], with their wire octets.
    pub ignored: [Tally; Ignored::ALL.len()],
    /// Packets given to the flow table, with their IP octets.
    pub metered: Tally,
    /// Metered packets whose header claims more octets than the frame had.
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
        self.metered += other.metered;
        self.exceeding_wire += other.exceeding_wire;
        self.fragments_unknown += other.fragments_unknown;
        self.clock_steps_back += other.clock_steps_back;
        self.clock_jumps += other.clock_jumps;
    }
}

/// The part of the Metering Process before the flow table. One thread owns it.
#[derive(Debug)]
pub struct Observer {
    key: KeyFields,
    sampling_interval: u32,
    until_sample: u32,
    clock: Clock,
    /// How much older than now the frame is that the clock was last moved by.
    late_ms: u32,
    fragments: FragmentCache,
    /// Few: an output has one.
    left_out: Vec<Conversation>,
    /// Neither sampling nor the key asks for a look at each packet.
    takes_all: bool,
    /// On the wire, of metered packets.
    taken_octets: u64,
    /// But for what is received: it is the sum of what is ignored and what is metered.
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
    /// Whether protocol and ports are right.
    #[inline]
    fn may_have(&self, packet: &Packet) -> bool {
        let port = self.remote.port();
        packet.protocol == self.protocol
            && (packet.ports.destination() == port || packet.ports.source() == port)
    }

    fn has(&self, key: &FlowKey) -> bool {
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
            sampling_interval: settings.sampling.interval.max(1),
            until_sample: 0,
            clock: Clock::new(settings.idle_timeout_ms),
            late_ms: 0,
            fragments: FragmentCache::new(settings.seed),
            left_out: Vec::new(),
            takes_all: settings.sampling.interval <= 1 && settings.key.contain_the_seven(),
            taken_octets: 0,
            counts: MeterCounts::default(),
        }
    }

    /// Packets of these are counted as filtered and not metered: the exporter's own messages, which
    /// a mirror may show again.
    pub fn leave_out(&mut self, conversations: Vec<Conversation>) {
        self.left_out = conversations;
    }

    /// Now: the running maximum of packet times.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Moves now when no packet does. If the clock was set back, the time that it was set back
    /// from: then all flows end.
    pub fn tick(&mut self, time: Timestamp) -> Option<Timestamp> {
        self.clock.tick(time)
    }

    /// What was counted so far.
    pub fn counts(&self) -> MeterCounts {
        let (clock_steps_back, clock_jumps) = self.clock.steps();
        let taken = Tally { packets: self.counts.metered.packets, octets: self.taken_octets };
        MeterCounts {
            received: self.counts.ignored_total() + taken,
            fragments_unknown: self.fragments.unknown(),
            clock_steps_back,
            clock_jumps,
            ..self.counts
        }
    }

    /// Moves the clock by the time of a frame, before that is observed. If the clock was set back,
    /// the time that it was set back from: then all flows end before the frame counts.
    #[inline]
    pub fn advance(&mut self, time: Timestamp) -> Option<Timestamp> {
        match self.clock.advance(time) {
            Advance::Late(late_ms) => {
                self.late_ms = late_ms;
                None
            }
            Advance::SetBack { before } => {
                self.late_ms = 0;
                Some(before)
            }
        }
    }

    /// Observes a frame that the clock was just moved by. If there is a packet in it to be
    /// metered, that is written to `packet`. Every frame is counted once: as metered, or as
    /// ignored for a reason.
    #[inline(always)]
    pub fn observe(&mut self, frame: &Frame<'_>, packet: &mut Observation) -> bool {
        if self.takes_all
            && let Some(dissected) = dissect_plain_ipv4(frame)
            && !self.may_be_left_out(&dissected)
        {
            *packet = self.observation(frame, &dissected);
            self.count_metered(frame, dissected.octets);
            return true;
        }
        self.observe_other(*frame, packet)
    }

    /// The same for any frame and all settings.
    #[inline(never)]
    fn observe_other(&mut self, frame: Frame<'_>, packet: &mut Observation) -> bool {
        if self.takes_all
            && let Some(dissected) = dissect_plain_ipv6(&frame)
            && !self.may_be_left_out(&dissected)
        {
            *packet = self.observation(&frame, &dissected);
            self.count_metered(&frame, dissected.octets);
            return true;
        }
        self.observe_any(&frame, packet)
    }

    #[inline(never)]
    fn observe_any(&mut self, frame: &Frame<'_>, packet: &mut Observation) -> bool {
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
        self.taken_octets += u64::from(frame.wire_length);
        self.counts.metered.count(octets.into());
    }

    fn consider(&mut self, frame: &Frame<'_>, packet: &mut Observation) -> Result<(), Ignored> {
        if self.sampling_interval > 1 && !self.is_sampled() {
            return Err(Ignored::NotSampled);
        }
        // Where all is taken, that has been tried, nearly always in vain.
        let plain = if self.takes_all { None } else { dissect_plain(frame) };
        let dissected = match plain {
            Some(dissected) => dissected,
            None => {
                let mut dissected = dissect(frame)?;
                self.fragments.resolve(&mut dissected, frame.time);
                dissected
            }
        };
        *packet = self.observation(frame, &dissected);
        if !self.left_out.is_empty() && self.is_left_out(packet) {
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

    /// Whether protocol and ports are those of a conversation that is left out.
    #[inline(always)]
    fn may_be_left_out(&self, packet: &Packet) -> bool {
        self.left_out.iter().any(|conversation| conversation.may_have(packet))
    }

    fn is_left_out(&self, packet: &Observation) -> bool {
        let key = packet.key();
        self.left_out.iter().any(|conversation| conversation.has(&key))
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
