//! Addresses in documents: the text, and the side of the network's perimeter.

use std::io::Write;
use std::net::IpAddr;

use flow::{FlowKey, KeyField, KeyFields, NetworkSet};

/// The edge of the network.
#[derive(Debug)]
pub(super) struct Perimeter {
    /// Networks inside, in addition to on-link addresses. `None`: private addresses are inside.
    local_networks: Option<NetworkSet>,
}

impl Perimeter {
    /// A perimeter with these networks inside. Without networks, private addresses are inside.
    pub(super) fn new(local_networks: NetworkSet) -> Self {
        Self { local_networks: Some(local_networks).filter(|networks| !networks.is_empty()) }
    }

    fn has_inside(&self, address: IpAddr) -> bool {
        is_on_link(address)
            || match &self.local_networks {
                Some(networks) => networks.contains(address),
                None => is_private(address),
            }
    }
}

/// A side of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Source,
    Destination,
}

/// Both addresses; `None` for one that is not in the flow key.
pub(super) struct Sides {
    pub(super) source: Option<Address>,
    pub(super) destination: Option<Address>,
}

impl Sides {
    pub(super) fn new(key: &FlowKey, fields: KeyFields, perimeter: &Perimeter) -> Self {
        let source = fields.contains(KeyField::Source);
        let destination = fields.contains(KeyField::Destination);
        let address = |address| Address::new(address, perimeter.has_inside(address));
        Self {
            source: source.then(|| address(key.source_address())),
            destination: destination.then(|| address(key.destination_address())),
        }
    }

    pub(super) fn of(&self, side: Side) -> Option<&Address> {
        match side {
            Side::Source => self.source.as_ref(),
            Side::Destination => self.destination.as_ref(),
        }
    }

    /// The direction across the network's perimeter.
    pub(super) fn direction(&self) -> &'static [u8] {
        let inside = |side: &Option<Address>| side.as_ref().map(|address| address.internal);
        match (inside(&self.source), inside(&self.destination)) {
            (Some(true), Some(true)) => b"internal",
            (Some(true), Some(false)) => b"outbound",
            (Some(false), Some(true)) => b"inbound",
            (Some(false), Some(false)) => b"external",
            (None, _) | (_, None) => b"unknown",
        }
    }

    pub(super) fn locality(&self) -> &'static [u8] {
        let outside = [&self.source, &self.destination]
            .into_iter()
            .any(|side| side.as_ref().is_some_and(|address| !address.internal));
        if outside { EXTERNAL } else { INTERNAL }
    }
}

/// An address as text, written once and used several times.
pub(super) struct Address {
    text: [u8; 40],
    length: usize,
    internal: bool,
}

impl Address {
    fn new(address: IpAddr, internal: bool) -> Self {
        let mut text = [0; 40];
        let mut rest = &mut text[..];
        match address {
            IpAddr::V4(v4) => {
                let mut number = itoa::Buffer::new();
                for (index, octet) in v4.octets().into_iter().enumerate() {
                    let digits = number.format(octet).as_bytes();
                    let dot = usize::from(index > 0);
                    rest[..dot].fill(b'.');
                    rest[dot..dot + digits.len()].copy_from_slice(digits);
                    rest = &mut rest[dot + digits.len()..];
                }
            }
            IpAddr::V6(v6) => write!(rest, "{v6}").expect("an address has at most 39 letters"),
        }
        let length = 40 - rest.len();
        Self { text, length, internal }
    }

    pub(super) fn text(&self) -> &[u8] {
        &self.text[..self.length]
    }

    pub(super) fn locality(&self) -> &'static [u8] {
        if self.internal { INTERNAL } else { EXTERNAL }
    }
}

const INTERNAL: &[u8] = b"internal";
const EXTERNAL: &[u8] = b"external";

/// Addresses that do not leave a site.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_private(),
        IpAddr::V6(v6) => v6.is_unique_local(),
    }
}

/// Addresses that do not leave a link: loopback, link-local, multicast on the link.
fn is_on_link(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            v4.is_loopback()
                || v4.is_link_local()
                || v4.is_unspecified()
                || v4.is_broadcast()
                || v4.octets().starts_with(&[224, 0, 0])
        }
        IpAddr::V6(v6) => {
            let [first, ..] = v6.segments();
            v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_unicast_link_local()
                || matches!(first, 0xff01 | 0xff02)
        }
    }
}
