//! Rows of outputs.

use super::rows::{Row, counter, gauge};

pub(super) const ROWS: &[Row] = &[
    counter("outputs[output=output].sent.records", "output_sent_records", "Records handed on"),
    counter("outputs[output=output].sent.packets", "output_sent_packets", "Their packets"),
    counter("outputs[output=output].sent.octets", "output_sent_octets", "Their octets"),
    gauge("outputs[output=output].spooled.records", "output_spooled_records", "Records on disk"),
    gauge("outputs[output=output].spooled.packets", "output_spooled_packets", "Their packets"),
    gauge("outputs[output=output].spooled.octets", "output_spooled_octets", "Their octets"),
    gauge("outputs[output=output].removed", "output_removed", "1 if it is not configured any more"),
    gauge("outputs[output=output].paused", "output_paused", "1 if the user has paused it"),
    gauge(
        "outputs[output=output].absent.records",
        "output_absent_records",
        "Records that ended while the output was not configured",
    ),
    gauge("outputs[output=output].absent.packets", "output_absent_packets", "Their packets"),
    gauge("outputs[output=output].absent.octets", "output_absent_octets", "Their octets"),
    counter(
        "outputs[output=output].{outcome}.records",
        "output_not_sent_records",
        "Records that were not handed on",
    ),
    counter(
        "outputs[output=output].{outcome}.packets",
        "output_not_sent_packets",
        "Packets of records that were not handed on",
    ),
    counter(
        "outputs[output=output].{outcome}.octets",
        "output_not_sent_octets",
        "Octets of records that were not handed on",
    ),
    gauge(
        "outputs[output=output].collectors[collector=collector].away",
        "collector_away",
        "1 if other collectors of the group get its share",
    ),
    counter(
        "outputs[output=output].collectors[collector=collector].{outcome}.records",
        "collector_records",
        "Records of a collector of a group; moved: of its share, that others got",
    ),
    counter(
        "outputs[output=output].collectors[collector=collector].{outcome}.packets",
        "collector_packets",
        "Their packets",
    ),
    counter(
        "outputs[output=output].collectors[collector=collector].{outcome}.octets",
        "collector_octets",
        "Their octets",
    ),
    counter("outputs[output=output].retried", "output_retried_records", "Records sent again"),
    gauge("outputs[output=output].events.spooled", "output_spooled_events", "Events on disk"),
    counter("outputs[output=output].events.{outcome}", "output_events", "Events, by outcome"),
    counter("outputs[output=output].messages", "output_messages", "Messages or documents"),
    counter("outputs[output=output].octets", "output_message_octets", "Octets of messages"),
    counter("outputs[output=output].errors", "output_errors", "Sends that were refused"),
    counter(
        "outputs[output=output].reconnects",
        "output_reconnects",
        "Connections after the first",
    ),
    counter(
        "outputs[output=output].times_clamped",
        "output_times_clamped_records",
        "Records with a time that the protocol cannot express",
    ),
    counter(
        "outputs[output=output].interfaces_zeroed",
        "output_interfaces_zeroed_records",
        "Records with an interface that the protocol cannot express",
    ),
    gauge(
        "outputs[output=output].delivery.in_flight",
        "output_requests_in_flight",
        "Requests that wait for a response",
    ),
    gauge(
        "outputs[output=output].delivery.concurrency_limit",
        "output_concurrency_limit",
        "Maximum number of requests that wait for a response",
    ),
    gauge(
        "outputs[output=output].delivery.waiting_octets",
        "output_waiting_octets",
        "Octets of documents that wait in memory",
    ),
    gauge(
        "outputs[output=output].delivery.in_memory",
        "output_documents_in_memory",
        "Documents that are in memory only",
    ),
    counter("outputs[output=output].delivery.requests", "output_requests", "Requests"),
    counter(
        "outputs[output=output].delivery.document_octets",
        "output_document_octets",
        "Octets of documents before compression",
    ),
    gauge("outputs[output=output].delivery.spool.batches", "output_spool_batches", "Its batches"),
    gauge(
        "outputs[output=output].delivery.spool.octets",
        "output_spool_batch_octets",
        "Octets of the batches in the spool",
    ),
    gauge(
        "outputs[output=output].delivery.spool.octets_max",
        "output_spool_batch_octets_limit",
        "The most octets that the batches in the spool may have",
    ),
    gauge(
        "outputs[output=output].delivery.spool.oldest_age_seconds",
        "output_spool_oldest_age_seconds",
        "Age of the oldest batch in the spool",
    ),
    gauge(
        "outputs[output=output].delivery.spool.earlier_runs.spooled",
        "output_spool_earlier_documents_left",
        "Documents of earlier runs that are still in the spool",
    ),
    counter(
        "outputs[output=output].delivery.spool.earlier_runs.{outcome}",
        "output_spool_earlier_documents",
        "Documents of earlier runs, by outcome",
    ),
    counter(
        "outputs[output=output].delivery.spool.{outcome}",
        "output_spool_lost_documents",
        "Documents that were dropped because the spool was full, or were damaged in it",
    ),
    counter(
        "outputs[output=output].delivery.{outcome}",
        "output_documents",
        "Documents, by outcome",
    ),
];
