//! Tunnels in the totals.

use flow::{MeterCounts, Refusal, TunnelCounts, TunnelKind};
use serde_json::{Map, Value, json};

use crate::report::units::{grouped, octets};

/// As text: the packets that were decapsulated and those that were refused.
pub(crate) fn lines(meter: &MeterCounts) -> Vec<String> {
    let tunnels = &meter.tunnels;
    let mut lines = Vec::new();
    let opened = TunnelKind::ALL.into_iter().zip(&tunnels.opened);
    let opened = opened.filter(|(_, tally)| tally.packets > 0);
    let opened: Vec<_> = opened
        .map(|(kind, tally)| format!("{} in {}", grouped(tally.packets), kind.title()))
        .collect();
    if !opened.is_empty() {
        let overhead = octets(tunnels.overhead_octets.max(0).unsigned_abs());
        lines.push(format!("packets {}, {overhead} of headers around them", opened.join(", ")));
    }
    let refused: Vec<_> = refusals(tunnels)
        .map(|(kind, cause, packets)| {
            format!("{} {} ({})", grouped(packets), kind.title(), cause.name())
        })
        .collect();
    if !refused.is_empty() {
        lines.push(format!("not opened, metered as they are: {}", refused.join(", ")));
    }
    if tunnels.tunnels_untold > 0 {
        let packets = grouped(tunnels.tunnels_untold);
        lines.push(format!(
            "{packets} packets are of more than 61,439 tunnels: not told in records"
        ));
    }
    if tunnels.networks_untold > 0 {
        let packets = grouped(tunnels.networks_untold);
        lines.push(format!("{packets} packets are of more than 65,534 networks: not told apart"));
    }
    if tunnels.interfaces_untold > 0 {
        let packets = grouped(tunnels.interfaces_untold);
        lines.push(format!("{packets} packets are of more than 32,767 interfaces: interface 0"));
    }
    lines
}

fn refusals(tunnels: &TunnelCounts) -> impl Iterator<Item = (TunnelKind, Refusal, u64)> {
    TunnelKind::ALL.into_iter().zip(tunnels.refused).flat_map(|(kind, causes)| {
        let causes = Refusal::ALL.into_iter().zip(causes);
        causes.filter(|(_, packets)| *packets > 0).map(move |(cause, n)| (kind, cause, n))
    })
}

/// As JSON.
pub(crate) fn json(tunnels: &TunnelCounts) -> Value {
    let opened: Map<String, Value> = TunnelKind::ALL
        .into_iter()
        .zip(&tunnels.opened)
        .filter(|(_, tally)| tally.packets > 0)
        .map(|(kind, tally)| {
            let tally = json!({"packets": tally.packets, "octets": tally.octets});
            (kind.name().to_owned(), tally)
        })
        .collect();
    let mut refused: Map<String, Value> = Map::new();
    for (kind, cause, packets) in refusals(tunnels) {
        let causes = refused.entry(kind.name()).or_insert_with(|| json!({}));
        causes[cause.name()] = packets.into();
    }
    json!({
        "decapsulated": opened,
        "decap_refused": refused,
        "tunnel_overhead_octets": tunnels.overhead_octets,
        "ignored_inside": {
            "packets": tunnels.ignored_inside.packets,
            "outer_octets": tunnels.ignored_inside.octets,
        },
        "tunnel_fragments": {
            "packets": tunnels.fragments.packets,
            "outer_octets": tunnels.fragments.octets,
        },
        "tunnels_untold": tunnels.tunnels_untold,
        "networks_untold": tunnels.networks_untold,
        "interfaces_untold": tunnels.interfaces_untold,
    })
}
