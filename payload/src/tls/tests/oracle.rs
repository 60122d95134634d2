//! tls-parser reads the same hellos, made ones and damaged ones.

#![expect(clippy::wildcard_enum_match_arm, reason = "enums of another crate have many values")]

use md5::{Digest, Md5};
use ring::digest::{SHA256, digest};
use tls_parser::{
    TlsClientHelloContents, TlsExtension, TlsMessage, TlsMessageHandshake,
    parse_tls_client_hello_extensions, parse_tls_extension_unknown, parse_tls_message_handshake,
};

use super::*;
use crate::tests::Random;

const GREASE: [u16; 3] = [0x0a0a, 0x5a5a, 0xfafa];

fn numbers(random: &mut Random, known: &[u16]) -> Vec<u16> {
    let count = random.below(12);
    let mut numbers: Vec<_> = (0..count).map(|_| random.of(known)).collect();
    if random.one_in(2) {
        numbers.insert(0, random.of(&GREASE));
    }
    numbers
}

/// A list of names, the first of which may be of another type than 0.
fn names(random: &mut Random) -> Vec<u8> {
    let known = [&b"www.example.com"[..], b"UPPER.example.", b"", b".", b"a b\xff", &[b'l'; 256]];
    let mut list = Vec::new();
    for _ in 0..random.below(3) {
        list.push(u8::from(random.one_in(3)));
        list.extend(vector(random.of(&known)));
    }
    vector(&list)
}

fn made(random: &mut Random) -> Made {
    let versions = numbers(random, &[0x0304, 0x0303, 0x0301, 0x7f1c]);
    let versions = list(&versions).split_off(1);
    let known = [&b"h2"[..], b"http/1.1", b"\xba\xad", &[b'p'; 70]];
    let offered: Vec<_> = (0..random.below(3)).map(|_| random.of(&known)).collect();
    let mut extensions = vec![
        (0, names(random)),
        (10, list(&numbers(random, &[29, 23, 24, 0x11ec]))),
        (11, vec![1, 0]),
        (13, list(&numbers(random, &[0x0403, 0x0804, 0x0401]))),
        protocols(&offered),
        (23, vec![]),
        (35, vec![]),
        (43, versions),
        (45, vec![1, 1]),
        (51, vec![0, 0]),
        (0xff01, vec![0]),
        (0xfe0d, vec![0; 9]),
        (random.of(&GREASE), vec![]),
    ];
    random.shuffle(&mut extensions);
    extensions.truncate(random.below(20));
    let mut ciphers = numbers(random, &[0x1301, 0x1302, 0xc02b, 0xcca9, 0x0035]);
    if extensions.is_empty() {
        // One with nothing at all is too short.
        ciphers.push(0x1301);
    }
    Made { version: random.of(&[0x0303, 0x0303, 0x0301, 0x0300]), ciphers, extensions }
}

/// What tls-parser has of a hello. Its extensions end before the first one that it refuses.
struct Theirs<'a> {
    hello: TlsClientHelloContents<'a>,
    extensions: Vec<TlsExtension<'a>>,
    has_all: bool,
    /// Types of all extensions, and whether their lengths fit.
    kinds: Vec<u16>,
    fits: bool,
}

fn theirs(message: &[u8]) -> Option<Theirs<'_>> {
    let (_, message_read) = parse_tls_message_handshake(message).ok()?;
    let TlsMessage::Handshake(TlsMessageHandshake::ClientHello(hello)) = message_read else {
        return None;
    };
    let octets = hello.ext.unwrap_or_default();
    let (rest, extensions) = parse_tls_client_hello_extensions(octets).unwrap();
    let has_all = rest.is_empty();
    let (mut kinds, mut left) = (Vec::new(), octets);
    while let Ok((rest, TlsExtension::Unknown(kind, _))) = parse_tls_extension_unknown(left) {
        kinds.push(kind.0);
        left = rest;
    }
    // Without extensions nothing follows the compression methods.
    let session = hello.session_id.map_or(0, <[u8]>::len);
    let fixed = 4 + 2 + 32 + 1 + session + 2 + 2 * hello.ciphers.len() + 1 + hello.comp.len();
    let length = usize::from(u16::from_be_bytes([message[2], message[3]]));
    let fits = left.is_empty() && (hello.ext.is_some() || 4 + length == fixed);
    Some(Theirs { hello, extensions, has_all, kinds, fits })
}

fn escaped(octets: &[u8]) -> String {
    let octets = octets.iter().map(|octet| match octet {
        0x21..=0x7e => char::from(*octet).to_string(),
        _ => format!("\\x{octet:02x}"),
    });
    octets.collect()
}

impl Theirs<'_> {
    fn host(&self) -> Option<String> {
        let lists = self.extensions.iter().find_map(|extension| match extension {
            TlsExtension::SNI(names) => Some(names),
            _ => None,
        });
        let (_, name) = lists?.iter().find(|(kind, _)| kind.0 == 0)?;
        let host = name.strip_suffix(b".").unwrap_or(name).to_ascii_lowercase();
        (name.len() <= 255 && !host.is_empty()).then(|| escaped(&host))
    }

    fn protocol(&self) -> Option<String> {
        let lists = self.extensions.iter().filter_map(|extension| match extension {
            TlsExtension::ALPN(names) => names.first(),
            _ => None,
        });
        let first = lists.copied().find(|first| !first.is_empty()).map(escaped);
        first.filter(|name| name.len() <= 64)
    }

    /// Groups and point formats of the last extensions that have them.
    fn curves(&self) -> (Vec<u16>, Vec<u16>) {
        let (mut groups, mut formats) = (Vec::new(), Vec::new());
        for extension in &self.extensions {
            match extension {
                TlsExtension::EllipticCurves(last) => {
                    groups = last.iter().map(|group| group.0).collect();
                }
                TlsExtension::EcPointFormats(last) => {
                    formats = last.iter().map(|format| u16::from(*format)).collect();
                }
                _ => {}
            }
        }
        (groups, formats)
    }

    fn ciphers(&self) -> Vec<u16> {
        self.hello.ciphers.iter().map(|cipher| cipher.0).collect()
    }

    fn ja3(&self) -> String {
        let (groups, formats) = self.curves();
        let lists = [&self.ciphers(), &self.kinds, &groups, &formats].map(|list| {
            let known = list.iter().filter(|value| !is_grease(**value));
            known.map(u16::to_string).collect::<Vec<_>>().join("-")
        });
        let text = format!("{},{}", self.hello.version.0, lists.join(","));
        Md5::digest(text).iter().map(|octet| format!("{octet:02x}")).collect()
    }

    /// The counts of ciphers and extensions in JA4, and its middle part.
    fn ja4(&self) -> (String, String) {
        let known = |list: &[u16]| {
            list.iter().copied().filter(|value| !is_grease(*value)).collect::<Vec<_>>()
        };
        let (mut ciphers, kinds) = (known(&self.ciphers()), known(&self.kinds));
        ciphers.sort_unstable();
        let text: Vec<_> = ciphers.iter().map(|cipher| format!("{cipher:04x}")).collect();
        let hash = digest(&SHA256, text.join(",").as_bytes());
        let hash: String = hash.as_ref()[..6].iter().map(|octet| format!("{octet:02x}")).collect();
        let hash = if ciphers.is_empty() { "0".repeat(12) } else { hash };
        (format!("{:02}{:02}", ciphers.len().min(99), kinds.len().min(99)), hash)
    }
}

fn is_grease(value: u16) -> bool {
    value & 0x0f0f == 0x0a0a && value >> 8 == value & 0xff
}

/// How often both read a hello as a whole, in part, and why only one of them did.
#[derive(Debug, Default)]
struct Counts {
    read: usize,
    named: usize,
    in_part: usize,
    refused_by_both: usize,
    /// flowprobe refuses versions that are none, hellos that are shorter than any can be, and
    /// extensions whose lengths contradict each other.
    refused_by_us: usize,
    /// tls-parser refuses long session ids and half ciphers. A name is told all the same: what
    /// the server makes of the rest does not change whom the client asked for.
    refused_by_them: usize,
}

fn compare(message: &[u8], counts: &mut Counts) {
    match (quic_hello(message), theirs(message)) {
        (Ok(ours), Some(theirs)) => {
            let name = ours.server_name.map(|name| name.to_string());
            if theirs.has_all {
                counts.read += 1;
                counts.named += usize::from(name.is_some());
                let protocol = ours.protocol_offered.map(|name| name.to_string());
                assert_eq!(name, theirs.host(), "{message:x?}");
                assert_eq!(protocol, theirs.protocol(), "{message:x?}");
                assert_eq!(ours.ja3.unwrap().to_string(), theirs.ja3(), "{message:x?}");
                let ja4 = ours.ja4.unwrap();
                let (counts_of_ja4, hash) = theirs.ja4();
                assert_eq!(ja4.as_str()[4..8], counts_of_ja4, "{message:x?}");
                assert_eq!(ja4.as_str()[11..23], hash, "{message:x?}");
                let has_hidden = theirs.kinds.contains(&0xfe0d);
                assert_eq!(ours.has_encrypted_hello, has_hidden, "{message:x?}");
            } else {
                counts.in_part += 1;
                if theirs.host().is_some() {
                    assert_eq!(name, theirs.host(), "{message:x?}");
                }
            }
        }
        (Err(flaw), Some(theirs)) => {
            counts.refused_by_us += 1;
            let length = u16::from_be_bytes([message[2], message[3]]);
            let is_explained = match flaw {
                Flaw::Version => !(0x0300..=0x0304).contains(&theirs.hello.version.0),
                Flaw::Malformed => length < 40 || !theirs.fits,
                _ => false,
            };
            assert!(is_explained, "{flaw:?} {message:x?}");
        }
        (Ok(_), None) => {
            counts.refused_by_them += 1;
            let session = usize::from(message[38]);
            let length_at = 39 + session;
            let has_half = message[length_at + 1] % 2 == 1;
            assert!(session > 32 || has_half, "{message:x?}");
        }
        (Err(_), None) => counts.refused_by_both += 1,
    }
}

#[test]
fn another_reader_finds_the_same_names() {
    let mut random = Random::new(22);
    let (mut plain, mut damaged) = (Counts::default(), Counts::default());
    for _ in 0..10_000 {
        let mut message = made(&mut random).message();
        compare(&message, &mut plain);
        for _ in 0..4 {
            random.damage(&mut message);
            // Damage behind the header is not seen in the length.
            if message.len() >= 4 && !random.one_in(4) {
                let length = u32::try_from(message.len() - 4).unwrap().to_be_bytes();
                message[..4].copy_from_slice(&[1, length[1], length[2], length[3]]);
            }
            compare(&message, &mut damaged);
        }
    }
    let Counts { refused_by_us, refused_by_them, .. } = plain;
    assert_eq!((refused_by_us, refused_by_them), (0, 0), "{plain:?}");
    assert!(plain.read > 5000 && plain.named > 1000, "{plain:?}");
    assert!(damaged.read > 5000 && damaged.named > 500, "{damaged:?}");
    assert!(damaged.refused_by_both > 500 && damaged.refused_by_us > 500, "{damaged:?}");
}
