//! Openings of conversations: DNS messages, ClientHellos, and Initial packets, which rustls
//! protects.

use rustls::Side;
use rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::quic::{Keys, Version};

fn length16(octets: &[u8]) -> [u8; 2] {
    u16::try_from(octets.len()).unwrap().to_be_bytes()
}

fn vector16(octets: &[u8]) -> Vec<u8> {
    [&length16(octets), octets].concat()
}

/// A question for a name, with flag RD.
pub fn dns_question(id: u16, name: &str, kind: u16) -> Vec<u8> {
    let mut message = id.to_be_bytes().to_vec();
    message.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        message.push(u8::try_from(label.len()).unwrap());
        message.extend(label.as_bytes());
    }
    message.push(0);
    message.extend(kind.to_be_bytes());
    message.extend([0, 1]);
    message
}

/// The answer with one address.
pub fn dns_answer(id: u16, name: &str, address: [u8; 4]) -> Vec<u8> {
    let mut message = dns_question(id, name, 1);
    message[2..4].copy_from_slice(&[0x81, 0x80]);
    message[7] = 1;
    message.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
    message.extend(address);
    message
}

/// The record of a server that chose TLS 1.2, this cipher suite and this protocol.
pub fn server_hello(cipher: u16, protocol: &[u8]) -> Vec<u8> {
    let protocol = [&[u8::try_from(protocol.len()).unwrap()], protocol].concat();
    let extension = [&[0, 16][..], &vector16(&vector16(&protocol))].concat();
    let mut body = vec![3, 3];
    body.extend([8; 32]);
    body.push(0);
    body.extend(cipher.to_be_bytes());
    body.push(0);
    body.extend(vector16(&extension));
    let message = [&[2, 0][..], &vector16(&body)].concat();
    [&[22, 3, 3][..], &vector16(&message)].concat()
}

/// The handshake message of a client that offers TLS 1.3.
pub fn client_hello(name: &[u8], protocol: &[u8]) -> Vec<u8> {
    let name = vector16(&[&[0][..], &vector16(name)].concat());
    let protocol = [&[u8::try_from(protocol.len()).unwrap()], protocol].concat();
    let extensions: [(u16, Vec<u8>); 5] = [
        (0, name),
        (10, vector16(&[0, 29, 0, 23])),
        (13, vector16(&[4, 3, 8, 4])),
        (16, vector16(&protocol)),
        (43, vec![2, 3, 4]),
    ];
    let extensions: Vec<u8> = extensions
        .iter()
        .flat_map(|(kind, content)| [&kind.to_be_bytes()[..], &vector16(content)].concat())
        .collect();
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.push(0);
    body.extend(vector16(&[0x13, 1, 0x13, 2, 0xc0, 0x2f]));
    body.extend([1, 0]);
    body.extend(vector16(&extensions));
    [&[1, 0], &vector16(&body)[..]].concat()
}

/// A handshake message in TLS records of so many octets.
pub fn records(message: &[u8], octets: usize) -> Vec<u8> {
    message.chunks(octets).flat_map(|part| [&[22, 3, 1][..], &vector16(part)].concat()).collect()
}

/// The connection id that clients choose here.
const ID: [u8; 8] = *b"chosenid";

/// A datagram of 1,200 octets with an Initial packet of version 1, which has a piece of a client's
/// CRYPTO stream.
pub fn initial(piece: &[u8], offset: u16, number: u8) -> Vec<u8> {
    let mut payload = vec![6];
    payload.extend((offset | 0x4000).to_be_bytes());
    payload.extend((u16::try_from(piece.len()).unwrap() | 0x4000).to_be_bytes());
    payload.extend(piece);
    let mut packet = vec![0xc0, 0, 0, 0, 1, 8];
    packet.extend(ID);
    // No source id, no token, and the length of what follows.
    packet.extend([0, 0]);
    let rest = 1200 - packet.len() - 2;
    packet.extend((u16::try_from(rest).unwrap() | 0x4000).to_be_bytes());
    let number_at = packet.len();
    packet.push(number);
    payload.resize(rest - 1 - 16, 0);
    let suite = TLS13_AES_128_GCM_SHA256.tls13().unwrap().quic_suite().unwrap();
    let Keys { local, .. } = suite.keys(&ID, Side::Client, Version::V1);
    let tag = local.packet.encrypt_in_place(number.into(), &packet, &mut payload).unwrap();
    packet.extend(payload);
    packet.extend(tag.as_ref());
    let (header, rest) = packet.split_at_mut(number_at + 4);
    let (first, number) = header.split_at_mut(number_at);
    local.header.encrypt_in_place(&rest[..16], &mut first[0], &mut number[..1]).unwrap();
    packet
}
