//! Common parts of the formats of capture files: byte order, a packet that was found, damage.

use std::io;

use exporter::sentence;
use flow::{Frame, LinkType, ObservationPoint, Timestamp};

/// The longest packet that is accepted: the limit of libpcap.
pub(super) const PACKET_OCTETS_MAX: u32 = 256 * 1024;

/// The longest packet of a classic pcap file that is skipped. A longer one is damage: the start of
/// the next packet is not known.
pub(super) const SKIPPED_OCTETS_MAX: u32 = 128 * 1024 * 1024;

/// Reason why a file, or the rest of it, cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Damage {
    #[error(
        "not a capture file (pcap or pcapng; plain, or compressed by gzip, zstd, xz, bzip2 or LZ4)"
    )]
    NotACapture,
    #[error("an empty file")]
    Empty,
    #[error("cut short in {0}")]
    CutShort(&'static str),
    #[error("cut short in a block of {0} octets")]
    BlockCutShort(u32),
    #[error("something follows zeros that are not part of a packet")]
    BehindZeros,
    #[error("a packet claims {0} octets, which is impossible: the file is damaged there")]
    TooLong(u32),
    #[error("a block of {0} octets contradicts itself")]
    Contradictory(u32),
    #[error("{}", sentence(.0))]
    Unreadable(#[from] io::Error),
}

impl Damage {
    /// An empty pipe is no damage.
    pub(super) fn is_silence(&self) -> bool {
        matches!(self, Self::Unreadable(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}

/// Whether the rest after the last packet or block, less than a header, is padding: nothing, or
/// only zeros. No block begins with zeros: its first word is its type.
pub(super) fn is_padding(rest: &[u8]) -> bool {
    rest.is_empty() || rest.len() >= 4 && rest.iter().all(|octet| *octet == 0)
}

/// Byte order of a file or section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

impl Order {
    /// The 32-bit number at an offset that must exist.
    #[inline]
    pub(super) fn u32(self, octets: &[u8], at: usize) -> u32 {
        let number = *octets[at..].first_chunk().expect("the caller made sure of it");
        match self {
            Self::Little => u32::from_le_bytes(number),
            Self::Big => u32::from_be_bytes(number),
        }
    }

    pub(super) fn u64(self, octets: [u8; 8]) -> u64 {
        match self {
            Self::Little => u64::from_le_bytes(octets),
            Self::Big => u64::from_be_bytes(octets),
        }
    }

    /// Adjacent 32-bit numbers.
    #[inline]
    pub(super) fn words<const OCTETS: usize, const WORDS: usize>(
        self,
        octets: &[u8; OCTETS],
    ) -> [u32; WORDS] {
        const { assert!(OCTETS == 4 * WORDS) };
        let (words, _) = octets.as_chunks();
        std::array::from_fn(|index| match self {
            Self::Little => u32::from_le_bytes(words[index]),
            Self::Big => u32::from_be_bytes(words[index]),
        })
    }

    /// The 16-bit number at an offset that must exist.
    #[inline]
    pub(super) fn u16(self, octets: &[u8], at: usize) -> u16 {
        let number = *octets[at..].first_chunk().expect("the caller made sure of it");
        match self {
            Self::Little => u16::from_le_bytes(number),
            Self::Big => u16::from_be_bytes(number),
        }
    }
}

/// A packet that was found. Its data is at the beginning of the window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    /// Nanoseconds since the epoch.
    pub(super) nanos: u64,
    /// Octets of data.
    pub(super) captured: usize,
    /// Octets from the beginning of the data to the next packet or block.
    pub(super) after: usize,
    pub(super) wire_length: u32,
    /// Interface and direction.
    pub(super) point: ObservationPoint,
    pub(super) link_type: LinkType,
    /// The link type as a number in the file, for messages.
    pub(super) link_number: u16,
}

impl Head {
    /// The packet, and the distance from the start of its data to the next packet or block.
    #[inline]
    pub(super) fn frame<'a>(&self, octets: &'a [u8]) -> (Frame<'a>, usize) {
        let frame = Frame {
            data: &octets[..self.captured],
            wire_length: self.wire_length,
            time: Timestamp::from_nanos(self.nanos),
            point: self.point,
            link_type: self.link_type,
        };
        (frame, self.after)
    }
}
