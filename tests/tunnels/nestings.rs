//! Packets in packets, as deep as they go: random ones, built with pnet and read by etherparse.

use std::collections::BTreeMap;

use etherparse::{IpSlice, TransportSlice};
use serde_json::Value;

use crate::support::capture::Captured;
use crate::support::packet;
use crate::support::random::Random;
use crate::support::tunnel::{udp_to, with};
use crate::{ALL, assert_octets_are_conserved, replay};

/// Ids of the outer and the inner VLAN tag, 0 for none.
type Vlans = [u16; 2];

/// An IP packet in an IP packet.
struct Wrapped {
    kind: &'static str,
    id: u32,
    /// Headers of the tunnel and of link layers in it.
    headers: usize,
    /// `None` if there is no frame in the tunnel.
    vlans: Option<Vlans>,
    packet: Vec<u8>,
}

/// Makes what is around a packet.
struct Builder {
    random: Random,
}

impl Builder {
    fn below(&mut self, limit: u64) -> u8 {
        u8::try_from(self.random.below(limit)).unwrap()
    }

    /// An IP packet of either version from a host with this number.
    fn ip(&mut self, host: u16, protocol: u8, payload: &[u8]) -> Vec<u8> {
        let [high, low] = host.to_be_bytes();
        if self.random.one_in(2) {
            packet::ipv4([10, high, low, 1], [192, 0, 2, low], protocol, payload)
        } else {
            // So that Teredo takes it.
            packet::ipv6(&format!("2001:0:db8::{host:x}"), "2001:db8::9", protocol, payload)
        }
    }

    /// The packet that is in all others.
    fn innermost(&mut self, host: u16) -> Vec<u8> {
        let payload = usize::from(self.below(200));
        let (protocol, payload) = match self.below(3) {
            0 => (6, packet::tcp(40_000 + host, 443, 0x18, payload)),
            // A port that no tunnel has.
            1 => (17, packet::udp(40_000 + host, 9999, payload)),
            _ => (132, packet::tcp(40_000 + host, 38_412, 0, payload)),
        };
        self.ip(host, protocol, &payload)
    }

    /// A frame with up to two tags.
    fn frame(&mut self, ip: &[u8]) -> (Vec<u8>, Vlans) {
        let frame = packet::unpadded(ip);
        let (one, other) = (u16::from(self.below(200)) + 1, u16::from(self.below(200)) + 300);
        match self.below(3) {
            0 => (frame, [0, 0]),
            1 => (packet::tagged(&frame, 0x8100, one), [one, 0]),
            _ => {
                let inner = packet::tagged(&frame, 0x8100, other);
                (packet::tagged(&inner, 0x88a8, one), [one, other])
            }
        }
    }

    fn wrap(&mut self, ip: &[u8], host: u16) -> Wrapped {
        let (kind, id, protocol, content, headers, vlans) = match self.below(14) {
            0 | 1 => self.ethernet_in_udp(ip),
            2 => self.ip_in_udp(ip),
            3 | 4 => self.gre(ip),
            5 => self.erspan(ip),
            6 => self.gtp(ip),
            7 => self.teredo_or_ip(ip),
            8 => {
                let (frame, vlans) = self.frame(ip);
                ("etherip", 0, 97, with(&[0x30, 0], &frame), frames(vlans), Some(vlans))
            }
            9 => {
                let (frame, vlans) = self.frame(ip);
                let header = [0, 0, 0, 6, 1, 2, 3, 4];
                ("l2tpv3", 6, 115, with(&header, &frame), frames(vlans), Some(vlans))
            }
            10 => ("mpls", 19, 137, with(&[0, 1, 0x31, 64], ip), 2, None),
            11 => ("mpls", 20, 17, udp_to(6635, &with(&[0, 1, 0x41, 64], ip)), 2, None),
            12 => self.ppp(ip),
            _ => ("ipip", 0, if ip[0] >> 4 == 4 { 4 } else { 41 }, ip.to_vec(), 1, None),
        };
        Wrapped { kind, id, headers, vlans, packet: self.ip(host, protocol, &content) }
    }

    fn ethernet_in_udp(&mut self, ip: &[u8]) -> Parts {
        let (frame, vlans) = self.frame(ip);
        let id = self.below(255);
        let header = [8, 0, 0, 0, 0, 0, id, 0];
        let (kind, port, header) = match self.below(4) {
            0 => ("vxlan", 4789, header.to_vec()),
            // A group policy.
            1 => ("vxlan", 8472, with(&[0x88, 0, 0, 9], &header[4..])),
            2 => ("vxlan_gpe", 4790, with(&[0x0c, 0, 0, 3], &header[4..])),
            _ => ("geneve", 6081, self.geneve([0x65, 0x58], id)),
        };
        let datagram = udp_to(port, &with(&header, &frame));
        (kind, id.into(), 17, datagram, frames(vlans), Some(vlans))
    }

    /// With options of all lengths.
    fn geneve(&mut self, ethertype: [u8; 2], id: u8) -> Vec<u8> {
        let mut options = Vec::new();
        for _ in 0..self.below(4) {
            let words = self.below(8);
            options.extend([1, 2, 3, words]);
            options.extend(std::iter::repeat_n(0xa5, usize::from(words) * 4));
        }
        let words = u8::try_from(options.len() / 4).unwrap();
        with(&[words, 0, ethertype[0], ethertype[1], 0, 0, id, 0], &options)
    }

    fn ip_in_udp(&mut self, ip: &[u8]) -> Parts {
        let id = self.below(255);
        if self.random.one_in(2) {
            let header = self.geneve(ethertype(ip), id);
            return ("geneve", id.into(), 17, udp_to(6081, &with(&header, ip)), 1, None);
        }
        let protocol = if ip[0] >> 4 == 4 { 1 } else { 2 };
        let header = [0x0c, 0, 0, protocol, 0, 0, id, 0];
        ("vxlan_gpe", id.into(), 17, udp_to(4790, &with(&header, ip)), 1, None)
    }

    fn gre(&mut self, ip: &[u8]) -> Parts {
        let key = self.below(255);
        let mut flags = 0;
        let mut fields = Vec::new();
        for (flag, octets) in [(0x80, [9, 9, 0, 0]), (0x20, [0, 0, key, 7]), (0x10, [0, 0, 0, 1])] {
            if self.random.one_in(2) {
                flags |= flag;
                fields.extend(octets);
            }
        }
        let id = if flags & 0x20 == 0 { 0 } else { u32::from(key) << 8 | 7 };
        let is_frame = self.random.one_in(2);
        let [high, low] = if is_frame { [0x65, 0x58] } else { ethertype(ip) };
        let header = with(&[flags, 0, high, low], &fields);
        if !is_frame {
            return ("gre", id, 47, with(&header, ip), 1, None);
        }
        let (frame, vlans) = self.frame(ip);
        let (kind, id) = if flags == 0x20 { ("nvgre", id >> 8) } else { ("gre", id) };
        (kind, id, 47, with(&header, &frame), frames(vlans), Some(vlans))
    }

    /// Types I, II and III; the VLAN of the header counts where the frame has none.
    fn erspan(&mut self, ip: &[u8]) -> Parts {
        let (frame, vlans) = self.frame(ip);
        let (id, header): (u32, &[u8]) = match self.below(3) {
            0 => (0, &[0, 0, 0x88, 0xbe]),
            1 => (17, &[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 5, 0, 17, 0, 0, 0, 0]),
            _ => (18, &[0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 5, 0, 18, 0, 0, 0, 0, 0, 0, 0, 0]),
        };
        let told = match vlans {
            [0, _] if id != 0 => [5, 0],
            own => own,
        };
        ("erspan", id, 47, with(header, &frame), frames(vlans), Some(told))
    }

    fn gtp(&mut self, ip: &[u8]) -> Parts {
        let id = self.below(255);
        let mut header = vec![0x30, 255, 0, 0, 0, 0, 0, id];
        let extensions = self.below(4);
        if extensions > 0 {
            header[0] = 0x34;
            header.extend([0, 0, 0, 0x85]);
            for left in (0..extensions).rev() {
                header.extend([1, 0, 0, if left == 0 { 0 } else { 0x85 }]);
            }
        }
        ("gtpu", id.into(), 17, udp_to(2152, &with(&header, ip)), 1, None)
    }

    fn teredo_or_ip(&mut self, ip: &[u8]) -> Parts {
        if ip[0] >> 4 == 4 {
            return ("ipip", 0, 4, ip.to_vec(), 1, None);
        }
        let mut header = Vec::new();
        if self.random.one_in(2) {
            header.extend([0, 1, 2, 3]);
            header.extend([0; 2 + 3 + 9]);
        }
        if self.random.one_in(2) {
            header.extend([0; 8]);
        }
        ("teredo", 0, 17, udp_to(3544, &with(&header, ip)), 1, None)
    }

    /// In L2TP with all fields that there may be, or in PPTP.
    fn ppp(&mut self, ip: &[u8]) -> Parts {
        let protocol = if ip[0] >> 4 == 4 { 0x21 } else { 0x57 };
        let before: &[u8] = match self.below(3) {
            0 => &[0xff, 0x03, 0],
            1 => &[0],
            _ => &[],
        };
        let frame = with(&with(before, &[protocol]), ip);
        if self.random.one_in(3) {
            let header = [0x30, 0x81, 0x88, 0x0b, 0, 64, 0, 4, 0, 0, 0, 1, 0, 0, 0, 2];
            return ("pptp", 4, 47, with(&header, &frame), 2, None);
        }
        let has = [(); 3].map(|()| self.random.one_in(2));
        let [length, sequence, offset] = has;
        let first = u8::from(length) << 6 | u8::from(sequence) << 3 | u8::from(offset) << 1;
        let mut header = vec![first, 2];
        header.extend([0; 2].iter().filter(|_| length));
        header.extend([0, 1, 0, 2]);
        header.extend([0; 4].iter().filter(|_| sequence));
        header.extend([0, 3, 9, 9, 9].iter().filter(|_| offset));
        ("l2tp", 0x0001_0002, 17, udp_to(1701, &with(&header, &frame)), 2, None)
    }
}

/// Kind, id, IP protocol, what the packet around carries, headers, VLANs.
type Parts = (&'static str, u32, u8, Vec<u8>, usize, Option<Vlans>);

/// Headers of a tunnel with a frame: its own, that of Ethernet, tags.
fn frames(vlans: Vlans) -> usize {
    2 + vlans.iter().filter(|id| **id != 0).count()
}

fn ethertype(ip: &[u8]) -> [u8; 2] {
    if ip[0] >> 4 == 4 { [0x08, 0] } else { [0x86, 0xdd] }
}

/// A packet as etherparse reads it.
#[derive(Debug, PartialEq, Eq)]
struct Read {
    addresses: [String; 2],
    ports: Option<[u16; 2]>,
    octets: u64,
}

fn read(ip: &[u8]) -> Read {
    let slice = IpSlice::from_slice(ip).expect("etherparse reads it");
    let octets = match &slice {
        IpSlice::Ipv4(ipv4) => u64::from(ipv4.header().total_len()),
        IpSlice::Ipv6(ipv6) => u64::from(ipv6.header().payload_length()) + 40,
    };
    let addresses = [slice.source_addr(), slice.destination_addr()].map(|it| it.to_string());
    let sliced = etherparse::SlicedPacket::from_ip(ip).expect("etherparse reads what is in it");
    let ports = match sliced.transport {
        Some(TransportSlice::Tcp(tcp)) => Some([tcp.source_port(), tcp.destination_port()]),
        Some(TransportSlice::Udp(udp)) => Some([udp.source_port(), udp.destination_port()]),
        Some(_) | None => None,
    };
    Read { addresses, ports, octets }
}

/// A nesting, and what is expected of it.
struct Nesting {
    frame: Vec<u8>,
    innermost: Read,
    /// Kind, id, depth and ends of the innermost tunnel.
    tunnel: Option<(&'static str, u32, u64, [String; 2])>,
    vlans: Vlans,
    is_too_deep: bool,
}

fn nesting(builder: &mut Builder, host: u16) -> Nesting {
    let innermost = builder.innermost(host);
    let mut layers: Vec<Wrapped> = Vec::new();
    for _ in 0..builder.below(9) {
        let inner = layers.last().map_or(&innermost, |layer| &layer.packet).clone();
        layers.push(builder.wrap(&inner, host));
    }
    let outermost = layers.last().map_or(&innermost, |layer| &layer.packet);
    let (frame, mut vlans) = builder.frame(outermost);
    for layer in layers.iter().rev() {
        vlans = layer.vlans.unwrap_or(vlans);
    }
    let depth = layers.len() as u64;
    let headers: usize = layers.iter().map(|layer| layer.headers).sum();
    Nesting {
        frame,
        innermost: read(&innermost),
        tunnel: layers
            .first()
            .map(|layer| (layer.kind, layer.id, depth, read(&layer.packet).addresses)),
        vlans,
        is_too_deep: layers.len() > 7 || headers > 16,
    }
}

/// The whole of a document that the nesting decides.
fn check(document: &Value, nesting: &Nesting) {
    let Nesting { innermost, tunnel, vlans, .. } = nesting;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    assert_eq!(text(&document["destination"]["ip"]), innermost.addresses[1]);
    assert_eq!(document["network"]["bytes"], innermost.octets, "{document}");
    if let Some(ports) = innermost.ports {
        let of = |side: &str| document[side]["port"].as_u64().unwrap();
        assert_eq!([of("source"), of("destination")], ports.map(u64::from));
    }
    let network = &document["network"];
    let told = [&network["vlan"]["id"], &network["inner"]["vlan"]["id"]].map(text);
    let expected = vlans.map(|id| if id == 0 { String::new() } else { id.to_string() });
    assert_eq!(told, expected, "{document}");
    let told = &document["flowprobe"]["tunnel"];
    let Some((kind, id, depth, ends)) = tunnel else { return assert!(told.is_null(), "{told}") };
    let expected = serde_json::json!({
        "type": kind,
        "id": id,
        "depth": depth,
        "source": {"ip": ends[0]},
        "destination": {"ip": ends[1]},
    });
    assert_eq!(told, &expected, "{document}");
}

#[test]
fn random_nestings_are_opened_to_the_innermost_packet() {
    let mut builder = Builder { random: Random::new(21) };
    let nestings: Vec<_> = (0..2000).map(|host| nesting(&mut builder, host)).collect();
    let captured: Vec<_> =
        (0..).zip(&nestings).map(|(at, nesting)| Captured::at(at, nesting.frame.clone())).collect();
    for workers in ["1", "2"] {
        let settings = [ALL, &["--workers", workers, "--max-flows", "4000"]].concat();
        let replayed = replay(&captured, &settings);
        let by_source: BTreeMap<_, _> = replayed
            .documents
            .iter()
            .map(|document| (document["source"]["ip"].as_str().unwrap(), document))
            .collect();
        let (deep, read): (Vec<_>, Vec<_>) = nestings.iter().partition(|it| it.is_too_deep);
        assert!(deep.len() > 20 && read.len() > 1000, "{} too deep", deep.len());
        for nesting in &read {
            check(by_source[nesting.innermost.addresses[0].as_str()], nesting);
        }
        assert_eq!(replayed.documents.len(), read.len());
        assert_eq!(replayed.run.count("ignored.too_deep.packets"), deep.len() as u64);
        assert_eq!(replayed.run.stats["tunnels"]["decap_refused"], serde_json::json!({}));
        assert_octets_are_conserved(&captured, &replayed);
    }
}

/// Cut anywhere, a nesting is one packet of a flow inside or outside, or ignored for a reason.
#[test]
fn random_nestings_are_counted_however_they_are_cut() {
    let mut builder = Builder { random: Random::new(22) };
    for host in 0..40 {
        let whole = Captured::at(0, nesting(&mut builder, host).frame);
        let captured: Vec<_> =
            (0..=whole.data.len()).map(|length| whole.clone().cut(length)).collect();
        let replayed = replay(&captured, ALL);
        assert_eq!(replayed.run.count("received.packets"), captured.len() as u64);
        assert_octets_are_conserved(&captured, &replayed);
    }
}
