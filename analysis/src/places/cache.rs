//! A cache of answers, of fixed size.

use std::net::IpAddr;
use std::sync::Arc;

use flow::Place;

/// Sets of the cache, a power of two. Each has two answers: 8,192 in all, in 384 KiB.
const SETS: usize = 4096;

/// Addresses that share an answer: a single one, or all of its block, which is a /24 of IPv4 or a
/// /48 of IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scope {
    /// The first address of the scope.
    number: u128,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Nothing,
    Ipv4,
    Ipv4Block,
    Ipv6,
    Ipv6Block,
}

/// The answer for the addresses of a scope.
#[derive(Clone, Debug)]
struct Answer {
    scope: Scope,
    place: Option<Arc<Place>>,
}

const _: () = assert!(SETS * size_of::<[Answer; 2]>() == 384 << 10);

/// The cache; the newest answer of each set comes first.
#[derive(Debug)]
pub(super) struct Cache(Box<[[Answer; 2]]>);

impl Scope {
    const NOTHING: Self = Self { number: 0, kind: Kind::Nothing };

    /// Only this address.
    #[inline]
    pub(super) fn alone(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self { number: v4.to_bits().into(), kind: Kind::Ipv4 },
            IpAddr::V6(v6) => Self { number: v6.to_bits(), kind: Kind::Ipv6 },
        }
    }

    /// The block that this address is in.
    #[inline]
    pub(super) fn block(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self { number: (v4.to_bits() & !0xff).into(), kind: Kind::Ipv4Block },
            IpAddr::V6(v6) => Self { number: v6.to_bits() >> 80 << 80, kind: Kind::Ipv6Block },
        }
    }

    /// The length of a block's prefix.
    pub(super) fn block_prefix_length(address: IpAddr) -> u8 {
        if address.is_ipv4() { 24 } else { 48 }
    }

    #[inline]
    fn set(self) -> usize {
        #[expect(clippy::cast_possible_truncation, reason = "both halves are folded")]
        let folded = (self.number ^ self.number >> 64) as u64 ^ (self.kind as u64) << 60;
        let hash = folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 52;
        usize::try_from(hash).unwrap_or(0) % SETS
    }
}

impl Cache {
    pub(super) fn new() -> Self {
        let nothing = Answer { scope: Scope::NOTHING, place: None };
        Self(vec![[nothing.clone(), nothing]; SETS].into())
    }

    /// The cached answer, if there is one. The answer may be that nothing is known.
    #[inline]
    pub(super) fn get(&self, scope: Scope) -> Option<&Option<Arc<Place>>> {
        let set = &self.0[scope.set()];
        set.iter().find(|answer| answer.scope == scope).map(|answer| &answer.place)
    }

    /// Keeps an answer. It replaces the older one of its set.
    pub(super) fn put(&mut self, scope: Scope, place: Option<Arc<Place>>) {
        let set = &mut self.0[scope.set()];
        set.swap(0, 1);
        set[0] = Answer { scope, place };
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new();
    }
}
