//! UDP datagrams in frames.

use core::net::SocketAddr;

use super::field::udp;
use super::transport::behind_udp;
use super::{Fragment, Frame, Ignored, Tpids, link, network, wire_octets};
use crate::number::protocol::UDP;

/// A UDP datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// Source address and port.
    pub source: SocketAddr,
    /// Destination address and port.
    pub destination: SocketAddr,
    /// The octets after the UDP header.
    pub payload: &'a [u8],
}

/// Reason why a frame has no datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoDatagram {
    /// There is no readable IP header.
    Ignored(Ignored),
    /// The packet is not UDP.
    NotUdp,
    /// The packet is a fragment.
    Fragment,
    /// The capture ends within the datagram, or its length is not valid.
    Incomplete,
}

/// The UDP datagram of the outermost IP packet of a frame. Fragments are not put together.
///
/// # Errors
///
/// The frame has no whole datagram.
pub fn datagram<'a>(frame: &Frame<'a>, tpids: Tpids) -> Result<Datagram<'a>, NoDatagram> {
    let network = link::walk(frame, tpids).map_err(|stop| NoDatagram::Ignored(stop.reason))?;
    let octets = wire_octets(frame, network.data);
    let (packet, transport) =
        network::general(network.ip_version, network.data, octets).map_err(NoDatagram::Ignored)?;
    if packet.protocol != UDP {
        return Err(NoDatagram::NotUdp);
    }
    if packet.fragment != Fragment::Whole {
        return Err(NoDatagram::Fragment);
    }
    let (length, rest) = behind_udp(transport).ok_or(NoDatagram::Incomplete)?;
    let octets = length.checked_sub(udp::OCTETS).ok_or(NoDatagram::Incomplete)?;
    let payload = rest.get(..octets).ok_or(NoDatagram::Incomplete)?;
    let end = |address, port| SocketAddr::new(address, port);
    Ok(Datagram {
        source: end(packet.source.ip(packet.ip_version), packet.ports.source()),
        destination: end(packet.destination.ip(packet.ip_version), packet.ports.destination()),
        payload,
    })
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::frame::LinkType;
    use crate::point::ObservationPoint;
    use crate::time::Timestamp;

    /// A datagram of "flow" in IPv4 over Ethernet.
    const FRAME: [u8; 46] = [
        2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, // Ethernet
        0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2, // IPv4
        0, 7, 8, 7, 0, 12, 0, 0, b'f', b'l', b'o', b'w', // UDP
    ];

    fn read(octets: &[u8]) -> Result<Datagram<'_>, NoDatagram> {
        let frame = Frame {
            data: octets,
            wire_length: 46,
            time: Timestamp::default(),
            point: ObservationPoint::ingress(1),
            link_type: LinkType::Ethernet,
        };
        datagram(&frame, Tpids::default())
    }

    #[test]
    fn datagram_has_addresses_and_payload() {
        let found = read(&FRAME).unwrap();
        assert_eq!(found.source, "192.0.2.1:7".parse().unwrap());
        assert_eq!(found.destination, "192.0.2.2:2055".parse().unwrap());
        assert_eq!(found.payload, b"flow");
    }

    #[test]
    fn datagram_is_whole_or_there_is_none() {
        for length in 0..FRAME.len() {
            let expected = match length {
                0..34 => Err(NoDatagram::Ignored(Ignored::CutShort)),
                _ => Err(NoDatagram::Incomplete),
            };
            assert_eq!(read(&FRAME[..length]), expected, "{length}");
        }
        let changed = |at: usize, value: u8| {
            let mut octets: Vec<u8> = FRAME.to_vec();
            octets[at] = value;
            read(&octets).map(|it| it.payload.len())
        };
        assert_eq!(changed(23, 6), Err(NoDatagram::NotUdp));
        assert_eq!(changed(20, 0x20), Err(NoDatagram::Fragment));
        assert_eq!(changed(21, 1), Err(NoDatagram::Fragment));
        assert_eq!(changed(39, 13), Err(NoDatagram::Incomplete));
        assert_eq!(changed(39, 7), Err(NoDatagram::Incomplete));
        assert_eq!(changed(39, 8), Ok(0));
    }
}
