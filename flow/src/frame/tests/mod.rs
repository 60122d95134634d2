//! What dissection has to say of frames: whole, and cut by the capture at every length.

mod differential;
mod ipv4;
mod ipv6;
mod link;
mod made;
mod opened;
mod segments;

use alloc::string::String;
use alloc::vec::Vec;

use super::*;

/// A frame, and what is known of it.
#[derive(Clone, Debug)]
struct Case {
    name: String,
    link_type: LinkType,
    octets: Vec<u8>,
    wire_length: u32,
    /// From so many captured octets on, this is what is known. Before the first of them nothing is
    /// but that the capture was cut short.
    known: Known,
}

type Known = Vec<(usize, Result<Packet, Ignored>)>;

impl Case {
    /// A frame of which the wire had no more than `octets`.
    fn new(name: impl Into<String>, link_type: LinkType, octets: Vec<u8>, known: Known) -> Self {
        let wire_length = u32::try_from(octets.len()).unwrap();
        Self { name: name.into(), link_type, octets, wire_length, known }
    }

    fn expected(&self, captured: usize) -> Result<Packet, Ignored> {
        let known = self.known.iter().rev().find(|(from, _)| *from <= captured);
        known.map_or(Err(Ignored::CutShort), |(_, outcome)| *outcome)
    }

    fn frame(&self, captured: usize) -> Frame<'_> {
        frame(self.link_type, &self.octets[..captured], self.wire_length)
    }
}

/// Dissects the frame as it is and cut at every length, both ways.
fn check(case: &Case) {
    for captured in 0..=case.octets.len() {
        let expected = case.expected(captured);
        let frame = case.frame(captured);
        assert_eq!(dissect(&frame), expected, "{}, {captured} octets captured", case.name);
        if let Some(packet) = dissect_plain(&frame) {
            assert_eq!(Ok(packet), expected, "{}, {captured} octets captured, plain", case.name);
        }
    }
}

fn frame(link_type: LinkType, data: &[u8], wire_length: u32) -> Frame<'_> {
    Frame {
        data,
        wire_length,
        time: Timestamp::default(),
        point: ObservationPoint::ingress(1),
        link_type,
    }
}

/// What is known of a packet whose IP header is read after `header` octets, and whose TCP header
/// begins at `transport`: first the addresses, then the ports, then the control bits.
fn tcp(bare: Packet, header: usize, transport: usize) -> Known {
    let ports = made::with_ports(bare);
    let bits = Packet { tcp_control_bits: made::CONTROL_BITS, ..ports };
    let mut known = made::known_ports(bare, header, transport);
    known.push((transport + 14, Ok(bits)));
    known
}

#[test]
fn frames_that_are_nearly_all_take_the_fast_path() {
    for packet in made::plain() {
        for tags in [&[][..], &[(0x8100, 7)]] {
            let octets = made::ethernet(tags, &packet);
            let wire_length = u32::try_from(octets.len()).unwrap();
            let frame = frame(LinkType::Ethernet, &octets, wire_length);
            assert!(dissect_plain(&frame).is_some(), "{frame:x?}");
        }
    }
}

#[test]
fn link_types_have_the_numbers_of_the_pcap_format() {
    let numbers = [
        (0, LinkType::Null),
        (1, LinkType::Ethernet),
        (6, LinkType::TokenRing),
        (7, LinkType::Arcnet),
        (9, LinkType::Ppp),
        (10, LinkType::Fddi),
        (12, LinkType::RawIp),
        (14, LinkType::RawIp),
        (50, LinkType::Ppp),
        (51, LinkType::PppoeSession),
        (101, LinkType::RawIp),
        (104, LinkType::CiscoHdlc),
        (105, LinkType::Wireless),
        (107, LinkType::FrameRelay),
        (108, LinkType::Loop),
        (109, LinkType::Enc),
        (113, LinkType::LinuxCooked),
        (117, LinkType::Pflog),
        (127, LinkType::Radiotap),
        (166, LinkType::PppWithDirection),
        (192, LinkType::Ppi),
        (204, LinkType::PppWithDirection),
        (226, LinkType::Ipnet),
        (228, LinkType::Ipv4),
        (229, LinkType::Ipv6),
        (239, LinkType::Nflog),
        (242, LinkType::Infiniband),
        (258, LinkType::Pktap),
        (276, LinkType::LinuxCooked2),
    ];
    for number in 0..=u16::MAX {
        let known = numbers.iter().find(|(known, _)| *known == number);
        let expected = known.map_or(LinkType::Unsupported(number), |(_, link_type)| *link_type);
        assert_eq!(LinkType::from_number(number), expected, "{number}");
    }
}
