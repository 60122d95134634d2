//! Which worker has a flow or a conversation: by a keyed hash, which all its packets share.

use crate::hash::{HashSeed, pick};
use crate::key::{Address, IpVersion, Ports};

/// The worker of a flow or a conversation with this hash. The lower half of the hash is used,
/// because tables use the upper half.
#[inline]
pub(crate) fn shard(hash: u64, workers: usize) -> usize {
    let count = u32::try_from(workers).unwrap_or(u32::MAX);
    pick(hash << 32, count) as usize
}

/// Both ends of a conversation as a packet has them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parties {
    pub(crate) addresses: [Address; 2],
    pub(crate) ports: Ports,
    pub(crate) protocol: u8,
    pub(crate) version: IpVersion,
}

impl Parties {
    /// The keyed hash of the conversation, equal for both directions.
    #[inline(always)]
    pub(crate) fn hash(&self, seed: &HashSeed) -> u64 {
        let [one, other] = self.addresses;
        let [a, b, c, d] = self.ports.0;
        let (port, to_port) = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
        let ports = u64::from(port.min(to_port)) | u64::from(port.max(to_port)) << 16;
        let rest = u64::from(self.protocol) | u64::from(self.version.number()) << 8;
        seed.hash_pair([one.first, one.second], [other.first, other.second], [ports, rest])
    }
}
