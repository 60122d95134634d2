//! Programs that the kernel runs on each packet before it gets into the ring (classic BPF).

use libc::sock_filter;

use super::Direction;

/// Lets nothing through.
pub(super) const NOTHING: [sock_filter; 1] = [give(0)];

/// Lets the packets of a direction through, and of each its headers. Where the direction is both,
/// or the kernel has left the others out before, no filter does the same but for what is cut off.
pub(super) fn headers(direction: Direction) -> Vec<sock_filter> {
    let (outgoing, other) = match direction {
        Direction::In => (0, CAPTURED_OCTETS),
        Direction::Out => (CAPTURED_OCTETS, 0),
        Direction::Both => return vec![give(CAPTURED_OCTETS)],
    };
    vec![
        sock_filter { code: LOAD_WORD, jt: 0, jf: 0, k: PACKET_TYPE },
        sock_filter { code: JUMP_IF_EQUAL, jt: 0, jf: 1, k: libc::PACKET_OUTGOING.into() },
        give(outgoing),
        give(other),
    ]
}

/// Ends the program: this number of octets of the packet is kept.
const fn give(octets: u32) -> sock_filter {
    sock_filter { code: RETURN, jt: 0, jf: 0, k: octets }
}

/// Only headers are read. This number of octets has room for 8 tags, 8 labels, an IPv6 header and
/// 300 octets of its extensions; what is behind them would only fill the ring.
pub(super) const CAPTURED_OCTETS: u32 = 512;

/// `BPF_LD | BPF_W | BPF_ABS`.
const LOAD_WORD: u16 = 0x20;
/// `BPF_JMP | BPF_JEQ | BPF_K`.
const JUMP_IF_EQUAL: u16 = 0x15;
/// `BPF_RET | BPF_K`.
const RETURN: u16 = 0x06;
/// `SKF_AD_OFF + SKF_AD_PKTTYPE`: no place in the packet, but what the kernel knows of it.
const PACKET_TYPE: u32 = 0xffff_f004;
