//! Counts of the detectors, in totals.

use std::fmt::Write as _;

use analysis::detect::DetectCounts;
use flow::words::{counted, grouped};
use serde_json::{Map, Value, json};

use crate::pipeline::output::OutputEnd;

/// As text.
pub(super) fn words(detected: &DetectCounts) -> String {
    let sum = |count: fn(&analysis::detect::RuleCounts) -> u64| -> u64 {
        detected.rules.iter().map(count).sum()
    };
    let (opened, open) = (sum(|rule| rule.opened), sum(|rule| rule.open));
    let rules = detected.rules.len() as u64;
    let mut words = format!(
        "{} of {}",
        counted(opened, "incident", "incidents"),
        counted(rules, "rule", "rules")
    );
    let counts = [
        (open, "open", "open"),
        (sum(|rule| rule.unnamed), "more beyond the limits", "more beyond the limits"),
        (
            sum(|rule| rule.evicted),
            "host was forgotten for another",
            "hosts were forgotten for others",
        ),
        (
            detected.timeless,
            "record without a clock was left out",
            "records without a clock were left out",
        ),
        (detected.late, "record came late", "records came late"),
    ];
    for (number, one, several) in counts.into_iter().filter(|(number, ..)| *number > 0) {
        write!(words, ", {}", counted(number, one, several)).expect("a string takes all");
    }
    words
}

/// An output of alerts, as text.
pub(super) fn output_words(output: &OutputEnd) -> String {
    let counts = &output.counts;
    let mut words = format!("{}: {} sent", output.name, grouped(counts.events_sent));
    let counts = [(counts.events_failed, "LOST"), (counts.retried, "sent again")];
    for (number, what) in counts.into_iter().filter(|(number, _)| *number > 0) {
        write!(words, ", {} {what}", grouped(number)).expect("a string takes all");
    }
    if let Some(error) = &output.error {
        write!(words, "; {error}").expect("a string takes all");
    }
    words
}

/// As JSON.
pub(super) fn json(detected: &DetectCounts, outputs: &[&OutputEnd]) -> Value {
    let rules: Map<String, Value> = detected
        .rules
        .iter()
        .map(|rule| {
            let counts = json!({
                "opened": rule.opened,
                "open": rule.open,
                "unnamed": rule.unnamed,
                "evicted": rule.evicted,
            });
            (rule.id.to_owned(), counts)
        })
        .collect();
    let outputs: Vec<_> = outputs
        .iter()
        .map(|output| {
            json!({
                "output": output.name,
                "sent": output.counts.events_sent,
                "failed": output.counts.events_failed,
                "retried": output.counts.retried,
                "error": output.error.as_ref().map(ToString::to_string),
            })
        })
        .collect();
    json!({
        "rules": rules,
        "timeless": detected.timeless,
        "late": detected.late,
        "outputs": outputs,
    })
}
