//! Tags of a record: a pure function of the record and the site.
//!
//! A tag is a hint, not an alert. A record has the control bits of all its packets together, so
//! rules about them need a record of one packet, or bits that an ordinary flow never has together.

mod stage;
#[cfg(test)]
mod tests;

use flow::number::{protocol, tcp_control};
use flow::{FlowEndReason, FlowKey, FlowRecord, IpVersion, KeyField, KeyFields, Tag, Tags};

use crate::networks::{Purpose, purpose};
use crate::site::{Site, begins_on_link};
pub use stage::{TagCounts, TagStage};

/// Gives records their tags.
#[derive(Clone, Debug)]
pub struct Tagger {
    site: Site,
    /// The tags that the fields of the flow key allow.
    told: Tags,
}

/// The control bits of RFC 793, without those of ECN.
const CONTROL_BITS: u8 = 0x3f;

/// FIN, PSH and URG.
const XMAS: u8 = tcp_control::FIN | tcp_control::PSH | tcp_control::URG;

/// SYN and FIN.
const SYN_FIN: u8 = tcp_control::SYN | tcp_control::FIN;

/// ICMP type * 256 + code, for IPv4 and for IPv6.
const ECHO_REQUEST: (u16, u16) = (8 << 8, 128 << 8);
const NET_UNREACHABLE: (u16, u16) = (3 << 8, 1 << 8);
const HOST_UNREACHABLE: (u16, u16) = (3 << 8 | 1, 1 << 8 | 3);
const PORT_UNREACHABLE: (u16, u16) = (3 << 8 | 3, 1 << 8 | 4);

impl Tagger {
    /// For records with these fields in their flow keys; other fields are 0 there.
    pub fn new(site: Site, key: KeyFields) -> Self {
        let told = Tag::ALL.into_iter().filter(|tag| is_told(*tag, key, &site)).collect();
        Self { site, told }
    }

    /// Learns the name of an interface.
    pub fn learn_interface(&mut self, number: u32, name: &str) {
        self.site.inside.learn(number, name);
        self.site.outside.learn(number, name);
    }

    /// The tags of a record.
    #[inline]
    pub fn tags(&self, record: &FlowRecord) -> Tags {
        let key = &record.key;
        let of_protocol = match key.protocol {
            protocol::TCP => self.tcp(record),
            protocol::UDP => self.udp(record),
            _ if key.is_icmp() => icmp(key),
            _ => Tags::NONE,
        };
        let is_land = key.source == key.destination;
        (of_protocol | self.source(record) | Tags::when(is_land, Tag::Land)) & self.told
    }

    #[inline]
    fn tcp(&self, record: &FlowRecord) -> Tags {
        let key = &record.key;
        let bits = record.tcp_control_bits & CONTROL_BITS;
        let tags = match key.destination_port {
            25 => {
                let is_server = self.site.mail_servers.contains(key.source_address());
                Tags::when(!is_server, Tag::Mail25)
            }
            445 => Tag::Worm445.into(),
            4662 => Tag::Edonkey.into(),
            _ => Tags::NONE,
        };
        if bits == tcp_control::SYN {
            return tags | syn_only(record);
        }
        // An ordinary flow has ACK in all packets but its first.
        if bits & tcp_control::ACK == 0 || record.packets == 1 {
            return tags | strange_bits(record, bits);
        }
        tags
    }

    #[inline]
    fn udp(&self, record: &FlowRecord) -> Tags {
        let key = &record.key;
        let tags = match key.destination_port {
            1434 if record.packets == 1 && record.octets == 404 => Tag::Slammer.into(),
            1434 => Tag::Worm1434.into(),
            4672 => Tag::Edonkey.into(),
            _ => Tags::NONE,
        };
        let is_amplified = amplified_above(key.source_port)
            .is_some_and(|most| record.octets > record.packets.saturating_mul(most))
            && !self.site.is_local(key.destination_address());
        tags | Tags::when(is_amplified, Tag::Amplified)
    }

    /// Tags about the source address.
    #[inline]
    fn source(&self, record: &FlowRecord) -> Tags {
        let source = record.key.source_address();
        let purpose = purpose(source);
        if self.site.local_networks.is_empty() {
            if purpose != Purpose::Never {
                return Tags::NONE;
            }
            return Tags::when(!begins_on_link(&record.key, source), Tag::BogonSource);
        }
        if purpose != Purpose::Global && begins_on_link(&record.key, source) {
            return Tags::NONE;
        }
        let is_bogon = purpose != Purpose::Global && !self.site.is_local(source);
        Tags::when(is_bogon, Tag::BogonSource)
            | Tags::when(self.site.is_spoofed(record), Tag::SpoofedSource)
    }
}

/// True if these fields of the key are enough for a tag.
fn is_told(tag: Tag, key: KeyFields, site: &Site) -> bool {
    use KeyField::{Destination, DestinationPort, Interface, Protocol, Source, SourcePort};
    let fields: &[KeyField] = match tag {
        Tag::CodeRed | Tag::DeadHostRetry | Tag::Slammer => {
            &[Source, Destination, SourcePort, DestinationPort, Protocol]
        }
        Tag::SynOnly | Tag::Xmas | Tag::SynFin | Tag::FinOnly => &[Protocol],
        // Fragments with unknown ports have no control bits either.
        Tag::Null => &[Protocol, SourcePort, DestinationPort],
        Tag::Worm445 | Tag::Worm1434 | Tag::Edonkey => &[Protocol, DestinationPort],
        Tag::IcmpEcho | Tag::IcmpUnreachable | Tag::PortUnreachable => &[Protocol, DestinationPort],
        Tag::Mail25 => &[Source, Protocol, DestinationPort],
        Tag::BogonSource => &[Source, Destination, Protocol],
        Tag::SpoofedSource => &[Source, Destination, Protocol, Interface],
        Tag::Land => &[Source, Destination],
        Tag::Amplified if site.local_networks.is_empty() => &[Protocol, SourcePort],
        Tag::Amplified => &[Protocol, SourcePort, Destination],
    };
    fields.iter().all(|field| key.contains(*field))
}

/// Tags of a record with SYN and no other control bit.
fn syn_only(record: &FlowRecord) -> Tags {
    let FlowRecord { packets, octets, .. } = *record;
    let is_code_red = record.key.destination_port == 80 && packets == 3 && octets == 144;
    let is_retry =
        matches!(packets, 2..=7) && octets % packets == 0 && matches!(octets / packets, 44..=64);
    Tags::from(Tag::SynOnly)
        | Tags::when(is_code_red, Tag::CodeRed)
        | Tags::when(is_retry, Tag::DeadHostRetry)
}

/// Tags of a TCP record with one packet, or without ACK.
fn strange_bits(record: &FlowRecord, bits: u8) -> Tags {
    let is_one = record.packets == 1;
    // One record of a longer flow does not have all its bits.
    if !is_one && record.end_reason == FlowEndReason::ActiveTimeout {
        return Tags::NONE;
    }
    let has_ports = record.key.source_port != 0 || record.key.destination_port != 0;
    Tags::when(bits == XMAS, Tag::Xmas)
        | Tags::when(bits == 0 && has_ports, Tag::Null)
        | Tags::when(bits & SYN_FIN == SYN_FIN, Tag::SynFin)
        | Tags::when(bits == tcp_control::FIN && is_one, Tag::FinOnly)
}

fn icmp(key: &FlowKey) -> Tags {
    let is = |(v4, v6): (u16, u16)| {
        key.destination_port == if key.ip_version == IpVersion::V4 { v4 } else { v6 }
    };
    let is_unreachable = is(NET_UNREACHABLE) || is(HOST_UNREACHABLE);
    Tags::when(is(ECHO_REQUEST), Tag::IcmpEcho)
        | Tags::when(is_unreachable, Tag::IcmpUnreachable)
        | Tags::when(is(PORT_UNREACHABLE), Tag::PortUnreachable)
}

/// Octets of a packet above which answers of this UDP service are amplified; `None` for other
/// source ports.
#[inline]
fn amplified_above(port: u16) -> Option<u64> {
    match port {
        123 => Some(90),
        17 | 19 | 53 | 69 | 111 | 137 | 161 | 177 | 389 | 427 | 520 | 623 | 1434 | 1900 | 3283
        | 3702 | 5093 | 5353 | 5683 | 10_001 | 10_074 | 11_211 | 37_810 => Some(468),
        _ => None,
    }
}
