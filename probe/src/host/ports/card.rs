//! What the network card of an interface counted.

use std::collections::BTreeMap;

use crate::host::interface::nic::NicCounters;

/// What the network card counted while the interface was open. Drivers begin again with 0 at will,
/// so differences are added up, a second apart.
#[derive(Clone, Debug, Default)]
pub(super) struct Card {
    last: Option<NicCounters>,
    causes: BTreeMap<&'static str, u64>,
}

impl Card {
    /// What was counted, by cause.
    pub(super) fn causes(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.causes.iter().map(|(cause, count)| (*cause, *count))
    }

    pub(super) fn begin(&mut self, ifindex: u32) {
        self.last = NicCounters::read(ifindex).ok();
    }

    /// A card that does not tell, or is gone, has counted nothing.
    pub(super) fn update(&mut self, ifindex: u32) {
        let Ok(now) = NicCounters::read(ifindex) else { return };
        if let Some(last) = &self.last {
            for (cause, count) in now.since(last) {
                *self.causes.entry(cause).or_default() += count;
            }
        }
        self.last = Some(now);
    }
}
