//! pcapng files: blocks, some of which have packets (draft-ietf-opsawg-pcapng).

mod interface;
mod layout;
mod options;

use flow::{Frame, LinkType, ObservationPoint, Timestamp};

use self::interface::SectionInterface;
use self::layout::{
    BLOCK_HEADER, BLOCK_TRAILER, BYTE_ORDER_MAGIC, ENHANCED_HEADER, ISB_IFDROP, ISB_OSDROP,
    SECTION_BLOCK_HEADER, SIMPLE_HEADER, STATISTICS_HEADER, field, kind,
};
use self::options::{PacketOptions, each_option};
use super::format::{Damage, Head, Order, PACKET_OCTETS_MAX, is_padding};
use super::interfaces::{INTERFACES_MAX, Interfaces};
use super::window::{PIECE_MAX, Window};

/// The first octets of a file: a Section Header Block, the same in either byte order.
pub(super) const MAGIC: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

/// The section that is being read.
#[derive(Debug)]
pub(super) struct Pcapng {
    order: Order,
    interfaces: Vec<SectionInterface>,
    /// Time of the last packet, for packets without a time.
    nanos: u64,
    /// Packet blocks that got the time of the packet before.
    pub(super) timeless: u64,
    /// Packets with a time before 1970 or after 2554.
    pub(super) clamped: u64,
    /// Packet blocks that were skipped because they contradict themselves.
    pub(super) damaged_blocks: u64,
    /// Packets that were skipped because they are too long.
    pub(super) too_long: u64,
    /// Packets of interfaces that the section does not describe.
    pub(super) undescribed: u64,
    /// Packets that the capturing program lost, by its own statistics.
    pub(super) dropped: u64,
    /// Zeros were found instead of a block: only zeros may follow.
    padding: bool,
    /// Octets of the block that is being skipped, for a message.
    skipping: u32,
}

impl Pcapng {
    /// Reads the first block, a Section Header.
    pub(super) fn open(window: &mut Window) -> Result<Self, Damage> {
        let mut section = Self {
            order: Order::Little,
            interfaces: Vec::new(),
            nanos: 0,
            timeless: 0,
            clamped: 0,
            damaged_blocks: 0,
            too_long: 0,
            undescribed: 0,
            dropped: 0,
            padding: false,
            skipping: 0,
        };
        if !window.need(BLOCK_HEADER + 4)? {
            return Err(Damage::CutShort("the section header"));
        }
        section.begin(window)?;
        Ok(section)
    }

    /// Finds the next packet. All other blocks are read or skipped.
    pub(super) fn next(
        &mut self,
        window: &mut Window,
        interfaces: &mut Interfaces,
    ) -> Result<Option<Head>, Damage> {
        loop {
            if self.padding {
                let ends = window.skip_zeros()?;
                return if ends { Ok(None) } else { Err(Damage::BehindZeros) };
            }
            if !window.need(BLOCK_HEADER)? {
                return match window.octets() {
                    _ if window.ends_in_skipped() => Err(Damage::BlockCutShort(self.skipping)),
                    rest if is_padding(rest) => Ok(None),
                    _ => Err(Damage::CutShort("a block header")),
                };
            }
            let kind = self.order.u32(window.octets(), field::KIND);
            let length = self.order.u32(window.octets(), field::LENGTH);
            if kind == kind::ENHANCED_PACKET {
                let block = self.block(window, length, ENHANCED_HEADER)?;
                match self.enhanced_packet(window.octets(), block) {
                    Ok(head) => {
                        window.advance(ENHANCED_HEADER);
                        return Ok(Some(head));
                    }
                    Err(why) => self.skip(window, block, why),
                }
            } else if let Some(head) = self.other_block(kind, length, window, interfaces)? {
                return Ok(Some(head));
            }
        }
    }

    /// Finds consecutive Enhanced Packets at the beginning of `octets`, until `found` is full:
    /// complete and valid ones, of a supported link type, and due before a time. Returns their
    /// number.
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

    /// An Enhanced Packet without problems to count, its time, and the octets after it.
    #[inline]
    fn whole_packet<'a>(&self, octets: &'a [u8]) -> Option<(Frame<'a>, u64, &'a [u8])> {
        let (header, _) = octets.split_first_chunk::<ENHANCED_HEADER>()?;
        let [kind, length, id, high, low, captured, wire_length] = self.order.words(header);
        let (block, rest) = octets.split_at_checked(length as usize)?;
        let (body, trailer) = block.get(ENHANCED_HEADER..)?.split_last_chunk::<BLOCK_TRAILER>()?;
        let interface = self.interfaces.get(id as usize)?;
        let nanos = interface.nanos(u64::from(high) << 32 | u64::from(low));
        let [at_the_end] = self.order.words(trailer);
        let options = match body.get((captured as usize).next_multiple_of(4)..) {
            Some(options) => PacketOptions::read(self.order, options),
            None => PacketOptions::NONE,
        };
        let is_sound = kind == kind::ENHANCED_PACKET
            && length.is_multiple_of(4)
            && captured <= PACKET_OCTETS_MAX
            && !interface.is_clamped(nanos)
            && at_the_end == length
            && options.dropped == 0;
        let frame = Frame {
            data: body.get(..captured as usize)?,
            wire_length: wire_length.max(captured),
            time: Timestamp::from_nanos(nanos),
            point: ObservationPoint { interface: interface.number, direction: options.direction },
            link_type: interface.link_type,
        };
        is_sound.then_some((frame, nanos, rest))
    }

    /// Reads all blocks except Enhanced Packets. Unknown ones are skipped.
    fn other_block(
        &mut self,
        kind: u32,
        length: u32,
        window: &mut Window,
        interfaces: &mut Interfaces,
    ) -> Result<Option<Head>, Damage> {
        match kind {
            kind::SECTION_HEADER => self.begin(window)?,
            kind::INTERFACE_DESCRIPTION => {
                self.block(window, length, interface::HEADER)?;
                let position = u32::try_from(self.interfaces.len()).unwrap_or(u32::MAX);
                let interface =
                    SectionInterface::read(window, self.order, length, position, interfaces)?;
                if self.interfaces.len() < INTERFACES_MAX {
                    self.interfaces.push(interface);
                }
            }
            kind::SIMPLE_PACKET | kind::PACKET => {
                let header = if kind == kind::PACKET { ENHANCED_HEADER } else { SIMPLE_HEADER };
                let block = self.block(window, length, header)?;
                let head = if kind == kind::PACKET {
                    self.obsolete_packet(window.octets(), block)
                } else {
                    self.simple_packet(window.octets(), block)
                };
                match head {
                    Ok(head) => {
                        window.advance(header);
                        return Ok(Some(head));
                    }
                    Err(why) => self.skip(window, block, why),
                }
            }
            kind::INTERFACE_STATISTICS if length as usize >= STATISTICS_HEADER + BLOCK_TRAILER => {
                check_length(length)?;
                if !window.need(STATISTICS_HEADER)? {
                    return Err(Damage::BlockCutShort(length));
                }
                self.statistics(window, length)?;
            }
            kind::PADDING if length == 0 => self.padding = true,
            _ => {
                check_length(length)?;
                self.skipping = length;
                window.skip(length.into());
            }
        }
        Ok(None)
    }

    /// Checks the length of a block and makes sure that the block is in the window. Of a block
    /// longer than the window, the part that a packet can need must be there.
    fn block(&mut self, window: &mut Window, length: u32, header: usize) -> Result<usize, Damage> {
        check_length(length)?;
        let block = length as usize;
        if !window.need(block.min(PIECE_MAX))? {
            return Err(Damage::BlockCutShort(length));
        }
        if block < header + BLOCK_TRAILER {
            return Err(Damage::Contradictory(length));
        }
        if block <= PIECE_MAX {
            let at_the_end = self.order.u32(window.octets(), block - BLOCK_TRAILER);
            if at_the_end != length {
                return Err(Damage::Contradictory(length));
            }
        }
        self.skipping = length;
        Ok(block)
    }

    /// Interface Statistics Block: interface (4), time (8), options. The counts are totals since
    /// the start of the capture.
    fn statistics(&mut self, window: &mut Window, length: u32) -> Result<(), Damage> {
        let order = self.order;
        let id = order.u32(window.octets(), field::INTERFACE);
        window.advance(STATISTICS_HEADER);
        let mut dropped = 0_u64;
        let options = length as usize - STATISTICS_HEADER - BLOCK_TRAILER;
        each_option(window, order, options, |code, value| {
            if let (ISB_IFDROP | ISB_OSDROP, Ok(count)) = (code, value.try_into()) {
                dropped = dropped.saturating_add(order.u64(count));
            }
        })?;
        window.skip(BLOCK_TRAILER as u64);
        if let Some(interface) = self.interfaces.get_mut(id as usize) {
            let more = interface.drop_in_total(dropped);
            self.dropped = self.dropped.saturating_add(more);
        }
        Ok(())
    }

    fn skip(&mut self, window: &mut Window, block: usize, why: Unusable) {
        match why {
            Unusable::Contradictory => self.damaged_blocks += 1,
            Unusable::TooLong => self.too_long += 1,
        }
        window.skip(block as u64);
    }

    /// Section Header Block: type, length, byte-order magic, version (2 + 2), section length (8).
    fn begin(&mut self, window: &mut Window) -> Result<(), Damage> {
        if !window.need(BLOCK_HEADER + 4)? {
            return Err(Damage::CutShort("a section header"));
        }
        let octets = window.octets();
        self.order = if Order::Little.u32(octets, field::BYTE_ORDER_MAGIC) == BYTE_ORDER_MAGIC {
            Order::Little
        } else if Order::Big.u32(octets, field::BYTE_ORDER_MAGIC) == BYTE_ORDER_MAGIC {
            Order::Big
        } else {
            return Err(Damage::NotACapture);
        };
        let length = self.order.u32(octets, field::LENGTH);
        let block = self.block(window, length, SECTION_BLOCK_HEADER)?;
        window.skip(block as u64);
        self.interfaces.clear();
        Ok(())
    }

    /// Enhanced Packet Block: interface (4), time (4 + 4), captured length (4), length (4), data,
    /// options.
    #[inline]
    fn enhanced_packet(&mut self, octets: &[u8], block: usize) -> Result<Head, Unusable> {
        let id = self.order.u32(octets, field::INTERFACE);
        self.timed_packet(id, octets, block)
    }

    /// Packet Block, obsolete: interface (2), drops (2), then like an Enhanced Packet.
    fn obsolete_packet(&mut self, octets: &[u8], block: usize) -> Result<Head, Unusable> {
        let id = self.order.u16(octets, field::INTERFACE).into();
        self.timed_packet(id, octets, block)
    }

    #[inline]
    fn timed_packet(&mut self, id: u32, octets: &[u8], block: usize) -> Result<Head, Unusable> {
        let word = |at| self.order.u32(octets, at);
        let ticks = u64::from(word(field::TIME_HIGH)) << 32 | u64::from(word(field::TIME_LOW));
        let lengths = (word(field::CAPTURED), word(field::WIRE_LENGTH));
        let mut head = self.packet(id, Some(ticks), lengths, block - ENHANCED_HEADER)?;
        let end = octets.len().min(block - BLOCK_TRAILER);
        if let Some(options) = octets.get(ENHANCED_HEADER + head.captured.next_multiple_of(4)..end)
        {
            let options = PacketOptions::read(self.order, options);
            head.point.direction = options.direction;
            if let Some(interface) = self.interfaces.get_mut(id as usize) {
                let more = interface.drop_before_packet(options.dropped);
                self.dropped = self.dropped.saturating_add(more);
            }
        }
        Ok(head)
    }

    /// Simple Packet Block: length (4), data, cut at the snap length of the first interface.
    fn simple_packet(&mut self, octets: &[u8], block: usize) -> Result<Head, Unusable> {
        let length = self.order.u32(octets, field::SIMPLE_WIRE_LENGTH);
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
    ) -> Result<Head, Unusable> {
        let captured_octets = captured as usize;
        if captured_octets > after - BLOCK_TRAILER {
            return Err(Unusable::Contradictory);
        }
        if captured > PACKET_OCTETS_MAX {
            return Err(Unusable::TooLong);
        }
        let interface = self.interfaces.get(id as usize);
        match (ticks, interface) {
            (Some(ticks), Some(interface)) => {
                self.nanos = interface.nanos(ticks);
                self.clamped += u64::from(interface.is_clamped(self.nanos));
            }
            (None, Some(_)) => self.timeless += 1,
            (_, None) => self.undescribed += 1,
        }
        Ok(Head {
            nanos: self.nanos,
            captured: captured_octets,
            after,
            wire_length: length.max(captured),
            point: ObservationPoint::ingress(interface.map_or(0, |interface| interface.number)),
            link_type: interface.map_or(LinkType::Undescribed, |interface| interface.link_type),
            link_number: interface.map_or(0, |interface| interface.link_number),
        })
    }
}

/// Reason why a block has no packet that can be lent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unusable {
    /// The packet claims more than the block has.
    Contradictory,
    TooLong,
}

/// Blocks are whole 32-bit words, and at least their own lengths long.
fn check_length(length: u32) -> Result<(), Damage> {
    let shortest = u32::try_from(BLOCK_HEADER + BLOCK_TRAILER).unwrap_or(u32::MAX);
    if length < shortest || !length.is_multiple_of(4) {
        return Err(Damage::Contradictory(length));
    }
    Ok(())
}
