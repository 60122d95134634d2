//! IP packets, with the right checksums.

use std::net::IpAddr;

use super::network::Host;

pub(crate) const ICMP: u8 = 1;
pub(crate) const IGMP: u8 = 2;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const ICMPV6: u8 = 58;
pub(crate) const VRRP: u8 = 112;

pub(crate) const FIN: u8 = 0x01;
pub(crate) const SYN: u8 = 0x02;
pub(crate) const RST: u8 = 0x04;
pub(crate) const PSH: u8 = 0x08;
pub(crate) const ACK: u8 = 0x10;

/// Size of the biggest IP packet on all links.
const MTU: usize = 1500;

/// An IP packet without its payload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub(crate) from: Host,
    pub(crate) to: Host,
    pub(crate) protocol: u8,
    pub(crate) type_of_service: u8,
    pub(crate) identification: u16,
    /// An option that asks every router to look into the packet (RFC 2113, RFC 2711).
    pub(crate) router_alert: bool,
}

/// The fields of a TCP segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment<'a> {
    pub(crate) ports: [u16; 2],
    pub(crate) sequence: u32,
    pub(crate) acknowledgement: u32,
    pub(crate) flags: u8,
    pub(crate) window: u16,
    /// A multiple of four octets.
    pub(crate) options: &'a [u8],
}

impl Segment<'_> {
    /// With its payload; [`packets`] puts in the checksum.
    pub(crate) fn with(&self, payload: &[u8]) -> Vec<u8> {
        let words = u8::try_from(5 + self.options.len() / 4).expect("at most 15");
        let mut octets = Vec::with_capacity(20 + self.options.len() + payload.len());
        octets.extend(self.ports[0].to_be_bytes());
        octets.extend(self.ports[1].to_be_bytes());
        octets.extend(self.sequence.to_be_bytes());
        octets.extend(self.acknowledgement.to_be_bytes());
        octets.extend([words << 4, self.flags]);
        octets.extend(self.window.to_be_bytes());
        octets.extend([0; 4]);
        octets.extend(self.options);
        octets.extend(payload);
        octets
    }
}

/// A UDP datagram; [`packets`] puts in the checksum.
pub(crate) fn udp(ports: [u16; 2], payload: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(8 + payload.len());
    octets.extend(ports[0].to_be_bytes());
    octets.extend(ports[1].to_be_bytes());
    octets.extend(length(8 + payload.len()).to_be_bytes());
    octets.extend([0; 2]);
    octets.extend(payload);
    octets
}

/// An ICMP or ICMPv6 message; [`packets`] puts in the checksum.
pub(crate) fn icmp(kind: u8, code: u8, rest: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let mut octets = vec![kind, code, 0, 0];
    octets.extend(rest);
    octets.extend(payload);
    octets
}

/// An ICMP error about a message: its IP header and its first 8 octets.
pub(crate) fn icmp_error(kind: u8, code: u8, header: &Header, message: Vec<u8>) -> Vec<u8> {
    icmp(kind, code, [0; 4], &packets(header, message)[0][..28])
}

/// The packet of a message, or its fragments if it is too big for one.
pub(crate) fn packets(header: &Header, mut message: Vec<u8>) -> Vec<Vec<u8>> {
    put_checksum(header, &mut message);
    let is_v4 = header.from.address.is_ipv4();
    let header_length = if is_v4 { 20 } else { 40 };
    if header_length + message.len() <= MTU {
        return vec![packet(header, None, &message)];
    }
    // All fragments but the last have a multiple of eight octets.
    let room = (MTU - header_length - if is_v4 { 0 } else { 8 }) / 8 * 8;
    let count = message.len().div_ceil(room);
    let fragments = message.chunks(room).enumerate();
    let fragment = |(index, part): (usize, &[u8])| {
        let more = u16::from(index + 1 < count);
        packet(header, Some(Fragment { offset: length(index * room), more }), part)
    };
    fragments.map(fragment).collect()
}

/// Where a fragment was in its datagram.
#[derive(Clone, Copy, Debug)]
struct Fragment {
    offset: u16,
    /// 1 if others follow.
    more: u16,
}

fn packet(header: &Header, fragment: Option<Fragment>, payload: &[u8]) -> Vec<u8> {
    match (header.from.address, header.to.address) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let options: &[u8] = if header.router_alert { &[0x94, 4, 0, 0] } else { &[] };
            let mut octets = vec![0x45, header.type_of_service];
            octets[0] += u8::from(header.router_alert);
            octets.extend(length(20 + options.len() + payload.len()).to_be_bytes());
            octets.extend(header.identification.to_be_bytes());
            let flags = match fragment {
                Some(fragment) => (fragment.more << 13) | (fragment.offset / 8),
                None if header.protocol == TCP => 0x4000,
                None => 0,
            };
            octets.extend(flags.to_be_bytes());
            octets.extend([header.from.ttl, header.protocol, 0, 0]);
            octets.extend(from.octets());
            octets.extend(to.octets());
            octets.extend(options);
            let sum = checksum(&[&octets]);
            octets[10..12].copy_from_slice(&sum.to_be_bytes());
            octets.extend(payload);
            octets
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let mut extension = Vec::new();
            let mut next = header.protocol;
            if header.router_alert {
                extension.extend([next, 0, 5, 2, 0, 0, 1, 0]);
                next = 0;
            }
            if let Some(Fragment { offset, more }) = fragment {
                extension.extend([next, 0]);
                extension.extend((offset | more).to_be_bytes());
                extension.extend(u32::from(header.identification).to_be_bytes());
                next = 44;
            }
            let class = u32::from(header.type_of_service);
            let mut octets = (6 << 28 | class << 20).to_be_bytes().to_vec();
            octets.extend(length(extension.len() + payload.len()).to_be_bytes());
            octets.extend([next, header.from.ttl]);
            octets.extend(from.octets());
            octets.extend(to.octets());
            octets.extend(extension);
            octets.extend(payload);
            octets
        }
        _ => panic!("a packet goes from one address to another of the same version"),
    }
}

/// Puts the checksum of a message where its protocol has it.
fn put_checksum(header: &Header, message: &mut [u8]) {
    let place = match header.protocol {
        ICMP | ICMPV6 | IGMP => 2,
        TCP => 16,
        UDP | VRRP => 6,
        _ => return,
    };
    let has_pseudo_header = !matches!(header.protocol, ICMP | IGMP);
    let pseudo_header = if has_pseudo_header { pseudo_header(header, message) } else { Vec::new() };
    let sum = match checksum(&[&pseudo_header, message]) {
        0 if header.protocol == UDP => 0xffff,
        sum => sum,
    };
    message[place..place + 2].copy_from_slice(&sum.to_be_bytes());
}

fn pseudo_header(header: &Header, message: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(40);
    for address in [header.from.address, header.to.address] {
        match address {
            IpAddr::V4(address) => octets.extend(address.octets()),
            IpAddr::V6(address) => octets.extend(address.octets()),
        }
    }
    octets.extend(u32::from(length(message.len())).to_be_bytes());
    octets.extend([0, 0, 0, header.protocol]);
    octets
}

/// The Internet checksum (RFC 1071) of parts; all but the last are even.
fn checksum(parts: &[&[u8]]) -> u16 {
    let words = parts.iter().flat_map(|part| part.chunks(2));
    let word = |word: &[u8]| u64::from(word[0]) << 8 | word.get(1).map_or(0, |&low| low.into());
    let mut sum: u64 = words.map(word).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).expect("folded to 16 bits")
}

/// A length as headers have it.
pub(crate) fn length(length: usize) -> u16 {
    u16::try_from(length).expect("no message of a sample is longer than 64 KiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_is_that_of_the_example_of_rfc_1071() {
        assert_eq!(checksum(&[&[0x00, 0x01, 0xf2, 0x03], &[0xf4, 0xf5, 0xf6, 0xf7]]), !0xddf2);
        assert_eq!(checksum(&[&[0xff]]), 0x00ff);
    }
}
