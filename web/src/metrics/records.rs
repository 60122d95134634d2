//! Rows of flow records, and of the run.

use super::rows::{Row, counter, gauge};

pub(super) const ROWS: &[Row] = &[
    counter("ended.{reason}.records", "ended_records", "Flow records, by flowEndReason"),
    counter("ended.{reason}.packets", "ended_packets", "Packets in flow records"),
    counter("ended.{reason}.octets", "ended_octets", "Octets in flow records"),
    gauge("active_flows", "active_flows", "Flows in the table"),
    counter("reloads.{outcome}", "reloads", "Times that the settings were read again, by outcome"),
    gauge("seconds", "run_seconds", "Time since the start of the run"),
    gauge("interrupted", "interrupted", "1 if a signal has ended the run"),
];
