//! All sources of places at one point in time.

use std::net::IpAddr;
use std::sync::Arc;

use flow::Place;
use ipnet::IpNet;

use super::cache::Scope;
use super::database::Database;
use super::networks::Networks;
use super::routable::{embedded, routable};

/// The operator's own networks, which come first, and databases. Each adds the facts that those
/// before it do not have.
#[derive(Debug, Default)]
pub struct Atlas {
    /// In the order in which they were given.
    pub databases: Vec<Arc<Database>>,
    /// The operator's networks.
    pub networks: Arc<Networks>,
}

/// Result of a lookup in an atlas.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) place: Option<Arc<Place>>,
    /// The addresses with the same result.
    pub(super) scope: Scope,
    /// Databases with a damaged record.
    pub(super) errors: u64,
}

impl Atlas {
    /// The place of an address; `None` if nothing is known.
    pub fn place(&self, address: IpAddr) -> Option<Arc<Place>> {
        self.find(address).place
    }

    /// The place of an address, and the other addresses with the same result.
    pub(super) fn find(&self, address: IpAddr) -> Found {
        let block = IpNet::new_assert(address, Scope::block_prefix_length(address));
        let mut is_of_block = self.networks.is_uniform(block) && is_uniform(address);
        let mut place = self.networks.find(address).cloned();
        let mut errors = 0;
        if let Some(plain) = routable(address) {
            if place.is_none() && plain != address {
                // The embedded address may be in an own network.
                place = self.networks.find(plain).cloned();
                // Its prefix length does not apply to this address.
                place.iter_mut().for_each(|place| place.prefix_length = None);
            }
            for database in &self.databases {
                match database.find(plain) {
                    Ok(answer) => {
                        is_of_block &= answer.prefix_length <= Scope::block_prefix_length(plain);
                        place.get_or_insert_default().complete_with(answer.place);
                    }
                    Err(_) => errors += 1,
                }
            }
        }
        let place = place.filter(|place| !place.is_empty()).map(Arc::new);
        let scope = if is_of_block { Scope::block(address) } else { Scope::alone(address) };
        Found { place, scope, errors }
    }
}

/// True if no address of the block embeds another one, and all are special or all are not.
fn is_uniform(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !v4.octets().starts_with(&[192, 0, 0]),
        // ::/48 has IPv4-mapped addresses; 64:ff9b::/48 has NAT64 addresses and others.
        IpAddr::V6(v6) => embedded(v6).is_none() && !matches!(v6.segments()[0], 0 | 0x64),
    }
}
