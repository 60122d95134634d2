//! Programs that the kernel runs on each packet before it gets into the ring (classic BPF).

use libc::sock_filter;

use super::Direction;

/// A filter that drops all packets.
pub(super) const NOTHING: [sock_filter; 1] = [give(0)];

/// Passes packets of a direction, and of each only the first octets. If the direction is both, or
/// if the kernel has excluded the other direction before, the filter only cuts packets.
pub(super) fn beginnings(direction: Direction, octets: u32) -> Vec<sock_filter> {
    let (outgoing, other) = match direction {
        Direction::In => (0, octets),
        Direction::Out => (octets, 0),
        Direction::Both => return vec![give(octets)],
    };
    vec![
        sock_filter { code: LOAD_WORD, jt: 0, jf: 0, k: PACKET_TYPE },
        sock_filter { code: JUMP_IF_EQUAL, jt: 0, jf: 1, k: libc::PACKET_OUTGOING.into() },
        give(outgoing),
        give(other),
    ]
}

/// Ends the program: keeps this number of octets of the packet.
const fn give(octets: u32) -> sock_filter {
    sock_filter { code: RETURN, jt: 0, jf: 0, k: octets }
}

/// Only headers are read. This number of octets has room for 8 tags, 8 labels, an IPv6 header and
/// 300 octets of its extensions. More octets would only fill the ring.
pub(super) const CAPTURED_OCTETS: u32 = 512;

/// Where payload is read: a ClientHello in a super-packet is captured as a whole.
pub(super) const PAYLOAD_OCTETS: u32 = 4096;

/// `BPF_LD | BPF_W | BPF_ABS`.
const LOAD_WORD: u16 = 0x20;
/// `BPF_JMP | BPF_JEQ | BPF_K`.
const JUMP_IF_EQUAL: u16 = 0x15;
/// `BPF_RET | BPF_K`.
const RETURN: u16 = 0x06;
/// `SKF_AD_OFF + SKF_AD_PKTTYPE`: not an offset in the packet, but metadata of the kernel.
const PACKET_TYPE: u32 = 0xffff_f004;
