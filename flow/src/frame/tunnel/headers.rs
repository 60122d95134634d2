//! Offsets of the IP headers of a frame.

use super::super::field::{ipv4, ipv6};
use super::super::{Dissection, Frame};
use super::{Budget, IP_HEADERS_MAX, Inside, Opened, outermost};
use crate::key::IpVersion;

/// An IP header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::frame) struct IpHeader {
    pub(in crate::frame) version: IpVersion,
    /// Octets from the beginning of the frame.
    pub(in crate::frame) offset: usize,
}

impl IpHeader {
    /// Maximum number of IP headers of a frame.
    pub(in crate::frame) const MAX: usize = IP_HEADERS_MAX as usize;

    /// Offset of its end without options.
    pub(in crate::frame) fn end_min(&self) -> usize {
        let octets = match self.version {
            IpVersion::V4 => ipv4::OCTETS_MIN,
            IpVersion::V6 => ipv6::OCTETS,
        };
        self.offset + octets
    }
}

/// The IP headers of a frame, from the outermost packet to the innermost one in its tunnels. `None`
/// if there is none.
pub(in crate::frame) fn ip_headers(
    frame: &Frame<'_>,
    dissection: &Dissection,
) -> Option<[Option<IpHeader>; IpHeader::MAX]> {
    let Dissection { tpids, ref decap } = *dissection;
    let header = |opened: &Opened<'_>| IpHeader {
        version: opened.packet.ip_version,
        offset: opened.ip.as_ptr().addr() - frame.data.as_ptr().addr(),
    };
    let (mut opened, _) = outermost(frame, tpids).ok()?;
    let mut budget = Budget::default();
    let mut headers = [None; IpHeader::MAX];
    for place in &mut headers {
        *place = Some(header(&opened));
        match opened.open(decap, tpids, &mut budget) {
            Inside::Packet(_, inner) => opened = inner,
            Inside::Nothing | Inside::Refused(..) | Inside::Ignored(_) => break,
        }
    }
    Some(headers)
}
