//! Fingerprints of TLS clients: JA3, and JA4 of FoxIO (the part under BSD-3-Clause).

use core::fmt;

use md5::{Digest, Md5};
use ring::digest::{Context, SHA256};

use super::handshake::Carrier;
use super::hello::{Parts, extension, is_grease};
use crate::text::{Text, hex_digit};

/// JA3: the MD5 of version, ciphers, extensions, groups and point formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ja3(pub [u8; 16]);

/// JA4, as text: `t13d1516h2_8daaf6152771_e5627efa2ab1`.
pub type Ja4 = Text<36>;

/// Values of a list that are sorted.
const VALUES_MAX: usize = 1024;

impl fmt::Display for Ja3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl Ja3 {
    pub(super) fn of(parts: &Parts<'_>) -> Self {
        let mut hash = Md5::new();
        update_decimal(&mut hash, parts.legacy_version);
        let lists = [parts.ciphers, parts.groups];
        let [ciphers, groups] = lists.map(|list| list.numbers());
        update_list(&mut hash, ciphers);
        update_list(&mut hash, extension_kinds(parts));
        update_list(&mut hash, groups);
        update_list(&mut hash, parts.point_formats.0.iter().map(|format| u16::from(*format)));
        Self(hash.finalize().into())
    }
}

/// Adds a comma and the values, without those that say nothing.
fn update_list(hash: &mut Md5, values: impl Iterator<Item = u16>) {
    hash.update(b",");
    for (index, value) in values.filter(|value| !is_grease(*value)).enumerate() {
        if index > 0 {
            hash.update(b"-");
        }
        update_decimal(hash, value);
    }
}

fn update_decimal(hash: &mut Md5, value: u16) {
    let mut digits = [0; 5];
    let (mut rest, mut start) = (value, digits.len());
    for digit in digits.iter_mut().rev() {
        let [_, low] = (rest % 10).to_be_bytes();
        *digit = b'0' + low;
        rest /= 10;
        start -= 1;
        if rest == 0 {
            break;
        }
    }
    hash.update(digits.get(start..).unwrap_or_default());
}

/// Types of all extensions, in their order. The list was read as a whole before.
fn extension_kinds<'a>(parts: &Parts<'a>) -> impl Iterator<Item = u16> + use<'a> {
    let mut rest = parts.extensions;
    core::iter::from_fn(move || {
        let kind = rest.u16().ok()?;
        rest.vector16().ok()?;
        Some(kind)
    })
}

impl Ja4 {
    /// JA4 of a hello whose extension of versions has this highest one.
    pub(super) fn of(parts: &Parts<'_>, version: Option<u16>) -> Option<Self> {
        let mut ciphers = Values::new();
        let known = parts.ciphers.numbers().filter(|value| !is_grease(*value));
        known.into_iter().try_for_each(|value| ciphers.push(value))?;
        let mut extensions = Values::new();
        let mut count = 0_usize;
        for kind in extension_kinds(parts).filter(|value| !is_grease(*value)) {
            count += 1;
            if kind != extension::SERVER_NAME && kind != extension::PROTOCOLS {
                extensions.push(kind)?;
            }
        }
        let mut text = Self::new();
        text.push(match parts.carrier {
            Carrier::Tcp => b"t",
            Carrier::Quic => b"q",
        })?;
        text.push(version_name(version.unwrap_or(parts.legacy_version)))?;
        text.push(if parts.has_server_name { b"d" } else { b"i" })?;
        text.push(&two_digits(ciphers.count))?;
        text.push(&two_digits(count))?;
        text.push(&ends(parts.protocol))?;
        text.push(b"_")?;
        push_hash(&mut text, ciphers.sorted(), core::iter::empty())?;
        text.push(b"_")?;
        let signatures = parts.signatures.numbers().filter(|value| !is_grease(*value));
        push_hash(&mut text, extensions.sorted(), signatures)?;
        Some(text)
    }
}

/// A list of bounded length, to be sorted.
struct Values {
    values: [u16; VALUES_MAX],
    count: usize,
}

impl Values {
    fn new() -> Self {
        Self { values: [0; VALUES_MAX], count: 0 }
    }

    fn push(&mut self, value: u16) -> Option<()> {
        *self.values.get_mut(self.count)? = value;
        self.count += 1;
        Some(())
    }

    fn sorted(&mut self) -> &[u16] {
        let values = self.values.get_mut(..self.count).unwrap_or_default();
        values.sort_unstable();
        values
    }
}

fn version_name(version: u16) -> &'static [u8; 2] {
    match version {
        0x0304 => b"13",
        0x0303 => b"12",
        0x0302 => b"11",
        0x0301 => b"10",
        0x0300 => b"s3",
        0x0002 => b"s2",
        _ => b"00",
    }
}

/// A count in two digits, 99 at most.
fn two_digits(count: usize) -> [u8; 2] {
    let count = u8::try_from(count).unwrap_or(u8::MAX).min(99);
    [b'0' + count / 10, b'0' + count % 10]
}

/// First and last character of a protocol, or of its hexadecimal form. `99` if the first octet is
/// not ASCII: so prints the reference implementation, which other tools are compared with.
fn ends(protocol: &[u8]) -> [u8; 2] {
    let (Some(first), Some(last)) = (protocol.first(), protocol.last()) else { return *b"00" };
    if !first.is_ascii() {
        *b"99"
    } else if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        [*first, *last]
    } else {
        [hex_digit(first >> 4), hex_digit(*last)]
    }
}

/// Adds 12 digits of the SHA-256 of the values, and of those behind `_` if there are any.
fn push_hash(text: &mut Ja4, values: &[u16], more: impl Iterator<Item = u16>) -> Option<()> {
    if values.is_empty() {
        return text.push(b"000000000000");
    }
    let mut hash = Context::new(&SHA256);
    let mut add = |separator: &[u8], value: u16| {
        let [high, low] = value.to_be_bytes();
        hash.update(separator);
        hash.update(&[high >> 4, high, low >> 4, low].map(hex_digit));
    };
    for (index, value) in values.iter().enumerate() {
        add(if index == 0 { b"" } else { b"," }, *value);
    }
    for (index, value) in more.enumerate() {
        add(if index == 0 { b"_" } else { b"," }, value);
    }
    let digest = hash.finish();
    let octets = digest.as_ref().get(..6)?;
    octets.iter().try_for_each(|octet| text.push(&[octet >> 4, *octet].map(hex_digit)))
}
