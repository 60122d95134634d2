//! From the octets of Data Sets to records that are given.

use std::sync::Arc;

use element::Reading;
use flow::{Details, Exporter, FlowRecord};

use crate::collector::Sink;
use crate::counts::Counts;
use crate::limits::COUNT_MAX;
use crate::names::Names;
use crate::originals::Originals;
use crate::record::{self, Common, Places};
use crate::sampling::Samplers;
use crate::scale::SamplingSettings;
use crate::template::Template;
use crate::totals::Totals;

/// What records of all exporters share.
pub(crate) type Shared<'a> =
    (&'a mut Places, &'a mut Totals, &'a mut Originals, &'a SamplingSettings);

/// Reads the flow records of a Data Set. Gives their number.
pub(crate) fn read_flows(
    common: Common<'_>,
    content: &[u8],
    exporter: &Arc<Exporter>,
    (samplers, names): (&Samplers, &Names),
    (places, totals, originals, sampling): Shared<'_>,
    (counts, sink): (&mut Counts, &mut impl Sink),
) -> u32 {
    let header = common.header;
    let usual = match header.sampling_interval {
        0 => samplers.common(header.domain),
        interval => interval,
    };
    read_set(common.template, content, counts, |reading, counts| {
        let own = reading.sampling.interval();
        let told = || samplers.of(header.domain, common.template_id, reading);
        let interval = own.or_else(told).unwrap_or(usual);
        let original = originals.of(reading.original);
        let application = reading.application;
        match record::record(reading, common, interval, places, counts) {
            Some(mut given) => {
                // The names of a mediator are those of its own interfaces.
                if let (None, Some(collected)) = (original, &mut given.1.collected) {
                    collected.names = names.of(header.domain, collected, application);
                }
                let exporter = original.unwrap_or(exporter);
                if common.template.has_totals {
                    totals.subtract(exporter, &reading.start, &mut given.0, counts);
                }
                give(given, exporter, sampling, (counts, sink));
            }
            None => counts.unmeterable += 1,
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

/// Reads the records of a Data Set. Gives their number.
pub(crate) fn read_set(
    template: &Template,
    mut content: &[u8],
    counts: &mut Counts,
    mut take: impl FnMut(&mut Reading, &mut Counts),
) -> u32 {
    let mut records = 0;
    while template.has_room(content) {
        let mut reading = Reading::default();
        match template.read(content, &mut reading) {
            Ok(rest) => content = rest,
            Err(_cut) => {
                counts.cut_sets += 1;
                break;
            }
        }
        records += 1;
        take(&mut reading, counts);
    }
    records
}
