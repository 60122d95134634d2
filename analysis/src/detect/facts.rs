//! Facts of a record that few rules ask for. They are found once for each record, so that such a
//! rule does not look at the other records.

use flow::number::{port, tcp_control};
use flow::{Details, FlowRecord};

use super::seen::Class;
use crate::signs::{LONG, is_code_red, is_slammer, long_answer};

/// A fact of few records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Fact {
    /// A later fragment without its first one. It has no ports.
    Fragment,
    /// The client's direction of a connection to a mail server.
    Mail,
    /// A packet to a peer of eDonkey.
    Peer,
    /// Packets as worms send them.
    Worm,
    /// A port of a service that can give long answers.
    Abused,
    /// A DNS question was found in payload, and this is the client's direction.
    DnsQuestion,
    /// Long answers to a DNS question of a type that attackers ask for.
    LongDnsAnswer,
}

/// Types of DNS questions with long answers: TXT, RRSIG, DNSKEY and ANY.
const LONG_TYPES: [u16; 4] = [16, 46, 48, 255];

impl Fact {
    /// The bit of this fact in [`kinds`].
    pub(super) const fn bit(self) -> u32 {
        1 << (16 + self as u32)
    }
}

/// The bits of what names in payload say of a record.
pub(super) fn of_names(record: &FlowRecord, details: &Details) -> u32 {
    let dns = details.facts.as_ref().and_then(|facts| facts.dns.as_ref());
    match dns {
        Some(_) if details.from_client => Fact::DnsQuestion.bit(),
        Some(dns)
            if record.key.source_port == port::DNS
                && LONG_TYPES.contains(&dns.kind.number)
                && record.octets > LONG * record.packets =>
        {
            Fact::LongDnsAnswer.bit()
        }
        Some(_) | None => 0,
    }
}

/// The bits of the class and of the facts of a record.
#[inline]
pub(super) fn kinds(class: Class, record: &FlowRecord) -> u32 {
    let (from, to) = (record.key.source_port, record.key.destination_port);
    let is_client = record.tcp_control_bits & tcp_control::SYN != 0;
    let fact = match class {
        Class::Failed | Class::Begun | Class::Tcp => match to {
            0 if from == 0 => Fact::Fragment.bit(),
            port::SMTP if is_client => Fact::Mail.bit(),
            port::SMB if class == Class::Failed => Fact::Worm.bit(),
            port::HTTP if class == Class::Failed && is_code_red(record) => Fact::Worm.bit(),
            port::EDONKEY_TCP if is_client => Fact::Peer.bit(),
            _ => 0,
        },
        Class::Udp => {
            let is_abused = long_answer(from).is_some() || long_answer(to).is_some();
            let abused = if is_abused { Fact::Abused.bit() } else { 0 };
            abused
                | match to {
                    0 if from == 0 => Fact::Fragment.bit(),
                    port::SQL_MONITOR if is_slammer(record) => Fact::Worm.bit(),
                    port::EDONKEY_UDP => Fact::Peer.bit(),
                    _ => 0,
                }
        }
        Class::EchoRequest
        | Class::EchoReply
        | Class::Unreachable
        | Class::PortUnreachable
        | Class::Icmp
        | Class::Other => 0,
    };
    u32::from(class.bit()) | fact
}
