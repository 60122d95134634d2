//! Rows of interfaces, and of their receive queues.

use super::rows::{Row, counter, gauge};

pub(super) const ROWS: &[Row] = &[
    gauge("interfaces[interface=name].captured", "interface_captured", "1 while it is captured"),
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
    counter(
        "interfaces[interface=name].queues[queue=queue].frames",
        "interface_queue_packets",
        "Packets of a receive queue of an interface",
    ),
    counter(
        "interfaces[interface=name].queues[queue=queue].lost",
        "interface_queue_lost_packets",
        "Packets of a receive queue of an interface for which its socket had no room",
    ),
];
