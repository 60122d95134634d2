//! Frames that an Initial packet may have (RFC 9000 section 17.2.2).

use crate::flaw::Flaw;
use crate::octets::Octets;

const PADDING: u64 = 0x00;
const PING: u64 = 0x01;
const ACK: u64 = 0x02;
const ACK_ECN: u64 = 0x03;
const CRYPTO: u64 = 0x06;
const CONNECTION_CLOSE: u64 = 0x1c;

/// Gives offset and octets of each CRYPTO frame. Another kind of frame ends the packet.
pub(super) fn each_crypto(payload: &[u8], take: &mut impl FnMut(u64, &[u8])) -> Result<(), Flaw> {
    let mut rest = Octets(payload);
    while !rest.is_empty() {
        match rest.varint()? {
            PADDING => {
                let padding = rest.0.iter().take_while(|octet| **octet == 0).count();
                rest.take(padding)?;
            }
            PING => {}
            kind @ (ACK | ACK_ECN) => skip_ack(&mut rest, kind == ACK_ECN)?,
            CRYPTO => {
                let (offset, length) = (rest.varint()?, rest.varint()?);
                let octets = rest.take(usize::try_from(length).or(Err(Flaw::Malformed))?)?;
                take(offset, octets);
            }
            CONNECTION_CLOSE => {
                // Error code, type of the frame, reason.
                rest.varint()?;
                rest.varint()?;
                let reason = rest.varint()?;
                rest.take(usize::try_from(reason).or(Err(Flaw::Malformed))?)?;
            }
            _ => return Ok(()),
        }
    }
    Ok(())
}

/// Largest number, delay, ranges, and three counts of ECN.
fn skip_ack(rest: &mut Octets<'_>, has_counts: bool) -> Result<(), Flaw> {
    rest.varint()?;
    rest.varint()?;
    let ranges = rest.varint()?;
    rest.varint()?;
    // Each range has two octets at least.
    if ranges > rest.0.len() as u64 / 2 {
        return Err(Flaw::Malformed);
    }
    for _ in 0..ranges {
        rest.varint()?;
        rest.varint()?;
    }
    if has_counts {
        rest.varint()?;
        rest.varint()?;
        rest.varint()?;
    }
    Ok(())
}
