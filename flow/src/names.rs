//! Numbers of 16 bits for interfaces and tunnels, which fit into a flow: who gives them, and what
//! they mean.
//!
//! Used only with decapsulation. Two fields of an observation then have other numbers:
//!
//! ```text
//! interface   number of the interface 0-15 | number of the network 16-31: both are in the flow key
//! VLAN        number of the passage, which is not in the flow key
//! ```
//!
//! A network is what tells flows of equal addresses apart: the part of the tunnel that is in the
//! flow key, and the VLAN if that is in the key too. A passage is all that is known of a tunnel,
//! and the VLANs in it; a flow has the passage of its first packet. An observer gives the numbers.
//! Who keeps the flows learns what they stand for, and puts that in the records.

use alloc::vec::Vec;

use crate::batch::Batch;
use crate::frame::tunnel::Tunnel;
use crate::hash::HashSeed;
use crate::interner::{Identity, Interned, Interner, is_equal};
use crate::numbering::{INTERFACES_NAMED, MORE, Numbers, PASSAGES_NAMED};
use crate::record::FlowRecord;

/// The meaning of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// The number of an interface.
    Interface(u16, u32),
    /// The number of a passage.
    Passage(u16, Passage),
}

/// The tunnel that packets came through, if they did, and their VLANs in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passage {
    pub(crate) tunnel: Option<Tunnel>,
    pub(crate) vlan_id: u16,
    /// Of the second tag.
    pub(crate) inner_vlan_id: u16,
}

/// Parts of tunnels and VLANs that are in the flow key.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct NetworkKey {
    /// Ids and outer addresses of all tunnels.
    pub(crate) whole_tunnel: bool,
    /// VLAN ids.
    pub(crate) vlan: bool,
}

/// Assigns numbers.
#[derive(Debug)]
pub(crate) struct Namer {
    key: NetworkKey,
    interfaces: Interner,
    networks: Interner,
    passages: Interner,
    /// The network of each passage.
    networks_of_passages: Vec<u16>,
    /// The last passage with its numbers: many packets in turn have the same.
    last: (Identity, (u16, u16)),
    /// New meanings, of one or two frames.
    news: Vec<Naming>,
}

impl Namer {
    pub(crate) fn new(seed: HashSeed, key: NetworkKey) -> Self {
        Self {
            key,
            interfaces: Interner::new(seed, MORE - INTERFACES_NAMED),
            networks: Interner::new(seed, MORE - 1),
            passages: Interner::new(seed, MORE - PASSAGES_NAMED),
            networks_of_passages: Vec::with_capacity(usize::from(MORE - PASSAGES_NAMED)),
            last: ([u64::MAX; 6], (0, 0)),
            news: Vec::with_capacity(4),
        }
    }

    /// True if the numbers of a packet without a tunnel are its interface and its VLAN id.
    #[inline]
    pub(crate) fn is_plain(&self, interface: u32, vlan_id: u16) -> bool {
        interface < INTERFACES_NAMED.into() && (vlan_id == 0 || !self.key.vlan)
    }

    #[inline(always)]
    pub(crate) fn numbers(&mut self, interface: u32, passage: Passage) -> Numbers {
        let interface = self.interface(interface);
        let (network, passage) = if passage.tunnel.is_some() || passage.inner_vlan_id != 0 {
            self.passage(passage)
        } else {
            (self.network(&passage), passage.vlan_id)
        };
        Numbers { interface, network, passage }
    }

    #[inline(always)]
    fn interface(&mut self, interface: u32) -> u16 {
        match u16::try_from(interface) {
            Ok(plain) if plain < INTERFACES_NAMED => return plain,
            Ok(_) | Err(_) => {}
        }
        match self.interfaces.number([interface.into(), 0, 0, 0, 0, 0]) {
            Interned::Known(index) => INTERFACES_NAMED + index,
            Interned::New(index) => {
                self.news.push(Naming::Interface(INTERFACES_NAMED + index, interface));
                INTERFACES_NAMED + index
            }
            Interned::Full => MORE,
        }
    }

    /// The numbers of its network and of the passage.
    #[inline(always)]
    fn passage(&mut self, passage: Passage) -> (u16, u16) {
        let identity = passage.identity();
        if !is_equal(&identity, &self.last.0) {
            let numbers = match self.passages.find(&identity) {
                Some(index) => self.numbers_of_passage(index),
                None => self.new_passage(passage, identity),
            };
            self.last = (identity, numbers);
        }
        self.last.1
    }

    #[inline(always)]
    fn numbers_of_passage(&self, index: u16) -> (u16, u16) {
        (self.networks_of_passages[usize::from(index)], PASSAGES_NAMED + index)
    }

    #[cold]
    fn new_passage(&mut self, passage: Passage, identity: Identity) -> (u16, u16) {
        let network = self.network(&passage);
        match self.passages.number(identity) {
            Interned::Known(index) => self.numbers_of_passage(index),
            Interned::New(index) => {
                self.networks_of_passages.push(network);
                self.news.push(Naming::Passage(PASSAGES_NAMED + index, passage));
                (network, PASSAGES_NAMED + index)
            }
            Interned::Full => (network, passage.vlan_id),
        }
    }

    /// The number of its network; 0 for that of all packets without a tunnel or a VLAN.
    fn network(&mut self, passage: &Passage) -> u16 {
        let Some(identity) = passage.network(self.key) else { return 0 };
        match self.networks.number(identity) {
            Interned::Known(index) | Interned::New(index) => index + 1,
            Interned::Full => MORE,
        }
    }

    #[inline(always)]
    pub(crate) fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    pub(crate) fn news(&mut self) -> impl Iterator<Item = Naming> {
        self.news.drain(..)
    }
}

impl Passage {
    /// All attributes.
    #[inline(always)]
    fn identity(&self) -> Identity {
        let vlans = vlan_word(self.vlan_id) | u64::from(self.inner_vlan_id) << 48;
        let Some(tunnel) = self.tunnel else { return [0, 0, 0, 0, 0, NO_KIND | vlans] };
        let Tunnel { kind, id, ip_version, protocol, source, destination, depth } = tunnel;
        let rest = kind as u64
            | u64::from(ip_version.number()) << 8
            | u64::from(protocol) << 16
            | u64::from(depth) << 24
            | vlans;
        [source.first, source.second, destination.first, destination.second, id.into(), rest]
    }

    /// A hash of 48 bits of what is in the flow key, equal for both directions; 0 if nothing is.
    pub(crate) fn hash(&self, key: NetworkKey, seed: &HashSeed) -> u64 {
        let Some([a, b, c, d, id, rest]) = self.network(key) else { return 0 };
        let (low, high) = if [a, b] <= [c, d] { ([a, b], [c, d]) } else { ([c, d], [a, b]) };
        seed.hash([low[0], low[1], high[0], high[1], id, rest]) >> 16
    }

    /// What is in the flow key; `None` if nothing is.
    fn network(&self, key: NetworkKey) -> Option<Identity> {
        let vlan = if key.vlan { vlan_word(self.vlan_id) } else { 0 };
        let Some(tunnel) = self.tunnel else {
            return (vlan != 0).then_some([0, 0, 0, 0, 0, vlan]);
        };
        let Tunnel { kind, id, ip_version, source, destination, .. } = tunnel;
        // The identity is different from that of packets without a tunnel.
        let number = kind as u64 + 1;
        if key.whole_tunnel {
            let rest = number | u64::from(ip_version.number()) << 8 | vlan;
            return Some([
                source.first,
                source.second,
                destination.first,
                destination.second,
                id.into(),
                rest,
            ]);
        }
        let id = if kind.id_is_network() { id } else { 0 };
        Some([0, 0, 0, 0, id.into(), number | vlan])
    }
}

/// In the place of a kind of tunnel.
const NO_KIND: u64 = 0xff;

fn vlan_word(vlan_id: u16) -> u64 {
    u64::from(vlan_id) << 32
}

/// The meanings of numbers.
#[derive(Clone, Debug, Default)]
pub struct Names {
    interfaces: Vec<u32>,
    passages: Vec<Passage>,
}

impl Names {
    /// Learns a meaning. Numbers come in order.
    pub fn learn(&mut self, naming: Naming) {
        match naming {
            Naming::Interface(number, interface) => {
                debug_assert_eq!(usize::from(number - INTERFACES_NAMED), self.interfaces.len());
                self.interfaces.push(interface);
            }
            Naming::Passage(number, passage) => {
                debug_assert_eq!(usize::from(number - PASSAGES_NAMED), self.passages.len());
                self.passages.push(passage);
            }
        }
    }

    /// Puts interface, VLANs and tunnel in the last record of a batch, which has numbers.
    #[cold]
    pub fn restore_last(&self, batch: &mut Batch) {
        let Some(last) = batch.records.len().checked_sub(1) else { return };
        if let Some(passage) = self.restore(&mut batch.records[last]) {
            let details = batch.details_mut(last);
            (details.tunnel, details.inner_vlan_id) = (passage.tunnel, passage.inner_vlan_id);
        }
    }

    /// Puts interface and VLAN in a record, which has numbers. Returns its passage.
    pub fn restore(&self, record: &mut FlowRecord) -> Option<Passage> {
        let [_, _, high, low] = record.key.interface.to_be_bytes();
        let interface = u16::from_be_bytes([high, low]);
        record.key.interface = match interface.checked_sub(INTERFACES_NAMED) {
            None => interface.into(),
            Some(index) => self.interfaces.get(usize::from(index)).copied().unwrap_or(0),
        };
        let index = record.vlan_id.checked_sub(PASSAGES_NAMED)?;
        let passage = *self.passages.get(usize::from(index))?;
        record.vlan_id = passage.vlan_id;
        Some(passage)
    }
}
