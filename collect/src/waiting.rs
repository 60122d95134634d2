//! Data Sets that came before their template.

use std::collections::VecDeque;
use std::net::SocketAddr;

use flow::Timestamp;

use crate::counts::Counts;
use crate::limits::{Limits, WAIT_MS};
use crate::message::Header;

/// A Data Set that waits.
#[derive(Debug)]
pub(crate) struct WaitingSet {
    pub(crate) template: u16,
    pub(crate) header: Header,
    pub(crate) from: SocketAddr,
    pub(crate) received: Timestamp,
    pub(crate) content: Box<[u8]>,
}

/// The waiting Data Sets of an exporter, in the order of arrival.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    sets: VecDeque<WaitingSet>,
    octets: usize,
}

impl Waiting {
    /// Adds a set. It counts as lost if there is no room. `octets_total` are those of all
    /// exporters.
    pub(crate) fn push(
        &mut self,
        set: WaitingSet,
        limits: &Limits,
        octets_total: &mut usize,
        counts: &mut Counts,
    ) {
        let octets = set.content.len();
        self.expire(set.received, octets_total, counts);
        let has_room = self.sets.len() < limits.waiting_sets
            && self.octets + octets <= limits.waiting_octets
            && *octets_total + octets <= limits.waiting_octets_total;
        if !has_room {
            count_lost(octets, counts);
            return;
        }
        self.octets += octets;
        *octets_total += octets;
        counts.waiting_sets += 1;
        self.sets.push_back(set);
    }

    /// Takes the sets of a template.
    pub(crate) fn take(
        &mut self,
        is_of_template: impl Fn(&WaitingSet) -> bool,
        now: Timestamp,
        octets_total: &mut usize,
        counts: &mut Counts,
    ) -> Vec<WaitingSet> {
        if self.sets.is_empty() {
            return Vec::new();
        }
        self.expire(now, octets_total, counts);
        let (taken, left): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.sets).into_iter().partition(is_of_template);
        self.sets = left.into();
        let octets: usize = taken.iter().map(|set| set.content.len()).sum();
        self.octets -= octets;
        *octets_total -= octets;
        counts.waiting_sets -= taken.len() as u64;
        taken
    }

    /// Gives all sets up.
    pub(crate) fn clear(&mut self, octets_total: &mut usize, counts: &mut Counts) {
        while self.drop_first(octets_total, counts) {}
    }

    fn expire(&mut self, now: Timestamp, octets_total: &mut usize, counts: &mut Counts) {
        let is_old = |set: &WaitingSet| now.millis_since(set.received) > WAIT_MS;
        while self.sets.front().is_some_and(is_old) {
            self.drop_first(octets_total, counts);
        }
    }

    fn drop_first(&mut self, octets_total: &mut usize, counts: &mut Counts) -> bool {
        let Some(set) = self.sets.pop_front() else { return false };
        let octets = set.content.len();
        self.octets -= octets;
        *octets_total -= octets;
        counts.waiting_sets -= 1;
        count_lost(octets, counts);
        true
    }
}

fn count_lost(octets: usize, counts: &mut Counts) {
    counts.no_template += 1;
    counts.no_template_octets += octets as u64;
}
