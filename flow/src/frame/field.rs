//! Offsets of header fields, in octets.

/// RFC 791 section 3.1.
pub(super) mod ipv4 {
    pub(in crate::frame) const VERSION_IHL: usize = 0;
    pub(in crate::frame) const TYPE_OF_SERVICE: usize = 1;
    pub(in crate::frame) const TOTAL_LENGTH: usize = 2;
    /// Flags (3 bits) and fragment offset (13 bits).
    pub(in crate::frame) const FRAGMENT: usize = 6;
    pub(in crate::frame) const TTL: usize = 8;
    pub(in crate::frame) const PROTOCOL: usize = 9;
    pub(in crate::frame) const CHECKSUM: usize = 10;
    pub(in crate::frame) const SOURCE: usize = 12;
    pub(in crate::frame) const DESTINATION: usize = 16;
    /// Length of a header without options.
    pub(in crate::frame) const OCTETS_MIN: usize = 20;
    /// More fragments, or a fragment offset.
    pub(in crate::frame) const IS_FRAGMENT: u16 = 0x3fff;

    /// IHL counts words of 4 octets.
    #[inline]
    pub(in crate::frame) const fn header_length(version_ihl: u8) -> usize {
        (version_ihl & 0x0f) as usize * 4
    }
}

/// RFC 8200 section 3.
pub(super) mod ipv6 {
    pub(in crate::frame) const PAYLOAD_LENGTH: usize = 4;
    pub(in crate::frame) const NEXT_HEADER: usize = 6;
    pub(in crate::frame) const HOP_LIMIT: usize = 7;
    pub(in crate::frame) const SOURCE: usize = 8;
    pub(in crate::frame) const OCTETS: usize = 40;
}

/// The Jumbo Payload option (RFC 2675 section 2), and the Pad1 option (RFC 8200 section 4.2).
pub(super) mod jumbo {
    pub(in crate::frame) const PAD1: u8 = 0;
    pub(in crate::frame) const TYPE: u8 = 0xc2;
    pub(in crate::frame) const LENGTH: u8 = 4;
}

/// RFC 9293 section 3.1.
pub(super) mod tcp {
    pub(in crate::frame) const SEQUENCE: usize = 4;
    pub(in crate::frame) const DATA_OFFSET: usize = 12;
    pub(in crate::frame) const CONTROL_BITS: usize = 13;
    /// Length of a header without options.
    pub(in crate::frame) const OCTETS_MIN: usize = 20;
}

/// RFC 768.
pub(super) mod udp {
    /// Octets of the datagram, with the header.
    pub(in crate::frame) const LENGTH: usize = 4;
    pub(in crate::frame) const OCTETS: usize = 8;
}
