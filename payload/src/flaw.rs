//! Why octets were not read.

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
