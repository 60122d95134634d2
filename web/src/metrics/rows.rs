//! The metrics: one row for each.

/// The metric of numbers of the statistics.
#[derive(Debug)]
pub(super) struct Row {
    /// The place of the numbers: keys separated by dots. `{label}` matches any key, which becomes
    /// the value of this label. `[label=key]` matches each object of a list; the value of its `key`
    /// becomes the value of this label.
    pub(super) place: &'static str,
    /// The name without `flowprobe_` and without `_total` of a counter.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) help: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Its value never decreases.
    Counter,
    Gauge,
}

pub(super) const fn counter(place: &'static str, name: &'static str, help: &'static str) -> Row {
    Row { place, name, kind: Kind::Counter, help }
}

pub(super) const fn gauge(place: &'static str, name: &'static str, help: &'static str) -> Row {
    Row { place, name, kind: Kind::Gauge, help }
}

/// The rows of all numbers.
pub(super) fn all() -> impl Iterator<Item = &'static Row> {
    ROWS.iter().chain(super::collected::ROWS)
}

/// To add a counter to the statistics, add a row here. A test reports numbers without a row.
const ROWS: &[Row] = &[
    counter("received.packets", "received_packets", "Packets that capture delivered"),
    counter("received.octets", "received_octets", "Octets on the wire of delivered packets"),
    counter("metered.packets", "metered_packets", "Packets that were metered"),
    counter("metered.octets", "metered_octets", "Octets of metered IP packets"),
    counter("ignored.{reason}.packets", "ignored_packets", "Packets that were not metered"),
    counter("ignored.{reason}.octets", "ignored_octets", "Octets on the wire of ignored packets"),
    counter(
        "ignored_ethertypes[ethertype=ethertype].packets",
        "ignored_ethertype_packets",
        "Packets that are not IP, by Ethertype",
    ),
    counter(
        "ignored_ethertypes[ethertype=ethertype].octets",
        "ignored_ethertype_octets",
        "Octets on the wire of packets that are not IP, by Ethertype",
    ),
    counter(
        "ignored_ethertypes[llc_sap=llc_sap].packets",
        "ignored_llc_packets",
        "Packets that are not IP, by service access point of LLC",
    ),
    counter(
        "ignored_ethertypes[llc_sap=llc_sap].octets",
        "ignored_llc_octets",
        "Octets on the wire of packets that are not IP, by service access point of LLC",
    ),
    counter(
        "ignored_link_types[link_type=link_type].packets",
        "ignored_link_type_packets",
        "Packets of a link type that is not supported",
    ),
    counter(
        "ignored_link_types[link_type=link_type].octets",
        "ignored_link_type_octets",
        "Octets on the wire of packets of a link type that is not supported",
    ),
    counter(
        "exceeding_wire",
        "exceeding_wire_packets",
        "Packets that claim more octets than were on the wire",
    ),
    counter("fragments_unknown", "fragments_unknown", "Fragments without their first one"),
    counter("clock_steps_back", "clock_steps_back", "Packets that were behind all clocks"),
    counter("clock_jumps", "clock_jumps", "Jumps of a clock by more than a day"),
    counter("clock_jumps_refused", "clock_jumps_refused", "Packets that were ahead of all clocks"),
    counter("clocks_added", "clocks_added", "Clocks besides the first one"),
    counter("without_clock", "without_clock_packets", "Packets that fit no clock"),
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
    counter(
        "tunnels.decapsulated.{tunnel}.packets",
        "decapsulated_packets",
        "Packets that were decapsulated from a tunnel",
    ),
    counter(
        "tunnels.decapsulated.{tunnel}.octets",
        "decapsulated_octets",
        "Octets of IP packets that were decapsulated from a tunnel",
    ),
    counter(
        "tunnels.decap_refused.{tunnel}.{cause}",
        "decap_refused_packets",
        "Packets that look like a tunnel and were not decapsulated",
    ),
    gauge(
        "tunnels.tunnel_overhead_octets",
        "tunnel_overhead_octets",
        "Octets of the outermost IP packets minus octets of the innermost ones",
    ),
    counter(
        "tunnels.ignored_inside.packets",
        "tunnel_ignored_packets",
        "Packets that were ignored after decapsulation",
    ),
    counter(
        "tunnels.ignored_inside.outer_octets",
        "tunnel_ignored_octets",
        "Octets of the outermost IP packets around ignored packets",
    ),
    counter(
        "tunnels.tunnel_fragments.packets",
        "tunnel_fragments",
        "Later fragments of tunnel packets whose first fragment was counted",
    ),
    counter(
        "tunnels.tunnel_fragments.outer_octets",
        "tunnel_fragment_octets",
        "Octets of the outermost IP packets of later fragments",
    ),
    counter(
        "tunnels.not_opened.{tunnel}",
        "closed_tunnel_packets",
        "Packets in records of flows that look like tunnels that are not opened",
    ),
    counter("tunnels.tunnels_untold", "tunnels_untold_packets", "Packets of too many tunnels"),
    counter("tunnels.networks_untold", "networks_untold_packets", "Packets of too many networks"),
    counter(
        "tunnels.interfaces_untold",
        "interfaces_untold_packets",
        "Packets of too many interfaces",
    ),
    counter("input.files_damaged", "input_files_damaged", "Files that were not read to their end"),
    counter("input.blocks_damaged", "input_blocks_damaged", "Blocks of files that were skipped"),
    counter("input.packets_timeless", "input_timeless_packets", "Packets of files without a time"),
    counter(
        "input.packets_time_clamped",
        "input_time_clamped_packets",
        "Packets with a time out of range",
    ),
    counter(
        "input.packets_too_long",
        "input_too_long_packets",
        "Packets of files too long to read",
    ),
    counter(
        "input.packets_dropped",
        "input_dropped_packets",
        "Packets lost when the input was captured, as the file says",
    ),
    counter(
        "input.interfaces_over_limit",
        "input_interfaces_over_limit",
        "Interfaces of files without a number or name",
    ),
    counter("ended.{reason}.records", "ended_records", "Flow records, by flowEndReason"),
    counter("ended.{reason}.packets", "ended_packets", "Packets in flow records"),
    counter("ended.{reason}.octets", "ended_octets", "Octets in flow records"),
    gauge("active_flows", "active_flows", "Flows in the table"),
    gauge("interfaces[interface=name].captured", "interface_captured", "1 while it is captured"),
    counter("reloads.{outcome}", "reloads", "Times that the settings were read again, by outcome"),
    counter("interfaces[interface=name].frames", "interface_packets", "Packets of an interface"),
    counter(
        "interfaces[interface=name].lost",
        "interface_lost_packets",
        "Packets of an interface that capture lost",
    ),
    counter(
        "interfaces[interface=name].causes.{cause}",
        "interface_lost_cause_packets",
        "Counters of the kernel for losses; causes overlap, so they must not be summed",
    ),
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
    counter("tags.{tag}.records", "tagged_records", "Records that have a tag; some have several"),
    counter("tags.{tag}.packets", "tagged_packets", "Packets of records that have a tag"),
    counter("tags.{tag}.octets", "tagged_octets", "Octets of records that have a tag"),
    counter("alerts.rules.{rule}.opened", "incidents_opened", "Incidents that detectors found"),
    gauge("alerts.rules.{rule}.open", "incidents_open", "Incidents that are still open"),
    counter("alerts.rules.{rule}.unnamed", "incidents_unnamed", "Incidents beyond the limits"),
    counter(
        "alerts.rules.{rule}.evicted",
        "detector_evictions",
        "Subjects that a rule forgot because its table was full",
    ),
    counter("alerts.timeless", "detector_timeless_records", "Records without a clock"),
    counter("alerts.late", "detector_late_records", "Records that came after their window"),
    counter("alerts.outputs[output=output].sent", "alerts_sent", "Alerts handed on"),
    counter("alerts.outputs[output=output].failed", "alerts_failed", "Alerts that were lost"),
    counter("alerts.outputs[output=output].retried", "alerts_retried", "Alerts sent again"),
    counter("places.lookups", "place_lookups", "Addresses whose place was looked up"),
    counter("places.found", "place_found", "Addresses whose place was found"),
    counter("places.cached", "place_cached", "Lookups that the cache answered"),
    counter("places.errors", "place_errors", "Damaged records of the databases of places"),
    counter("places.reloads", "place_reloads", "Files of places that were read again"),
    counter(
        "places.reload_failures",
        "place_reload_failures",
        "Files of places that could not be read again",
    ),
    gauge(
        "places.files[file=file].build_epoch",
        "place_file_build_seconds",
        "Time when a database of places was built",
    ),
    gauge(
        "places.files[file=file].networks",
        "place_file_networks",
        "Networks in a file of places",
    ),
    gauge("seconds", "run_seconds", "Time since the start of the run"),
    gauge("interrupted", "interrupted", "1 if a signal has ended the run"),
];
