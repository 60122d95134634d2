//! The totals of a run, as text and as JSON.

use std::fmt::Write;
use std::time::Duration;

use analysis::detect::DetectCounts;
use collect::ExporterReport;
use exporter::{ExportCounts, escaped_json, wrapped};
use flow::words::{counted, grouped};
use flow::{FlowEndReason, Ignored, MeterCounts, RecordTally, Tag, Tally};
use serde_json::{Map, Value, json};

use crate::capture::file::InputReport;
use crate::host::ports::PortCounts;
use crate::pipeline::dropped::QueueReport;
use crate::pipeline::output::OutputEnd;
use crate::pipeline::reload::ReloadCounts;
use crate::pipeline::worker::Ended;
use crate::places::PlaceReport;
use crate::report::collected::CollectReport;
use crate::report::escape::Escaped;
use crate::report::units::{count, date_and_time, octets, per_second, rfc3339, time};
use crate::report::workers::WorkerCounts;
use crate::report::{
    delivery, detection, exporters, ignored, page, payload, places, ports, remarks, top, tunnels,
    workers,
};

const LABEL_COLUMNS: usize = 8;

/// All counts of a run.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) meter: MeterCounts,
    pub(crate) input: InputReport,
    pub(crate) ended: Ended,
    /// Counts of collection. `None` if packets are metered.
    pub(crate) collected: Option<CollectReport>,
    /// The exporters that were collected from, those with the most records first.
    pub(crate) exporters: Vec<ExporterReport>,
    /// Live: flows that are still in the tables.
    pub(crate) flows: u32,
    /// Live: by interface.
    pub(crate) ports: Vec<PortCounts>,
    /// What each worker did.
    pub(crate) workers: Vec<WorkerCounts>,
    /// Live: the queue behind the workers.
    pub(crate) queue: Option<QueueReport>,
    pub(crate) outputs: Vec<OutputEnd>,
    /// The records that have each tag. Empty if records get no tags.
    pub(crate) tags: Vec<(Tag, RecordTally)>,
    /// Report on places. `None` if addresses are not looked up.
    pub(crate) places: Option<PlaceReport>,
    /// Counts of the detectors. `None` if there are none.
    pub(crate) detected: Option<DetectCounts>,
    /// `None` if settings do not change while the program runs.
    pub(crate) reloads: Option<ReloadCounts>,
    pub(crate) elapsed: Duration,
    pub(crate) interrupted: bool,
    /// Live: the run ended because no interface was left.
    pub(crate) interfaces_gone: bool,
}

impl Totals {
    /// Records that were offered to the outputs.
    pub(crate) fn records(&self) -> RecordTally {
        self.collected.as_ref().map_or_else(|| self.ended.records(), CollectReport::records)
    }

    /// A few lines of text, for a terminal with this number of columns.
    pub(crate) fn text(&self, columns: Option<usize>) -> String {
        wrapped(&self.lines(), columns.unwrap_or(usize::MAX), LABEL_COLUMNS + 1)
    }

    fn lines(&self) -> String {
        let mut text = String::new();
        match &self.collected {
            Some(collected) => {
                let lines = collected.lines();
                lines.iter().for_each(|(label, words)| line(&mut text, label, words));
                let exporters = exporters::lines(&self.exporters);
                exporters.iter().for_each(|words| line(&mut text, "exporter", words));
            }
            None => self.put_meter(&mut text),
        }
        self.put_others(&mut text);
        text
    }

    /// The lines of packets and flows.
    fn put_meter(&self, text: &mut String) {
        let meter = &self.meter;
        let records = self.ended.records();
        let total = meter.ignored_total();
        line(
            text,
            "packets",
            &format!(
                "{} received, {} metered, {} ignored{}",
                grouped(meter.received.packets),
                grouped(meter.metered.packets),
                grouped(total.packets),
                in_brackets(&ignored_words(meter))
            ),
        );
        for words in tunnels::lines(meter).into_iter().chain(tunnels::hints(&self.ended)) {
            line(text, "tunnels", &words);
        }
        let payload = meter.payload.iter();
        for words in payload.flat_map(|counts| payload::lines(counts, &self.ended)) {
            line(text, "payload", &words);
        }
        let unread = ignored::words(&meter.unread);
        if !unread.is_empty() {
            line(text, "ignored", &unread);
        }
        line(
            text,
            "octets",
            &format!(
                "{} metered ({})",
                grouped(meter.metered.octets),
                octets(meter.metered.octets)
            ),
        );
        line(
            text,
            "flows",
            &(counted(records.records, "record", "records") + &in_brackets(&self.ended_words())),
        );
        if let Some((first, last)) = self.ended.period {
            let lasted = time(Duration::from_millis(last.millis_since(first)));
            let [first, last] = [first, last].map(date_and_time);
            line(text, "period", &format!("{first} to {last} UTC ({lasted})"));
        }
    }

    /// The lines of what is done with the records.
    fn put_others(&self, text: &mut String) {
        for (tag, tally) in self.tags.iter().filter(|(_, tally)| tally.records > 0) {
            line(text, "tag", &tag_words(*tag, tally));
        }
        if self.flows > 0 {
            line(text, "active", &counted(self.flows.into(), "flow", "flows"));
        }
        for port in &self.ports {
            line(text, "capture", &ports::words(port));
        }
        for remark in remarks::words(&self.meter, &self.input) {
            line(text, "note", &remark);
        }
        for words in self.places.iter().flat_map(places::words) {
            line(text, "places", &words);
        }
        if let Some(detected) = &self.detected {
            line(text, "alerts", &detection::words(detected));
        }
        self.put_outputs(text);
        let packets = self.collected.map_or(self.meter.received.packets, |it| it.frames);
        let what = if self.collected.is_some() { "datagrams" } else { "packets" };
        let rate = per_second(packets, self.elapsed);
        let interrupted = if self.interrupted { ", interrupted" } else { "" };
        line(
            text,
            "time",
            &format!("{}, {} {what}/s{interrupted}", time(self.elapsed), count(rate)),
        );
    }

    fn put_outputs(&self, text: &mut String) {
        for output in self.outputs.iter().filter(|output| !is_on_screen(&output.name)) {
            let words = match output.takes_records {
                true => output_words(output, self.elapsed),
                false => detection::output_words(output),
            };
            line(text, if output.takes_records { "output" } else { "alerts" }, &words);
        }
    }

    fn ended_words(&self) -> String {
        let words = |reason: FlowEndReason| match reason {
            FlowEndReason::IdleTimeout => "idle timeout",
            FlowEndReason::ActiveTimeout => "active timeout",
            FlowEndReason::EndOfFlow => "end of flow",
            FlowEndReason::ForcedEnd if self.ports.is_empty() => "end of input",
            FlowEndReason::ForcedEnd => "end of run or by command",
            FlowEndReason::LackOfResources => "table full",
            FlowEndReason::Unknown => "unknown reason",
        };
        let parts = FlowEndReason::ALL.into_iter().zip(&self.ended.by_reason);
        let parts = parts.filter(|(_, tally)| tally.records > 0);
        let parts =
            parts.map(|(reason, tally)| format!("{} {}", grouped(tally.records), words(reason)));
        parts.collect::<Vec<_>>().join(", ")
    }

    /// A line of JSON.
    pub(crate) fn json(&self) -> String {
        self.json_with(None)
    }

    /// The JSON line with messages, if there are any.
    pub(crate) fn json_with(&self, messages: Option<Vec<String>>) -> String {
        let mut statistics = self.statistics();
        if let Some(messages) = messages {
            statistics["messages"] = messages.into();
        }
        escaped_json(&statistics.to_string())
    }

    /// All counts as JSON. Keys never change.
    pub(crate) fn statistics(&self) -> Value {
        let meter = &self.meter;
        let ignored = Ignored::ALL.into_iter().zip(&meter.ignored);
        let ended = FlowEndReason::ALL.into_iter().zip(&self.ended.by_reason);
        let tags = self.tags.iter().map(|(tag, tally)| (tag.name(), records_json(*tally)));
        let (outputs, of_alerts): (Vec<_>, Vec<_>) =
            self.outputs.iter().partition(|output| output.takes_records);
        let outputs: Vec<Value> = outputs.into_iter().map(delivery::output_json).collect();
        let alerts = self.detected.as_ref().map(|counts| detection::json(counts, &of_alerts));
        let mut statistics = json!({
            "received": tally_json(meter.received),
            "metered": tally_json(meter.metered),
            "ignored": by_name(ignored.map(|(why, tally)| (why.name(), tally_json(*tally)))),
            "ignored_ethertypes": ignored::ethertypes(&meter.unread),
            "ignored_link_types": ignored::link_types(&meter.unread),
            "exceeding_wire": meter.exceeding_wire,
            "fragments_unknown": meter.fragments_unknown,
            "clock_steps_back": meter.clock_steps_back,
            "clock_jumps": meter.clock_jumps,
            "clock_jumps_refused": meter.clock_jumps_refused,
            "clocks_added": meter.clocks_added,
            "without_clock": meter.without_clock,
            "tunnels": tunnels::json(&meter.tunnels, &self.ended.closed),
            "input": input_json(&self.input),
            "ended": by_name(ended.map(|(why, tally)| (why.name(), records_json(*tally)))),
            "first_packet": self.ended.period.map(|(first, _)| rfc3339(first)),
            "last_packet": self.ended.period.map(|(_, last)| rfc3339(last)),
            "tags": by_name(tags),
            "active_flows": self.flows,
            "interfaces": self.ports.iter().map(ports::json).collect::<Vec<_>>(),
            "workers": workers::json(&self.workers),
            "queues": workers::queues_json(self.queue.as_ref(), &self.outputs),
            "alerts": alerts,
            "outputs": outputs,
            "seconds": self.elapsed.as_secs_f64(),
            "interrupted": self.interrupted,
        });
        if let Some(ReloadCounts { applied, refused }) = self.reloads {
            statistics["reloads"] = json!({ "applied": applied, "refused": refused });
        }
        if let Some(payload) = &meter.payload {
            statistics["payload"] = payload::json(payload, &self.ended);
        }
        if let Some(collected) = &self.collected {
            statistics["collected"] = collected.json();
            statistics["exporters"] = exporters::json(&self.exporters);
        }
        if let Some(report) = &self.places {
            statistics["places"] = places::json(report);
        }
        statistics
    }
}

/// Whether an output is shown to the user, so that the totals need not name it.
fn is_on_screen(output: &str) -> bool {
    [top::NAME, page::NAME].contains(&output)
}

fn line(text: &mut String, label: &str, words: &str) {
    writeln!(text, "{label:<LABEL_COLUMNS$} {}", Escaped(words)).expect("a string takes all");
}

pub(super) fn in_brackets(words: &str) -> String {
    if words.is_empty() { String::new() } else { format!(" ({words})") }
}

fn ignored_words(meter: &MeterCounts) -> String {
    let words = |reason: Ignored| match reason {
        Ignored::NotIp => "not IP",
        Ignored::CutShort => "cut short",
        Ignored::Malformed => "malformed",
        Ignored::TooDeep => "too many tags or labels",
        Ignored::LinkType => "unsupported link type",
        Ignored::UnknownInterface => "unknown interface",
        Ignored::NotSampled => "not sampled",
        Ignored::Filtered => "filtered",
        Ignored::TunnelFragment => "later fragments of tunnels",
    };
    let parts = Ignored::ALL.into_iter().zip(&meter.ignored);
    let parts = parts.filter(|(_, tally)| tally.packets > 0);
    let parts =
        parts.map(|(reason, tally)| format!("{} {}", grouped(tally.packets), words(reason)));
    parts.collect::<Vec<_>>().join(", ")
}

fn tag_words(tag: Tag, tally: &RecordTally) -> String {
    format!(
        "{}: {}, {}, {}",
        tag.name(),
        counted(tally.records, "record", "records"),
        counted(tally.packets, "packet", "packets"),
        octets(tally.octets)
    )
}

fn output_words(output: &OutputEnd, elapsed: Duration) -> String {
    let ExportCounts { sent, not_exportable, failed, messages, octets: size, .. } = output.counts;
    let mut words = format!(
        "{}: {} sent in {}, {}, {} records/s",
        output.name,
        counted(sent.records, "record", "records"),
        counted(messages, "message", "messages"),
        octets(size),
        count(per_second(sent.records, elapsed)),
    );
    let duplicate = output.counts.delivery.as_ref().map_or(0, |delivery| delivery.duplicate);
    let counts = [
        (duplicate, "document", "documents", "there already"),
        (not_exportable.records, "record", "records", "not exportable"),
        (failed.records, "record", "records", "LOST"),
        (output.counts.dead_lettered.records, "record", "records", "dead-lettered"),
        (output.counts.spooled.records, "record", "records", "spooled"),
        (output.counts.retried, "record", "records", "sent again"),
        (output.counts.events_sent, "event", "events", "sent"),
        (output.counts.events_not_exportable, "event", "events", "not exportable"),
        (output.counts.events_failed, "event", "events", "LOST"),
        (output.counts.events_spooled, "event", "events", "spooled"),
        (output.dropped.records, "record", "records", "DROPPED at its queue"),
        (output.absent.records, "record", "records", "while it was absent"),
        (output.counts.reconnects, "new connection", "new connections", "made"),
        (output.counts.times_clamped, "record", "records", "with times clamped"),
        (
            output.counts.interfaces_zeroed,
            "record",
            "records",
            "with interface 0: the number is above 65535",
        ),
    ];
    for (number, one, several, what) in counts.into_iter().filter(|(number, ..)| *number > 0) {
        write!(words, ", {} {what}", counted(number, one, several)).expect("a string takes all");
    }
    if let Some(error) = &output.error {
        write!(words, "; {error}").expect("a string takes all");
    }
    words
}

fn by_name(values: impl Iterator<Item = (&'static str, Value)>) -> Map<String, Value> {
    values.map(|(name, value)| (name.to_owned(), value)).collect()
}

fn input_json(input: &InputReport) -> Value {
    json!({
        "files_damaged": input.files_damaged,
        "blocks_damaged": input.blocks_damaged,
        "packets_timeless": input.packets_timeless,
        "packets_time_clamped": input.packets_time_clamped,
        "packets_too_long": input.packets_too_long,
        "packets_dropped": input.packets_dropped,
        "interfaces_over_limit": input.interfaces_over_limit,
    })
}

pub(super) fn tally_json(tally: Tally) -> Value {
    json!({ "packets": tally.packets, "octets": tally.octets })
}

pub(super) fn records_json(tally: RecordTally) -> Value {
    json!({ "records": tally.records, "packets": tally.packets, "octets": tally.octets })
}
