//! Names in payload in the totals.

use flow::PayloadCounts;
use flow::words::grouped;
use serde_json::{Value, json};

use crate::pipeline::worker::Ended;

/// As text: what was found, what was not read, and what became of DNS questions.
pub(crate) fn lines(counts: &PayloadCounts, ended: &Ended) -> Vec<String> {
    let found =
        [(counts.dns, "DNS"), (counts.tls, "TLS"), (counts.quic, "QUIC"), (counts.http, "HTTP")];
    let left = [
        (counts.malformed, "malformed"),
        (counts.truncated, "cut by the capture"),
        (counts.hello_too_long, "too long"),
        (counts.hello_timed_out, "not complete in time"),
        (counts.hello_evicted, "no memory to wait for the rest"),
        (counts.hello_replaced, "begun anew before they were complete"),
        (counts.quic_version, "QUIC of an unknown version"),
        (counts.quic_sealed, "QUIC with other keys"),
        (counts.skipped, "too many in a second"),
    ];
    let notes = [
        (counts.hello_overlap, "with pieces that differ"),
        (ended.facts_evicted, "found and forgotten, no memory"),
    ];
    let words = |counts: &[(u64, &str)]| -> Vec<String> {
        let some = counts.iter().filter(|(count, _)| *count > 0);
        some.map(|(count, what)| format!("{} {what}", grouped(*count))).collect()
    };
    let (found, left, notes) = (words(&found), words(&left), words(&notes));
    let mut lines = Vec::new();
    if !found.is_empty() {
        lines.push(format!("messages: {}", found.join(", ")));
    }
    if !left.is_empty() {
        lines.push(format!("not read: {}", left.join(", ")));
    }
    if !notes.is_empty() {
        lines.push(notes.join(", "));
    }
    if ended.facts_one_sided > 0 {
        let count = grouped(ended.facts_one_sided);
        lines.push(format!("conversations seen from one side only: {count}"));
    }
    if let Some(counts) = &ended.transactions {
        let asked = [
            (counts.answered, "answered"),
            (counts.unanswered, "not answered"),
            (counts.open, "open"),
            (counts.repeated, "repeated"),
            (counts.unasked, "answers alone"),
        ];
        let words = words(&asked);
        if !words.is_empty() {
            lines.push(format!("DNS questions: {}", words.join(", ")));
        }
    }
    lines
}

/// As JSON.
pub(crate) fn json(counts: &PayloadCounts, ended: &Ended) -> Value {
    let mut json = json!({
        "found": {
            "dns": counts.dns,
            "tls": counts.tls,
            "quic": counts.quic,
            "http": counts.http,
        },
        "not_read": {
            "malformed": counts.malformed,
            "truncated": counts.truncated,
            "hello_too_long": counts.hello_too_long,
            "hello_timed_out": counts.hello_timed_out,
            "hello_evicted": counts.hello_evicted,
            "hello_replaced": counts.hello_replaced,
            "quic_version": counts.quic_version,
            "quic_sealed": counts.quic_sealed,
            "skipped": counts.skipped,
        },
        "hello_overlap": counts.hello_overlap,
        "facts_evicted": ended.facts_evicted,
        "one_sided": ended.facts_one_sided,
    });
    if let Some(counts) = &ended.transactions {
        json["dns_questions"] = json!({
            "answered": counts.answered,
            "unanswered": counts.unanswered,
            "open": counts.open,
            "unasked": counts.unasked,
            "repeated": counts.repeated,
            "evicted": counts.evicted,
        });
    }
    json
}
