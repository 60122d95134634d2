//! Sources of samples: samples that are missing by their numbers, and those that the agent took and
//! could not send, by its own counters.

use std::collections::BTreeMap;

use super::FlowSample;
use crate::counts::Counts;
use crate::limits::SFLOW_SOURCES_MAX;
use crate::sequence::GAP_MAX;

/// The sources of an agent, by sub agent, kind of sample and source. New ones beyond the limit are
/// not kept.
#[derive(Debug, Default)]
pub(crate) struct Sources(BTreeMap<(u32, bool, [u32; 2]), Source>);

#[derive(Clone, Copy, Debug)]
struct Source {
    /// The number of the next sample.
    next: u32,
    /// Samples that could not be sent so far.
    drops: u32,
}

impl Sources {
    /// Counts what is missing since the sample before, and what the source has dropped since then.
    /// A large step, or one back, is a new beginning.
    pub(super) fn check(&mut self, sub_agent: u32, sample: &FlowSample<'_>, counts: &mut Counts) {
        let key = (sub_agent, sample.is_discard, sample.source);
        let now = Source { next: sample.sequence.wrapping_add(1), drops: sample.drops };
        if let Some(last) = self.0.get_mut(&key) {
            counts.sflow_missing += step(last.next, sample.sequence);
            counts.sflow_dropped += step(last.drops, now.drops);
            *last = now;
        } else if self.0.len() < SFLOW_SOURCES_MAX {
            self.0.insert(key, now);
        }
    }
}

/// How much more a counter is. 0 for a new beginning.
fn step(before: u32, after: u32) -> u64 {
    let step = after.wrapping_sub(before);
    if step <= GAP_MAX { step.into() } else { 0 }
}
