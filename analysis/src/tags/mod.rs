//! Tags of a record: a pure function of the record and the site.
//!
//! A tag is a hint, not an alert. A record has the control bits of all its packets together, so
//! rules about them need a record of one packet, or bits that an ordinary flow never has together.

mod stage;
#[cfg(test)]
mod tests;

use flow::number::{port, protocol, tcp_control};
use flow::{FlowEndReason, FlowKey, FlowRecord, KeyField, KeyFields, Tag, Tags};

use crate::networks::{Purpose, purpose};
use crate::signs::{IcmpMessage, is_code_red, is_slammer, long_answer};
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

impl Tagger {
    /// For records with these fields in their flow keys; other fields are 0 there.
    pub fn new(site: Site, key: KeyFields) -> Self {
        let told = Tag::ALL.into_iter().filter(|tag| is_told(*tag, key, &site)).collect();
        Self { site, told }
    }

    /// Learns the name of an interface.
    pub(super) fn learn_interface(&mut self, number: u32, name: &str) {
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
            port::SMTP => {
                let is_server = self.site.mail_servers.contains(key.source_address());
                Tags::when(!is_server, Tag::Mail25)
            }
            port::SMB => Tag::Worm445.into(),
            port::EDONKEY_TCP => Tag::Edonkey.into(),
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
            port::SQL_MONITOR if is_slammer(record) => Tag::Slammer.into(),
            port::SQL_MONITOR => Tag::Worm1434.into(),
            port::EDONKEY_UDP => Tag::Edonkey.into(),
            _ => Tags::NONE,
        };
        let is_amplified = long_answer(key.source_port)
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
    let is_retry =
        matches!(packets, 2..=7) && octets % packets == 0 && matches!(octets / packets, 44..=64);
    Tags::from(Tag::SynOnly)
        | Tags::when(is_code_red(record), Tag::CodeRed)
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
    match IcmpMessage::of(key) {
        // A ping has code 0.
        IcmpMessage::EchoRequest => Tags::when(key.destination_port & 0xff == 0, Tag::IcmpEcho),
        IcmpMessage::Unreachable => Tag::IcmpUnreachable.into(),
        IcmpMessage::PortUnreachable => Tag::PortUnreachable.into(),
        IcmpMessage::EchoReply | IcmpMessage::Other => Tags::NONE,
    }
}
