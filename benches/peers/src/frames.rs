//! The frames of the traces.

use sample::random::Random;

/// The longest frame: Ethernet, a VLAN tag, and the longest packet.
pub(super) const FRAME_MAX: usize = 18 + PACKET_MAX;

const PACKET_MAX: usize = 1500;

/// The shortest frame, without the frame check sequence.
const FRAME_MIN: usize = 60;

/// Octets of an Ethernet header.
const ETHERNET: usize = 14;

/// Kind of packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Frames of 60 octets: a TCP acknowledgement over IPv4.
    Small,
    /// The same, with SYN.
    SmallSyn,
    /// The packets of the first in VXLAN: frames of 104 octets.
    SmallInVxlan,
    /// Packets of 40, 576 and 1500 octets, 7 : 4 : 1. One flow in five is IPv6, one in ten has a
    /// VLAN tag, one in four is UDP. One in 20 of the longest IPv4 packets is sent as two
    /// fragments.
    Imix,
}

impl Kind {
    /// Selects the next packet.
    pub(super) fn piece(self, random: &mut Random) -> Piece {
        match self {
            Self::Small | Self::SmallSyn | Self::SmallInVxlan => Piece::Whole(0),
            Self::Imix => match random.below(12) {
                0..7 => Piece::Whole(0),
                7..11 => Piece::Whole(576),
                _ if random.below(20) == 0 => Piece::FirstFragment,
                _ => Piece::Whole(PACKET_MAX),
            },
        }
    }
}

/// A packet, or a part of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// A whole packet with this number of octets of IP, or more if the headers need more.
    Whole(usize),
    /// The first fragment, with the maximum length. IPv6 packets are not fragmented: a whole one
    /// instead.
    FirstFragment,
    /// A later fragment of 576 octets.
    LaterFragment,
}

/// Common properties of the packets of a flow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flow {
    pub(super) number: u32,
    /// A pseudorandom number.
    mixed: u64,
    kind: Kind,
}

/// A frame that was written.
#[derive(Debug)]
pub(super) struct Written<'a> {
    pub(super) frame: &'a [u8],
    /// Of IP, in a tunnel those inside.
    pub(super) octets: u32,
    pub(super) padded_octets: u32,
    pub(super) piece: Piece,
}

impl Flow {
    pub(super) fn new(number: u32, kind: Kind) -> Self {
        Self { number, mixed: Random::seeded(number.into()).word(), kind }
    }

    fn is_ipv6(&self) -> bool {
        self.kind == Kind::Imix && self.mixed.is_multiple_of(5)
    }

    fn is_udp(&self) -> bool {
        self.kind == Kind::Imix && self.mixed.is_multiple_of(4)
    }

    fn vlan(&self) -> Option<u16> {
        let tagged = self.kind == Kind::Imix && self.mixed % 10 == 7;
        tagged.then(|| 100 + self.octet(7) % 50).map(u16::from)
    }

    fn octet(&self, index: usize) -> u8 {
        self.mixed.to_be_bytes()[index]
    }

    /// Writes a packet of the flow.
    pub(super) fn write<'a>(
        &self,
        piece: Piece,
        is_first: bool,
        frame: &'a mut [u8; FRAME_MAX],
    ) -> Written<'a> {
        if self.kind == Kind::SmallInVxlan {
            return self.write_in_vxlan(frame);
        }
        let piece = if piece == Piece::FirstFragment && self.is_ipv6() {
            Piece::Whole(PACKET_MAX)
        } else {
            piece
        };
        frame[..12].copy_from_slice(&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2]);
        let mut at = ETHERNET - 2;
        if let Some(vlan) = self.vlan() {
            frame[at..at + 2].copy_from_slice(&[0x81, 0x00]);
            frame[at + 2..at + 4].copy_from_slice(&vlan.to_be_bytes());
            at += 4;
        }
        let ethertype = if self.is_ipv6() { [0x86, 0xdd] } else { [0x08, 0x00] };
        frame[at..at + 2].copy_from_slice(&ethertype);
        let begin = at + 2;
        let header = if self.is_ipv6() { 40 } else { 20 };
        let transport = if self.is_udp() { 8 } else { 20 };
        let packet = match piece {
            Piece::Whole(octets) => octets.max(header + transport),
            Piece::FirstFragment => PACKET_MAX,
            Piece::LaterFragment => 576,
        };
        let end = (begin + packet).max(FRAME_MIN);
        frame[begin..end].fill(0);
        let ip = &mut frame[begin..begin + packet];
        if self.is_ipv6() {
            self.put_ipv6(ip)
        } else {
            self.put_ipv4(ip, piece)
        }
        if piece != Piece::LaterFragment {
            self.put_transport(&mut ip[header..], is_first);
        }
        let count = |octets: usize| u32::try_from(octets).expect("frames are short");
        let (octets, padded_octets) = (count(packet), count(end - begin));
        Written { frame: &frame[..end], octets, padded_octets, piece }
    }

    /// From one end to the other, with a source port for each flow.
    fn write_in_vxlan<'a>(&self, frame: &'a mut [u8; FRAME_MAX]) -> Written<'a> {
        let mut inside = [0; FRAME_MAX];
        let small = Self { kind: Kind::Small, ..*self };
        let Written { frame: inside, octets, .. } =
            small.write(Piece::Whole(0), false, &mut inside);
        let inside = &inside[..ETHERNET + 40];
        let datagram = u16::try_from(8 + 8 + inside.len()).expect("frames are short");
        let end = ETHERNET + 20 + usize::from(datagram);
        frame[..12].copy_from_slice(&[2, 0, 0, 0, 0, 3, 2, 0, 0, 0, 0, 4]);
        frame[12..14].copy_from_slice(&[0x08, 0x00]);
        let ip = &mut frame[ETHERNET..end];
        ip[..20].copy_from_slice(&[
            0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2,
        ]);
        ip[2..4].copy_from_slice(&(20 + datagram).to_be_bytes());
        let checksum = !sum(&ip[..20]);
        ip[10..12].copy_from_slice(&checksum.to_be_bytes());
        ip[20..22].copy_from_slice(&[0xc0 | self.octet(5), self.octet(6)]);
        ip[22..24].copy_from_slice(&4789_u16.to_be_bytes());
        ip[24..26].copy_from_slice(&datagram.to_be_bytes());
        ip[26..28].fill(0);
        ip[28..36].copy_from_slice(&[8, 0, 0, 0, 0, 0, 7, 0]);
        ip[36..].copy_from_slice(inside);
        Written { frame: &frame[..end], octets, padded_octets: octets, piece: Piece::Whole(0) }
    }

    fn put_ipv4(&self, ip: &mut [u8], piece: Piece) {
        let length = u16::try_from(ip.len()).expect("frames are short");
        let [a, b, c, d] = self.number.to_be_bytes();
        let protocol = if self.is_udp() { 17 } else { 6 };
        let fragment = match piece {
            Piece::Whole(_) => 0x4000_u16,
            Piece::FirstFragment => 0x2000,
            // Offset in units of 8 octets.
            Piece::LaterFragment => 1480 / 8,
        };
        ip[0] = 0x45;
        ip[2..4].copy_from_slice(&length.to_be_bytes());
        ip[4..6].copy_from_slice(&[c, d]);
        ip[6..8].copy_from_slice(&fragment.to_be_bytes());
        ip[8] = 64;
        ip[9] = protocol;
        ip[12..16].copy_from_slice(&[10 + a, b, c, d]);
        ip[16..20].copy_from_slice(&[198, 18, self.octet(0), self.octet(1)]);
        let checksum = !sum(&ip[..20]);
        ip[10..12].copy_from_slice(&checksum.to_be_bytes());
    }

    fn put_ipv6(&self, ip: &mut [u8]) {
        let length = u16::try_from(ip.len() - 40).expect("frames are short");
        ip[0] = 0x60;
        ip[4..6].copy_from_slice(&length.to_be_bytes());
        ip[6] = if self.is_udp() { 17 } else { 6 };
        ip[7] = 64;
        // 2001:db8::/32 is for documentation.
        ip[8..12].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
        ip[20..24].copy_from_slice(&self.number.to_be_bytes());
        ip[24..28].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
        ip[32..40].copy_from_slice(&self.mixed.to_be_bytes());
    }

    fn put_transport(&self, segment: &mut [u8], is_first: bool) {
        let source = 1024 + u16::from_be_bytes([self.octet(2), self.octet(3)]) % 60_000;
        let destination = [80_u16, 443, 8080, 8443][usize::from(self.octet(4) % 4)];
        segment[..2].copy_from_slice(&source.to_be_bytes());
        segment[2..4].copy_from_slice(&destination.to_be_bytes());
        if self.is_udp() {
            let length = u16::try_from(segment.len()).expect("frames are short");
            segment[4..6].copy_from_slice(&length.to_be_bytes());
            return;
        }
        let is_syn = match self.kind {
            Kind::Small | Kind::SmallInVxlan => false,
            Kind::SmallSyn => true,
            Kind::Imix => is_first,
        };
        segment[12] = 0x50;
        segment[13] = if is_syn { 0x02 } else { 0x10 };
        segment[14..16].copy_from_slice(&[0xff, 0xff]);
    }
}

/// The sum whose complement is a checksum (RFC 1071).
fn sum(octets: &[u8]) -> u16 {
    let words = octets.as_chunks().0.iter().map(|&word| u32::from(u16::from_be_bytes(word)));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    u16::try_from((folded & 0xffff) + (folded >> 16)).expect("a few words, folded twice")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_frames_have_their_length_and_a_sound_header() {
        let mut frame = [0xa5; FRAME_MAX];
        let written = Flow::new(9_999_999, Kind::Small).write(Piece::Whole(0), true, &mut frame);
        assert_eq!((written.frame.len(), written.octets), (60, 40));
        assert_eq!(sum(&written.frame[14..34]), 0xffff);
        assert_eq!(written.frame[54..], [0; 6]);
    }

    #[test]
    fn small_packets_in_vxlan_are_the_same() {
        let (mut plain, mut around) = ([0; FRAME_MAX], [0xa5; FRAME_MAX]);
        let flow = |kind| Flow::new(7, kind);
        let plain = flow(Kind::Small).write(Piece::Whole(0), true, &mut plain);
        let written = flow(Kind::SmallInVxlan).write(Piece::Whole(0), true, &mut around);
        assert_eq!((written.frame.len(), written.octets), (104, 40));
        assert_eq!(sum(&written.frame[14..34]), 0xffff);
        assert_eq!(written.frame[50..], plain.frame[..54]);
    }

    #[test]
    fn mixed_frames_are_as_long_as_they_say() {
        let mut random = Random::named("mixed");
        let mut fragments = 0;
        for number in 0..20_000 {
            let flow = Flow::new(number, Kind::Imix);
            let mut frame = [0xa5; FRAME_MAX];
            let Written { frame, octets, piece, .. } =
                flow.write(Kind::Imix.piece(&mut random), true, &mut frame);
            let begin = if flow.vlan().is_some() { 18 } else { 14 };
            let claimed = if flow.is_ipv6() {
                40 + usize::from(frame[begin + 4]) * 256 + usize::from(frame[begin + 5])
            } else {
                usize::from(frame[begin + 2]) * 256 + usize::from(frame[begin + 3])
            };
            assert_eq!(claimed, octets as usize);
            assert_eq!(frame.len(), (begin + claimed).max(60));
            fragments += u32::from(piece == Piece::FirstFragment);
        }
        assert!((40..95).contains(&fragments), "{fragments}");
    }
}
