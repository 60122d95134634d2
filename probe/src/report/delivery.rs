//! Documents on their way to a cluster, in the statistics.

use exporter::{Delivery, SpoolReport};
use serde_json::{Value, json};

pub(super) fn json(delivery: &Delivery) -> Value {
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
