//! Wireless LAN: unencrypted data frames of IEEE 802.11, and the radiotap header before them.

use super::{Ignored, Layer, Step, skip, take};

/// Reads a frame from Frame Control on (IEEE 802.11 clause 9.2.3):
///
/// ```text
/// | Frame Control | Duration | Address 1 | Address 2 | Address 3 | Sequence Control |
/// | Address 4, from a distribution system to another | QoS Control | HT Control |
/// ```
pub(super) fn step(data: &[u8], padded: bool) -> Step<'_> {
    let (&[kind, flags], _) = take::<2>(data)?;
    let is_data = kind & (field::VERSION_AND_TYPE | field::NO_DATA) == field::DATA;
    if !is_data || flags & field::PROTECTED != 0 {
        return Err(Ignored::NotIp.into());
    }
    let mut length = field::OCTETS_MIN;
    if flags & field::FOUR_ADDRESSES == field::FOUR_ADDRESSES {
        length += 6;
    }
    let mut is_aggregate = false;
    if kind & field::QOS != 0 {
        is_aggregate = *data.get(length).ok_or(Ignored::CutShort)? & field::AGGREGATE != 0;
        length += if flags & field::HT_CONTROL == 0 { 2 } else { 6 };
    }
    let sequence = data.get(field::SEQUENCE).ok_or(Ignored::CutShort)?;
    if sequence & field::FRAGMENT_NUMBER != 0 {
        // Not the first fragment of a frame.
        return Err(Ignored::NotIp.into());
    }
    if padded {
        length = length.next_multiple_of(4);
    }
    // For an aggregate (A-MSDU) the first part is read: addresses and length precede it.
    Ok((Layer::Llc, skip(data, if is_aggregate { length + 14 } else { length })?))
}

mod field {
    pub(super) const VERSION_AND_TYPE: u8 = 0x0f;
    pub(super) const DATA: u8 = 0x08;
    pub(super) const NO_DATA: u8 = 0x40;
    pub(super) const QOS: u8 = 0x80;
    pub(super) const FOUR_ADDRESSES: u8 = 0x03;
    pub(super) const PROTECTED: u8 = 0x40;
    pub(super) const HT_CONTROL: u8 = 0x80;
    pub(super) const SEQUENCE: usize = 22;
    pub(super) const FRAGMENT_NUMBER: u8 = 0x0f;
    pub(super) const OCTETS_MIN: usize = 24;
    /// Bit of QoS Control: the frame is an A-MSDU.
    pub(super) const AGGREGATE: u8 = 0x80;
}

/// Radiotap (radiotap.org): version 0, padding, length (16 bits), a bitmap of present fields (words
/// of 32 bits; the highest bit means that another word follows), the fields. All are little-endian.
/// Only the flags field is read. It follows the timestamp, if that is present.
pub(super) fn radiotap(data: &[u8]) -> Step<'_> {
    const TIMESTAMP: u32 = 1 << 0;
    const FLAGS: u32 = 1 << 1;
    const ANOTHER_WORD: u32 = 1 << 31;
    const WORDS_MAX: usize = 16;
    const HEADER_IS_PADDED: u8 = 0x20;
    let (&[version, _, low, high], mut rest) = take::<4>(data)?;
    let length = usize::from(u16::from_le_bytes([low, high]));
    let (present, mut word) = match take::<4>(rest) {
        _ if version != 0 => return Err(Ignored::NotIp.into()),
        Ok((word, _)) => (u32::from_le_bytes(*word), ANOTHER_WORD),
        Err(cut) => return Err(cut.into()),
    };
    for _ in 0..WORDS_MAX {
        if word & ANOTHER_WORD != 0 {
            (word, rest) = take(rest).map(|(word, rest)| (u32::from_le_bytes(*word), rest))?;
        }
    }
    let mut flags_at = data.len() - rest.len();
    if present & TIMESTAMP != 0 {
        flags_at = flags_at.next_multiple_of(8) + 8;
    }
    let has_flags = present & FLAGS != 0 && flags_at < length;
    let flags = if has_flags { *data.get(flags_at).ok_or(Ignored::CutShort)? } else { 0 };
    Ok((Layer::Wireless { padded: flags & HEADER_IS_PADDED != 0 }, skip(data, length)?))
}
