//! How names are told: whole, by their registered domain, or as a keyed hash.

use core::fmt;
use core::hash::Hasher;
use core::net::IpAddr;

use siphasher::sip::SipHasher24;

/// How names are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NameForm {
    /// As they are.
    #[default]
    Full,
    /// Their registered domain: the public suffix and one label. Addresses stay as they are.
    Domain,
    /// A hash, from which the name can be found by those only who have the key.
    Hash(HashKey),
}

/// The key of hashes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HashKey([u8; Self::OCTETS]);

impl NameForm {
    /// The name in this form. `None` if a name has no registered domain and that was asked for.
    pub fn of(&self, name: &str) -> Option<Box<str>> {
        match self {
            Self::Full => Some(name.into()),
            Self::Domain if name.parse::<IpAddr>().is_ok() => Some(name.into()),
            Self::Domain => Some(name.get(domain_at(name)?.0.into()..)?.into()),
            Self::Hash(key) => Some(key.hash(name).into()),
        }
    }
}

/// Where the registered domain and its public suffix begin in a name (publicsuffix.org). `None` if
/// it has no registered domain.
pub fn domain_at(name: &str) -> Option<(u16, u16)> {
    let domain = psl::domain(name.as_bytes())?;
    let at = |end: &[u8]| u16::try_from(name.len().checked_sub(end.len())?).ok();
    Some((at(domain.as_bytes())?, at(domain.suffix().as_bytes())?))
}

impl HashKey {
    /// Octets of a key.
    pub const OCTETS: usize = 16;

    /// A key of these octets.
    pub fn new(octets: [u8; Self::OCTETS]) -> Self {
        Self(octets)
    }

    /// SipHash-2-4 in 16 hexadecimal digits.
    fn hash(&self, name: &str) -> String {
        let mut hasher = SipHasher24::new_with_key(&self.0);
        hasher.write(name.as_bytes());
        format!("{:016x}", hasher.finish())
    }
}

/// Does not show the key, but a hash that differs for each key.
impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HashKey").field(&self.hash("")).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registered_domain_has_one_label_more_than_the_public_suffix() {
        let of = |name: &str| NameForm::Domain.of(name);
        for (name, domain) in [
            ("www.example.com", Some("example.com")),
            ("example.com", Some("example.com")),
            ("a.b.example.co.uk", Some("example.co.uk")),
            ("user.github.io", Some("user.github.io")),
            ("www.city.kawasaki.jp", Some("city.kawasaki.jp")),
            ("host.unknowntld", Some("host.unknowntld")),
            ("192.0.2.77", Some("192.0.2.77")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("a\\.b.example.com", Some("example.com")),
            ("com", None),
            ("localhost", None),
            (".", None),
            ("", None),
        ] {
            assert_eq!(of(name).as_deref(), domain, "{name}");
        }
        assert_eq!(domain_at("www.example.co.uk"), Some((4, 12)));
        assert_eq!(NameForm::Full.of("localhost").as_deref(), Some("localhost"));
    }

    /// The octets 0 to 14 under the key of the octets 0 to 15 (Aumasson and Bernstein, SipHash: a
    /// fast short-input PRF, appendix A).
    #[test]
    fn hashes_are_those_of_the_description() {
        let key = HashKey::new(core::array::from_fn(|index| u8::try_from(index).unwrap()));
        let text: String = (0..15_u8).map(char::from).collect();
        assert_eq!(key.hash(&text), "a129ca6149be45e5");
        assert_eq!(NameForm::Hash(key).of(&text).as_deref(), Some("a129ca6149be45e5"));
        assert_eq!(format!("{key:?}"), "HashKey(\"726fdb47dd0e0e31\")");
    }
}
