//! Tags: one-word hints about a flow.

use core::ops::{BitAnd, BitOr, BitOrAssign};

/// A hint about a flow. Ordinary flows have tags too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Tag {
    /// TCP with only SYN.
    SynOnly,
    /// Three SYNs of 48 octets to port 80.
    CodeRed,
    /// 2 to 7 SYNs of the same size.
    DeadHostRetry,
    /// To TCP port 445.
    Worm445,
    /// To UDP port 1434.
    Worm1434,
    /// To UDP port 1434, one packet of 404 octets.
    Slammer,
    /// To TCP port 25, not from a mail server of the site.
    Mail25,
    /// To TCP port 4662 or UDP port 4672.
    Edonkey,
    /// From an address that cannot be a source there.
    BogonSource,
    /// From an address that does not belong to the interface's side.
    SpoofedSource,
    /// ICMP echo request.
    IcmpEcho,
    /// ICMP network or host unreachable, for IPv6 no route or address unreachable.
    IcmpUnreachable,
    /// ICMP port unreachable.
    PortUnreachable,
    /// From an address to itself.
    Land,
    /// TCP, with FIN, PSH and URG only.
    Xmas,
    /// TCP without control bits.
    Null,
    /// TCP with SYN and FIN.
    SynFin,
    /// One TCP packet with FIN only.
    FinOnly,
    /// Large answers of a UDP service that can amplify.
    Amplified,
}

impl Tag {
    /// All tags, in the order of output.
    pub const ALL: [Self; 19] = [
        Self::SynOnly,
        Self::CodeRed,
        Self::DeadHostRetry,
        Self::Worm445,
        Self::Worm1434,
        Self::Slammer,
        Self::Mail25,
        Self::Edonkey,
        Self::BogonSource,
        Self::SpoofedSource,
        Self::IcmpEcho,
        Self::IcmpUnreachable,
        Self::PortUnreachable,
        Self::Land,
        Self::Xmas,
        Self::Null,
        Self::SynFin,
        Self::FinOnly,
        Self::Amplified,
    ];

    /// Its name in documents and totals.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SynOnly => "syn-only",
            Self::CodeRed => "code-red",
            Self::DeadHostRetry => "dead-host-retry",
            Self::Worm445 => "worm-445",
            Self::Worm1434 => "worm-1434",
            Self::Slammer => "slammer",
            Self::Mail25 => "mail-25",
            Self::Edonkey => "edonkey",
            Self::BogonSource => "bogon-source",
            Self::SpoofedSource => "spoofed-source",
            Self::IcmpEcho => "icmp-echo",
            Self::IcmpUnreachable => "icmp-unreachable",
            Self::PortUnreachable => "port-unreachable",
            Self::Land => "land",
            Self::Xmas => "xmas",
            Self::Null => "null",
            Self::SynFin => "syn-fin",
            Self::FinOnly => "fin-only",
            Self::Amplified => "amplified",
        }
    }
}

/// A set of tags. It has three octets, so that a record has no padding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tags([u8; 3]);

const _: () = assert!(Tag::ALL.len() <= 8 * size_of::<Tags>());

impl Tags {
    /// No tag.
    pub const NONE: Self = Self([0; 3]);

    /// All tags.
    pub const ALL: Self = Self::of_bits((1 << Tag::ALL.len()) - 1);

    /// The set of this tag, if the condition holds.
    #[inline]
    #[must_use]
    pub const fn when(condition: bool, tag: Tag) -> Self {
        Self::of_bits((condition as u32) << tag as u8)
    }

    /// True if the set is empty.
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.bits() == 0
    }

    /// True if a tag is in the set.
    #[inline]
    pub const fn contains(self, tag: Tag) -> bool {
        self.bits() & 1 << tag as u8 != 0
    }

    /// The tags, in the order of [`Tag::ALL`].
    #[inline]
    pub fn iter(self) -> impl Iterator<Item = Tag> {
        let mut bits = self.bits();
        core::iter::from_fn(move || {
            let tag = *Tag::ALL.get(bits.trailing_zeros() as usize)?;
            bits &= bits - 1;
            Some(tag)
        })
    }

    #[inline]
    const fn of_bits(bits: u32) -> Self {
        let [a, b, c, _] = bits.to_le_bytes();
        Self([a, b, c])
    }

    #[inline]
    const fn bits(self) -> u32 {
        let [a, b, c] = self.0;
        u32::from_le_bytes([a, b, c, 0])
    }
}

impl From<Tag> for Tags {
    #[inline]
    fn from(tag: Tag) -> Self {
        Self::when(true, tag)
    }
}

impl FromIterator<Tag> for Tags {
    fn from_iter<I: IntoIterator<Item = Tag>>(tags: I) -> Self {
        tags.into_iter().fold(Self::NONE, |all, tag| all | tag.into())
    }
}

impl BitOr for Tags {
    type Output = Self;

    #[inline]
    fn bitor(self, other: Self) -> Self {
        Self::of_bits(self.bits() | other.bits())
    }
}

impl BitOrAssign for Tags {
    #[inline]
    fn bitor_assign(&mut self, other: Self) {
        *self = *self | other;
    }
}

impl BitAnd for Tags {
    type Output = Self;

    #[inline]
    fn bitand(self, other: Self) -> Self {
        Self::of_bits(self.bits() & other.bits())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_the_tags_that_were_put_in() {
        for (number, tag) in Tag::ALL.into_iter().enumerate() {
            assert_eq!(tag as usize, number, "{tag:?} is at the place of its number");
            let set = Tags::from(tag);
            assert_eq!(set.iter().collect::<alloc::vec::Vec<_>>(), [tag]);
            assert!(Tags::ALL.contains(tag) && !Tags::NONE.contains(tag));
            assert_eq!(Tags::when(false, tag), Tags::NONE);
        }
        let set: Tags = [Tag::Amplified, Tag::SynOnly, Tag::SynOnly].into_iter().collect();
        let names: alloc::vec::Vec<_> = set.iter().map(Tag::name).collect();
        assert_eq!(names, ["syn-only", "amplified"]);
        assert_eq!(set & Tag::SynOnly.into(), Tag::SynOnly.into());
        assert_eq!(Tags::ALL.iter().count(), Tag::ALL.len());
        assert!(Tags::NONE.is_empty() && !set.is_empty());
    }
}
