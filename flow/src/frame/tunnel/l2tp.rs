//! The Layer Two Tunneling Protocol.

use super::super::link::{Layer, skip, take};
use super::{Header, Refusal, TunnelKind, id_of, ppp};

/// Fields between the session id of L2TPv3 and the frame. Both ends are configured with them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct L2tpV3 {
    /// Octets of the cookie: 0, 4 or 8.
    pub cookie: u8,
    /// Octets of the sublayer: 0 or 4.
    pub sublayer: u8,
}

/// Version 2 (RFC 2661 section 3.1): flags and version (16 bits), length (16, with L), tunnel id
/// (16), session id (16), sequence numbers (16 each, with S), offset size (16, with O) and padding
/// of this size.
pub(super) fn version_2(data: &[u8]) -> Result<Header<'_>, Refusal> {
    const CONTROL: u8 = 0x80;
    const LENGTH: u8 = 0x40;
    const SEQUENCE: u8 = 0x08;
    const OFFSET: u8 = 0x02;
    let (&[flags, version], mut rest) = take::<2>(data)?;
    if version & 0x0f != 2 {
        return Err(Refusal::Version);
    }
    if flags & CONTROL != 0 {
        return Err(Refusal::Flags);
    }
    if flags & LENGTH != 0 {
        rest = skip(rest, 2)?;
    }
    let (&id, mut rest) = take::<4>(rest)?;
    if flags & SEQUENCE != 0 {
        rest = skip(rest, 4)?;
    }
    if flags & OFFSET != 0 {
        let (&offset, behind) = take::<2>(rest)?;
        rest = skip(behind, u16::from_be_bytes(offset).into())?;
    }
    let (layer, data) = ppp(rest);
    Ok(Header::new(TunnelKind::L2tp, id_of(id), layer, data))
}

/// Version 3 in IP (RFC 3931 section 4.1.1): session id (32 bits; 0 is a control message), cookie,
/// sublayer.
pub(super) fn version_3(data: &[u8], form: L2tpV3) -> Result<Header<'_>, Refusal> {
    let (&id, rest) = take::<4>(data)?;
    if id == [0; 4] {
        return Err(Refusal::Flags);
    }
    let frame = skip(rest, usize::from(form.cookie) + usize::from(form.sublayer))?;
    Ok(Header::new(TunnelKind::L2tpV3, id_of(id), Layer::Ethernet, frame))
}
