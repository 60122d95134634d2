//! Why octets were not read.

use core::fmt;

/// The reason why a message has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// The octets end within the message. More of them may come.
    Incomplete,
    /// The message is not what its protocol asks for.
    Malformed,
    /// The message is longer than what is read of it.
    TooLong,
    /// The version of the protocol is not known.
    Version,
    /// The message was not encrypted with the keys that everybody knows.
    Sealed,
    /// The message is of another kind, in which no name is looked for.
    Other,
}

impl Flaw {
    /// The flaw of a message of which all octets are there: what goes beyond its end is wrong.
    pub(crate) fn of_whole(self) -> Self {
        match self {
            Self::Incomplete => Self::Malformed,
            Self::Malformed | Self::TooLong | Self::Version | Self::Sealed | Self::Other => self,
        }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Incomplete => "incomplete",
            Self::Malformed => "malformed",
            Self::TooLong => "too long",
            Self::Version => "unknown version",
            Self::Sealed => "not readable with the initial keys",
            Self::Other => "another kind of message",
        })
    }
}

impl core::error::Error for Flaw {}
