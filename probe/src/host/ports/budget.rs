//! The memory of all sockets, and the part for an interface.

use super::Ports;
use super::port::Port;
use super::state::State;
use crate::host::method::Kind;

/// Octets of memory that an interface may take for its sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) xdp: u64,
    pub(super) packet: u64,
}

impl Ports {
    /// The room for an interface that is about to be opened: an equal part of the memory left for
    /// it and for the interfaces that are still to come. With patterns, one more is expected.
    pub(super) fn room(&self, port: usize) -> Room {
        let settings = &self.opener.settings;
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
        let part = |most: u64, kind| most.saturating_sub(used(kind)) / parts;
        Room {
            xdp: part(settings.umem_max, Kind::Xdp),
            packet: part(settings.packet_ring_max, Kind::Packet),
        }
    }
}
