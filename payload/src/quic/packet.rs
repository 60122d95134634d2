//! Long headers (RFC 9000 section 17.2).

use core::fmt;

use crate::flaw::Flaw;
use crate::octets::Octets;

/// A version whose Initial packets can be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// RFC 9000.
    V1,
    /// RFC 9369.
    V2,
    /// A draft of version 1, 23 to 34.
    Draft(u8),
    /// A number that no version has. Clients send it to make a server say which versions it knows
    /// (RFC 9000 section 15); their packets are those of the version that they would like.
    Reserved(u32),
}

impl Version {
    fn of(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::V1),
            0x6b33_43cf => Some(Self::V2),
            0xff00_0017..=0xff00_0022 => {
                let [.., draft] = number.to_be_bytes();
                Some(Self::Draft(draft))
            }
            _ if number & 0x0f0f_0f0f == 0x0a0a_0a0a => Some(Self::Reserved(number)),
            _ => None,
        }
    }

    /// As on the wire.
    pub const fn number(self) -> u32 {
        match self {
            Self::V1 => 1,
            Self::V2 => 0x6b33_43cf,
            Self::Draft(draft) => 0xff00_0000 | draft as u32,
            Self::Reserved(number) => number,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V1 => f.write_str("1"),
            Self::V2 => f.write_str("2"),
            Self::Draft(draft) => write!(f, "draft-{draft}"),
            Self::Reserved(number) => write!(f, "{number:#010x}"),
        }
    }
}

/// A connection id: 20 octets at most.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ConnectionId {
    length: u8,
    octets: [u8; Self::OCTETS_MAX],
}

impl ConnectionId {
    const OCTETS_MAX: usize = 20;

    pub(super) fn of(id: &[u8]) -> Result<Self, Flaw> {
        let mut octets = [0; Self::OCTETS_MAX];
        octets.get_mut(..id.len()).ok_or(Flaw::Malformed)?.copy_from_slice(id);
        Ok(Self { length: u8::try_from(id.len()).or(Err(Flaw::Malformed))?, octets })
    }

    /// Its octets.
    pub fn as_slice(&self) -> &[u8] {
        self.octets.get(..self.length.into()).unwrap_or_default()
    }
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_slice().iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

/// What is known of a packet without its keys.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) version: Version,
    pub(super) is_initial: bool,
    pub(super) destination: ConnectionId,
    /// Place of the packet number.
    pub(super) number_at: usize,
    /// Place behind the packet.
    pub(super) end: usize,
}

/// Kinds of packets with a long header, as version 1 numbers them.
const INITIAL: u8 = 0;
const RETRY: u8 = 3;

/// Long header and fixed bit.
const LONG: u8 = 0xc0;

/// True if a datagram begins with an Initial packet of a version that is known.
pub fn is_initial(datagram: &[u8]) -> bool {
    let Some(([first, version @ ..], _)) = datagram.split_first_chunk::<5>() else { return false };
    let version = Version::of(u32::from_be_bytes(*version));
    version.is_some_and(|version| first & LONG == LONG && kind(*first, version) == INITIAL)
}

/// True if a datagram begins with a long header of a version that is not known (RFC 8999 section
/// 5.1). Version 0 is that of Version Negotiation packets.
pub(crate) fn is_of_other_version(datagram: &[u8]) -> bool {
    let mut rest = Octets(datagram);
    let mut header = || {
        let (first, version) = (rest.u8()?, rest.u32()?);
        let ids = [rest.vector8()?, rest.vector8()?];
        Ok::<_, Flaw>((first, version, ids))
    };
    let Ok((first, version, ids)) = header() else { return false };
    first & LONG == LONG
        && version != 0
        && Version::of(version).is_none()
        && ids.iter().all(|id| id.0.len() <= ConnectionId::OCTETS_MAX)
}

fn kind(first: u8, version: Version) -> u8 {
    let kind = first >> 4 & 3;
    // Version 2 counts from Retry on (RFC 9369 section 3.2).
    if version == Version::V2 { kind.wrapping_sub(1) & 3 } else { kind }
}

impl Header {
    /// Reads the header of the packet at the beginning of these octets.
    pub(super) fn read(octets: &[u8]) -> Result<Self, Flaw> {
        let mut rest = Octets(octets);
        let first = rest.u8()?;
        if first & LONG != LONG {
            return Err(Flaw::Other);
        }
        let version = Version::of(rest.u32()?).ok_or(Flaw::Version)?;
        let kind = kind(first, version);
        let destination = ConnectionId::of(rest.vector8()?.0)?;
        ConnectionId::of(rest.vector8()?.0)?;
        if kind == RETRY {
            return Err(Flaw::Other);
        }
        if kind == INITIAL {
            let token = rest.varint()?;
            rest.take(usize::try_from(token).or(Err(Flaw::Malformed))?)?;
        }
        let length = rest.varint()?;
        let number_at = octets.len() - rest.0.len();
        let length = usize::try_from(length).or(Err(Flaw::Malformed))?;
        rest.take(length)?;
        let is_initial = kind == INITIAL;
        Ok(Self { version, is_initial, destination, number_at, end: number_at + length })
    }
}
