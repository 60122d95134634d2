//! Any octets as a frame of any link type: dissection says something sane, both ways say the same,
//! and a capture that ends earlier never says something else.

use flow::frame::{Fragment, Packet, dissect, dissect_plain};
use flow::{Frame, Ignored, IpVersion, LinkType, ObservationPoint, Ports, Timestamp};

use super::input::Input;

pub const LINK_TYPES: [LinkType; 27] = [
    LinkType::Ethernet,
    LinkType::Null,
    LinkType::Loop,
    LinkType::Ppp,
    LinkType::RawIp,
    LinkType::Ipv4,
    LinkType::Ipv6,
    LinkType::LinuxCooked,
    LinkType::LinuxCooked2,
    LinkType::Unsupported(8),
    LinkType::TokenRing,
    LinkType::Arcnet,
    LinkType::Fddi,
    LinkType::PppoeSession,
    LinkType::CiscoHdlc,
    LinkType::Wireless,
    LinkType::FrameRelay,
    LinkType::Enc,
    LinkType::Pflog,
    LinkType::Radiotap,
    LinkType::PppWithDirection,
    LinkType::Ppi,
    LinkType::Ipnet,
    LinkType::Nflog,
    LinkType::Infiniband,
    LinkType::Pktap,
    LinkType::Undescribed,
];

/// The link type (1), how much longer the frame was on the wire (2), how much of it a shorter
/// capture has (2), and the frame.
pub fn check(octets: &[u8]) {
    let mut input = Input::new(octets);
    let link_type = input.pick(&LINK_TYPES);
    let longer = u32::from(input.u16());
    let shorter = usize::from(input.u16());
    let data = input.rest();
    let wire_length = u32::try_from(data.len()).unwrap_or(u32::MAX).saturating_add(longer);
    let whole = dissect_both_ways(link_type, data, wire_length);
    let shorter = &data[..shorter.min(data.len())];
    let cut = dissect_both_ways(link_type, shorter, wire_length);
    match (cut, whole) {
        (Err(Ignored::CutShort), _) => {}
        (Err(reason), _) => assert_eq!(whole, Err(reason), "{} octets say so", shorter.len()),
        (Ok(cut), Ok(whole)) => assert_less_is_known(&cut, &whole),
        (Ok(cut), Err(reason)) => panic!("{reason:?}, but {} octets say {cut:?}", shorter.len()),
    }
}

fn dissect_both_ways(
    link_type: LinkType,
    data: &[u8],
    wire_length: u32,
) -> Result<Packet, Ignored> {
    let time = Timestamp::default();
    let frame = Frame { data, wire_length, time, point: ObservationPoint::default(), link_type };
    let outcome = dissect(&frame);
    if let Some(packet) = dissect_plain(&frame) {
        assert_eq!(outcome, Ok(packet));
    }
    if let Ok(packet) = outcome {
        assert_sane(&packet, &frame);
    }
    outcome
}

fn assert_sane(packet: &Packet, frame: &Frame<'_>) {
    let (header, icmp) = match packet.ip_version {
        IpVersion::V4 => (20, 1),
        IpVersion::V6 => (40, 58),
    };
    assert!(packet.octets >= header, "{packet:?}");
    assert!(packet.octets <= frame.wire_length, "{packet:?}");
    if packet.ip_version == IpVersion::V4 {
        assert_eq!(packet.source.octets()[4..], [0; 12]);
        assert_eq!(packet.destination.octets()[4..], [0; 12]);
        assert!(packet.octets <= frame.wire_length.max(0xffff), "{packet:?}");
    }
    assert!(packet.vlan_id < 1 << 12, "{packet:?}");
    let is_later = matches!(packet.fragment, Fragment::Later(_));
    let has_ports = [6, 17, 33, 132, 136].contains(&packet.protocol) && !is_later;
    let has_code = packet.protocol == icmp && !is_later;
    assert!(packet.ports.source() == 0 || has_ports, "{packet:?}");
    assert!(packet.ports.destination() == 0 || has_ports || has_code, "{packet:?}");
    assert!(packet.tcp_control_bits == 0 || packet.protocol == 6, "{packet:?}");
}

/// What a shorter capture says is the same, or it is nothing.
fn assert_less_is_known(cut: &Packet, whole: &Packet) {
    let protocol_is_known = cut.protocol == whole.protocol && cut.fragment == whole.fragment;
    // Only extension headers, and the length of a jumbogram, are found further behind.
    let jumbogram = cut.octets != whole.octets;
    assert!(whole.ip_version == IpVersion::V6 || (protocol_is_known && !jumbogram));
    let known_or = |cut: u16, whole: u16| if cut == 0 { whole } else { cut };
    let completed = Packet {
        ports: Ports::new(
            known_or(cut.ports.source(), whole.ports.source()),
            known_or(cut.ports.destination(), whole.ports.destination()),
        ),
        tcp_control_bits: whole.tcp_control_bits,
        protocol: if protocol_is_known { cut.protocol } else { whole.protocol },
        fragment: whole.fragment,
        octets: whole.octets,
        exceeds_wire: whole.exceeds_wire,
        ..*cut
    };
    assert_eq!(completed, *whole);
    assert!(cut.tcp_control_bits == 0 || cut.tcp_control_bits == whole.tcp_control_bits);
}
