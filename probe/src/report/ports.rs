//! The totals of an interface.

use std::fmt::Write;

use flow::words::{counted, grouped};
use serde_json::{Value, json};

use crate::capture::live::SourceCounts;
use crate::host::ports::PortCounts;
use crate::report::totals::in_brackets;

/// As text.
pub(super) fn words(port: &PortCounts) -> String {
    let SourceCounts { lent, lost, causes, .. } = &port.source;
    let mut words =
        format!("{}: {}, {} lost", port.name, counted(*lent, "frame", "frames"), grouped(*lost));
    let causes = causes.iter().filter(|(_, count)| **count > 0);
    let causes: Vec<_> = causes
        .map(|(cause, count)| format!("{} {}", cause.replace('_', " "), grouped(*count)))
        .collect();
    words.push_str(&in_brackets(&causes.join(", ")));
    if !port.is_captured {
        write!(words, "; {}", port.method).expect("a string takes all");
    }
    words
}

/// As JSON.
pub(super) fn json(port: &PortCounts) -> Value {
    let queues = port.source.queues.iter().map(|(queue, counts)| {
        json!({ "queue": queue.to_string(), "frames": counts.lent, "lost": counts.lost })
    });
    json!({
        "name": port.name,
        "capture": port.method,
        "captured": port.is_captured,
        "frames": port.source.lent,
        "lost": port.source.lost,
        "causes": port.source.causes,
        "queues": queues.collect::<Vec<_>>(),
    })
}
