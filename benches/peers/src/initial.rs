//! Initial packets of QUIC version 1 (RFC 9001 section 5), which rustls protects.

use rustls::Side;
use rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::quic::{Keys, Suite, Version};

/// Octets of a datagram with an Initial packet.
const DATAGRAM: usize = 1200;

/// Octets of a hello in one packet, with room for headers and tag.
pub(super) const PIECE: usize = 1100;

/// Octets of the tag behind a packet.
const TAG: usize = 16;

/// Who sends a packet, in a connection with this id of the client's choice.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sender {
    pub(super) id: [u8; 8],
    pub(super) side: Side,
}

impl Sender {
    /// A datagram with one packet, which has a piece of the stream of CRYPTO frames.
    pub(super) fn initial(self, piece: &[u8], offset: usize, number: u8) -> Vec<u8> {
        let mut payload = vec![6];
        payload.extend(varint(offset));
        payload.extend(varint(piece.len()));
        payload.extend(piece);
        let mut packet = vec![0xc0, 0, 0, 0, 1, 8];
        packet.extend(self.id);
        // No source id, no token, and the length of what follows.
        packet.extend([0, 0]);
        let rest = DATAGRAM - packet.len() - 2;
        packet.extend(varint(rest));
        let number_at = packet.len();
        packet.push(number);
        payload.resize(rest - 1 - TAG, 0);
        let Keys { local, .. } = suite().keys(&self.id, self.side, Version::V1);
        let tag = local.packet.encrypt_in_place(number.into(), &packet, &mut payload);
        packet.extend(payload);
        packet.extend(tag.expect("the key is for a short packet").as_ref());
        // The number has one octet, and the sample begins four behind its place.
        let (header, rest) = packet.split_at_mut(number_at + 4);
        let (first, number) = header.split_at_mut(number_at);
        let protected = local.header.encrypt_in_place(&rest[..16], &mut first[0], &mut number[..1]);
        protected.expect("the sample has its length");
        packet
    }
}

fn suite() -> Suite {
    let suite = TLS13_AES_128_GCM_SHA256.tls13().and_then(|suite| suite.quic_suite());
    suite.expect("it is a suite of QUIC")
}

/// A number in two octets (RFC 9000 section 16).
fn varint(number: usize) -> [u8; 2] {
    (u16::try_from(number).expect("packets are short") | 0x4000).to_be_bytes()
}
