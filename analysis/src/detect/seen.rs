//! A record in the form that rules use.

use flow::number::{protocol, tcp_control};
use flow::{Batch, FlowEndReason, FlowKey, FlowRecord, IpVersion};

use super::facts::{Fact, kinds, of_names};
use crate::signs::IcmpMessage;

/// Class of a record for the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// TCP: SYN without ACK, and few packets. A failed attempt to connect.
    Failed,
    /// TCP: SYN and ACK. A connection that began, in either direction.
    Begun,
    /// Other TCP.
    Tcp,
    /// UDP.
    Udp,
    /// An echo request of ICMP or ICMPv6.
    EchoRequest,
    /// An echo reply.
    EchoReply,
    /// Network or host unreachable.
    Unreachable,
    /// Port unreachable.
    PortUnreachable,
    /// Other ICMP.
    Icmp,
    /// Other protocols.
    Other,
}

impl Class {
    pub(super) const ALL: [Self; 10] = [
        Self::Failed,
        Self::Begun,
        Self::Tcp,
        Self::Udp,
        Self::EchoRequest,
        Self::EchoReply,
        Self::Unreachable,
        Self::PortUnreachable,
        Self::Icmp,
        Self::Other,
    ];

    pub(super) const TCP: [Self; 3] = [Self::Failed, Self::Begun, Self::Tcp];

    pub(super) const TCP_AND_UDP: [Self; 4] = [Self::Failed, Self::Begun, Self::Tcp, Self::Udp];

    pub(super) const ICMP: [Self; 5] =
        [Self::EchoRequest, Self::EchoReply, Self::Unreachable, Self::PortUnreachable, Self::Icmp];

    /// The bit of this class in a set of classes.
    #[inline]
    pub(super) const fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// The part of a host in a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Role {
    Sender = 1,
    Receiver = 2,
}

impl Class {
    /// True if rules about the host at one end count the receiver too: they know answers.
    #[inline]
    pub(super) const fn counts_receiver(self) -> bool {
        matches!(self, Self::Udp | Self::EchoReply | Self::PortUnreachable)
    }
}

/// Most packets of an attempt: a SYN and its retransmissions.
const ATTEMPT_PACKETS: u64 = 7;

/// Ports from here on are those of clients.
const EPHEMERAL: u16 = 32_768;

/// A record and values derived from it, in trace time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen<'a> {
    pub(super) record: &'a FlowRecord,
    pub(super) class: Class,
    /// The bits of its class and its facts.
    pub(super) kinds: u32,
    /// The roles in which hosts are counted, for rules about the host at one end.
    pub(super) roles: u8,
    /// 1 if the flow has ended, 0 if it continues in another record.
    pub(super) flows: u64,
    pub(super) duration_ms: u64,
    pub(super) start_ms: u64,
    pub(super) end_ms: u64,
}

impl<'a> Seen<'a> {
    /// `None` for a packet that fit no clock: its time is not known. The end is at most the time
    /// when the record was exported or collected: the clock of another exporter may be ahead.
    pub(super) fn of(batch: &Batch, record: &'a FlowRecord) -> Option<Self> {
        let end_ms = batch.trace_end(record)?.min(batch.trace_exported(record)?).as_millis();
        let duration_ms = record.end.millis_since(record.start);
        let class = class(record);
        let names = batch.details_of(record).map_or(0, |details| of_names(record, details));
        Some(Self {
            record,
            class,
            kinds: kinds(class, record) | names,
            roles: Role::Sender as u8 | Role::Receiver as u8,
            flows: u64::from(record.end_reason != FlowEndReason::ActiveTimeout),
            duration_ms,
            start_ms: end_ms.saturating_sub(duration_ms),
            end_ms,
        })
    }

    /// A record that was kept, for the host with this role. Rules about hosts need no facts.
    pub(super) fn again(
        record: &'a FlowRecord,
        class: Class,
        role: Role,
        duration_ms: u64,
        end_ms: u64,
    ) -> Self {
        Self {
            record,
            class,
            kinds: class.bit().into(),
            roles: role as u8,
            flows: u64::from(record.end_reason != FlowEndReason::ActiveTimeout),
            duration_ms,
            start_ms: end_ms.saturating_sub(duration_ms),
            end_ms,
        }
    }

    /// True if the sender is counted.
    #[inline]
    pub(super) fn counts_sender(&self) -> bool {
        self.roles & Role::Sender as u8 != 0
    }

    /// True if the receiver is counted.
    #[inline]
    pub(super) fn counts_receiver(&self) -> bool {
        self.roles & Role::Receiver as u8 != 0
    }

    /// The host with this role.
    #[inline]
    pub(super) fn host(&self, role: Role) -> [u8; 16] {
        match role {
            Role::Sender => self.record.key.source,
            Role::Receiver => self.record.key.destination,
        }
    }

    #[inline]
    pub(super) fn is(&self, fact: Fact) -> bool {
        self.kinds & fact.bit() != 0
    }

    #[inline]
    pub(super) fn key(&self) -> &'a FlowKey {
        &self.record.key
    }

    /// True if the destination is multicast or the IPv4 broadcast address.
    pub(super) fn is_to_group(&self) -> bool {
        let [first, second, third, fourth, ..] = self.record.key.destination;
        match self.record.key.ip_version {
            IpVersion::V4 => first >> 4 == 14 || [first, second, third, fourth] == [255; 4],
            IpVersion::V6 => first == 255,
        }
    }

    /// UDP: true if this may be a question, by the ports. It may be an answer too.
    pub(super) fn may_ask(&self) -> bool {
        let FlowKey { source_port, destination_port, .. } = self.record.key;
        source_port >= 1024 || destination_port < EPHEMERAL
    }

    /// UDP: true if this may be an answer, by the ports.
    pub(super) fn may_answer(&self) -> bool {
        let FlowKey { source_port, destination_port, .. } = self.record.key;
        destination_port >= 1024 || source_port < EPHEMERAL
    }

    /// Packets, or octets, of this record in one window: a long flow counts with its average rate.
    pub(super) fn share(&self, count: u64, window_ms: u64) -> u64 {
        if self.duration_ms <= window_ms {
            return count;
        }
        let share = u128::from(count) * u128::from(window_ms) / u128::from(self.duration_ms);
        u64::try_from(share).unwrap_or(u64::MAX)
    }
}

fn class(record: &FlowRecord) -> Class {
    let key = &record.key;
    match key.protocol {
        protocol::TCP => {
            let (syn, ack) = (tcp_control::SYN, tcp_control::ACK);
            match record.tcp_control_bits & (syn | ack) {
                bits if bits == syn && record.packets <= ATTEMPT_PACKETS => Class::Failed,
                bits if bits == syn | ack => Class::Begun,
                _ => Class::Tcp,
            }
        }
        protocol::UDP => Class::Udp,
        _ if key.is_icmp() => match IcmpMessage::of(key) {
            IcmpMessage::EchoRequest => Class::EchoRequest,
            IcmpMessage::EchoReply => Class::EchoReply,
            IcmpMessage::PortUnreachable => Class::PortUnreachable,
            IcmpMessage::Unreachable => Class::Unreachable,
            IcmpMessage::Other => Class::Icmp,
        },
        _ => Class::Other,
    }
}
