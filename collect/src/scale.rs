//! Sampling intervals that the user gives, and counts that are multiplied by them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use flow::{Details, FlowRecord};

use crate::limits::COUNT_MAX;

/// What the user says of the sampling of exporters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SamplingSettings {
    /// Intervals of exporters, whatever they say.
    pub given: BTreeMap<IpAddr, u32>,
    /// The interval of exporters that say none; 0: it is not known.
    pub default: u32,
    /// Packets and octets are multiplied by the interval.
    pub scales: bool,
}

impl SamplingSettings {
    /// Sets the interval of a record of this exporter, and scales its counts.
    pub(crate) fn apply(&self, exporter: IpAddr, record: &mut FlowRecord, details: &mut Details) {
        let Some(collected) = &mut details.collected else { return };
        let interval = &mut collected.sampling_interval;
        let fallback = if *interval == 0 { self.default } else { *interval };
        *interval = self.given.get(&exporter).copied().unwrap_or(fallback);
        // An exporter whose interval is 0 or 1 does not sample.
        if self.scales && *interval > 1 {
            for count in [&mut record.packets, &mut record.octets] {
                *count = count.saturating_mul((*interval).into()).min(COUNT_MAX);
            }
            collected.is_scaled = true;
        }
    }
}
