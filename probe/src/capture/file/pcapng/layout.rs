//! Types of blocks, and offsets of their fields.

/// Types of blocks.
pub(super) mod kind {
    /// If a file was given its size in advance, zeros follow its last block.
    pub(in crate::capture::file::pcapng) const PADDING: u32 = 0;
    pub(in crate::capture::file::pcapng) const INTERFACE_DESCRIPTION: u32 = 1;
    /// Obsolete.
    pub(in crate::capture::file::pcapng) const PACKET: u32 = 2;
    pub(in crate::capture::file::pcapng) const SIMPLE_PACKET: u32 = 3;
    pub(in crate::capture::file::pcapng) const INTERFACE_STATISTICS: u32 = 5;
    pub(in crate::capture::file::pcapng) const ENHANCED_PACKET: u32 = 6;
    pub(in crate::capture::file::pcapng) const SECTION_HEADER: u32 = 0x0a0d_0d0a;
}

/// Offsets of fields, from the beginning of a block.
pub(super) mod field {
    pub(in crate::capture::file::pcapng) const KIND: usize = 0;
    pub(in crate::capture::file::pcapng) const LENGTH: usize = 4;
    /// Section Header.
    pub(in crate::capture::file::pcapng) const BYTE_ORDER_MAGIC: usize = 8;
    /// Enhanced Packet and Interface Statistics. In an obsolete Packet it has 16 bits.
    pub(in crate::capture::file::pcapng) const INTERFACE: usize = 8;
    /// Enhanced Packet and obsolete Packet.
    pub(in crate::capture::file::pcapng) const TIME_HIGH: usize = 12;
    pub(in crate::capture::file::pcapng) const TIME_LOW: usize = 16;
    pub(in crate::capture::file::pcapng) const CAPTURED: usize = 20;
    pub(in crate::capture::file::pcapng) const WIRE_LENGTH: usize = 24;
    /// Simple Packet.
    pub(in crate::capture::file::pcapng) const SIMPLE_WIRE_LENGTH: usize = 8;
}

pub(super) const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;

/// Octets of a block's type and length, and of the copy of its length at the end.
pub(super) const BLOCK_HEADER: usize = 8;
pub(super) const BLOCK_TRAILER: usize = 4;

/// Octets from a block's beginning to the part of variable length.
pub(super) const SECTION_BLOCK_HEADER: usize = 24;
pub(super) const SIMPLE_HEADER: usize = 12;
pub(super) const STATISTICS_HEADER: usize = 20;
pub(super) const ENHANCED_HEADER: usize = 28;

/// Codes of options of an Interface Statistics Block: packets that the interface dropped and
/// packets that the operating system dropped.
pub(super) const ISB_IFDROP: u16 = 5;
pub(super) const ISB_OSDROP: u16 = 7;
