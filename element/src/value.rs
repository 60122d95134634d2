//! Forms of values: the abstract data types of RFC 7012 section 3.1 that are used here.

use flow::Timestamp;

use crate::octets::{PutOctets, count16};

/// The length of an element whose values carry their own length (RFC 7011 section 7).
pub const VARIABLE_LENGTH: u16 = u16::MAX;

/// The form of an element's values.
///
/// An element may be encoded in fewer octets than its abstract data type has (reduced-size
/// encoding, RFC 7011 section 6.2). The form is the encoded one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A number of 8 bits.
    Unsigned8,
    /// A number of 16 bits.
    Unsigned16,
    /// A number of 32 bits.
    Unsigned32,
    /// A number of 64 bits.
    Unsigned64,
    /// An IPv4 address.
    Ipv4Address,
    /// An IPv6 address.
    Ipv6Address,
    /// Milliseconds since 1970, 64 bits.
    DateTimeMilliseconds,
    /// UTF-8 text.
    String,
    /// 16 octets.
    Octets16,
    /// A MAC address.
    MacAddress,
    /// Seconds since 1970, 32 bits. It is only collected, as are the forms below.
    DateTimeSeconds,
    /// Microseconds or nanoseconds, in the format of NTP.
    DateTimeNtp,
    /// A number of 64 bits in the form of IEEE 754.
    Float64,
    /// Any number of octets.
    Octets,
}

impl Form {
    /// Octets of a value, unless the row of an element gives a length.
    pub(crate) const fn length(self) -> u16 {
        match self {
            Self::Unsigned8 => 1,
            Self::Unsigned16 => 2,
            Self::Unsigned32 | Self::Ipv4Address | Self::DateTimeSeconds => 4,
            Self::MacAddress => 6,
            Self::Unsigned64 | Self::DateTimeMilliseconds | Self::DateTimeNtp | Self::Float64 => 8,
            Self::Ipv6Address | Self::Octets16 => 16,
            Self::String | Self::Octets => VARIABLE_LENGTH,
        }
    }
}

/// A value in one of the forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// A number of 8 bits.
    Unsigned8(u8),
    /// A number of 16 bits.
    Unsigned16(u16),
    /// A number of 32 bits.
    Unsigned32(u32),
    /// A number of 64 bits.
    Unsigned64(u64),
    /// An IPv4 address.
    Ipv4Address([u8; 4]),
    /// An IPv6 address.
    Ipv6Address([u8; 16]),
    /// A point in time.
    DateTimeMilliseconds(Timestamp),
    /// A MAC address.
    MacAddress([u8; 6]),
    /// Text.
    String(&'a str),
    /// Octets.
    Octets16([u8; 16]),
}

impl Value<'_> {
    /// Appends the value. Text takes `length` octets, or has its own length in front.
    #[inline(always)]
    pub(crate) fn put(self, length: u16, out: &mut impl PutOctets) {
        match self {
            Self::Unsigned8(value) => out.put(&[value]),
            Self::Unsigned16(value) => out.put(&value.to_be_bytes()),
            Self::Unsigned32(value) => out.put(&value.to_be_bytes()),
            Self::Unsigned64(value) => out.put(&value.to_be_bytes()),
            Self::Ipv4Address(octets) => out.put(&octets),
            Self::Ipv6Address(octets) | Self::Octets16(octets) => out.put(&octets),
            Self::MacAddress(octets) => out.put(&octets),
            Self::DateTimeMilliseconds(time) => out.put(&time.as_millis().to_be_bytes()),
            Self::String(text) => put_text(text, length, out),
        }
    }
}

/// Appends a text, cut at a character boundary to the length.
fn put_text(text: &str, length: u16, out: &mut impl PutOctets) {
    let cut = &text.as_bytes()[..text.floor_char_boundary(length.into())];
    if length == VARIABLE_LENGTH {
        put_length(cut.len(), out);
        out.put(cut);
    } else {
        out.put(cut);
        (cut.len()..length.into()).for_each(|_| out.put(&[0]));
    }
}

/// Appends the length of a value of variable length: in 1 octet, or in 3 from 255 on (RFC 7011
/// section 7).
fn put_length(length: usize, out: &mut impl PutOctets) {
    match u8::try_from(length) {
        Ok(short) if short < u8::MAX => out.put(&[short]),
        Ok(_) | Err(_) => {
            out.put(&[u8::MAX]);
            out.put16(count16(length));
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::vec::Vec;

    use super::*;

    fn octets(text: &str, length: u16) -> Vec<u8> {
        let mut out = Vec::new();
        Value::String(text).put(length, &mut out);
        out
    }

    #[test]
    fn text_of_variable_length_has_its_length_in_1_or_3_octets() {
        let text = |length| String::from_iter(core::iter::repeat_n('x', length));
        let cases: [(usize, &[u8]); 6] = [
            (0, &[0]),
            (1, &[1]),
            (254, &[254]),
            (255, &[255, 0, 255]),
            (256, &[255, 1, 0]),
            (70_000, &[255, 0xff, 0xff]),
        ];
        for (length, expected) in cases {
            let written = octets(&text(length), VARIABLE_LENGTH);
            assert_eq!(&written[..expected.len()], expected);
            assert_eq!(written.len() - expected.len(), length.min(65_535));
        }
    }

    #[test]
    fn text_of_fixed_length_is_cut_between_characters_or_filled_up_with_zeros() {
        assert_eq!(octets("eth0", 6), b"eth0\0\0");
        assert_eq!(octets("eth0", 4), b"eth0");
        assert_eq!(octets("eth\u{e9}", 4), b"eth\0");
        assert_eq!(octets("", 2), [0, 0]);
    }

    #[test]
    fn numbers_and_times_are_in_network_byte_order() {
        let mut out = Vec::new();
        for value in [
            Value::Unsigned8(1),
            Value::Unsigned16(0x0203),
            Value::Unsigned32(0x0405_0607),
            Value::DateTimeMilliseconds(Timestamp::from_millis(0x08_090a)),
        ] {
            value.put(0, &mut out);
        }
        assert_eq!(out, [1, 2, 3, 4, 5, 6, 7, 0, 0, 0, 0, 0, 8, 9, 10]);
    }
}
