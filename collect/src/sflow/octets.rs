//! Octets of XDR (RFC 4506): each read checks the length first.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::message::Malformed;

/// Octets that are not read yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Octets<'a>(pub(super) &'a [u8]);

impl<'a> Octets<'a> {
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (first, rest) = self.0.split_first_chunk::<N>().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*first)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_be_bytes)
    }

    /// Reads `N` numbers.
    pub(super) fn numbers<const N: usize>(&mut self) -> Result<[u32; N], Malformed> {
        let mut numbers = [0; N];
        for number in &mut numbers {
            *number = self.u32()?;
        }
        Ok(numbers)
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (first, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(first)
    }

    /// Reads octets behind their number. Padding up to a multiple of 4 follows them; it may be
    /// missing at the end.
    pub(super) fn opaque(&mut self) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(self.u32()?).map_err(|_large| Malformed)?;
        let content = self.take(length)?;
        let padding = length.wrapping_neg() % 4;
        self.0 = self.0.get(padding..).unwrap_or_default();
        Ok(content)
    }

    /// Reads an address behind its kind. `None`: it is not known.
    pub(super) fn address(&mut self) -> Result<Option<IpAddr>, Malformed> {
        let address = match self.u32()? {
            0 => return Ok(None),
            1 => Ipv4Addr::from_octets(self.array()?).into(),
            2 => Ipv6Addr::from_octets(self.array()?).into(),
            _ => return Err(Malformed),
        };
        Ok(Some(address).filter(|it: &IpAddr| !it.is_unspecified()))
    }
}
