//! Names that an exporter's options give to its interfaces, applications and VRFs.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use element::Reading;
use flow::{Collected, CollectedNames, NamedInterface};

use crate::limits::NAMES_MAX;

/// What the user calls exporters.
pub type ExporterNames = BTreeMap<IpAddr, Arc<str>>;

/// The names of an exporter. Numbers have a meaning within an Observation Domain only.
#[derive(Debug, Default)]
pub(crate) struct Names {
    interfaces: BTreeMap<(u32, u32), Arc<NamedInterface>>,
    applications: BTreeMap<(u32, u64), Arc<str>>,
    vrfs: BTreeMap<(u32, u32), Arc<str>>,
    /// Octets of all entries.
    octets: usize,
}

/// Room for the names of all exporters.
#[derive(Debug)]
pub(crate) struct NameRoom<'a> {
    /// Octets in use.
    pub(crate) octets: &'a mut usize,
    pub(crate) octets_max: usize,
    /// Names for which there was no room.
    pub(crate) refused: &'a mut u64,
}

/// A name that is kept.
trait Name: PartialEq {
    /// Octets of its texts.
    fn octets(&self) -> usize;
}

impl Name for Arc<str> {
    fn octets(&self) -> usize {
        self.len()
    }
}

impl Name for Arc<NamedInterface> {
    fn octets(&self) -> usize {
        self.name.len() + self.alias.len()
    }
}

/// Octets of an entry besides its texts.
const ENTRY: usize = 96;

impl Names {
    /// Learns the names in an Options Data Record of a domain.
    pub(crate) fn learn(&mut self, domain: u32, reading: &Reading, room: &mut NameRoom<'_>) {
        let Some(names) = &reading.names else { return };
        let collected = &reading.collected;
        let number = first_number([collected.ingress_interface, collected.egress_interface]);
        let (name, alias) = (&names.interface, &names.interface_description);
        if let (Some(number), true) = (number, name.is_some() || alias.is_some()) {
            let key = (domain, number);
            // Name and description may come in different records.
            let known = self.interfaces.get(&key).map(|known| (**known).clone());
            let known = known.unwrap_or_default();
            let named = Arc::new(NamedInterface {
                name: name.clone().unwrap_or(known.name),
                alias: alias.clone().unwrap_or(known.alias),
            });
            let count = self.len();
            keep(&mut self.interfaces, (key, named), count, &mut self.octets, room);
        }
        let name = names.application.as_ref().or(names.application_description.as_ref());
        if let (Some(number), Some(name)) = (reading.application, name) {
            let named = ((domain, number), Arc::from(&**name));
            let count = self.len();
            keep(&mut self.applications, named, count, &mut self.octets, room);
        }
        let number = first_number([collected.ingress_vrf, collected.egress_vrf]);
        if let (Some(number), Some(name)) = (number, &names.vrf) {
            let named = ((domain, number), Arc::from(&**name));
            let count = self.len();
            keep(&mut self.vrfs, named, count, &mut self.octets, room);
        }
    }

    /// The names for the numbers of a flow. `None` if there are none.
    #[inline]
    pub(crate) fn of(
        &self,
        domain: u32,
        collected: &Collected,
        application: Option<u64>,
    ) -> Option<Box<CollectedNames>> {
        if self.octets == 0 { None } else { self.find(domain, collected, application) }
    }

    fn find(
        &self,
        domain: u32,
        collected: &Collected,
        application: Option<u64>,
    ) -> Option<Box<CollectedNames>> {
        let interface = |number: u32| self.interfaces.get(&(domain, number)).cloned();
        let vrf = |number: u32| self.vrfs.get(&(domain, number)).cloned();
        let application = application.and_then(|it| self.applications.get(&(domain, it)).cloned());
        let names = CollectedNames {
            ingress: interface(collected.ingress_interface),
            egress: interface(collected.egress_interface),
            application,
            ingress_vrf: vrf(collected.ingress_vrf),
            egress_vrf: vrf(collected.egress_vrf),
        };
        (names != CollectedNames::default()).then(|| Box::new(names))
    }

    /// Number of names.
    pub(crate) fn len(&self) -> usize {
        self.interfaces.len() + self.applications.len() + self.vrfs.len()
    }

    /// Removes all.
    pub(crate) fn clear(&mut self, octets_of_all: &mut usize) {
        *octets_of_all -= self.octets;
        *self = Self::default();
    }
}

/// Numbers begin with 1.
fn first_number(numbers: [u32; 2]) -> Option<u32> {
    numbers.into_iter().find(|number| *number != 0)
}

/// Keeps a name, if there is room. `count` is the number of names of all kinds.
fn keep<K: Ord, V: Name>(
    names: &mut BTreeMap<K, V>,
    (key, name): (K, V),
    count: usize,
    octets: &mut usize,
    room: &mut NameRoom<'_>,
) {
    let known = names.get(&key);
    if known.is_some_and(|known| *known == name) {
        return;
    }
    let removed = known.map_or(0, |known| known.octets() + ENTRY);
    let added = name.octets() + ENTRY;
    let is_full = known.is_none() && count >= NAMES_MAX;
    if is_full || *room.octets - removed + added > room.octets_max {
        *room.refused += 1;
        return;
    }
    *octets = *octets - removed + added;
    *room.octets = *room.octets - removed + added;
    names.insert(key, name);
}

#[cfg(test)]
mod tests {
    use element::NamesReading;

    use super::*;

    fn interface(number: u32, name: &str) -> Reading {
        let names = NamesReading { interface: Some(name.into()), ..NamesReading::default() };
        let mut reading = Reading { names: Some(Box::new(names)), ..Reading::default() };
        reading.collected.ingress_interface = number;
        reading
    }

    #[test]
    fn names_are_bounded_in_number_and_in_octets() {
        let (mut octets, mut refused, mut names) = (0, 0, Names::default());
        let mut learn = |names: &mut Names, reading: &Reading, octets_max| {
            let room = &mut NameRoom { octets: &mut octets, octets_max, refused: &mut refused };
            names.learn(1, reading, room);
            (*room.octets, *room.refused)
        };
        for number in 0..10_000 {
            learn(&mut names, &interface(number, "eth"), usize::MAX);
        }
        let full = learn(&mut names, &interface(1, "eth"), usize::MAX);
        assert_eq!(full, (NAMES_MAX * (ENTRY + 3), 9999 - NAMES_MAX as u64));
        let changed = learn(&mut names, &interface(1, "ethernet"), full.0 + 5);
        assert_eq!(changed, (full.0 + 5, full.1));
        let refused = learn(&mut names, &interface(2, "ethernet"), full.0 + 5);
        assert_eq!(refused, (full.0 + 5, full.1 + 1));
        assert_eq!(names.octets, full.0 + 5);
        names.clear(&mut octets);
        assert_eq!((octets, names.len()), (0, 0));
    }
}
