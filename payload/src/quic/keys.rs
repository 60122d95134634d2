//! Keys of Initial packets (RFC 9001 section 5, RFC 9369 section 3.3).

use ring::aead::quic::{AES_128, HeaderProtectionKey};
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};

use super::packet::{ConnectionId, Version};

const SALT_1: [u8; 20] = [
    0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad,
    0xcc, 0xbb, 0x7f, 0x0a,
];
const SALT_2: [u8; 20] = [
    0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb,
    0xf9, 0xbd, 0x2e, 0xd9,
];
/// Of drafts 29 to 32.
const SALT_DRAFT: [u8; 20] = [
    0xaf, 0xbf, 0xec, 0x28, 0x99, 0x93, 0xd2, 0x4c, 0x9e, 0x97, 0x86, 0xf1, 0x9c, 0x61, 0x11, 0xe0,
    0x43, 0x90, 0xa8, 0x99,
];

/// Of drafts 23 to 28.
const SALT_EARLY: [u8; 20] = [
    0xc3, 0xee, 0xf7, 0x12, 0xc7, 0x2e, 0xbb, 0x5a, 0x11, 0xa7, 0xd2, 0x43, 0x2b, 0xb4, 0x63, 0x65,
    0xbe, 0xf9, 0xf5, 0x02,
];

/// Octets of a packet that give the mask of its header.
const SAMPLE_OCTETS: usize = 16;

/// The sample begins this far behind the packet number, which has at most so many octets.
const NUMBER_MAX: usize = 4;

pub(super) struct Keys {
    pub(super) key: LessSafeKey,
    pub(super) iv: [u8; NONCE_LEN],
    pub(super) header: HeaderProtectionKey,
}

/// The length of an initialization vector.
struct IvLength;

impl KeyType for IvLength {
    fn len(&self) -> usize {
        NONCE_LEN
    }
}

impl Keys {
    /// The keys of the client's packets. `None` is never returned for these lengths.
    pub(super) fn of_client(version: Version, id: &ConnectionId) -> Option<Self> {
        let (salt, labels) = match version {
            Version::V2 => (SALT_2, [&b"quicv2 key"[..], b"quicv2 iv", b"quicv2 hp"]),
            Version::V1 | Version::Draft(33..) | Version::Reserved(_) => (SALT_1, LABELS_1),
            Version::Draft(..29) => (SALT_EARLY, LABELS_1),
            Version::Draft(_) => (SALT_DRAFT, LABELS_1),
        };
        let [key, iv, header] = labels;
        let initial = Salt::new(HKDF_SHA256, &salt).extract(id.as_slice());
        let client: Prk = expand(&initial, b"client in", HKDF_SHA256)?;
        let mut keys = Self {
            key: LessSafeKey::new(expand::<_, UnboundKey>(&client, key, &AES_128_GCM)?),
            iv: [0; NONCE_LEN],
            header: expand(&client, header, &AES_128)?,
        };
        fill(&client, iv, &mut keys.iv)?;
        Some(keys)
    }

    /// Opens a packet in place, whose number is at `number_at`. `None` if the keys do not fit.
    pub(super) fn open<'a>(&self, packet: &'a mut [u8], number_at: usize) -> Option<&'a [u8]> {
        let sample_at = number_at + NUMBER_MAX;
        let sample = packet.get(sample_at..sample_at + SAMPLE_OCTETS)?;
        let [of_first, of_number @ ..] = self.header.new_mask(sample).ok()?;
        let first = packet.first_mut()?;
        *first ^= of_first & 0x0f;
        let number_octets = usize::from(*first & 3) + 1;
        let (header, payload) = packet.split_at_mut_checked(number_at + number_octets)?;
        let mut nonce = self.iv;
        // The number is small in a first flight, so that its low octets are all of it.
        let number = header.get_mut(number_at..)?;
        for (octet, mask) in number.iter_mut().zip(of_number) {
            *octet ^= mask;
        }
        for (of_nonce, octet) in nonce.iter_mut().rev().zip(number.iter().rev()) {
            *of_nonce ^= *octet;
        }
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.key.open_in_place(nonce, Aad::from(&*header), payload).ok().map(|plain| &*plain)
    }
}

const LABELS_1: [&[u8]; 3] = [b"quic key", b"quic iv", b"quic hp"];

/// HKDF-Expand-Label without a context (RFC 8446 section 7.1).
fn expand<'a, L, T>(secret: &Prk, label: &[u8], length: L) -> Option<T>
where
    L: KeyType + 'a,
    T: for<'b> From<ring::hkdf::Okm<'b, L>>,
{
    let octets = u16::try_from(length.len()).ok()?.to_be_bytes();
    let label_octets = [u8::try_from(PREFIX.len() + label.len()).ok()?];
    let info = [&octets[..], &label_octets, PREFIX, label, &[0]];
    secret.expand(&info, length).ok().map(T::from)
}

fn fill(secret: &Prk, label: &[u8], out: &mut [u8; NONCE_LEN]) -> Option<()> {
    let octets = [0, u8::try_from(NONCE_LEN).ok()?];
    let label_octets = [u8::try_from(PREFIX.len() + label.len()).ok()?];
    let info = [&octets[..], &label_octets, PREFIX, label, &[0]];
    secret.expand(&info, IvLength).and_then(|okm| okm.fill(out)).ok()
}

const PREFIX: &[u8] = b"tls13 ";
