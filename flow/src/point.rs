//! Observation Points: interfaces and directions.

/// Direction of a packet at its interface (flowDirection, IANA element 61).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum FlowDirection {
    /// The packet came in, or its direction is not known, as at a mirror port.
    #[default]
    Ingress = 0,
    /// The host sent it.
    Egress = 1,
}

impl FlowDirection {
    /// The number on the wire.
    #[inline]
    pub const fn number(self) -> u8 {
        self as u8
    }
}

/// An Observation Point (RFC 7011 section 2): an interface, and a direction at it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ObservationPoint {
    /// Number of the interface; 0 if it has none.
    pub interface: u32,
    /// Direction of the packet.
    pub direction: FlowDirection,
}

impl ObservationPoint {
    /// Packets that come in on this interface.
    #[inline]
    pub const fn ingress(interface: u32) -> Self {
        Self { interface, direction: FlowDirection::Ingress }
    }
}
