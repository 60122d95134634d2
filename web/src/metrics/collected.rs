//! Rows of the flows of other exporters.

use super::rows::{Row, counter, gauge};

pub(super) const ROWS: &[Row] = &[
    gauge("collected.exporters", "collected_exporters", "Exporters that are kept"),
    gauge("collected.templates", "collected_templates", "Templates that are kept"),
    gauge("collected.waiting_sets", "collected_waiting_sets", "Sets that wait for a template"),
    counter(
        "collected.{count}",
        "collected",
        "Counts of the flows of other exporters: what came, and what was left out, by cause",
    ),
    counter(
        "exporters[exporter=exporter].datagrams",
        "exporter_datagrams",
        "Datagrams, by exporter",
    ),
    counter("exporters[exporter=exporter].records", "exporter_records", "Records, by exporter"),
    counter(
        "exporters[exporter=exporter].malformed",
        "exporter_malformed",
        "Datagrams that contradict themselves, by exporter",
    ),
    counter(
        "exporters[exporter=exporter].lost",
        "exporter_lost",
        "Records or datagrams that are missing by the sequence numbers, by exporter",
    ),
    counter(
        "exporters[exporter=exporter].restarts",
        "exporter_restarts",
        "Sequences that began again, by exporter",
    ),
    gauge("exporters[exporter=exporter].templates", "exporter_templates", "Templates, by exporter"),
    gauge(
        "exporters[exporter=exporter].sampling_interval",
        "exporter_sampling_interval",
        "Sampling interval that an exporter tells, 0 if it tells none",
    ),
    gauge(
        "exporters[exporter=exporter].clock_offset_ms",
        "exporter_clock_offset_milliseconds",
        "Clock of an exporter less that of the collector",
    ),
    gauge(
        "exporters[exporter=exporter].last_seen_ms",
        "exporter_last_seen_milliseconds",
        "Time since 1970 when the last datagram of an exporter came",
    ),
    gauge(
        "exporters[exporter=exporter].interfaces[interface=interface].speed",
        "exporter_interface_speed",
        "Bits a second of an interface, by the counters of an sFlow agent",
    ),
    counter(
        "exporters[exporter=exporter].interfaces[interface=interface].in_octets",
        "exporter_interface_in_octets",
        "Octets that came in at an interface, by the counters of an sFlow agent",
    ),
    counter(
        "exporters[exporter=exporter].interfaces[interface=interface].out_octets",
        "exporter_interface_out_octets",
        "Octets that left at an interface, by the counters of an sFlow agent",
    ),
];
