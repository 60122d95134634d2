//! Rows of what is found in payload.

use super::rows::{Row, counter, gauge};

pub(super) const ROWS: &[Row] = &[
    counter(
        "payload.found.{protocol}",
        "payload_found",
        "Openings of conversations that were read, by protocol",
    ),
    counter(
        "payload.not_read.{cause}",
        "payload_not_read",
        "Openings of conversations that were not read, by cause",
    ),
    counter(
        "payload.hello_overlap",
        "payload_overlaps",
        "Pieces of openings that differ from what came before at the same place",
    ),
    counter(
        "payload.facts_evicted",
        "payload_facts_evicted",
        "Conversations whose names gave their memory to others",
    ),
    gauge(
        "payload.one_sided",
        "payload_one_sided",
        "Conversations with names of which all records are of one direction",
    ),
    counter("payload.dns_questions.{outcome}", "dns_questions", "DNS questions, by outcome"),
];
