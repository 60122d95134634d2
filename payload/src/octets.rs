//! Reads numbers and vectors from octets, in network order.

use crate::flaw::Flaw;

/// Octets that are not read yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Octets<'a>(pub(crate) &'a [u8]);

impl<'a> Octets<'a> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next `count` octets.
    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], Flaw> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Flaw::Incomplete)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Flaw> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Flaw::Incomplete)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Flaw> {
        self.array().map(|[octet]| octet)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Flaw> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u24(&mut self) -> Result<u32, Flaw> {
        self.array().map(|[high, middle, low]| u32::from_be_bytes([0, high, middle, low]))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Flaw> {
        self.array().map(u32::from_be_bytes)
    }

    /// A vector behind its length in one octet.
    pub(crate) fn vector8(&mut self) -> Result<Self, Flaw> {
        let length = self.u8()?;
        self.take(length.into()).map(Self)
    }

    /// A vector behind its length in two octets.
    pub(crate) fn vector16(&mut self) -> Result<Self, Flaw> {
        let length = self.u16()?;
        self.take(length.into()).map(Self)
    }

    /// An integer of variable length (RFC 9000 section 16).
    pub(crate) fn varint(&mut self) -> Result<u64, Flaw> {
        let first = self.u8()?;
        let mut value = u64::from(first & 0x3f);
        for _ in 1..1 << (first >> 6) {
            value = value << 8 | u64::from(self.u8()?);
        }
        Ok(value)
    }

    /// The numbers of two octets of a list. A last single octet is left out.
    pub(crate) fn numbers(self) -> impl Iterator<Item = u16> + Clone + 'a {
        self.0.as_chunks().0.iter().map(|pair| u16::from_be_bytes(*pair))
    }
}
