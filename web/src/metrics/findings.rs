//! Rows of what flows mean: tags, incidents and places.

use super::rows::{Row, counter, gauge};

pub(super) const ROWS: &[Row] = &[
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
];
