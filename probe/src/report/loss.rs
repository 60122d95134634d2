//! Messages about losses during a run: the place, the cause and the remedy.

use std::collections::BTreeMap;
use std::time::Duration;

use flow::words::{counted, grouped};
use log::warn;

use crate::host::ports::PortCounts;
use crate::pipeline::output::OutputEnd;
use crate::report::causes::{CAUSES, DROPPED, FAILED, NIC_MISSED};
use crate::report::totals::Totals;

/// Time between two messages about one place.
const PAUSE: Duration = Duration::from_secs(60);

/// Tracks the losses of a run.
#[derive(Debug, Default)]
pub(crate) struct LossWatch {
    said: BTreeMap<LossPlace, Said>,
}

/// Place of a loss, by its index in the totals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum LossPlace {
    Interface(usize),
    Listeners,
    Output(usize),
}

/// The last message about a place.
#[derive(Clone, Debug, Default)]
struct Said {
    at: Duration,
    lost: u64,
    causes: BTreeMap<&'static str, u64>,
}

impl LossWatch {
    /// Logs each loss once, and then once a minute while it continues.
    pub(crate) fn second(&mut self, totals: &Totals) {
        self.say(totals, PAUSE);
    }

    /// Logs losses that have not been logged yet.
    pub(crate) fn end(&mut self, totals: &Totals) {
        self.say(totals, Duration::ZERO);
    }

    fn say(&mut self, totals: &Totals, pause: Duration) {
        for message in self.messages(totals, pause) {
            warn!("{message}");
        }
    }

    fn messages(&mut self, totals: &Totals, pause: Duration) -> Vec<String> {
        let now = totals.elapsed;
        let mut messages = Vec::new();
        for (index, port) in totals.ports.iter().enumerate() {
            let lost = lost_of(port);
            let news = self.news(LossPlace::Interface(index), lost, now, pause);
            if let Some((said, more)) = news {
                let why = cause(port, &said.causes);
                said.causes.clone_from(&port.source.causes);
                messages.push(format!(
                    "{}: {} lost{why}",
                    port.name,
                    more.words(lost, "packet", "packets")
                ));
            }
        }
        let dropped = totals.collected.map_or(0, |collected| collected.kernel_dropped);
        if let Some((_, more)) = self.news(LossPlace::Listeners, dropped, now, pause) {
            let lost = more.words(dropped, "datagram", "datagrams");
            messages.push(format!(
                "collect: {lost} lost: the receive buffer was full; a larger --receive-buffer or \
                 more --workers help"
            ));
        }
        for (index, output) in totals.outputs.iter().enumerate() {
            let lost = output.lost();
            if let Some((_, more)) = self.news(LossPlace::Output(index), lost, now, pause) {
                let (name, why) = (&output.name, remedy(output));
                let [one, many] = match (output.takes_records, output.counts.events_failed) {
                    (true, 0) => ["record", "records"],
                    (true, _) => ["record or event", "records and events"],
                    (false, _) => ["alert", "alerts"],
                };
                let lost = more.words(lost, one, many);
                messages.push(format!("output {name}: {lost} lost: {why}"));
            }
        }
        messages
    }

    /// The last message about a place and the loss since, if another message is due.
    fn news(
        &mut self,
        place: LossPlace,
        lost: u64,
        now: Duration,
        pause: Duration,
    ) -> Option<(&mut Said, More)> {
        let said = self.said.entry(place).or_default();
        // Another interface may have this index now.
        said.lost = said.lost.min(lost);
        let more = More { since: lost - said.lost, is_first: said.lost == 0 };
        let is_due = more.is_first || now.saturating_sub(said.at) >= pause;
        if more.since == 0 || !is_due {
            return None;
        }
        (said.at, said.lost) = (now, lost);
        Some((said, more))
    }
}

/// The loss since the last message.
#[derive(Clone, Copy, Debug)]
struct More {
    since: u64,
    is_first: bool,
}

impl More {
    fn words(self, all: u64, one: &str, several: &str) -> String {
        if self.is_first {
            counted(self.since, one, several)
        } else {
            format!("{} more, {} in all, {several}", grouped(self.since), grouped(all))
        }
    }
}

impl Totals {
    /// Whether packets, records or events were lost, or documents are dead letters.
    pub(crate) fn has_loss(&self) -> bool {
        self.ports.iter().any(|port| lost_of(port) > 0)
            || self.outputs.iter().any(|output| output.lost() > 0 || output.has_dead_letters())
            || self.collected.is_some_and(|collected| collected.kernel_dropped > 0)
    }
}

impl OutputEnd {
    /// Records and events that could not be sent or were dropped in queues. If a reader has closed
    /// its end, nothing counts as lost.
    fn lost(&self) -> u64 {
        if self.error.as_ref().is_some_and(exporter::ExportError::is_reader_left) {
            return 0;
        }
        self.counts.failed.records + self.counts.events_failed + self.dropped.records
    }

    /// Whether documents became dead letters in this run, also those of an earlier run.
    fn has_dead_letters(&self) -> bool {
        let delivery = self.counts.delivery.as_ref();
        let spool = delivery.and_then(|delivery| delivery.spool.as_ref());
        delivery.is_some_and(|delivery| delivery.dead_lettered > 0)
            || spool.is_some_and(|spool| spool.earlier_runs.dead_lettered > 0)
    }
}

fn lost_of(port: &PortCounts) -> u64 {
    port.source.lost + port.source.causes.get(NIC_MISSED).copied().unwrap_or_default()
}

/// The cause that has increased most, and its remedy. Causes overlap.
fn cause(port: &PortCounts, before: &BTreeMap<&'static str, u64>) -> String {
    let grown = |cause: &str| {
        let of = |causes: &BTreeMap<&str, u64>| causes.get(cause).copied().unwrap_or_default();
        of(&port.source.causes).saturating_sub(of(before))
    };
    let largest = CAUSES.iter().rev().max_by_key(|cause| grown(cause.name));
    let largest = largest.filter(|cause| grown(cause.name) > 0);
    largest.map_or_else(String::new, |cause| format!(": {}", cause.text(&port.name)))
}

fn remedy(output: &OutputEnd) -> &'static str {
    if output.dropped.records > 0 { DROPPED } else { FAILED }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::live::SourceCounts;
    use crate::pipeline::dropped::DroppedOnWay;
    use crate::pipeline::output::Published;

    /// The totals of an interface after `seconds` seconds.
    fn totals(seconds: u64, lost: u64, causes: &[(&'static str, u64)]) -> Totals {
        let causes = causes.iter().copied().collect();
        let source = SourceCounts { lent: 7, lost, causes, ..SourceCounts::default() };
        let (name, method) = ("eth1".to_owned(), String::new());
        let port = PortCounts {
            name,
            number: Some(1),
            method,
            source,
            is_captured: true,
            is_missed: false,
        };
        let elapsed = Duration::from_secs(seconds);
        Totals { ports: vec![port], elapsed, ..Totals::default() }
    }

    #[test]
    fn a_loss_is_said_at_once_and_then_once_a_minute() {
        let mut watch = LossWatch::default();
        let mut said = |totals: Totals, pause| watch.messages(&totals, pause);
        assert_eq!(said(totals(1, 0, &[("nic_dropped", 4)]), PAUSE), Vec::<String>::new());
        let full = "eth1: 5 packets lost: the ring was full; a larger --packet-ring or more \
                    --workers help";
        assert_eq!(said(totals(2, 5, &[("ring_full", 5)]), PAUSE), [full]);
        assert_eq!(said(totals(3, 1005, &[("ring_full", 1005)]), PAUSE), Vec::<String>::new());
        let causes = [("ring_full", 1005), ("not_captured", 3000)];
        let more = "eth1: 4,000 more, 4,005 in all, packets lost: eth1 was there and not captured; \
                    see the log, or start again";
        assert_eq!(said(totals(62, 4005, &causes), PAUSE), [more]);
        // The loss does not continue.
        assert_eq!(said(totals(200, 4005, &causes), PAUSE), Vec::<String>::new());
        assert_eq!(said(totals(201, 4006, &causes), PAUSE).len(), 1);
        assert_eq!(said(totals(202, 4007, &causes), Duration::ZERO).len(), 1);
    }

    #[test]
    fn what_the_card_had_no_room_for_is_a_loss() {
        assert!(!totals(1, 0, &[("nic_dropped", 4)]).has_loss());
        assert!(totals(1, 0, &[(NIC_MISSED, 4)]).has_loss());
        assert!(totals(1, 1, &[]).has_loss());
    }

    #[test]
    fn outputs_lose_records() {
        let label = ("ipfix://192.0.2.1".to_owned(), true);
        let mut output = OutputEnd::new(label, Published::default(), &DroppedOnWay::default());
        output.counts.failed.records = 3;
        let totals = Totals { outputs: vec![output], ..Totals::default() };
        let [said] = &LossWatch::default().messages(&totals, PAUSE)[..] else { panic!() };
        assert!(said.starts_with("output ipfix://192.0.2.1: 3 records lost: "), "{said}");
        assert!(totals.has_loss());
    }
}
