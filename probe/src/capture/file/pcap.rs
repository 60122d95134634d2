//! Classic pcap files: a header, then packets.

use flow::{Frame, LinkType, ObservationPoint, Timestamp};

use super::format::{Damage, Head, Order, PACKET_OCTETS_MAX, SKIPPED_OCTETS_MAX};
use super::interfaces::Interfaces;
use super::window::Window;

/// Octets of the file header: magic (4), version (2 + 2), reserved (8), snap length (4), link
/// type (4).
const FILE_HEADER: usize = 24;

/// Octets of a packet header: seconds, fraction of a second, captured length, length; 4 each.
const PACKET_HEADER: usize = 16;

/// Offsets of fields in the file header.
mod field {
    /// The link type is the lower half. The upper half is about frame check sequences.
    pub(super) const LINK_TYPE: usize = 20;
}

/// A classic pcap file, after its file header.
#[derive(Debug)]
pub(super) struct Pcap {
    order: Order,
    unit: Unit,
    link_number: u16,
    link_type: LinkType,
    point: ObservationPoint,
    /// A packet header of zeros was found: only zeros may follow.
    padding: bool,
    /// Packets that were skipped because they are too long.
    pub(super) too_long: u64,
}

/// Unit of a packet's fraction of a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Microseconds,
    Nanoseconds,
}

impl Unit {
    #[inline]
    fn nanos(self, seconds: u32, fraction: u32) -> u64 {
        let fraction = match self {
            Self::Microseconds => u64::from(fraction) * 1000,
            Self::Nanoseconds => fraction.into(),
        };
        u64::from(seconds) * 1_000_000_000 + fraction
    }

    /// The same time as [`Unit::nanos`], at lower cost.
    #[inline]
    fn time(self, seconds: u32, fraction: u32) -> Timestamp {
        let millis = match self {
            Self::Microseconds => fraction / 1000,
            Self::Nanoseconds => fraction / 1_000_000,
        };
        Timestamp::from_millis(u64::from(seconds) * 1000 + u64::from(millis))
    }
}

impl Pcap {
    /// Recognizes a file by its first octets: microseconds or nanoseconds, in either byte order.
    pub(super) fn recognize(magic: [u8; 4]) -> Option<(Order, Unit)> {
        match magic {
            [0xd4, 0xc3, 0xb2, 0xa1] => Some((Order::Little, Unit::Microseconds)),
            [0xa1, 0xb2, 0xc3, 0xd4] => Some((Order::Big, Unit::Microseconds)),
            [0x4d, 0x3c, 0xb2, 0xa1] => Some((Order::Little, Unit::Nanoseconds)),
            [0xa1, 0xb2, 0x3c, 0x4d] => Some((Order::Big, Unit::Nanoseconds)),
            _ => None,
        }
    }

    /// Reads the file header. The file has one interface, without a name.
    pub(super) fn open(
        window: &mut Window,
        order: Order,
        unit: Unit,
        interfaces: &mut Interfaces,
    ) -> Result<Self, Damage> {
        if !window.need(FILE_HEADER)? {
            return Err(Damage::CutShort("the file header"));
        }
        let link = order.u32(window.octets(), field::LINK_TYPE) & 0xffff;
        window.advance(FILE_HEADER);
        let link_number = u16::try_from(link).unwrap_or(u16::MAX);
        let link_type = LinkType::from_number(link_number);
        let point = ObservationPoint::ingress(interfaces.register_only(link_number));
        Ok(Self { order, unit, link_number, link_type, point, padding: false, too_long: 0 })
    }

    /// Finds the next packet. Packets that are too long are skipped.
    pub(super) fn next(&mut self, window: &mut Window) -> Result<Option<Head>, Damage> {
        loop {
            if self.padding {
                return self.end_of_padding(window);
            }
            if !window.need(PACKET_HEADER)? {
                return match window.octets() {
                    _ if window.ends_in_skipped() => Err(Damage::CutShort("a packet")),
                    rest if rest.iter().all(|octet| *octet == 0) => Ok(None),
                    _ => Err(Damage::CutShort("a packet header")),
                };
            }
            let header = window.octets().first_chunk().expect("the header is there");
            if *header == [0; PACKET_HEADER] {
                self.padding = true;
                return self.end_of_padding(window);
            }
            let header = self.order.words::<PACKET_HEADER, 4>(header);
            let [_, _, captured, length] = header;
            if captured <= PACKET_OCTETS_MAX {
                return self.packet(header, window).map(Some);
            }
            if captured > length || captured > SKIPPED_OCTETS_MAX {
                return Err(Damage::TooLong(captured));
            }
            self.too_long += 1;
            window.skip(PACKET_HEADER as u64 + u64::from(captured));
        }
    }

    /// The packet of the next header.
    fn packet(&self, header: [u32; 4], window: &mut Window) -> Result<Head, Damage> {
        let [seconds, fraction, captured, length] = header;
        let captured_octets = captured as usize;
        if !window.need(PACKET_HEADER + captured_octets)? {
            return Err(Damage::CutShort("a packet"));
        }
        window.advance(PACKET_HEADER);
        Ok(Head {
            nanos: self.unit.nanos(seconds, fraction),
            captured: captured_octets,
            after: captured_octets,
            wire_length: length.max(captured),
            point: self.point,
            link_type: self.link_type,
            link_number: self.link_number,
        })
    }

    /// A file that was given its size in advance, or lost its end in a crash, ends with zeros. They
    /// are not packets without data from the year 1970.
    fn end_of_padding(&self, window: &mut Window) -> Result<Option<Head>, Damage> {
        if window.skip_zeros()? { Ok(None) } else { Err(Damage::BehindZeros) }
    }

    /// Finds consecutive packets at the beginning of `octets`, until `found` is full: complete
    /// ones, of a supported link type, and due before a time. Returns their number. `found` has
    /// frames of this file: interface and link type stay.
    pub(super) fn find_whole<'a>(
        &self,
        octets: &mut &'a [u8],
        before: u64,
        found: &mut [Frame<'a>],
    ) -> usize {
        if !self.link_type.is_supported() {
            return 0;
        }
        match (self.order, self.unit) {
            (Order::Little, Unit::Microseconds) => find::<true, true>(octets, before, found),
            (Order::Little, Unit::Nanoseconds) => find::<true, false>(octets, before, found),
            (Order::Big, Unit::Microseconds) => find::<false, true>(octets, before, found),
            (Order::Big, Unit::Nanoseconds) => find::<false, false>(octets, before, found),
        }
    }
}

/// See [`Pcap::find_whole`].
#[inline(never)]
fn find<'a, const LITTLE: bool, const MICROSECONDS: bool>(
    octets: &mut &'a [u8],
    before: u64,
    found: &mut [Frame<'a>],
) -> usize {
    let order = if LITTLE { Order::Little } else { Order::Big };
    let unit = if MICROSECONDS { Unit::Microseconds } else { Unit::Nanoseconds };
    let mut rest = *octets;
    let mut count = 0;
    for place in found {
        let Some((header, body)) = rest.split_first_chunk::<PACKET_HEADER>() else { break };
        let [seconds, fraction, captured, length] = order.words(header);
        let Some((data, after)) = body.split_at_checked(captured as usize) else { break };
        let is_later = || unit.nanos(seconds, fraction) >= before;
        // A packet without data may be padding.
        if captured.wrapping_sub(1) >= PACKET_OCTETS_MAX || (before != u64::MAX && is_later()) {
            break;
        }
        place.data = data;
        place.wire_length = length.max(captured);
        place.time = unit.time(seconds, fraction);
        rest = after;
        count += 1;
    }
    *octets = rest;
    count
}
