//! Sums by key. Their memory is made once and used for each list.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hash::BuildHasher;

use flow::FlowKey;
use foldhash::fast::RandomState;

use crate::sum::Sum;

/// Sums by key, in the order in which the keys came. A small table of numbers leads to them: it
/// fits in a cache of the processor where a table of keys and sums does not.
#[derive(Debug)]
pub(crate) struct Sums {
    hasher: RandomState,
    /// For each hash, the number of the key in the list, plus 1; 0 is free. A power of two, and
    /// twice as many as there can be keys.
    places: Vec<u32>,
    list: Vec<(FlowKey, Sum)>,
}

impl Sums {
    /// Memory for so many keys.
    pub(crate) fn new(keys: usize) -> Self {
        let places = vec![0; places(keys)];
        Self { hasher: RandomState::default(), places, list: Vec::with_capacity(keys) }
    }

    /// Octets of memory for so many keys.
    pub(crate) const fn octets(keys: usize) -> usize {
        places(keys) * size_of::<u32>() + keys * size_of::<(FlowKey, Sum)>()
    }

    /// Number of different keys.
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn clear(&mut self) {
        self.places.fill(0);
        self.list.clear();
    }

    /// Adds to the sum of a key. More keys than there is memory for are left out.
    pub(crate) fn add(&mut self, key: FlowKey, one: Sum) {
        let last = self.places.len() - 1;
        // The low bits of the hash, which are no more than the last place.
        let mut at = usize::try_from(self.hasher.hash_one(key) & last as u64).unwrap_or(last);
        loop {
            let number = self.places[at] as usize;
            if number == 0 {
                break;
            }
            let (known, sum) = &mut self.list[number - 1];
            if *known == key {
                *sum += one;
                return;
            }
            at = (at + 1) & last;
        }
        let is_full = self.list.len() == self.list.capacity();
        if let (false, Ok(number)) = (is_full, u32::try_from(self.list.len() + 1)) {
            self.places[at] = number;
            self.list.push((key, one));
        }
    }

    /// The first so many by this order, the greatest first, and by their keys where it is equal.
    pub(crate) fn first<O: Ord>(
        &self,
        size: usize,
        order: impl Fn(&Sum) -> O,
    ) -> Vec<(FlowKey, Sum)> {
        let mut first = BinaryHeap::with_capacity(size + 1);
        for (number, (key, sum)) in self.list.iter().enumerate() {
            let one = Reverse((order(sum), Reverse(key), number));
            if first.len() < size {
                first.push(one);
            } else if let Some(mut least) = first.peek_mut()
                && one < *least
            {
                *least = one;
            }
        }
        first.into_sorted_vec().into_iter().map(|Reverse((.., number))| self.list[number]).collect()
    }
}

const fn places(keys: usize) -> usize {
    (keys * 2).next_power_of_two()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::tests::record;

    fn key(number: u16) -> FlowKey {
        FlowKey { source_port: number, ..record(0, 0, 1).key }
    }

    #[test]
    fn sums_are_those_of_a_sorted_list() {
        let mut sums = Sums::new(1000);
        for round in 0..2 {
            sums.clear();
            for number in 0..10_000 {
                let octets = u64::from(number % 7);
                sums.add(key(number % 250 * 4 + number % 3), Sum { octets, packets: 1, flows: 1 });
            }
            let mut sorted = sums.list.clone();
            sorted.sort_by_key(|(key, sum)| (Reverse(sum.octets), *key));
            assert_eq!(sums.first(20, |sum| sum.octets), sorted[..20], "{round}");
            assert_eq!(sums.first(5000, |sum| sum.octets), sorted);
            assert_eq!(sorted.iter().map(|(_, sum)| sum.packets).sum::<u64>(), 10_000);
        }
        assert_eq!(sums.first(0, |sum| sum.octets), []);
    }

    #[test]
    fn there_are_no_more_keys_than_memory() {
        let mut sums = Sums::new(10);
        let one = Sum { octets: 1, packets: 1, flows: 1 };
        (0..20).for_each(|number| sums.add(key(number), one));
        (0..20).for_each(|number| sums.add(key(number), one));
        assert_eq!(sums.len(), 10);
        assert!(sums.list.iter().all(|(_, sum)| sum.flows == 2));
    }
}
