//! Samples that an agent took and could not send, by its own counters.

use std::collections::BTreeMap;

use super::FlowSample;
use crate::counts::Counts;
use crate::limits::SFLOW_SOURCES_MAX;
use crate::sequence::GAP_MAX;

/// The counters of an agent, by sub agent, kind of sample and source. New sources beyond the limit
/// are not kept.
#[derive(Debug, Default)]
pub(crate) struct Drops(BTreeMap<(u32, bool, [u32; 2]), u32>);

impl Drops {
    /// Counts what a source has dropped since its sample before. A large step, or one back, is a
    /// new beginning.
    pub(super) fn check(&mut self, sub_agent: u32, sample: &FlowSample<'_>, counts: &mut Counts) {
        let key = (sub_agent, sample.is_discard, sample.source);
        if let Some(last) = self.0.get_mut(&key) {
            let step = sample.drops.wrapping_sub(*last);
            counts.sflow_dropped += if step <= GAP_MAX { u64::from(step) } else { 0 };
            *last = sample.drops;
        } else if self.0.len() < SFLOW_SOURCES_MAX {
            self.0.insert(key, sample.drops);
        }
    }
}
