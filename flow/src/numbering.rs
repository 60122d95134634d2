//! Numbers of 16 bits in place of interfaces and tunnels: their ranges, and those of a packet.
//!
//! names.rs says what they are for, and gives them.

/// Shared number of all interfaces or networks beyond the maximum.
pub(crate) const MORE: u16 = u16::MAX;

/// Interface numbers from here on are assigned; those below are unchanged.
pub(crate) const INTERFACES_NAMED: u16 = 1 << 15;

/// Numbers of passages from here on stand for tunnels and second VLANs; those below are VLAN ids,
/// and nothing else is told.
pub(crate) const PASSAGES_NAMED: u16 = 1 << 12;

/// The numbers of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Numbers {
    pub(crate) interface: u16,
    pub(crate) network: u16,
    pub(crate) passage: u16,
}

impl Numbers {
    /// True if the passage is a tunnel with a number.
    pub(crate) fn tell_tunnel(self) -> bool {
        self.passage >= PASSAGES_NAMED
    }

    /// True if tunnel and network have numbers of their own.
    pub(crate) fn tell_all(self) -> bool {
        self.tell_tunnel() && self.network != MORE
    }

    /// The value in place of the interface.
    pub(crate) fn interface_word(self) -> u32 {
        u32::from(self.network) << 16 | u32::from(self.interface)
    }
}
