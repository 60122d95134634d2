use ring::aead::{Aad, Nonce};

use super::*;
use crate::pieces::Pieces;
use crate::tls::quic_hello;

fn octets(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pair = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(pair).collect()
}

/// The CRYPTO frame of the client in RFC 9001 and RFC 9369, appendix A.2.
const CRYPTO: &str = "
    060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e868
    04fe3a47f06a2b69484c00000413011302010000c000000010000e00000b6578
    616d706c652e636f6dff01000100000a00080006001d00170018001000070005
    04616c706e000500050100000000003300260024001d00209370b2c9caa47fba
    baf4559fedba753de171fa71f50f1ce15d43e994ec74d748002b000302030400
    0d0010000e0403050306030203080408050806002d00020101001c0002400100
    3900320408ffffffffffffffff05048000ffff07048000ffff08011001048000
    75300901100f088394c8f03e51570806048000ffff";

/// The header of the same packet before it is protected.
const HEADER_1: &str = "c300000001088394c8f03e5157080000449e00000002";
const HEADER_2: &str = "d36b3343cf088394c8f03e5157080000449e00000002";

/// Protects a packet: header up to the packet number of four octets, and payload.
fn seal(header: &[u8], payload: &[u8], id: &ConnectionId) -> Vec<u8> {
    let version = Header::read(&[header, &[0; PACKET_MAX]].concat()).unwrap().version;
    let keys = Keys::of_client(version, id).unwrap();
    let number_at = header.len() - 4;
    let mut nonce = keys.iv;
    for (of_nonce, octet) in nonce.iter_mut().rev().zip(header.iter().rev().take(4)) {
        *of_nonce ^= octet;
    }
    let mut sealed = payload.to_vec();
    let nonce = Nonce::assume_unique_for_key(nonce);
    let tag = keys.key.seal_in_place_separate_tag(nonce, Aad::from(header), &mut sealed).unwrap();
    let mut packet = [header, &sealed, tag.as_ref()].concat();
    let mask = keys.header.new_mask(&packet[number_at + 4..number_at + 20]).unwrap();
    packet[0] ^= mask[0] & 0xf;
    for (octet, mask) in packet[number_at..number_at + 4].iter_mut().zip(&mask[1..]) {
        *octet ^= mask;
    }
    packet
}

/// The packet of the appendix. The payload is 1,162 octets with padding.
fn sample(header: &str) -> Vec<u8> {
    let mut payload = octets(CRYPTO);
    payload.resize(1162, 0);
    let header = octets(header);
    let id = Header::read(&[&header[..], &[0; 1200]].concat()).unwrap().destination;
    seal(&header, &payload, &id)
}

/// An Initial packet of version 1 with these frames.
pub(crate) fn initial(frames: &[u8], id: &[u8], key_id: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + frames.len() + 16).unwrap() | 0x4000;
    let header = [
        &[0xc3, 0, 0, 0, 1, u8::try_from(id.len()).unwrap()],
        id,
        &[0, 0],
        &length.to_be_bytes(),
        &[0, 0, 0, 7],
    ]
    .concat();
    seal(&header, frames, &ConnectionId::of(key_id).unwrap())
}

pub(crate) fn crypto(offset: u16, octets: &[u8]) -> Vec<u8> {
    let length = u16::try_from(octets.len()).unwrap() | 0x4000;
    [&[6], &(offset | 0x4000).to_be_bytes()[..], &length.to_be_bytes(), octets].concat()
}

type Frames = Vec<(u64, Vec<u8>)>;

fn open(datagram: &[u8], original: Option<&ConnectionId>) -> Result<(Opened, Frames), Flaw> {
    let mut frames = Vec::new();
    let take = |offset, octets: &[u8]| frames.push((offset, octets.to_vec()));
    let opened = Opener::default().open(datagram, original, take)?;
    Ok((opened, frames))
}

/// Its tag stands for all octets of the packet.
#[test]
fn the_sample_of_version_1_is_that_of_the_standard() {
    let packet = sample(HEADER_1);
    assert_eq!(packet.len(), 1200);
    let start = "c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11";
    assert_eq!(packet[..32], octets(start));
    let end = "7e78bfe706ca4cf5e9c5453e9f7cfd2b8b4c8d169a44e55c88d4a9a7f9474241
               e221af44860018ab0856972e194cd934";
    assert_eq!(packet[1152..], octets(end));
    shows_the_hello(&packet, Version::V1);
}

#[test]
fn the_sample_of_version_2_is_that_of_the_standard() {
    let packet = sample(HEADER_2);
    let start = "d76b3343cf088394c8f03e5157080000449ea0c95e82ffe67b6abcdb4298b485";
    assert_eq!(packet[..32], octets(start));
    let end = "9a37ddec600545473cfb5a05e08d0b209973b2172b4d21fb69745a262ccde96b
               a18b2faa745b6fe189cf772a9f84cbfc";
    assert_eq!(packet[1152..], octets(end));
    shows_the_hello(&packet, Version::V2);
}

fn shows_the_hello(packet: &[u8], version: Version) {
    assert!(is_initial(packet));
    let (opened, frames) = open(packet, None).unwrap();
    assert_eq!(opened.version, version);
    assert_eq!(format!("{:?}", opened.destination), "8394c8f03e515708");
    let [(0, stream)] = &frames[..] else { panic!("{frames:?}") };
    let hello = quic_hello(stream).unwrap();
    assert_eq!(hello.server_name.unwrap().as_str(), "example.com");
    assert_eq!(hello.protocol_offered.unwrap().as_str(), "alpn");
    let ja4 = hello.ja4.unwrap();
    assert!(ja4.as_str().starts_with("q13d0211an_"), "{ja4}");
}

#[test]
fn a_hello_comes_in_frames_of_any_order_in_several_datagrams() {
    let stream = &octets(CRYPTO)[4..];
    let (id, server_id) = (b"\x01\x02\x03\x04\x05\x06\x07\x08", b"\x09\x0a");
    for cut in 1..stream.len() - 1 {
        let (first, second) = stream.split_at(cut);
        let (second, third) = second.split_at(second.len() / 2);
        let at = |octets: &[u8]| u16::try_from(stream.len() - octets.len()).unwrap();
        let last = at(third);
        // With an acknowledgement, a ping and padding between them.
        let one = [crypto(last, third), vec![2, 5, 0, 1, 0, 1, 1, 1, 0, 0], crypto(0, first)];
        let two = [crypto(u16::try_from(cut).unwrap(), second), vec![0; 40]];
        let datagrams = [
            initial(&one.concat(), id, id),
            // Behind an answer of the server: another id, and the keys of the first one.
            initial(&two.concat(), server_id, id),
        ];
        let mut pieces = Pieces::default();
        let (opened, frames) = open(&datagrams[0], None).unwrap();
        let (_, more) = open(&datagrams[1], Some(&opened.destination)).unwrap();
        assert_eq!(open(&datagrams[1], None), Err(Flaw::Sealed));
        for (offset, octets) in frames.into_iter().chain(more) {
            assert!(quic_hello(pieces.beginning()).is_err());
            pieces.insert(offset, &octets);
        }
        let hello = quic_hello(pieces.beginning()).unwrap();
        assert_eq!(hello.server_name.unwrap().as_str(), "example.com");
    }
}

#[test]
fn packets_of_one_datagram_are_read_in_turn() {
    let id = b"\x01\x02\x03\x04";
    let pad = [0; 20];
    let first = initial(&[&crypto(0, b"ab")[..], &pad].concat(), id, id);
    let mut handshake = first.clone();
    handshake[0] = 0xe0;
    // That of a handshake has no token: the octet of its length is the first of the length.
    handshake.drain(11..12);
    let second = initial(&[&crypto(2, b"cd")[..], &pad].concat(), id, id);
    let (_, frames) = open(&[&first[..], &handshake, &second].concat(), None).unwrap();
    assert_eq!(frames, [(0, b"ab".to_vec()), (2, b"cd".to_vec())]);
    // What follows with a short header is not read.
    assert_eq!(open(&[&first[..], &[0x40; 50]].concat(), None).unwrap().1.len(), 1);
    let many = first.repeat(9);
    assert_eq!(open(&many, None).unwrap().1.len(), PACKETS_MAX);
}

#[test]
fn each_key_that_is_tried_counts() {
    let (id, other) = (b"\x01\x02\x03\x04", ConnectionId::of(b"other").unwrap());
    let good = initial(&[&crypto(0, b"ab")[..], &[0; 20]].concat(), id, id);
    let sealed = initial(&[0; 40], id, b"unknown");
    // A reserved version stands for several.
    let mut reserved = sealed.clone();
    reserved[1..5].fill(0x1a);
    let mut opener = Opener::default();
    for (datagram, original, tries) in [
        (good.clone(), None, 1),
        (sealed.clone(), None, 1),
        ([&good[..], &sealed].concat(), None, 2),
        ([&good[..], &sealed].concat(), Some(&other), 3),
        (reserved.clone(), None, 2),
        (reserved, Some(&other), 4),
        ([sealed, good].concat(), None, 1),
    ] {
        opener.open(&datagram, original, |_, _| {}).ok();
        assert_eq!(opener.tries(), tries, "{datagram:02x?} {original:?}");
    }
    assert_eq!(opener.open(&[0x40; 50], None, |_, _| {}), Err(Flaw::Other));
    assert_eq!(opener.tries(), 0);
}

#[test]
fn other_frames_end_a_packet() {
    let id = b"\x01\x02\x03\x04";
    let close = [0x1c, 1, 6, 2, b'n', b'o'];
    let frames = [&close[..], &crypto(0, b"ab"), &[0x08, 0, 1, 2], &crypto(2, b"cd"), &[0; 20]];
    let (_, frames) = open(&initial(&frames.concat(), id, id), None).unwrap();
    assert_eq!(frames, [(0, b"ab".to_vec())]);
    let wrong = [&[2, 0, 0, 0x3f, 0][..], &[0; 40]].concat();
    assert_eq!(open(&initial(&wrong, id, id), None), Err(Flaw::Malformed));
}

#[test]
fn damaged_and_foreign_packets_are_not_opened() {
    let packet = sample(HEADER_1);
    for at in [0, 22, 600, 1199] {
        let mut damaged = packet.clone();
        damaged[at] ^= 1;
        assert_eq!(open(&damaged, None), Err(Flaw::Sealed), "{at}");
    }
    for length in 0..packet.len() {
        assert_eq!(open(&packet[..length], None), Err(Flaw::Incomplete), "{length}");
    }
    let mut other = packet.clone();
    other[1..5].fill(0x1b);
    assert_eq!(open(&other, None), Err(Flaw::Version));
    assert!(!is_initial(&other));
    let mut long_id = packet.clone();
    long_id[5] = 21;
    assert_eq!(open(&long_id, None), Err(Flaw::Malformed));
    let mut retry = packet.clone();
    retry[0] = 0xf0;
    assert_eq!(open(&retry, None), Err(Flaw::Other));
    let mut short = packet;
    short[0] = 0x40;
    assert_eq!(open(&short, None), Err(Flaw::Other));
}

#[test]
fn drafts_have_the_number_of_their_version() {
    for (number, name) in [(0xff00_001d, "draft-29"), (0xff00_0022, "draft-34")] {
        let header = HEADER_1.replace("00000001", &format!("{number:08x}"));
        let (opened, _) = open(&sample(&header), None).unwrap();
        assert_eq!((opened.version.number(), opened.version.to_string().as_str()), (number, name));
    }
}
