//! pcapng files: blocks, of which some have packets (draft-ietf-opsawg-pcapng).

use flow::{Frame, LinkType, Timestamp};

use super::interfaces::Interfaces;
use super::reader::{Damage, Head, Order, PACKET_OCTETS_MAX};
use super::window::{PIECE_MAX, Window};

/// The first octets of a file: a Section Header Block, the same in either order.
pub(super) const MAGIC: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;

/// Octets of a block's type and length, and of its length at the end.
const BLOCK_HEADER: usize = 8;
const BLOCK_TRAILER: usize = 4;

const IF_NAME: u16 = 2;
const IF_TSRESOL: u16 = 9;
const IF_TSOFFSET: u16 = 14;

/// The section that is being read.
#[derive(Debug)]
pub(super) struct Pcapng {
    order: Order,
    interfaces: Vec<SectionInterface>,
    /// Of the last packet, for packets that have none.
    nanos: u64,
    /// Packet blocks that took the time of the packet before.
    pub(super) timeless: u64,
    /// Blocks that contradict themselves and were skipped.
    pub(super) damaged_blocks: u64,
    /// Packets of interfaces that the section does not describe.
    pub(super) undescribed: u64,
}

/// An interface of the section.
#[derive(Clone, Copy, Debug)]
struct SectionInterface {
    number: u32,
    link_type: LinkType,
    /// As the file has it.
    link_number: u16,
    snap_length: u32,
    unit: Unit,
    offset_seconds: i64,
}

impl Pcapng {
    /// Reads the first block, a Section Header.
    pub(super) fn open(window: &mut Window) -> Result<Self, Damage> {
        let mut section = Self {
            order: Order::Little,
            interfaces: Vec::new(),
            nanos: 0,
            timeless: 0,
            damaged_blocks: 0,
            undescribed: 0,
        };
        if !window.need(BLOCK_HEADER + 4)? {
            return Err(Damage::CutShort("the section header"));
        }
        section.begin(window)?;
        Ok(section)
    }

    /// Finds the next packet, past all other blocks.
    pub(super) fn next(
        &mut self,
        window: &mut Window,
        interfaces: &mut Interfaces,
    ) -> Result<Option<Head>, Damage> {
        loop {
            if !window.need(BLOCK_HEADER)? {
                let rest = window.octets().len();
                return if rest == 0 { Ok(None) } else { Err(Damage::CutShort("a block header")) };
            }
            let kind = self.order.u32(window.octets(), 0);
            let length = self.order.u32(window.octets(), 4);
            if kind == ENHANCED_PACKET {
                let block = self.whole_block(window, length, ENHANCED_HEADER)?;
                if let Some(head) = self.enhanced_packet(window.octets(), block) {
                    window.advance(ENHANCED_HEADER);
                    return Ok(Some(head));
                }
                self.skip_damaged(window, block);
            } else if let Some(head) = self.other_block(kind, length, window, interfaces)? {
                return Ok(Some(head));
            }
        }
    }

    /// Finds Enhanced Packets at the beginning of some octets, one behind the other, as many as
    /// there is room for: whole and sound ones, of a link type that is supported, and due before a
    /// time. Gives their number.
    pub(super) fn find_whole<'a>(
        &mut self,
        octets: &mut &'a [u8],
        before: u64,
        found: &mut [Frame<'a>],
    ) -> usize {
        let mut count = 0;
        for place in found {
            let Some((frame, nanos, rest)) = self.whole_packet(octets) else { break };
            if nanos >= before || !frame.link_type.is_supported() {
                break;
            }
            self.nanos = nanos;
            *place = frame;
            *octets = rest;
            count += 1;
        }
        count
    }

    /// An Enhanced Packet, its time, and what is behind it.
    #[inline]
    fn whole_packet<'a>(&self, octets: &'a [u8]) -> Option<(Frame<'a>, u64, &'a [u8])> {
        let (header, _) = octets.split_first_chunk::<ENHANCED_HEADER>()?;
        let [kind, length, id, high, low, captured, wire_length] = self.order.words(header);
        let (block, rest) = octets.split_at_checked(length as usize)?;
        let (body, trailer) = block.get(ENHANCED_HEADER..)?.split_last_chunk::<BLOCK_TRAILER>()?;
        let interface = self.interfaces.get(id as usize)?;
        let nanos = interface.nanos(u64::from(high) << 32 | u64::from(low));
        let [at_the_end] = self.order.words(trailer);
        let is_sound = kind == ENHANCED_PACKET
            && length.is_multiple_of(4)
            && captured <= PACKET_OCTETS_MAX
            && at_the_end == length;
        let frame = Frame {
            data: body.get(..captured as usize)?,
            wire_length: wire_length.max(captured),
            time: Timestamp::from_nanos(nanos),
            ingress_interface: interface.number,
            link_type: interface.link_type,
        };
        is_sound.then_some((frame, nanos, rest))
    }

    /// All but Enhanced Packets. Unknown ones are skipped.
    fn other_block(
        &mut self,
        kind: u32,
        length: u32,
        window: &mut Window,
        interfaces: &mut Interfaces,
    ) -> Result<Option<Head>, Damage> {
        match kind {
            SECTION_HEADER => self.begin(window)?,
            INTERFACE_DESCRIPTION => {
                let block = self.whole_block(window, length, INTERFACE_HEADER)?;
                let body = &window.octets()[BLOCK_HEADER..block - BLOCK_TRAILER];
                self.describe_interface(body, interfaces);
                window.advance(block);
            }
            SIMPLE_PACKET | PACKET => {
                let header = if kind == PACKET { ENHANCED_HEADER } else { SIMPLE_HEADER };
                let block = self.whole_block(window, length, header)?;
                let head = if kind == PACKET {
                    self.obsolete_packet(window.octets(), block)
                } else {
                    self.simple_packet(window.octets(), block)
                };
                if let Some(head) = head {
                    window.advance(header);
                    return Ok(Some(head));
                }
                self.skip_damaged(window, block);
            }
            _ => {
                check_length(length)?;
                if !window.skip(length.into())? {
                    return Err(Damage::CutShort("a block"));
                }
            }
        }
        Ok(None)
    }

    /// Makes sure that a block of that length is there, whole, and at least its fixed part long.
    fn whole_block(
        &self,
        window: &mut Window,
        length: u32,
        header: usize,
    ) -> Result<usize, Damage> {
        check_length(length)?;
        let block = length as usize;
        if block > PIECE_MAX {
            return Err(Damage::TooLong(length));
        }
        if !window.need(block)? {
            return Err(Damage::CutShort("a packet"));
        }
        let at_the_end = self.order.u32(window.octets(), block - BLOCK_TRAILER);
        if block < header + BLOCK_TRAILER || at_the_end != length {
            return Err(Damage::Contradictory(length));
        }
        Ok(block)
    }

    fn skip_damaged(&mut self, window: &mut Window, block: usize) {
        self.damaged_blocks += 1;
        window.advance(block);
    }

    /// Section Header Block: type, length, byte-order magic, version (2 + 2), section length (8).
    fn begin(&mut self, window: &mut Window) -> Result<(), Damage> {
        if !window.need(BLOCK_HEADER + 4)? {
            return Err(Damage::CutShort("a section header"));
        }
        let octets = window.octets();
        self.order = if Order::Little.u32(octets, 8) == BYTE_ORDER_MAGIC {
            Order::Little
        } else if Order::Big.u32(octets, 8) == BYTE_ORDER_MAGIC {
            Order::Big
        } else {
            return Err(Damage::NotACapture);
        };
        let length = self.order.u32(octets, 4);
        let block = self.whole_block(window, length, SECTION_BLOCK_HEADER)?;
        window.advance(block);
        self.interfaces.clear();
        Ok(())
    }

    /// Interface Description Block: link type (2), reserved (2), snap length (4), options.
    fn describe_interface(&mut self, body: &[u8], interfaces: &mut Interfaces) {
        let link_number = self.order.u16(body, 0);
        let mut name = None;
        let mut unit = Unit::Nanos(1000);
        let mut offset_seconds = 0;
        for (code, value) in (Options { order: self.order, rest: &body[8..] }) {
            match (code, value) {
                (IF_NAME, name_octets) => {
                    name = Some(String::from_utf8_lossy(name_octets).into_owned());
                }
                (IF_TSRESOL, &[resolution]) => unit = Unit::from_resolution(resolution),
                (IF_TSOFFSET, &[a, b, c, d, e, f, g, h]) => {
                    let high = self.order.u32(&[a, b, c, d, e, f, g, h], 0);
                    let low = self.order.u32(&[a, b, c, d, e, f, g, h], 4);
                    let seconds = match self.order {
                        Order::Big => u64::from(high) << 32 | u64::from(low),
                        Order::Little => u64::from(low) << 32 | u64::from(high),
                    };
                    offset_seconds = seconds.cast_signed();
                }
                _ => {}
            }
        }
        let position = u32::try_from(self.interfaces.len()).unwrap_or(u32::MAX);
        self.interfaces.push(SectionInterface {
            number: interfaces.register(position.saturating_add(1), name),
            link_type: LinkType::from_number(link_number),
            link_number,
            snap_length: self.order.u32(body, 4),
            unit,
            offset_seconds,
        });
    }

    /// Enhanced Packet Block: interface (4), time (4 + 4), captured length (4), length (4), data.
    #[inline]
    fn enhanced_packet(&mut self, octets: &[u8], block: usize) -> Option<Head> {
        let id = self.order.u32(octets, 8);
        let ticks =
            u64::from(self.order.u32(octets, 12)) << 32 | u64::from(self.order.u32(octets, 16));
        let lengths = (self.order.u32(octets, 20), self.order.u32(octets, 24));
        self.packet(id, Some(ticks), lengths, block - ENHANCED_HEADER)
    }

    /// Packet Block, obsolete: interface (2), drops (2), then as an Enhanced Packet.
    fn obsolete_packet(&mut self, octets: &[u8], block: usize) -> Option<Head> {
        let id = self.order.u16(octets, 8).into();
        let ticks =
            u64::from(self.order.u32(octets, 12)) << 32 | u64::from(self.order.u32(octets, 16));
        let lengths = (self.order.u32(octets, 20), self.order.u32(octets, 24));
        self.packet(id, Some(ticks), lengths, block - ENHANCED_HEADER)
    }

    /// Simple Packet Block: length (4), data, cut at the snap length of the first interface.
    fn simple_packet(&mut self, octets: &[u8], block: usize) -> Option<Head> {
        let length = self.order.u32(octets, 8);
        let snap_length = self.interfaces.first().map_or(0, |interface| interface.snap_length);
        let captured = if snap_length == 0 { length } else { length.min(snap_length) };
        self.packet(0, None, (captured, length), block - SIMPLE_HEADER)
    }

    /// A packet whose data begins `after` octets before the end of its block. A packet of an
    /// interface that the section does not describe has no usable time.
    #[inline]
    fn packet(
        &mut self,
        id: u32,
        ticks: Option<u64>,
        (captured, length): (u32, u32),
        after: usize,
    ) -> Option<Head> {
        let captured_octets = captured as usize;
        if captured > PACKET_OCTETS_MAX || captured_octets > after - BLOCK_TRAILER {
            return None;
        }
        let interface = self.interfaces.get(id as usize);
        match (ticks, interface) {
            (Some(ticks), Some(interface)) => self.nanos = interface.nanos(ticks),
            (None, Some(_)) => self.timeless += 1,
            (_, None) => self.undescribed += 1,
        }
        Some(Head {
            nanos: self.nanos,
            captured: captured_octets,
            after,
            wire_length: length.max(captured),
            interface: interface.map_or(0, |interface| interface.number),
            link_type: interface.map_or(LinkType::Undescribed, |interface| interface.link_type),
            link_number: interface.map_or(0, |interface| interface.link_number),
        })
    }
}

/// Octets from a block's beginning to what varies in length.
const SECTION_BLOCK_HEADER: usize = BLOCK_HEADER + 16;
const INTERFACE_HEADER: usize = BLOCK_HEADER + 8;
const SIMPLE_HEADER: usize = BLOCK_HEADER + 4;
const ENHANCED_HEADER: usize = BLOCK_HEADER + 20;

/// Blocks are whole 32-bit words, and at least their own lengths long.
fn check_length(length: u32) -> Result<(), Damage> {
    let shortest = u32::try_from(BLOCK_HEADER + BLOCK_TRAILER).unwrap_or(u32::MAX);
    if length < shortest || !length.is_multiple_of(4) {
        return Err(Damage::Contradictory(length));
    }
    Ok(())
}

impl SectionInterface {
    /// Nanoseconds since the epoch, less than the largest number: that stands for never.
    #[inline]
    fn nanos(&self, ticks: u64) -> u64 {
        let mut nanos = self.unit.nanos(ticks);
        if self.offset_seconds != 0 {
            let offset = self.offset_seconds.saturating_mul(1_000_000_000);
            nanos = nanos.saturating_add_signed(offset);
        }
        nanos.min(u64::MAX - 1)
    }
}

/// How long a tick of the clock is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    /// So many nanoseconds.
    Nanos(u64),
    /// So many ticks to a nanosecond.
    TicksPerNano(u64),
    /// 2^n ticks a second.
    PowerOfTwo(u32),
}

impl Unit {
    /// `if_tsresol`: a negative power of 10, or of 2 if the highest bit is set.
    fn from_resolution(resolution: u8) -> Self {
        let exponent = u32::from(resolution & 0x7f);
        match resolution & 0x80 {
            0 if exponent <= 9 => Self::Nanos(10_u64.pow(9 - exponent)),
            0 => Self::TicksPerNano(10_u64.saturating_pow(exponent - 9)),
            _ => Self::PowerOfTwo(exponent),
        }
    }

    /// Nanoseconds of so many ticks, floored.
    #[inline]
    fn nanos(self, ticks: u64) -> u64 {
        const NANOS: u64 = 1_000_000_000;
        match self {
            Self::Nanos(nanos) => ticks.saturating_mul(nanos),
            Self::TicksPerNano(ticks_per_nano) => ticks / ticks_per_nano,
            Self::PowerOfTwo(exponent) => {
                let nanos = (u128::from(ticks) * u128::from(NANOS)) >> exponent;
                u64::try_from(nanos).unwrap_or(u64::MAX)
            }
        }
    }
}

/// The options of a block: code (2), length (2), value, padded to 4. What does not fit ends them.
struct Options<'a> {
    order: Order,
    rest: &'a [u8],
}

impl<'a> Iterator for Options<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (header, rest) = self.rest.split_at_checked(4)?;
        let (code, length) = (self.order.u16(header, 0), self.order.u16(header, 2).into());
        let value = rest.get(..length)?;
        self.rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        (code != 0).then_some((code, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_become_nanoseconds_in_every_resolution() {
        let cases = [
            (6, 1_700_000_000_123_456, 1_700_000_000_123_456_000),
            (9, 1_700_000_000_123_456_789, 1_700_000_000_123_456_789),
            (3, 1_700_000_000_123, 1_700_000_000_123_000_000),
            (0, 1_700_000_000, 1_700_000_000_000_000_000),
            (12, 1_700_000_000_123_456, 1_700_000_000_123),
            (127, u64::MAX, 1),
            (0x80, 1_700_000_000, 1_700_000_000_000_000_000),
            (0x80 | 10, 1_700_000_000 << 10 | 512, 1_700_000_000_500_000_000),
            (0x80 | 64, u64::MAX, 999_999_999),
            (0xff, u64::MAX, 0),
            (0, u64::MAX, u64::MAX),
        ];
        for (resolution, ticks, nanos) in cases {
            let unit = Unit::from_resolution(resolution);
            assert_eq!(unit.nanos(ticks), nanos, "resolution {resolution:#x}");
        }
    }
}
