//! Rows of workers, and of the queues between threads.

use super::rows::{Row, counter, gauge};

pub(super) const ROWS: &[Row] = &[
    counter(
        "workers[worker=worker].frames",
        "worker_packets",
        "Packets that the sockets of a worker gave it",
    ),
    counter(
        "workers[worker=worker].lost",
        "worker_lost_packets",
        "Packets for which the sockets of a worker had no room",
    ),
    counter(
        "workers[worker=worker].received.packets",
        "worker_received_packets",
        "Packets that a worker has read",
    ),
    counter(
        "workers[worker=worker].received.octets",
        "worker_received_octets",
        "Octets on the wire of packets that a worker has read",
    ),
    counter(
        "workers[worker=worker].ignored.packets",
        "worker_ignored_packets",
        "Packets that a worker has read and not metered",
    ),
    counter(
        "workers[worker=worker].ignored.octets",
        "worker_ignored_octets",
        "Octets on the wire of packets that a worker has not metered",
    ),
    counter(
        "workers[worker=worker].metered.packets",
        "worker_metered_packets",
        "Packets that a worker has metered",
    ),
    counter(
        "workers[worker=worker].metered.octets",
        "worker_metered_octets",
        "Octets of IP packets that a worker has metered",
    ),
    gauge("workers[worker=worker].kept.flows", "worker_kept_flows", "Flows in a worker's table"),
    gauge(
        "workers[worker=worker].kept.packets",
        "worker_kept_packets",
        "Packets of flows in a worker's table",
    ),
    counter(
        "workers[worker=worker].ended.records",
        "worker_ended_records",
        "Flow records of a worker",
    ),
    counter(
        "workers[worker=worker].ended.packets",
        "worker_ended_packets",
        "Packets in flow records of a worker",
    ),
    counter(
        "workers[worker=worker].ended.octets",
        "worker_ended_octets",
        "Octets in flow records of a worker",
    ),
    counter(
        "workers[worker=worker].dropped.records",
        "worker_dropped_records",
        "Flow records of a worker for which the queue of the workers had no room",
    ),
    counter(
        "workers[worker=worker].dropped.packets",
        "worker_dropped_packets",
        "Packets of flow records of a worker that were dropped",
    ),
    counter(
        "workers[worker=worker].dropped.octets",
        "worker_dropped_octets",
        "Octets of flow records of a worker that were dropped",
    ),
    counter(
        "workers[worker=worker].collected.datagrams",
        "worker_collected_datagrams",
        "Datagrams of other exporters that a worker has taken",
    ),
    counter(
        "workers[worker=worker].collected.kernel_dropped",
        "worker_collected_kernel_dropped",
        "Datagrams for which the sockets of a worker had no room",
    ),
    counter(
        "workers[worker=worker].collected.records",
        "worker_collected_records",
        "Records of other exporters that a worker has read",
    ),
    gauge("queues[queue=queue].waiting", "queue_batches", "Batches that wait in a queue"),
    gauge("queues[queue=queue].room", "queue_batches_limit", "Most batches that a queue takes"),
    counter(
        "queues[queue=queue].dropped.records",
        "queue_dropped_records",
        "Flow records for which a queue between threads had no room",
    ),
    counter(
        "queues[queue=queue].dropped.packets",
        "queue_dropped_packets",
        "Packets of flow records for which a queue had no room",
    ),
    counter(
        "queues[queue=queue].dropped.octets",
        "queue_dropped_octets",
        "Octets of flow records for which a queue had no room",
    ),
];
