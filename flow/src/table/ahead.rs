//! Packets on their way into the table.
//!
//! They go in bursts. When one is complete, the groups of its packets are asked for, where the tags
//! are; a burst later, their slots; and with the next they are added to their flows. By then all is
//! in the CPU's cache, and meanwhile other packets were read and dissected. What was found out
//! ahead is a guess, as packets before may still change the table, and is checked.

use alloc::boxed::Box;
use core::mem;

use super::groups::Place;
use crate::observation::Observation;

/// The most packets of a burst: with more, the CPU has not so many requests to memory open.
pub const BURST_MAX: u16 = 16;

const LENGTH: usize = BURST_MAX as usize;

/// The bursts that are not in the table yet.
#[derive(Debug)]
pub(super) struct Ahead {
    /// Packets are being admitted to it.
    coming: Box<Burst>,
    /// Its groups have been asked for.
    first: Box<Burst>,
    /// Its slots have been asked for; not while it is added.
    second: Option<Box<Burst>>,
    /// Packets of a complete one.
    burst: usize,
}

/// Packets, and what is known of each.
#[derive(Debug)]
pub(super) struct Burst {
    packets: [Observation; LENGTH],
    found: [Found; LENGTH],
    length: usize,
}

/// What is known of a packet before it is added to its flow.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Found {
    pub(super) hash: u64,
    /// Where its flow is likely to be.
    pub(super) guess: Place,
}

impl Ahead {
    pub(super) fn new(burst: u16) -> Self {
        assert!((1..=BURST_MAX).contains(&burst), "burst out of range");
        let new = || Box::new(Burst::new());
        Self { coming: new(), first: new(), second: Some(new()), burst: burst.into() }
    }

    /// Where the next packet goes.
    #[inline(always)]
    pub(super) fn vacancy(&mut self) -> &mut Observation {
        let Burst { packets, length, .. } = &mut *self.coming;
        &mut packets[*length % LENGTH]
    }

    /// The packet at the vacancy is admitted. Whether that makes a burst.
    #[inline(always)]
    pub(super) fn admit(&mut self) -> bool {
        let Burst { length, .. } = &mut *self.coming;
        *length += 1;
        *length == self.burst
    }

    /// Whether there are packets that are not in the table yet.
    pub(super) fn any(&self) -> bool {
        let second = self.second.as_ref().is_some_and(|second| second.length > 0);
        self.coming.length > 0 || self.first.length > 0 || second
    }

    /// The burst that has just come.
    pub(super) fn coming(&mut self) -> &mut Burst {
        &mut self.coming
    }

    /// The burst whose groups have been asked for.
    pub(super) fn first(&mut self) -> &mut Burst {
        &mut self.first
    }

    /// The burst whose slots have been asked for, to be given back when it was added.
    pub(super) fn take_second(&mut self) -> Box<Burst> {
        self.second.take().expect("it is given back")
    }

    /// All bursts are a step further, and the one that was added takes packets again.
    pub(super) fn step(&mut self, mut added: Box<Burst>) {
        added.length = 0;
        let first = mem::replace(&mut self.coming, added);
        self.second = Some(mem::replace(&mut self.first, first));
    }
}

impl Burst {
    fn new() -> Self {
        Self {
            packets: [Observation::default(); LENGTH],
            found: [Found::default(); LENGTH],
            length: 0,
        }
    }

    #[inline]
    pub(super) fn packets(&mut self) -> (&[Observation], &mut [Found]) {
        let length = self.length.min(LENGTH);
        (&self.packets[..length], &mut self.found[..length])
    }
}
