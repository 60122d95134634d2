//! Decapsulation: finds the innermost IP packet of a frame, and its tunnel.

use crate::fragment::FragmentCache;
use crate::frame::tunnel::{
    Again, Budget, DecapSettings, Found, Inside, KnownTunnels, Opened, Refusal, TunnelKind,
    open_plain, outermost,
};
use crate::frame::{Fragment, Frame, Ignored, Packet, Stop, Tpids};
use crate::hash::HashSeed;
use crate::names::{Namer, Naming, NetworkKey, Passage};
use crate::numbering::{MORE, Numbers};
use crate::point::ObservationPoint;
use crate::record::Tally;

/// Counters of tunnels.
///
/// IP octets metered without decapsulation = octets metered with it + `overhead_octets` +
/// `fragments` + `ignored_inside`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TunnelCounts {
    /// Packets found in tunnels, with their octets, by the kind of the innermost tunnel, in the
    /// order of [`TunnelKind::ALL`].
    pub opened: [Tally; TunnelKind::ALL.len()],
    /// Packets that look like a tunnel but were metered as the outer packet, by kind and by cause
    /// in the order of [`Refusal::ALL`].
    pub refused: [[u64; Refusal::ALL.len()]; TunnelKind::ALL.len()],
    /// IP octets of the outermost packets minus those of the innermost ones. It is negative if
    /// headers inside claim more octets than the outer packets have.
    pub overhead_octets: i64,
    /// Frames in tunnels that were ignored, with the IP octets of their outermost packets.
    pub ignored_inside: Tally,
    /// Later fragments of tunnel packets, with the IP octets of the outermost packets.
    pub fragments: Tally,
    /// Packets of tunnels whose attributes records cannot have, because there are too many tunnels.
    pub tunnels_untold: u64,
    /// Packets of networks beyond the maximum: these networks share one number, so equal keys in
    /// them are one flow.
    pub networks_untold: u64,
    /// Packets of interfaces beyond the maximum.
    pub interfaces_untold: u64,
}

impl TunnelCounts {
    /// All packets found in tunnels.
    pub fn opened_total(&self) -> Tally {
        self.opened.iter().copied().fold(Tally::default(), |sum, tally| sum + tally)
    }
}

impl core::ops::AddAssign for TunnelCounts {
    fn add_assign(&mut self, other: Self) {
        for (mine, theirs) in self.opened.iter_mut().zip(other.opened) {
            *mine += theirs;
        }
        let refused = self.refused.as_flattened_mut().iter_mut();
        refused.zip(other.refused.as_flattened()).for_each(|(mine, theirs)| *mine += theirs);
        self.overhead_octets += other.overhead_octets;
        self.ignored_inside += other.ignored_inside;
        self.fragments += other.fragments;
        self.tunnels_untold += other.tunnels_untold;
        self.networks_untold += other.networks_untold;
        self.interfaces_untold += other.interfaces_untold;
    }
}

/// Opens tunnels. An observer has one if decapsulation is on.
#[derive(Debug)]
pub(crate) struct Decapsulator {
    settings: DecapSettings,
    /// Outer packets whose first fragment was opened, by the times of frames.
    opened: FragmentCache,
    namer: Namer,
    known: KnownTunnels,
    counts: TunnelCounts,
}

impl Decapsulator {
    /// A decapsulator for a flow key with or without VLAN ids.
    pub(crate) fn new(settings: DecapSettings, vlan_in_key: bool, seed: HashSeed) -> Self {
        let key = NetworkKey { whole_tunnel: settings.whole_key, vlan: vlan_in_key };
        Self {
            settings,
            opened: FragmentCache::new(seed),
            namer: Namer::new(seed, key),
            known: KnownTunnels::new(),
            counts: TunnelCounts::default(),
        }
    }

    pub(crate) fn counts(&self) -> TunnelCounts {
        self.counts
    }

    /// True if a plain packet needs [`Self::dissect`]: it may be a tunnel, or its interface or VLAN
    /// needs another number.
    #[inline]
    pub(crate) fn concerns(&self, packet: &Packet, point: ObservationPoint) -> bool {
        self.settings.may_open(packet) || !self.namer.is_plain(point.interface, packet.vlan_id)
    }

    /// Finds the packet in a plain tunnel. `None`: use [`Self::dissect`].
    #[inline(always)]
    pub(crate) fn open_plain(&self, frame: &Frame<'_>) -> Option<Found> {
        open_plain(frame, &self.settings)
    }

    /// Counts a packet in a tunnel, and gives it its numbers.
    #[inline(always)]
    pub(crate) fn number(&mut self, frame: &Frame<'_>, found: Found) -> (Packet, ObservationPoint) {
        let Found { packet, tunnel, outer_octets } = found;
        let passage = Passage { tunnel: Some(tunnel), vlan_id: packet.vlan_id, inner_vlan_id: 0 };
        let numbers = self.namer.numbers(frame.point.interface, passage);
        if packet.vlan_id == 0 && tunnel.kind.may_be_known() && numbers.tell_all() {
            self.known.see(frame, &self.settings, numbers);
        } else {
            self.known.see_other();
        }
        self.count_opened(tunnel.kind, &packet, outer_octets);
        self.count_untold(true, numbers);
        numbered(packet, numbers, frame.point)
    }

    /// Finds the packet in a tunnel whose headers are known. `None`: use [`Self::open_plain`].
    #[inline(always)]
    pub(crate) fn open_known(&self, frame: &Frame<'_>) -> Option<Again> {
        self.known.open(frame, &self.settings)
    }

    /// Counts a packet in such a tunnel, and gives it its numbers.
    #[inline(always)]
    pub(crate) fn number_known(
        &mut self,
        again: Again,
        point: ObservationPoint,
    ) -> (Packet, ObservationPoint) {
        let Again { packet, kind, numbers, outer_octets } = again;
        self.count_opened(kind, &packet, outer_octets);
        numbered(packet, numbers, point)
    }

    #[inline(always)]
    pub(crate) fn has_news(&self) -> bool {
        self.namer.has_news()
    }

    /// New meanings of numbers in observations.
    pub(crate) fn news(&mut self) -> impl Iterator<Item = Naming> {
        self.namer.news()
    }

    /// Finds the innermost packet that can be read. Its interface and its VLAN are numbers whose
    /// meanings [`Self::news`] returns.
    pub(crate) fn dissect(
        &mut self,
        frame: &Frame<'_>,
        tpids: Tpids,
    ) -> Result<(Packet, ObservationPoint), Stop> {
        let (mut opened, point) = outermost(frame, tpids)?;
        let outer_octets = opened.packet.octets;
        let (mut tunnel, mut budget) = (None, Budget::default());
        loop {
            let around = opened.packet;
            if self.opened.knows(&around, frame.time) {
                self.counts.fragments.count(outer_octets.into());
                return Err(Ignored::TunnelFragment.into());
            }
            match opened.open(&self.settings, tpids, &mut budget) {
                Inside::Nothing => break,
                Inside::Refused(kind, cause) => {
                    self.counts.refused[kind as usize][cause as usize] += 1;
                    break;
                }
                Inside::Packet(found, inner) => {
                    self.remember(&around, frame);
                    (tunnel, opened) = (Some(found), inner);
                }
                Inside::Ignored(stop) => {
                    self.remember(&around, frame);
                    self.counts.ignored_inside.count(outer_octets.into());
                    return Err(stop);
                }
            }
        }
        let Opened { packet, inner_vlan_id, .. } = opened;
        let passage = Passage { tunnel, vlan_id: packet.vlan_id, inner_vlan_id };
        let numbers = self.namer.numbers(point.interface, passage);
        if let Some(tunnel) = tunnel {
            self.count_opened(tunnel.kind, &packet, outer_octets);
        }
        self.count_untold(tunnel.is_some(), numbers);
        Ok(numbered(packet, numbers, point))
    }

    #[inline(always)]
    fn count_opened(&mut self, kind: TunnelKind, packet: &Packet, outer_octets: u32) {
        self.counts.opened[kind as usize].count(packet.octets.into());
        self.counts.overhead_octets += i64::from(outer_octets) - i64::from(packet.octets);
    }

    #[inline(always)]
    fn count_untold(&mut self, is_in_tunnel: bool, numbers: Numbers) {
        if is_in_tunnel && !numbers.tell_tunnel() {
            self.counts.tunnels_untold += 1;
        }
        if numbers.network == MORE {
            self.counts.networks_untold += 1;
        }
        if numbers.interface == MORE {
            self.counts.interfaces_untold += 1;
        }
    }

    /// Remembers the first fragment of an opened packet: its later fragments are not metered.
    fn remember(&mut self, around: &Packet, frame: &Frame<'_>) {
        if let Fragment::First(identification) = around.fragment {
            self.opened.remember(around, 0, identification, frame.time);
        }
    }
}

/// The packet with numbers in place of its interface and its VLAN.
#[inline(always)]
fn numbered(
    mut packet: Packet,
    numbers: Numbers,
    point: ObservationPoint,
) -> (Packet, ObservationPoint) {
    packet.vlan_id = numbers.passage;
    (packet, ObservationPoint { interface: numbers.interface_word(), ..point })
}
