//! Captures to send: one of each kind of frame, and real ones.

use std::fs;

use crate::support::capture::{Captured, pcap};
use crate::support::packet::{ethernet, icmp, ipv4, ipv6, tagged, tcp, udp};
use crate::support::{self, tunnel};

const A: [u8; 4] = [10, 1, 0, 1];
const B: [u8; 4] = [192, 0, 2, 9];
const A6: &str = "2001:db8::a";
const B6: &str = "2001:db8:1::b";

const TCP: u8 = 6;
const UDP: u8 = 17;

/// Microseconds from a frame to the next: all of a capture passes before a flow can time out.
const GAP_US: u64 = 100;

/// A file of frames, evenly spaced.
#[derive(Clone, Debug)]
pub struct Capture {
    pub name: String,
    frames: Vec<Vec<u8>>,
}

impl Capture {
    pub fn file(&self) -> Vec<u8> {
        let at = |index| 1_700_000_000_000_000 + index * GAP_US;
        let packets = (0..).zip(&self.frames).map(|(index, frame)| Captured {
            nanos: at(index) * 1000,
            ..Captured::at(0, frame.clone())
        });
        pcap(&packets.collect::<Vec<_>>())
    }

    pub fn packets(&self) -> u64 {
        self.frames.len() as u64
    }

    /// The longest IP packet a link has to carry for it.
    pub fn mtu(&self) -> usize {
        self.frames.iter().map(|frame| frame.len() - 14).max().unwrap_or(0)
    }
}

/// Of made frames.
pub fn made() -> Vec<Capture> {
    let of = |name: &str, frames| Capture { name: name.to_owned(), frames };
    vec![
        of("connections", connections()),
        of("many flows", many_flows()),
        of("ipv6", ipv6_packets()),
        of("vlan", vlans(&[(0x8100, 7)])),
        of("two vlans", vlans(&[(0x8100, 7), (0x88a8, 300)])),
        of("ipv4 fragments", ipv4_fragments()),
        of("ipv6 fragments", ipv6_fragments()),
        of("icmp", icmp_messages()),
        of("jumbo", jumbo_frames()),
        of("mpls and pppoe", labels()),
        of("no ip", not_ip()),
        of("office", frames_of(&support::office())),
    ]
}

/// Each kind of tunnel, around short packets and long ones.
pub fn tunnels() -> Capture {
    let around = |payload| {
        let ip = ipv4(tunnel::INNER[0], tunnel::INNER[1], TCP, &tcp(1234, 80, 0x10, payload));
        tunnel::samples_of(&ip).into_iter().map(|(_, _, packet)| ethernet(&packet))
    };
    let frames = [0, 20, 700, 1300].into_iter().flat_map(around).collect();
    Capture { name: "tunnels".to_owned(), frames }
}

/// Of others: a dozen real captures, if they are here.
pub fn real() -> Vec<Capture> {
    const NAMES: [&str; 13] = [
        "1kxun.pcap",
        "4in4tunnel.pcap",
        "6in4tunnel.pcap",
        "android.pcap",
        "bittorrent_utp.pcap",
        "dns_fragmented.pcap",
        "gtp_c.pcap",
        "h323.pcap",
        "ip_fragmented_garbage.pcap",
        "malware.pcap",
        "pim.pcap",
        "quic-27.pcap",
        "skype-conference-call.pcap",
    ];
    let files = support::real_captures().into_iter();
    let captures = files.filter_map(|path| {
        let name = path.file_name()?.to_str().filter(|name| NAMES.contains(name))?.to_owned();
        let mut frames = frames_of(&path);
        // Longer ones were put together by the host that captured them.
        frames.retain(|frame| (14..=1514).contains(&frame.len()));
        (!frames.is_empty()).then_some(Capture { name, frames })
    });
    captures.collect()
}

/// The frames of a classic little-endian capture file of Ethernet that were captured whole.
fn frames_of(path: &std::path::Path) -> Vec<Vec<u8>> {
    let file = fs::read(path).expect("the capture can be read");
    let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().expect("four octets"));
    if word(0) != 0xa1b2_c3d4 || word(20) != 1 {
        return Vec::new();
    }
    let mut frames = Vec::new();
    let mut at = 24;
    while at + 16 <= file.len() {
        let (captured, on_wire) = (word(at + 8) as usize, word(at + 12) as usize);
        let Some(frame) = file.get(at + 16..at + 16 + captured) else { break };
        if captured == on_wire {
            frames.push(frame.to_vec());
        }
        at += 16 + captured;
    }
    frames
}

/// Opened, used, closed by FIN or RST, and opened again.
fn connections() -> Vec<Vec<u8>> {
    let both = |port, flags, payload| {
        [
            ethernet(&ipv4(A, B, TCP, &tcp(port, 443, flags, payload))),
            ethernet(&ipv4(B, A, TCP, &tcp(443, port, flags, payload))),
        ]
    };
    let steps = [(0x02, 0), (0x10, 0), (0x18, 1000), (0x11, 0), (0x10, 0), (0x02, 0), (0x14, 0)];
    let ports = 40_000..40_050;
    ports
        .flat_map(|port| steps.iter().flat_map(move |&(flags, size)| both(port, flags, size)))
        .collect()
}

fn many_flows() -> Vec<Vec<u8>> {
    let syn = |number: u16| {
        let [high, low] = number.to_be_bytes();
        ethernet(&ipv4([10, 9, high, low], B, TCP, &tcp(1024 + number, 80, 0x02, 0)))
    };
    (0..3000).map(syn).collect()
}

fn ipv6_packets() -> Vec<Vec<u8>> {
    let hop_by_hop = |payload: &[u8]| [&[UDP, 0, 1, 4, 0, 0, 0, 0], payload].concat();
    let packet = |size: u16| {
        let datagram = udp(1000 + size, 53, size.into());
        [
            ethernet(&ipv6(A6, B6, UDP, &datagram)),
            ethernet(&ipv6(B6, A6, 0, &hop_by_hop(&datagram))),
            ethernet(&ipv6(A6, B6, TCP, &tcp(size, 22, 0x18, size.into()))),
        ]
    };
    (1..100).flat_map(packet).collect()
}

/// Tagged, the innermost first.
fn vlans(tags: &[(u16, u16)]) -> Vec<Vec<u8>> {
    let with_tags = |ip: &[u8]| {
        let frame = ethernet(ip);
        tags.iter().fold(frame, |frame, &(protocol, id)| tagged(&frame, protocol, id))
    };
    let pair = |port| {
        [
            with_tags(&ipv4(A, B, UDP, &udp(port, 161, 60))),
            with_tags(&ipv6(A6, B6, UDP, &udp(port, 161, 900))),
        ]
    };
    (2000..2100).flat_map(pair).collect()
}

/// Each datagram in three, with its ports in the first only.
fn ipv4_fragments() -> Vec<Vec<u8>> {
    let datagram = |number: u16| {
        let part = |offset: u16, more: bool, payload: &[u8]| {
            let mut packet = ipv4(A, B, UDP, payload);
            packet[4..6].copy_from_slice(&number.to_be_bytes());
            let field = (u16::from(more) << 13) | (offset / 8);
            packet[6..8].copy_from_slice(&field.to_be_bytes());
            ethernet(&packet)
        };
        [
            part(0, true, &udp(5000 + number % 10, 6000, 1472)),
            part(1480, true, &[0; 1480]),
            part(2960, false, &[0; 500]),
        ]
    };
    (1..100).flat_map(datagram).collect()
}

fn ipv6_fragments() -> Vec<Vec<u8>> {
    let datagram = |number: u16| {
        let part = |offset: u16, more: u16, payload: &[u8]| {
            let mut header = vec![UDP, 0];
            header.extend((offset | more).to_be_bytes());
            header.extend(u32::from(number).to_be_bytes());
            header.extend(payload);
            ethernet(&ipv6(A6, B6, 44, &header))
        };
        [part(0, 1, &udp(5000 + number % 10, 6000, 1192)), part(1200, 0, &[0; 300])]
    };
    (1..100).flat_map(datagram).collect()
}

fn icmp_messages() -> Vec<Vec<u8>> {
    let pair = |code| {
        [
            ethernet(&ipv4(B, A, 1, &icmp(3, code, 56))),
            ethernet(&ipv6(B6, A6, 58, &icmp(1, code, 56))),
        ]
    };
    (0..8).flat_map(pair).collect()
}

fn jumbo_frames() -> Vec<Vec<u8>> {
    let sizes = [1472, 3000, 4000, 5000, 8000, 8972];
    let frame = |port| sizes.map(|size| ethernet(&ipv4(A, B, UDP, &udp(port, 9, size))));
    (3000..3050).flat_map(frame).collect()
}

/// An MPLS label before IPv4, and IPv6 in a PPPoE session.
fn labels() -> Vec<Vec<u8>> {
    let under = |ethertype: u16, header: &[u8], ip: &[u8]| {
        let mut frame = ethernet(ip)[..12].to_vec();
        frame.extend(ethertype.to_be_bytes());
        frame.extend(header);
        frame.extend(ip);
        frame
    };
    let pair = |port| {
        let v4 = ipv4(A, B, UDP, &udp(port, 7, 80));
        let v6 = ipv6(A6, B6, UDP, &udp(port, 7, 80));
        let length = u16::try_from(v6.len() + 2).expect("a short packet").to_be_bytes();
        let session = [0x11, 0, 0, 1, length[0], length[1], 0x00, 0x57];
        [under(0x8847, &[0, 1, 0x41, 64], &v4), under(0x8864, &session, &v6)]
    };
    (4000..4050).flat_map(pair).collect()
}

/// ARP, LLDP and a spanning tree: nothing of that is a flow.
fn not_ip() -> Vec<Vec<u8>> {
    let frame = |ethertype: u16| {
        let mut frame = ethernet(&ipv4(A, B, UDP, &udp(1, 2, 30)));
        frame[12..14].copy_from_slice(&ethertype.to_be_bytes());
        frame
    };
    let ip = ethernet(&ipv4(A, B, UDP, &udp(1, 2, 30)));
    [0x0806, 0x88cc, 0x0026].into_iter().flat_map(|kind| [frame(kind), ip.clone()]).collect()
}
