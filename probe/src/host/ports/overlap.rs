//! Interfaces that see the packets of others: a bridge and its port, or a VLAN or tunnel and the
//! device below it.

use log::warn;

use super::Ports;
use crate::host::interface::links::Link;

/// Maximum number of pairs that are named.
const NAMED_MAX: usize = 8;

impl Ports {
    /// Warns of captured interfaces that see the same packets: all pairs, or only those with
    /// `only`.
    pub(super) fn say_overlaps(&self, links: &[Link], only: Option<usize>) {
        let captured: Vec<u32> =
            self.ports.iter().filter(|port| port.is_open()).map(|port| port.ifindex).collect();
        let only = only.map(|port| self.ports[port].ifindex);
        let mut pairs = overlaps(links, &captured);
        pairs.retain(|(lower, upper)| only.is_none_or(|one| [*lower, *upper].contains(&one)));
        let name = |index| links.iter().find(|link| link.index == index).map(|link| &link.name);
        for (lower, upper) in pairs.iter().take(NAMED_MAX) {
            if let (Some(lower), Some(upper)) = (name(*lower), name(*upper)) {
                warn!(
                    "{upper} is on top of {lower}: a packet that passes both is metered twice; \
                     capture one of them, or tell flows apart by their interface"
                );
            }
        }
        if let Some(more) = pairs.len().checked_sub(NAMED_MAX).filter(|&more| more > 0) {
            warn!("in {more} more pairs of interfaces, one is on top of the other");
        }
    }
}

/// Pairs of these interfaces. The second is on top of the first, directly or not.
fn overlaps(links: &[Link], among: &[u32]) -> Vec<(u32, u32)> {
    let mut pairs = Vec::new();
    for &lower in among {
        // Devices on top of it, then those on top of them. Each once, because there may be a loop.
        let mut uppers = vec![lower];
        let mut next = 0;
        while let Some(&index) = uppers.get(next) {
            next += 1;
            for upper in directly_above(links, index) {
                if !uppers.contains(&upper) {
                    uppers.push(upper);
                }
            }
        }
        pairs.extend(uppers[1..].iter().filter(|up| among.contains(up)).map(|up| (lower, *up)));
    }
    pairs
}

fn directly_above(links: &[Link], index: u32) -> impl Iterator<Item = u32> {
    let own = links.iter().find(move |link| link.index == index);
    let master = own.and_then(|link| link.master);
    master.into_iter().chain(links.iter().filter(move |link| link.is_on(index)).map(|on| on.index))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::interface::links::links;
    use crate::host::namespace::{in_namespace, ip};

    #[test]
    fn devices_on_top_of_others_are_found() {
        in_namespace(|| {
            ip("link add va index 71 type veth peer name vb index 72");
            ip("link add name bridge7 index 73 type bridge");
            ip("link set vb master bridge7");
            ip("link add mac7 index 74 link bridge7 type macvlan");
            ip("link add mac8 index 75 link va type macvlan");
            ip("link add vx index 76 type vxlan id 7 dev va dstport 4789");
            let links = links().unwrap();
            let pairs = |among: &[u32]| overlaps(&links, among);
            assert_eq!(pairs(&[71, 72]), []);
            assert_eq!(pairs(&[72, 73]), [(72, 73)]);
            // With the bridge between them.
            assert_eq!(pairs(&[74, 72]), [(72, 74)]);
            assert_eq!(pairs(&[71, 75, 76]), [(71, 75), (71, 76)]);
            assert_eq!(pairs(&[75, 76, 73]), []);
        });
    }
}
