//! Initial packets of QUIC version 1 (RFC 9000, RFC 9001), version 2 (RFC 9369) and late drafts.
//!
//! Their keys follow from the packet itself, so that anybody can read them: they are protected
//! against damage, not against readers.

mod frames;
mod keys;
mod packet;
#[cfg(test)]
pub(crate) mod tests;

use crate::flaw::Flaw;
use keys::Keys;
use packet::Header;

pub(crate) use packet::is_of_other_version;
pub use packet::{ConnectionId, Version, is_initial};

/// Octets of an Initial packet that are read. They fit what a link transports, jumbo frames too.
const PACKET_MAX: usize = 9216;

/// Initial packets of a datagram that are read.
const PACKETS_MAX: usize = 4;

/// Opens Initial packets of clients. It has the room for one packet.
#[derive(Debug, Default)]
pub struct Opener {
    room: Vec<u8>,
    tries: u32,
}

/// What was in a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The version.
    pub version: Version,
    /// The client's choice in the first flight: all its Initial packets have keys from it.
    pub destination: ConnectionId,
}

impl Opener {
    /// Opens the Initial packets of a client's datagram. `take` gets offset and octets of each
    /// CRYPTO frame, in the order of the datagram.
    ///
    /// The keys are those of the packet's destination connection id. If they do not fit, those of
    /// `original` are tried: a client uses another id when it has heard from the server.
    ///
    /// # Errors
    ///
    /// No Initial packet could be opened. [`Flaw::Version`] for a version that is not known,
    /// [`Flaw::Sealed`] if no key fits: then it is a server's, or it was damaged.
    pub fn open(
        &mut self,
        datagram: &[u8],
        original: Option<&ConnectionId>,
        mut take: impl FnMut(u64, &[u8]),
    ) -> Result<Opened, Flaw> {
        self.tries = 0;
        let (mut rest, mut opened) = (datagram, None);
        for _ in 0..PACKETS_MAX {
            let result = Header::read(rest).and_then(|header| {
                let packet = rest.get(..header.end).ok_or(Flaw::Incomplete)?;
                rest = rest.get(header.end..).unwrap_or_default();
                if header.is_initial {
                    let destination = self.open_packet(packet, &header, original, &mut take)?;
                    opened = Some(Opened { version: header.version, destination });
                }
                Ok(())
            });
            match (result, opened) {
                (Ok(()), _) if !rest.is_empty() => {}
                (_, Some(opened)) => return Ok(opened),
                (Err(flaw), None) => return Err(flaw),
                (Ok(()), None) => return Err(Flaw::Other),
            }
        }
        opened.ok_or(Flaw::Other)
    }

    /// Keys that were tried for the packets of the last datagram. A packet that no key opens takes
    /// as long as another one.
    pub fn tries(&self) -> u32 {
        self.tries
    }

    /// Opens one packet. Returns the connection id whose keys fit.
    fn open_packet(
        &mut self,
        packet: &[u8],
        header: &Header,
        original: Option<&ConnectionId>,
        take: &mut impl FnMut(u64, &[u8]),
    ) -> Result<ConnectionId, Flaw> {
        if packet.len() > PACKET_MAX {
            return Err(Flaw::TooLong);
        }
        let others = original.filter(|original| **original != header.destination);
        let ids = [Some(&header.destination), others].into_iter().flatten();
        for (id, version) in ids.flat_map(|id| versions(header.version).map(move |it| (id, it))) {
            self.tries += 1;
            self.room.clear();
            self.room.extend_from_slice(packet);
            let keys = Keys::of_client(version, id).ok_or(Flaw::Sealed)?;
            if let Some(payload) = keys.open(&mut self.room, header.number_at) {
                let read = frames::each_crypto(payload, take);
                // Octets of a conversation do not stay.
                self.room.fill(0);
                return read.map(|()| *id);
            }
        }
        Err(Flaw::Sealed)
    }
}

/// The versions whose keys are tried for a packet of this version.
fn versions(version: Version) -> impl Iterator<Item = Version> {
    let meant = match version {
        Version::Reserved(_) => [Some(Version::V1), Some(Version::Draft(29))],
        Version::V1 | Version::V2 | Version::Draft(_) => [Some(version), None],
    };
    meant.into_iter().flatten()
}
