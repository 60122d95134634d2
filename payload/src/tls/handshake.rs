//! Finds the ClientHello in what carries it: TLS records or CRYPTO frames.

use super::hello::ClientHello;
use crate::flaw::Flaw;
use crate::octets::Octets;

/// What carries a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carrier {
    /// Records in a TCP stream.
    Tcp,
    /// CRYPTO frames of QUIC.
    Quic,
}

/// Octets of a handshake message that are read.
const HELLO_MIN: usize = 40;
const HELLO_MAX: usize = 16_384;

/// Type and length of a handshake message.
const HANDSHAKE_HEADER: usize = 4;

/// Content type of records with handshakes.
const HANDSHAKE: u8 = 22;

/// Handshake type.
const CLIENT_HELLO: u8 = 1;

/// Longest fragment of a record (RFC 8446 section 5.1).
const FRAGMENT_MAX: usize = 1 << 14;

/// Room to put a handshake message together that spans several records.
#[derive(Debug, Default)]
pub struct Records {
    pub(super) octets: Vec<u8>,
}

impl Records {
    /// Forgets what it had, and overwrites it.
    fn clear(&mut self) {
        self.octets.fill(0);
        self.octets.clear();
    }
}

/// Reads the ClientHello at the beginning of a TCP stream.
///
/// # Errors
///
/// [`Flaw::Incomplete`] if the hello goes on behind these octets. [`Flaw::Other`] if the stream
/// begins with something else.
pub fn stream_hello(stream: &[u8], room: &mut Records) -> Result<ClientHello, Flaw> {
    room.clear();
    let mut rest = Octets(stream);
    let first = fragment(&mut rest)?;
    if let Ok(hello) = message(first.octets) {
        return ClientHello::read(hello, Carrier::Tcp);
    }
    // It goes on in the next records.
    let mut part = first;
    loop {
        room.octets.extend_from_slice(part.octets);
        match message(&room.octets) {
            Ok(hello) => return ClientHello::read(hello, Carrier::Tcp),
            Err(Flaw::Incomplete) if part.is_whole => {}
            Err(flaw) => return Err(flaw),
        }
        part = fragment(&mut rest)?;
    }
}

/// Reads the server name of a ClientHello that the capture has cut.
///
/// # Errors
///
/// [`Flaw::Incomplete`] if the name is not whole. As [`stream_hello`].
pub(crate) fn cut_hello(stream: &[u8], room: &mut Records) -> Result<ClientHello, Flaw> {
    room.clear();
    let mut rest = Octets(stream);
    // The cut may also be in the header of a record. A record that is not whole is the last.
    while let Ok(part) = fragment(&mut rest) {
        room.octets.extend_from_slice(part.octets);
        if !part.is_whole {
            break;
        }
    }
    let mut message = Octets(&room.octets);
    if message.u8()? != CLIENT_HELLO {
        return Err(Flaw::Other);
    }
    let length = usize::try_from(message.u24()?).or(Err(Flaw::TooLong))?;
    if length + HANDSHAKE_HEADER > HELLO_MAX {
        return Err(Flaw::TooLong);
    }
    ClientHello::read_cut(message.0)
}

/// Reads the ClientHello at the beginning of a stream of CRYPTO frames (RFC 9001 section 4).
///
/// # Errors
///
/// As [`stream_hello`].
pub fn quic_hello(stream: &[u8]) -> Result<ClientHello, Flaw> {
    ClientHello::read(message(stream)?, Carrier::Quic)
}

/// What is there of a record's fragment.
struct Fragment<'a> {
    octets: &'a [u8],
    is_whole: bool,
}

fn fragment<'a>(stream: &mut Octets<'a>) -> Result<Fragment<'a>, Flaw> {
    let kind = stream.u8()?;
    if kind != HANDSHAKE {
        return Err(Flaw::Other);
    }
    let version = stream.u16()?;
    if !matches!(version, 0x0300..=0x0304) {
        return Err(Flaw::Other);
    }
    let length = usize::from(stream.u16()?);
    if length == 0 || length > FRAGMENT_MAX {
        return Err(Flaw::Malformed);
    }
    match stream.take(length) {
        Ok(octets) => Ok(Fragment { octets, is_whole: true }),
        Err(_) => Ok(Fragment { octets: stream.0, is_whole: false }),
    }
}

/// The body of the ClientHello with which these octets begin.
fn message(octets: &[u8]) -> Result<&[u8], Flaw> {
    let mut rest = Octets(octets);
    if rest.u8()? != CLIENT_HELLO {
        return Err(Flaw::Other);
    }
    let length = usize::try_from(rest.u24()?).or(Err(Flaw::TooLong))?;
    if length < HELLO_MIN {
        return Err(Flaw::Malformed);
    }
    if length + HANDSHAKE_HEADER > HELLO_MAX {
        return Err(Flaw::TooLong);
    }
    rest.take(length)
}
