//! Values of Data Records as they were received. They may be shorter than their element's form
//! (reduced-size encoding, RFC 7011 section 6.2), or longer.

use alloc::boxed::Box;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use flow::Timestamp;

/// The octets of a value.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a>(pub &'a [u8]);

/// Most octets of a name.
const NAME_OCTETS: usize = 255;

/// Seconds from 1900 (NTP) to 1970.
const NTP_TO_UNIX: u64 = 2_208_988_800;

impl<'a> Received<'a> {
    /// The number. It is 0 if it is longer than 64 bits.
    #[inline]
    pub fn number(self) -> u64 {
        match *self.0 {
            [a] => a.into(),
            [a, b] => u16::from_be_bytes([a, b]).into(),
            [a, b, c, d] => u32::from_be_bytes([a, b, c, d]).into(),
            [a, b, c, d, e, f, g, h] => u64::from_be_bytes([a, b, c, d, e, f, g, h]),
            ref octets if octets.len() < 8 => {
                octets.iter().fold(0, |number, octet| number << 8 | u64::from(*octet))
            }
            _ => 0,
        }
    }

    /// The number, or the largest of 32 bits if it is larger.
    #[inline]
    pub(crate) fn number32(self) -> u32 {
        u32::try_from(self.number()).unwrap_or(u32::MAX)
    }

    /// The low 16 bits of the number.
    #[inline]
    pub(crate) fn low16(self) -> u16 {
        let [.., high, low] = self.number().to_be_bytes();
        u16::from_be_bytes([high, low])
    }

    /// The low 8 bits of the number.
    #[inline]
    pub(crate) fn low8(self) -> u8 {
        let [.., low] = self.number().to_be_bytes();
        low
    }

    /// A number in the form of IEEE 754, of 64 or 32 bits. `None` if it is not finite.
    pub fn float(self) -> Option<f64> {
        let number = if let Ok(octets) = <[u8; 4]>::try_from(self.0) {
            f32::from_be_bytes(octets).into()
        } else {
            f64::from_be_bytes(self.0.try_into().ok()?)
        };
        number.is_finite().then_some(number)
    }

    /// N of a probability of one to N, rounded. 0 if the number is no probability, or 0.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a number from 1 to 2^32 with a half added; larger ones become the largest"
    )]
    pub(crate) fn one_of(self) -> u32 {
        let is_probability = |number: &f64| *number > 0.0 && *number <= 1.0;
        self.float().filter(is_probability).map_or(0, |number| (1.0 / number + 0.5) as u32)
    }

    /// The octets of an IPv4 address, in the form of flow keys.
    #[inline]
    pub(crate) fn ipv4(self) -> Option<[u8; 16]> {
        let [a, b, c, d] = *self.0.first_chunk::<4>().filter(|_| self.0.len() == 4)?;
        Some([a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    }

    /// The octets of an IPv6 address.
    #[inline]
    pub(crate) fn ipv6(self) -> Option<[u8; 16]> {
        self.0.try_into().ok()
    }

    /// An address of either version, by its length. `None` also for the unspecified address.
    #[inline]
    pub fn address(self) -> Option<IpAddr> {
        let address = if let Ok(octets) = <[u8; 4]>::try_from(self.0) {
            Ipv4Addr::from(octets).into()
        } else {
            IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(self.0).ok()?))
        };
        (!address.is_unspecified()).then_some(address)
    }

    /// A MAC address. `None` also for one of zeros.
    #[inline]
    pub fn mac(self) -> Option<[u8; 6]> {
        self.0.try_into().ok().filter(|octets| *octets != [0; 6])
    }

    /// Text, up to the first zero octet.
    pub(crate) fn text(self) -> Option<&'a str> {
        let end = self.0.iter().position(|octet| *octet == 0).unwrap_or(self.0.len());
        core::str::from_utf8(&self.0[..end]).ok()
    }

    /// A name: text of at most 255 octets. `None` if it is empty, or no text.
    pub fn name(self) -> Option<Box<str>> {
        let text = self.text()?.trim();
        let cut = &text[..text.floor_char_boundary(NAME_OCTETS)];
        (!cut.is_empty()).then(|| cut.into())
    }

    /// A time in seconds since 1970.
    #[inline]
    pub fn seconds(self) -> Timestamp {
        Timestamp::from_millis(self.number().saturating_mul(1000))
    }

    /// A time in milliseconds since 1970.
    #[inline]
    pub fn milliseconds(self) -> Timestamp {
        Timestamp::from_millis(self.number())
    }

    /// A time in the format of NTP: seconds since 1900, and their fraction in 32 bits each. Without
    /// its lowest 11 bits the fraction is that of a time in microseconds (RFC 7011 section 6.1.9).
    #[inline]
    pub fn ntp(self) -> Timestamp {
        let (seconds, fraction) = (self.number() >> 32, self.number() & u64::from(u32::MAX));
        let millis = seconds.saturating_sub(NTP_TO_UNIX) * 1000;
        Timestamp::from_millis(millis + ((fraction * 1000) >> 32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_any_length_up_to_8_octets() {
        let octets = [1, 2, 3, 4, 5, 6, 7, 8, 9];
        let mut expected = 0;
        for length in 0..=8 {
            assert_eq!(Received(&octets[..length]).number(), expected, "{length}");
            expected = expected << 8 | u64::from(octets[length]);
        }
        assert_eq!(Received(&octets).number(), 0);
        assert_eq!(Received(&octets[..5]).number32(), u32::MAX);
        assert_eq!((Received(&octets[..5]).low16(), Received(&octets[..5]).low8()), (0x0405, 5));
    }

    #[test]
    fn probabilities_are_one_of_so_many() {
        let of = |number: f64| Received(&number.to_be_bytes()).one_of();
        assert_eq!([of(1.0), of(0.5), of(0.3), of(0.001)], [1, 2, 3, 1000]);
        assert_eq!(of(1e-300), u32::MAX);
        assert_eq!([of(0.0), of(-0.5), of(1.5), of(f64::NAN), of(f64::INFINITY)], [0; 5]);
        assert_eq!(Received(&0.25_f32.to_be_bytes()).one_of(), 4);
        assert_eq!(Received(&[0x3f; 7]).float(), None);
    }

    #[test]
    fn addresses_have_exactly_their_length() {
        let octets = [192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        for length in 0..octets.len() {
            let value = Received(&octets[..length]);
            assert_eq!(value.ipv4().is_some(), length == 4);
            assert_eq!(value.ipv6().is_some(), length == 16);
            assert_eq!(value.address().is_some(), length == 4 || length == 16);
            assert_eq!(value.mac().is_some(), length == 6);
        }
        assert_eq!(Received(&[0; 4]).address(), None);
        assert_eq!(Received(&octets[..4]).address(), Some(Ipv4Addr::new(192, 0, 2, 1).into()));
    }

    #[test]
    fn times_are_in_milliseconds_since_1970() {
        let ntp = [0x83, 0xaa, 0x7e, 0x81, 0x80, 0, 0, 0];
        assert_eq!(Received(&ntp).ntp(), Timestamp::from_millis(1500));
        assert_eq!(Received(&[0; 8]).ntp(), Timestamp::default());
        assert_eq!(
            Received(&[0xff; 8]).ntp().as_millis(),
            (0xffff_ffff - NTP_TO_UNIX) * 1000 + 999
        );
        assert_eq!(Received(&[2]).seconds(), Timestamp::from_millis(2000));
        assert_eq!(Received(&[0xff; 8]).seconds(), Timestamp::MAX);
        assert_eq!(Received(&[1, 0]).milliseconds(), Timestamp::from_millis(256));
    }

    #[test]
    fn text_ends_at_the_first_zero_octet() {
        assert_eq!(Received(b"eth0\0\0").text(), Some("eth0"));
        assert_eq!(Received(b"eth0").text(), Some("eth0"));
        assert_eq!(Received(b"").text(), Some(""));
        assert_eq!(Received(&[0xff]).text(), None);
    }

    #[test]
    fn names_are_cut_between_characters() {
        assert_eq!(Received(b" Gi0/1\0").name().as_deref(), Some("Gi0/1"));
        assert_eq!(Received(b"\0\0").name(), None);
        let long = "é".repeat(200);
        assert_eq!(Received(long.as_bytes()).name().as_deref(), Some(&*"é".repeat(127)));
    }
}
