//! Signs of known traffic, which tags and rules share: long answers, packets of worms, messages of
//! ICMP.

use flow::number::{icmp, icmpv6, port};
use flow::{FlowKey, FlowRecord, IpVersion};

/// Octets of a packet above which an answer is long, except that of NTP.
pub(crate) const LONG: u64 = 468;
const LONG_NTP: u64 = 90;

/// Packets and octets of the Slammer worm.
const SLAMMER: (u64, u64) = (1, 404);

/// Packets and octets of Code Red's SYNs.
const CODE_RED: (u64, u64) = (3, 144);

/// Octets of a packet above which answers of this UDP service are long. `None` for a port of no
/// service that attackers use for amplification.
#[inline]
pub(crate) const fn long_answer(port: u16) -> Option<u64> {
    match port {
        port::NTP => Some(LONG_NTP),
        17
        | 19
        | port::DNS
        | 69
        | 111
        | 137
        | 161
        | 177
        | 389
        | 427
        | 520
        | 623
        | port::SQL_MONITOR
        | 1900
        | 3283
        | 3702
        | 5093
        | 5353
        | 5683
        | 10_001
        | 10_074
        | 11_211
        | 37_810 => Some(LONG),
        _ => None,
    }
}

/// True for a record of UDP that has the packet of Slammer.
#[inline]
pub(crate) fn is_slammer(record: &FlowRecord) -> bool {
    record.key.destination_port == port::SQL_MONITOR && (record.packets, record.octets) == SLAMMER
}

/// True for a record of SYNs without answer that has those of Code Red.
#[inline]
pub(crate) fn is_code_red(record: &FlowRecord) -> bool {
    record.key.destination_port == port::HTTP && (record.packets, record.octets) == CODE_RED
}

/// What a message of ICMP or ICMPv6 says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IcmpMessage {
    EchoRequest,
    EchoReply,
    /// Network or host unreachable.
    Unreachable,
    PortUnreachable,
    Other,
}

impl IcmpMessage {
    /// The message of a record of ICMP, whose destination port has type and code.
    #[inline]
    pub(crate) fn of(key: &FlowKey) -> Self {
        let [kind, code] = key.destination_port.to_be_bytes();
        match (key.ip_version, kind, code) {
            (IpVersion::V4, icmp::ECHO_REQUEST, _) | (IpVersion::V6, icmpv6::ECHO_REQUEST, _) => {
                Self::EchoRequest
            }
            (IpVersion::V4, icmp::ECHO_REPLY, _) | (IpVersion::V6, icmpv6::ECHO_REPLY, _) => {
                Self::EchoReply
            }
            (IpVersion::V4, icmp::UNREACHABLE, 3) | (IpVersion::V6, icmpv6::UNREACHABLE, 4) => {
                Self::PortUnreachable
            }
            (IpVersion::V4, icmp::UNREACHABLE, 0 | 1)
            | (IpVersion::V6, icmpv6::UNREACHABLE, 0 | 3) => Self::Unreachable,
            _ => Self::Other,
        }
    }
}
