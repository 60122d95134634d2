//! What outputs did with records, in the statistics.

use exporter::{CollectorCounts, DeliveryReport, SpoolReport};
use serde_json::{Value, json};

use crate::pipeline::output::OutputEnd;
use crate::report::totals::records_json;

pub(super) fn output_json(output: &OutputEnd) -> Value {
    let counts = &output.counts;
    let mut object = json!({
        "output": output.name,
        "sent": records_json(counts.sent),
        "not_exportable": records_json(counts.not_exportable),
        "failed": records_json(counts.failed),
        "dead_lettered": records_json(counts.dead_lettered),
        "spooled": records_json(counts.spooled),
        "retried": counts.retried,
        "events": {
            "sent": counts.events_sent,
            "not_exportable": counts.events_not_exportable,
            "failed": counts.events_failed,
            "spooled": counts.events_spooled,
        },
        "dropped": records_json(output.dropped),
        "absent": records_json(output.absent),
        "removed": output.is_removed,
        "paused": output.is_paused,
        "messages": counts.messages,
        "octets": counts.octets,
        "errors": counts.errors,
        "reconnects": counts.reconnects,
        "times_clamped": counts.times_clamped,
        "interfaces_zeroed": counts.interfaces_zeroed,
        "error": output.error.as_ref().map(ToString::to_string),
    });
    if let Some(of_cluster) = &counts.delivery {
        object["delivery"] = delivery_json(of_cluster);
    }
    if !output.collectors.is_empty() {
        object["collectors"] = output.collectors.iter().map(collector_json).collect();
    }
    object
}

/// A collector of a group.
fn collector_json(collector: &CollectorCounts) -> Value {
    let counts = &collector.counts;
    json!({
        "collector": &*collector.name,
        "sent": records_json(counts.sent),
        "not_exportable": records_json(counts.not_exportable),
        "failed": records_json(counts.failed),
        "moved": records_json(collector.moved),
        "away": collector.is_away,
    })
}

/// Documents on their way to a cluster.
fn delivery_json(delivery: &DeliveryReport) -> Value {
    json!({
        "accepted": delivery.accepted,
        "duplicate": delivery.duplicate,
        "dead_lettered": delivery.dead_lettered,
        "refused": delivery.refused,
        "dropped": delivery.dropped,
        "unsent": delivery.unsent,
        "in_memory": delivery.in_memory,
        "requests": delivery.requests,
        "document_octets": delivery.document_octets,
        "in_flight": delivery.in_flight,
        "concurrency_limit": delivery.concurrency_limit,
        "waiting_octets": delivery.waiting_octets,
        "spool": delivery.spool.as_ref().map(spool_json),
    })
}

fn spool_json(spool: &SpoolReport) -> Value {
    let earlier = &spool.earlier_runs;
    json!({
        "batches": spool.batches,
        "octets": spool.octets,
        "octets_max": spool.octets_max,
        "oldest_age_seconds": spool.oldest_age.as_secs(),
        "dropped": spool.dropped,
        "damaged": spool.damaged,
        "earlier_runs": {
            "spooled": earlier.spooled,
            "accepted": earlier.accepted,
            "duplicate": earlier.duplicate,
            "dead_lettered": earlier.dead_lettered,
            "refused": earlier.refused,
        },
    })
}
