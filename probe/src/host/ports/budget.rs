//! The memory of all sockets, and the part for an interface.

use super::Ports;
use super::port::Port;
use super::state::State;
use crate::host::method::Kind;
use crate::settings::args::LiveSettings;

/// Octets of memory for sockets, by the kind of capture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Room {
    pub(crate) xdp: u64,
    pub(crate) packet: u64,
}

impl Room {
    /// The room for an interface: an equal part of the maximum without what other interfaces take.
    /// `parts` is the number of interfaces that are still to be opened, with this one; at least 1.
    pub(crate) fn part(settings: &LiveSettings, used: Self, parts: u64) -> Self {
        let part = |most: u64, used| most.saturating_sub(used) / parts.max(1);
        Self {
            xdp: part(settings.umem_max, used.xdp),
            packet: part(settings.packet_ring_max, used.packet),
        }
    }
}

impl Ports {
    /// The room for an interface that is about to be opened: an equal part of the memory left for
    /// it and for the interfaces that are still to come. With patterns, one more is expected.
    pub(super) fn room(&self, port: usize) -> Room {
        let is_to_come = |(index, other): &(usize, &Port)| {
            let may_come = other.state != State::Gone || other.ifindex == 0;
            *index != port && may_come && !other.is_open() && !other.is_final()
        };
        let to_come = self.ports.iter().enumerate().filter(is_to_come).count();
        let parts = 1 + to_come as u64 + u64::from(self.has_patterns());
        let used = |kind| -> u64 {
            let of_kind = self.ports.iter().filter(|port| port.kind == Some(kind));
            of_kind.map(|port| port.memory).sum()
        };
        let used = Room { xdp: used(Kind::Xdp), packet: used(Kind::Packet) };
        Room::part(&self.opener.settings, used, parts)
    }
}
