//! What the network card of an interface counted.

use std::collections::BTreeMap;

use crate::host::interface::nic::NicCounters;

/// What the network card counted while the interface was asked for. Drivers begin again with 0 at
/// will, so differences are added up, a second apart.
#[derive(Clone, Debug, Default)]
pub(super) struct Card {
    /// The kernel's number of the interface, and its counters.
    last: Option<(u32, NicCounters)>,
    causes: BTreeMap<&'static str, u64>,
    /// Packets that came in while the interface was there and not captured.
    not_captured: u64,
    /// What the card and the program of AF_XDP had counted at the last look at which the program
    /// ran on all queues, and at the look before. There are drivers that do not run it on queues
    /// that are added later. Queues may have been added before that is noticed, so what is not seen
    /// is counted from the look before on.
    complete: [(u64, u64); 2],
    /// Packets that came in since the look before, more than the program has seen.
    unseen: u64,
}

impl Card {
    /// What was counted, by cause.
    pub(super) fn causes(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.causes.iter().map(|(cause, count)| (*cause, *count))
    }

    /// Packets that came in while the interface, or a queue of it, was there and not captured.
    pub(super) fn not_captured(&self) -> u64 {
        self.not_captured + self.unseen
    }

    /// Compares with what the program of AF_XDP has seen. Where it does not run on all queues, the
    /// rest is not captured.
    pub(super) fn compare(&mut self, seen: u64, is_on_all_queues: bool) {
        let Some((_, NicCounters { received, .. })) = self.last else { return };
        if is_on_all_queues {
            self.not_captured += std::mem::take(&mut self.unseen);
            self.complete = [(received, seen), self.complete[0]];
        } else {
            let [_, (received_before, seen_before)] = self.complete;
            let arrived = received.saturating_sub(received_before);
            self.unseen = arrived.saturating_sub(seen.saturating_sub(seen_before));
        }
    }

    /// The program of AF_XDP is off the interface: what it has not seen was not captured.
    pub(super) fn close(&mut self, seen: u64) {
        self.compare(seen, false);
        self.not_captured += std::mem::take(&mut self.unseen);
    }

    /// The interface was opened again, which takes time: of what came in since the last time, the
    /// packets that the new program of AF_XDP has not seen were not captured.
    pub(super) fn open_again(&mut self, ifindex: u32, seen: u64) {
        let before = self.not_captured;
        self.update(ifindex, false);
        let arrived = self.not_captured - before;
        self.not_captured = before + arrived.saturating_sub(seen);
        if let Some((_, NicCounters { received, .. })) = self.last {
            self.complete = [(received, seen); 2];
        }
    }

    /// Adds what was counted since the last time, in which the interface was captured or not.
    /// Another interface begins. A card that does not tell, or is gone, has counted nothing.
    pub(super) fn update(&mut self, ifindex: u32, was_captured: bool) {
        let Ok(now) = NicCounters::read(ifindex) else { return };
        if let Some((_, last)) = self.last.filter(|(index, _)| *index == ifindex) {
            for (cause, count) in now.since(&last) {
                *self.causes.entry(cause).or_default() += count;
            }
            if !was_captured {
                self.not_captured += now.received.saturating_sub(last.received);
            }
        }
        self.last = Some((ifindex, now));
    }
}
