//! Text of bounded length, in place.

use core::fmt;

/// Text of ASCII characters, at most `N`. `N` is at most 65,535.
#[derive(Clone, Copy)]
pub struct Text<const N: usize> {
    length: u16,
    octets: [u8; N],
}

/// A name in its presentation. 255 octets have at most 1,020 characters when each is escaped.
pub type Name = Text<1020>;

impl<const N: usize> Text<N> {
    /// Empty text.
    pub const fn new() -> Self {
        Self { length: 0, octets: [0; N] }
    }

    /// The characters.
    pub fn as_str(&self) -> &str {
        let octets = self.octets.get(..self.length.into()).unwrap_or_default();
        // Only ASCII is pushed.
        str::from_utf8(octets).unwrap_or_default()
    }

    /// True if it has no characters.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Adds characters of ASCII. `None` if there is no room for all of them; then none is added.
    pub(crate) fn push(&mut self, characters: &[u8]) -> Option<()> {
        debug_assert!(characters.is_ascii());
        let start = usize::from(self.length);
        let end = start + characters.len();
        self.octets.get_mut(start..end)?.copy_from_slice(characters);
        self.length = u16::try_from(end).ok()?;
        Some(())
    }

    /// Adds an octet of a TLS or HTTP name: printable ones as they are, others as `\xHH`.
    pub(crate) fn push_escaped(&mut self, octet: u8) -> Option<()> {
        match octet {
            0x21..=0x7e => self.push(&[octet]),
            _ => self.push(&[b'\\', b'x', hex_digit(octet >> 4), hex_digit(octet)]),
        }
    }

    /// Text of octets, each as [`Self::push_escaped`] says. `None` if there is no room.
    pub(crate) fn escaped(octets: &[u8]) -> Option<Self> {
        let mut text = Self::new();
        octets.iter().try_for_each(|octet| text.push_escaped(*octet))?;
        Some(text)
    }

    /// The same, where spaces stay.
    pub(crate) fn escaped_spaced(octets: &[u8]) -> Option<Self> {
        let mut text = Self::new();
        octets.iter().try_for_each(|octet| match octet {
            b' ' => text.push(b" "),
            other => text.push_escaped(*other),
        })?;
        Some(text)
    }

    /// A host name of octets: in lower case, without a final dot. `None` if nothing is left, or if
    /// there is no room.
    pub(crate) fn host(octets: &[u8]) -> Option<Self> {
        let octets = octets.strip_suffix(b".").unwrap_or(octets);
        let mut text = Self::new();
        octets.iter().try_for_each(|octet| text.push_escaped(octet.to_ascii_lowercase()))?;
        (!text.is_empty()).then_some(text)
    }
}

impl<const N: usize> Default for Text<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> PartialEq for Text<N> {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl<const N: usize> Eq for Text<N> {}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl<const N: usize> fmt::Display for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The character of the low four bits, in lower case.
pub(crate) const fn hex_digit(value: u8) -> u8 {
    match value & 0xf {
        digit @ 0..=9 => b'0' + digit,
        letter => b'a' + letter - 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_its_room_and_no_more() {
        let mut text = Text::<4>::new();
        assert_eq!(text.push(b"abc"), Some(()));
        assert_eq!(text.push(b"de"), None);
        assert_eq!(text.as_str(), "abc");
        assert_eq!(text.push(b"d"), Some(()));
        assert_eq!(text.push_escaped(b'e'), None);
        assert_eq!(text.as_str(), "abcd");
    }

    #[test]
    fn hosts_are_in_lower_case_without_the_final_dot() {
        let host = |octets: &[u8]| Name::host(octets).map(|name| name.to_string());
        assert_eq!(host(b"WWW.Example.COM.").as_deref(), Some("www.example.com"));
        assert_eq!(host(b"a b\xff").as_deref(), Some("a\\x20b\\xff"));
        assert_eq!(host(b"."), None);
        assert_eq!(host(b""), None);
        assert_eq!(host(&[0xff; 255]).map(|name| name.len()), Some(1020));
        assert_eq!(host(&[0xff; 256]), None);
    }
}
