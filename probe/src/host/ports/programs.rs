//! Counters of the XDP programs of an interface.

use crate::capture::xdp::XdpCapture;

/// Sums of the consecutive XDP programs of an interface.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Programs {
    pub(super) redirected: u64,
    pub(super) passed: u64,
    pub(super) refused: u64,
}

impl Programs {
    pub(super) fn add(&mut self, xdp: &XdpCapture) {
        let counts = xdp.counts();
        for queue in counts.queues.iter().chain([&counts.others]) {
            self.redirected += queue.redirected;
            self.refused += queue.refused;
        }
        self.passed += xdp.passed();
    }
}
