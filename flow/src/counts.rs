//! Counters of the meter.

use crate::decap::TunnelCounts;
use crate::frame::Ignored;
use crate::record::Tally;
use crate::unread::UnreadCounts;

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
    /// Content of frames that were ignored as not IP or for their link type.
    pub unread: UnreadCounts,
    /// Packets given to the flow table, with their IP octets.
    pub metered: Tally,
    /// Metered packets whose header claims more octets than the frame had: they count with the
    /// octets on the wire after the link layers.
    pub exceeding_wire: u64,
    /// Metered later fragments whose first fragment was not seen in time: their ports are 0.
    pub fragments_unknown: u64,
    /// Packets behind all clocks. Each began a clock, or became its own record.
    pub clock_steps_back: u64,
    /// Accepted gaps of more than a day.
    pub clock_jumps: u64,
    /// Packets ahead of all clocks whose time was not accepted.
    pub clock_jumps_refused: u64,
    /// Clocks begun after the first one.
    pub clocks_added: u64,
    /// Packets that fit no clock while all numbers were in use: each is its own record.
    pub without_clock: u64,
    /// Counters of tunnels.
    pub tunnels: TunnelCounts,
    /// Counters of payload, if that is read.
    pub payload: Option<PayloadCounts>,
}

/// Names in payload that were found, and openings that were not read, by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, derive_more::AddAssign)]
pub struct PayloadCounts {
    /// DNS messages.
    pub dns: u64,
    /// ClientHellos of TLS.
    pub tls: u64,
    /// ClientHellos of QUIC.
    pub quic: u64,
    /// HTTP/1 requests and responses.
    pub http: u64,
    /// Openings that are not what their protocol asks for.
    pub malformed: u64,
    /// Openings that the capture has cut.
    pub truncated: u64,
    /// Hellos that are longer than what is kept, or with too many gaps.
    pub hello_too_long: u64,
    /// Hellos of which a part did not come for 5 s.
    pub hello_timed_out: u64,
    /// Hellos that gave their memory to others.
    pub hello_evicted: u64,
    /// Unfinished hellos of conversations that began anew.
    pub hello_replaced: u64,
    /// Pieces that differ from what came before at the same place.
    pub hello_overlap: u64,
    /// Datagrams of QUIC of a version that is not known.
    pub quic_version: u64,
    /// QUIC packets whose keys are not those of a first flight.
    pub quic_sealed: u64,
    /// Messages beyond what is read in a second.
    pub skipped: u64,
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
        self.clock_jumps_refused += other.clock_jumps_refused;
        self.clocks_added += other.clocks_added;
        self.without_clock += other.without_clock;
        self.tunnels += other.tunnels;
        if let Some(payload) = other.payload {
            *self.payload.get_or_insert_default() += payload;
        }
    }
}
