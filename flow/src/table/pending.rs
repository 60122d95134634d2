//! Packets that wait for memory before they are added to their flows.
//!
//! Packets are processed in bursts, in three steps. When a burst is complete, the groups of its
//! packets are prefetched. One burst later, their slots are prefetched. One more burst later, the
//! packets are added to their flows, and all that they need is in the cache of the CPU. The
//! position of a flow that was found in the second step is a guess, because earlier packets may
//! still change the table. So the third step checks it.

use alloc::boxed::Box;
use core::mem;

use super::groups::Lookup;
use crate::observation::Observation;

/// The largest burst, in packets. A CPU core has about 16 outstanding memory requests.
pub const BURST_MAX: u16 = 16;

const LENGTH: usize = BURST_MAX as usize;

/// The bursts that are not in the table yet.
#[derive(Debug)]
pub(super) struct Pending {
    /// Receives packets.
    filling: Box<Burst>,
    /// Its groups are prefetched.
    first: Box<Burst>,
    /// Its slots are prefetched. `None` while its packets are added.
    second: Option<Box<Burst>>,
    /// Packets of a complete burst.
    burst: usize,
}

/// Packets, and the positions of their flows.
#[derive(Debug)]
pub(super) struct Burst {
    packets: [Observation; LENGTH],
    lookups: [Lookup; LENGTH],
    length: usize,
}

impl Pending {
    pub(super) fn new(burst: u16) -> Self {
        let new = || Box::new(Burst::new());
        Self { filling: new(), first: new(), second: Some(new()), burst: burst.into() }
    }

    /// The place to write the next packet to.
    #[inline(always)]
    pub(super) fn vacancy(&mut self) -> &mut Observation {
        let Burst { packets, length, .. } = &mut *self.filling;
        &mut packets[*length % LENGTH]
    }

    /// Keeps the packet at the vacancy. Returns true if the burst is complete.
    #[inline(always)]
    pub(super) fn push(&mut self) -> bool {
        let Burst { length, .. } = &mut *self.filling;
        *length += 1;
        *length == self.burst
    }

    pub(super) fn is_empty(&self) -> bool {
        let second = self.second.as_ref().map_or(0, |second| second.length);
        self.filling.length + self.first.length + second == 0
    }

    /// The burst whose groups are prefetched next.
    pub(super) fn filling(&mut self) -> &mut Burst {
        &mut self.filling
    }

    /// The burst whose slots are prefetched next.
    pub(super) fn first(&mut self) -> &mut Burst {
        &mut self.first
    }

    /// The burst whose packets are added next. [`Pending::advance`] takes it back.
    pub(super) fn take_second(&mut self) -> Box<Burst> {
        self.second.take().expect("advance takes it back")
    }

    /// Moves all bursts to the next step. The burst that was added receives packets again.
    pub(super) fn advance(&mut self, mut added: Box<Burst>) {
        added.length = 0;
        let first = mem::replace(&mut self.filling, added);
        self.second = Some(mem::replace(&mut self.first, first));
    }
}

impl Burst {
    fn new() -> Self {
        Self {
            packets: [Observation::default(); LENGTH],
            lookups: [Lookup::default(); LENGTH],
            length: 0,
        }
    }

    #[inline]
    pub(super) fn packets(&mut self) -> (&[Observation], &mut [Lookup]) {
        let length = self.length.min(LENGTH);
        (&self.packets[..length], &mut self.lookups[..length])
    }
}
