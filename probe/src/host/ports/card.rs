//! Counters of the network card of an interface.

use std::collections::BTreeMap;

use crate::host::interface::nic::NicCounters;

/// Readings of the counters in an update, while packets arrive in each of them.
const READINGS_MAX: u32 = 3;

/// Counts of the network card while the interface was watched. Drivers may reset their counters at
/// any time, so differences are added up each second.
#[derive(Clone, Debug, Default)]
pub(super) struct Card {
    /// The interface index of the kernel, and the counters.
    last: Option<(u32, NicCounters)>,
    causes: BTreeMap<&'static str, u64>,
    /// Packets that arrived while the interface existed and was not captured.
    not_captured: u64,
    /// Frames that the AF_XDP program had seen just before and just after the counters were read.
    /// The two differ if packets arrive while they are read.
    seen: [u64; 2],
    /// Counts of the card and of the AF_XDP program, at the last look at which the program ran on
    /// all queues, and at the look before. Some drivers do not run it on queues that are added
    /// later. Queues may be added before this is noticed, so unseen packets are counted from the
    /// look before on.
    complete: [(u64, u64); 2],
    /// Packets that arrived since the look before and that the program has not seen.
    unseen: u64,
}

impl Card {
    /// The counts by cause.
    pub(super) fn causes(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.causes.iter().map(|(cause, count)| (*cause, *count))
    }

    /// Packets that arrived while the interface, or one of its queues, existed and was not
    /// captured.
    pub(super) fn not_captured(&self) -> u64 {
        self.not_captured + self.unseen
    }

    /// Compares with the packets that the AF_XDP program has seen. If it does not run on all
    /// queues, the rest is not captured. A packet that arrives while the counters are read is never
    /// counted as one that the program has not seen.
    pub(super) fn compare(&mut self, is_on_all_queues: bool) {
        let Some((_, NicCounters { received, .. })) = self.last else { return };
        let [seen_first, seen_last] = self.seen;
        if is_on_all_queues {
            self.not_captured += std::mem::take(&mut self.unseen);
            self.complete = [(received, seen_first), self.complete[0]];
        } else {
            let [_, (received_before, seen_before)] = self.complete;
            let arrived = received.saturating_sub(received_before);
            self.unseen = arrived.saturating_sub(seen_last.saturating_sub(seen_before));
        }
    }

    /// Called when the AF_XDP program is detached, after an update. Packets that it has not seen
    /// were not captured.
    pub(super) fn close(&mut self) {
        self.compare(false);
        self.not_captured += std::mem::take(&mut self.unseen);
    }

    /// Called when the interface was opened again, which takes time. Of the packets since the last
    /// update, those that the new AF_XDP program, or the new sockets of AF_PACKET, had not seen
    /// before the counters were read were not captured. The count is exact if no packet arrives
    /// while the counters are read. Otherwise, and if sockets count several packets as one
    /// super-packet, it may be too high, and is never too low.
    pub(super) fn open_again(&mut self, ifindex: u32, seen: impl FnMut() -> u64) {
        let before = self.not_captured;
        self.update(ifindex, false, seen);
        let arrived = self.not_captured - before;
        self.not_captured = before + arrived.saturating_sub(self.seen[0]);
        self.begin();
    }

    /// Called when the interface was opened, after an update.
    pub(super) fn begin(&mut self) {
        if let Some((_, NicCounters { received, .. })) = self.last {
            self.complete = [(received, self.seen[0]); 2];
        }
    }

    /// Adds the counts since the last update. `was_captured`: the interface was captured in this
    /// time. `seen`: frames that the AF_XDP program, or the sockets of AF_PACKET, have seen until
    /// now; they are read before and after the counters, and all again if packets arrived in
    /// between. If it is another interface, counting starts. A card without counters adds nothing.
    pub(super) fn update(
        &mut self,
        ifindex: u32,
        was_captured: bool,
        mut seen: impl FnMut() -> u64,
    ) {
        let mut seen_first = seen();
        for _ in 0..READINGS_MAX {
            self.read(ifindex, was_captured);
            self.seen = [seen_first, seen()];
            if self.seen[0] == self.seen[1] {
                break;
            }
            seen_first = self.seen[1];
        }
    }

    fn read(&mut self, ifindex: u32, was_captured: bool) {
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
