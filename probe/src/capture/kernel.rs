//! Version of the Linux kernel.

use std::fmt::{self, Display, Formatter};

/// A version of Linux.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct KernelVersion {
    pub(crate) major: u32,
    pub(crate) minor: u32,
}

impl KernelVersion {
    /// Version of the running kernel; 0.0 if it is not known.
    pub(crate) fn running() -> Self {
        let name = nix::sys::utsname::uname().ok();
        let release = name.as_ref().and_then(|name| name.release().to_str());
        release.and_then(Self::parse).unwrap_or(Self { major: 0, minor: 0 })
    }

    /// Parses the beginning of the output of `uname -r`.
    fn parse(release: &str) -> Option<Self> {
        let mut numbers = release.split(|character: char| !character.is_ascii_digit());
        let mut next = || numbers.next()?.parse().ok();
        Some(Self { major: next()?, minor: next()? })
    }
}

impl Display for KernelVersion {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_ordered() {
        for (release, expected) in [
            ("6.18.44-cloud-amd64", Some((6, 18))),
            ("5.15.0-1+deb12u2", Some((5, 15))),
            ("6.6-rc1", Some((6, 6))),
            ("6", None),
            ("next", None),
            ("", None),
        ] {
            let version = KernelVersion::parse(release);
            assert_eq!(
                version.map(|version| (version.major, version.minor)),
                expected,
                "{release}"
            );
        }
        let version = |major, minor| KernelVersion { major, minor };
        assert!(version(5, 15) < version(6, 6) && version(6, 6) < version(6, 18));
        assert_eq!(version(6, 18).to_string(), "6.18");
        assert!(KernelVersion::running() > version(4, 0));
    }
}
