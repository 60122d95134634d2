//! Conversations that are excluded from metering.

use core::net::{IpAddr, SocketAddr};

use crate::frame::Packet;
use crate::key::FlowKey;

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
    /// True if protocol and port match.
    #[inline]
    pub(crate) fn may_contain(&self, packet: &Packet) -> bool {
        let port = self.remote.port();
        packet.protocol == self.protocol
            && (packet.ports.destination() == port || packet.ports.source() == port)
    }

    pub(crate) fn contains(&self, key: &FlowKey) -> bool {
        let port = self.remote.port();
        let ends = (key.source_address(), key.destination_address());
        let there = key.destination_port == port && ends == (self.local, self.remote.ip());
        let back = key.source_port == port && ends == (self.remote.ip(), self.local);
        key.protocol == self.protocol && (there || back)
    }
}
