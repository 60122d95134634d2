//! An interface of a section: its description and its clock.

use flow::LinkType;

use super::BLOCK_TRAILER;
use super::options::each_option;
use crate::capture::file::format::{Damage, Order};
use crate::capture::file::interfaces::Interfaces;
use crate::capture::file::window::Window;

/// Octets of an Interface Description Block before its options.
pub(super) const HEADER: usize = 16;

/// Offsets of fields in the block.
mod field {
    pub(super) const LINK_TYPE: usize = 8;
    pub(super) const SNAP_LENGTH: usize = 12;
}

/// Codes of options.
mod option {
    pub(super) const IF_NAME: u16 = 2;
    pub(super) const IF_TSRESOL: u16 = 9;
    pub(super) const IF_TSOFFSET: u16 = 14;
}

/// An interface of the section.
#[derive(Clone, Copy, Debug)]
pub(super) struct SectionInterface {
    /// Number among the interfaces of all capture files.
    pub(super) number: u32,
    pub(super) link_type: LinkType,
    /// The link type as a number in the file.
    pub(super) link_number: u16,
    pub(super) snap_length: u32,
    unit: Unit,
    offset_seconds: i64,
    /// Packets that the capturing program lost, by its own last count, or by the sum of the counts
    /// of packets if that is larger.
    dropped: u64,
    /// The sum of the counts of packets.
    dropped_before_packets: u64,
}

impl SectionInterface {
    /// Reads an Interface Description Block. At least its fixed part must be in the window.
    pub(super) fn read(
        window: &mut Window,
        order: Order,
        length: u32,
        position: u32,
        interfaces: &mut Interfaces,
    ) -> Result<Self, Damage> {
        let link_number = order.u16(window.octets(), field::LINK_TYPE);
        let snap_length = order.u32(window.octets(), field::SNAP_LENGTH);
        window.advance(HEADER);
        let mut name = None;
        let mut unit = Unit::Nanos(1000);
        let mut offset_seconds = 0;
        let options = length as usize - HEADER - BLOCK_TRAILER;
        each_option(window, order, options, |code, value| match code {
            option::IF_NAME => name = Some(String::from_utf8_lossy(value).into_owned()),
            option::IF_TSRESOL => {
                if let &[resolution] = value {
                    unit = Unit::from_resolution(resolution);
                }
            }
            option::IF_TSOFFSET => {
                if let Ok(seconds) = value.try_into() {
                    offset_seconds = order.u64(seconds).cast_signed();
                }
            }
            _ => {}
        })?;
        if !window.wait(BLOCK_TRAILER)? {
            return Err(Damage::BlockCutShort(length));
        }
        if order.u32(window.octets(), 0) != length {
            return Err(Damage::Contradictory(length));
        }
        window.advance(BLOCK_TRAILER);
        Ok(Self {
            number: interfaces.register(position, name, link_number),
            link_type: LinkType::from_number(link_number),
            link_number,
            snap_length,
            unit,
            offset_seconds,
            dropped: 0,
            dropped_before_packets: 0,
        })
    }

    /// Counts packets that were lost since the start of the capture. Returns how many of them were
    /// not counted yet.
    pub(super) fn drop_in_total(&mut self, total: u64) -> u64 {
        let more = total.saturating_sub(self.dropped);
        self.dropped += more;
        more
    }

    /// Counts packets that were lost just before a packet. Returns how many of them were not
    /// counted yet: statistics have the same losses.
    pub(super) fn drop_before_packet(&mut self, count: u64) -> u64 {
        self.dropped_before_packets = self.dropped_before_packets.saturating_add(count);
        self.drop_in_total(self.dropped_before_packets)
    }

    /// Nanoseconds since the epoch. They are before "never", the largest number. A time that is out
    /// of range becomes the nearest one in range.
    #[inline]
    pub(super) fn nanos(&self, ticks: u64) -> u64 {
        let mut nanos = self.unit.nanos(ticks);
        if self.offset_seconds != 0 {
            let offset = self.offset_seconds.saturating_mul(1_000_000_000);
            nanos = nanos.saturating_add_signed(offset);
        }
        nanos.min(LATEST)
    }

    /// Whether this time of a packet differs from the time in the file, which is before 1970 or
    /// after 2554.
    #[inline]
    pub(super) fn is_clamped(&self, nanos: u64) -> bool {
        nanos == LATEST || nanos == 0 && self.offset_seconds < 0
    }
}

/// The latest time of a packet, in 2554. The end of its second is later, but earlier than "never".
const LATEST: u64 = u64::MAX - 2;

/// Length of a tick of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    /// Nanoseconds per tick.
    Nanos(u64),
    /// Ticks per nanosecond.
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

    /// Nanoseconds of a number of ticks, rounded down.
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
