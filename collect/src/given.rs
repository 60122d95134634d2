//! From the octets of Data Sets to records that are given.

use std::sync::Arc;

use element::Reading;
use flow::{Details, Exporter, FlowRecord, Initiator};

use crate::collector::Sink;
use crate::counts::Counts;
use crate::half::Half;
use crate::limits::COUNT_MAX;
use crate::names::Names;
use crate::originals::Originals;
use crate::record::{self, Common, Places, REVERSE_INITIATOR};
use crate::sampling::Samplers;
use crate::scale::SamplingSettings;
use crate::template::Template;
use crate::totals::Totals;

/// What records of all exporters share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(crate) places: Places,
    /// The last totals of flows that go on.
    pub(crate) totals: Totals,
    /// Exporters behind mediators.
    pub(crate) originals: Originals,
    /// What the user says of sampling.
    pub(crate) sampling: SamplingSettings,
}

/// Reads the flow records of a Data Set. Gives their number.
pub(crate) fn read_flows(
    common: Common<'_>,
    content: &[u8],
    exporter: &Arc<Exporter>,
    (samplers, names): (&Samplers, &Names),
    shared: &mut Shared,
    (counts, sink): (&mut Counts, &mut impl Sink),
) -> u32 {
    let Shared { places, totals, originals, sampling } = shared;
    let header = common.header;
    let usual = match header.sampling_interval {
        0 => samplers.common(header.domain),
        interval => interval,
    };
    let mut give_half = |half: &Half, reading: &mut Reading, counts: &mut Counts| {
        let own = reading.sampling.interval();
        let told = || samplers.of(header.domain, common.template_id, reading);
        let interval = own.or_else(told).unwrap_or(usual);
        let original = originals.of(reading.original);
        let application = reading.application;
        let Some(mut given) = record::record(reading, (half, common), interval, places, counts)
        else {
            return false;
        };
        // The names of a mediator are those of its own interfaces.
        if let (None, Some(collected)) = (original, &mut given.1.collected) {
            collected.names = names.of(header.domain, collected, application);
        }
        let exporter = original.unwrap_or(exporter);
        if half.has_totals {
            totals.subtract(exporter, &reading.start, &mut given.0, counts);
        }
        give(given, exporter, sampling, (counts, &mut *sink));
        true
    };
    let Template { half, other_half, .. } = common.template;
    read_set(common.template, content, counts, |octets, reading, counts| {
        let other = other_half.as_deref().and_then(|half| Some((half, half.read_other(octets)?)));
        let Some((other_half, mut other)) = other else {
            counts.unmeterable += u64::from(!give_half(half, reading, counts));
            return;
        };
        // The record of the initiator comes first. Each has the counts of its source.
        let direction = std::mem::take(&mut reading.biflow_direction);
        other.biflow_direction = 0;
        let initiators = match direction {
            1 => [Initiator::Source, Initiator::Destination],
            REVERSE_INITIATOR => [Initiator::Destination, Initiator::Source],
            _ => [Initiator::Unknown; 2],
        };
        [reading.collected.initiator, other.collected.initiator] = initiators;
        let is_counted = reading.has_counts() || !other.has_counts();
        let one = is_counted.then_some((half, reading));
        let other = other.has_counts().then_some((other_half, &mut other));
        let halves = if direction == REVERSE_INITIATOR { [other, one] } else { [one, other] };
        let mut given = 0;
        for (half, reading) in halves.into_iter().flatten() {
            given += u64::from(give_half(half, reading, counts));
        }
        match given {
            0 => counts.unmeterable += 1,
            1 => {}
            _ => counts.biflows += 1,
        }
    })
}

/// Counts a record, and gives it.
pub(crate) fn give(
    (mut record, mut details): (FlowRecord, Details),
    exporter: &Arc<Exporter>,
    sampling: &SamplingSettings,
    (counts, sink): (&mut Counts, &mut impl Sink),
) {
    limit(&mut record, counts);
    sampling.apply(exporter.address.ip(), &mut record, &mut details);
    counts.records += 1;
    counts.packets = counts.packets.saturating_add(record.packets);
    counts.record_octets = counts.record_octets.saturating_add(record.octets);
    sink.record(exporter, record, details);
}

/// Counts that cannot be true become 0.
fn limit(record: &mut FlowRecord, counts: &mut Counts) {
    let is_invalid = |count: u64| count > COUNT_MAX;
    if is_invalid(record.packets) || is_invalid(record.octets) {
        counts.counts_invalid += 1;
        for count in [&mut record.packets, &mut record.octets] {
            *count = Some(*count).filter(|count| !is_invalid(*count)).unwrap_or(0);
        }
    }
}

/// Reads the records of a Data Set: octets that begin with a record, and what it says. Gives their
/// number.
pub(crate) fn read_set(
    template: &Template,
    mut content: &[u8],
    counts: &mut Counts,
    mut take: impl FnMut(&[u8], &mut Reading, &mut Counts),
) -> u32 {
    let mut records = 0;
    while template.has_room(content) {
        let mut reading = Reading::default();
        let Ok(rest) = template.half.read(content, &mut reading) else {
            counts.cut_sets += 1;
            break;
        };
        records += 1;
        take(content, &mut reading, counts);
        content = rest;
    }
    records
}
