//! Output of octets; numbers are in network byte order.

use alloc::vec::Vec;

/// Something that octets can be appended to.
pub trait PutOctets {
    /// Appends octets.
    fn put(&mut self, octets: &[u8]);

    /// Appends a number of 16 bits.
    #[inline(always)]
    fn put16(&mut self, value: u16) {
        self.put(&value.to_be_bytes());
    }

    /// Appends a number of 32 bits.
    #[inline(always)]
    fn put32(&mut self, value: u32) {
        self.put(&value.to_be_bytes());
    }
}

impl PutOctets for Vec<u8> {
    #[inline(always)]
    fn put(&mut self, octets: &[u8]) {
        self.extend_from_slice(octets);
    }
}

/// A fixed number of octets that are appended together: the compiler then knows the offset of each
/// field.
#[derive(Clone, Copy, Debug)]
pub struct FixedOctets<const LENGTH: usize> {
    octets: [u8; LENGTH],
    length: usize,
}

impl<const LENGTH: usize> FixedOctets<LENGTH> {
    /// An empty piece.
    #[inline(always)]
    pub const fn new() -> Self {
        Self { octets: [0; LENGTH], length: 0 }
    }

    /// All octets. All of them have to be put before.
    #[inline(always)]
    pub fn whole(&self) -> &[u8; LENGTH] {
        debug_assert_eq!(self.length, LENGTH, "fields have the lengths of their forms");
        &self.octets
    }
}

impl<const LENGTH: usize> Default for FixedOctets<LENGTH> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const LENGTH: usize> PutOctets for FixedOctets<LENGTH> {
    #[inline(always)]
    fn put(&mut self, octets: &[u8]) {
        self.octets[self.length..][..octets.len()].copy_from_slice(octets);
        self.length += octets.len();
    }
}

/// The number of fields, records or octets of a message.
///
/// # Panics
///
/// The number is above 65,535.
pub fn count16(count: usize) -> u16 {
    u16::try_from(count).expect("a message has fewer than 65,536 fields, records and octets")
}

/// The number, or the largest of 32 bits if it is larger.
#[inline]
pub fn saturate32(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
