//! Rows of tunnels.

use super::rows::{Row, counter, gauge};

pub(super) const ROWS: &[Row] = &[
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
];
