//! Classic pcap files: a header, then packets.

use flow::LinkType;

use super::reader::{Damage, Head, Order, PACKET_OCTETS_MAX};
use super::window::Window;

/// Octets of the file header and of a packet's.
const FILE_HEADER: usize = 24;
const PACKET_HEADER: usize = 16;

/// What a file header says.
#[derive(Debug)]
pub(super) struct Pcap {
    order: Order,
    /// Nanoseconds in the unit of a packet's fraction of a second.
    fraction: u64,
    pub(super) link_number: u16,
    link_type: LinkType,
}

impl Pcap {
    /// Recognizes a file by its first octets: microseconds or nanoseconds, in either order.
    pub(super) fn recognize(magic: [u8; 4]) -> Option<(Order, u64)> {
        match magic {
            [0xd4, 0xc3, 0xb2, 0xa1] => Some((Order::Little, 1000)),
            [0xa1, 0xb2, 0xc3, 0xd4] => Some((Order::Big, 1000)),
            [0x4d, 0x3c, 0xb2, 0xa1] => Some((Order::Little, 1)),
            [0xa1, 0xb2, 0x3c, 0x4d] => Some((Order::Big, 1)),
            _ => None,
        }
    }

    /// Reads the file header: magic, version (2 + 2), reserved (8), snap length (4), link type (4,
    /// of which the upper half is about frame check sequences).
    pub(super) fn open(window: &mut Window, order: Order, fraction: u64) -> Result<Self, Damage> {
        if !window.need(FILE_HEADER)? {
            return Err(Damage::CutShort("the file header"));
        }
        let link = order.u32(window.octets(), 20) & 0xffff;
        window.advance(FILE_HEADER);
        let link_number = u16::try_from(link).unwrap_or(u16::MAX);
        let link_type = LinkType::from_number(link_number);
        Ok(Self { order, fraction, link_number, link_type })
    }

    /// Finds the next packet: seconds (4), fraction (4), captured length (4), length (4), data.
    #[inline]
    pub(super) fn next(&self, window: &mut Window) -> Result<Option<Head>, Damage> {
        if !window.need(PACKET_HEADER)? {
            let rest = window.octets().len();
            return if rest == 0 { Ok(None) } else { Err(Damage::CutShort("a packet header")) };
        }
        let header = window.octets();
        let seconds = self.order.u32(header, 0);
        let fraction = self.order.u32(header, 4);
        let captured = self.order.u32(header, 8);
        let length = self.order.u32(header, 12);
        if captured > PACKET_OCTETS_MAX {
            return Err(Damage::TooLong(captured));
        }
        let captured_octets = captured as usize;
        if !window.need(PACKET_HEADER + captured_octets)? {
            return Err(Damage::CutShort("a packet"));
        }
        window.advance(PACKET_HEADER);
        Ok(Some(Head {
            nanos: u64::from(seconds) * 1_000_000_000 + u64::from(fraction) * self.fraction,
            captured: captured_octets,
            after: captured_octets,
            wire_length: length.max(captured),
            interface: 0,
            link_type: self.link_type,
        }))
    }
}
