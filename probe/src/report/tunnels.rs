//! Tunnels in the totals.

use flow::words::{counted, grouped};
use flow::{MeterCounts, Refusal, TunnelCounts, TunnelKind, TunnelKinds};
use log::info;
use serde_json::{Map, Value, json};

use crate::pipeline::closed::ClosedTunnels;
use crate::pipeline::worker::Ended;
use crate::report::totals::Totals;
use crate::report::units::octets;

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
        let packets = packets_are(tunnels.tunnels_untold);
        lines.push(format!("{packets} of more than 61,439 tunnels: not told in records"));
    }
    if tunnels.networks_untold > 0 {
        let packets = packets_are(tunnels.networks_untold);
        lines.push(format!("{packets} of more than 65,534 networks: not told apart"));
    }
    if tunnels.interfaces_untold > 0 {
        let packets = packets_are(tunnels.interfaces_untold);
        lines.push(format!("{packets} of more than 32,767 interfaces: interface 0"));
    }
    lines
}

fn packets_are(number: u64) -> String {
    counted(number, "packet is", "packets are")
}

fn refusals(tunnels: &TunnelCounts) -> impl Iterator<Item = (TunnelKind, Refusal, u64)> {
    TunnelKind::ALL.into_iter().zip(tunnels.refused).flat_map(|(kind, causes)| {
        let causes = Refusal::ALL.into_iter().zip(causes);
        causes.filter(|(_, packets)| *packets > 0).map(move |(cause, n)| (kind, cause, n))
    })
}

/// Of packets in records, the least share that is worth a hint, in percent.
const HINT_PERCENT: u64 = 5;

/// Number of packets from which shares are computed in a live run.
const HINT_PACKETS: u64 = 1000;

/// What would be inside of tunnels that are not opened, if they are no small part.
pub(crate) fn hints(ended: &Ended) -> Vec<String> {
    shares(ended).map(|(kind, percent)| hint(kind, percent)).collect()
}

fn shares(ended: &Ended) -> impl Iterator<Item = (TunnelKind, u64)> {
    let all = ended.records().packets.max(1);
    let shares = ended.closed.iter().map(move |(kind, packets)| (kind, share(packets, all)));
    shares.filter(|(_, percent)| *percent >= HINT_PERCENT)
}

/// In percent, rounded down.
pub(crate) fn share(packets: u64, all: u64) -> u64 {
    u64::try_from(u128::from(packets) * 100 / u128::from(all.max(1))).unwrap_or(100)
}

fn hint(kind: TunnelKind, percent: u64) -> String {
    format!("{percent} % of packets are {}; {} meters what is inside", kind.title(), remedy(kind))
}

/// The setting that opens tunnels that look like this kind.
pub(crate) fn remedy(kind: TunnelKind) -> String {
    // What is in GRE is not known by its ends, nor is the form of L2TPv3.
    let more = if kind == TunnelKind::Gre {
        ",erspan"
    } else if kind == TunnelKind::L2tpV3 {
        " with --l2tpv3"
    } else {
        ""
    };
    format!("--decap {}{more}", kind.option())
}

/// Says hints while a live run goes on.
#[derive(Debug, Default)]
pub(crate) struct HintWatch {
    said: TunnelKinds,
}

impl HintWatch {
    /// Says of each kind once that it could be opened.
    pub(crate) fn second(&mut self, totals: &Totals) {
        self.news(&totals.ended).iter().for_each(|words| info!("{words}"));
    }

    fn news(&mut self, ended: &Ended) -> Vec<String> {
        let mut news = Vec::new();
        if ended.records().packets < HINT_PACKETS {
            return news;
        }
        for (kind, percent) in shares(ended) {
            if !self.said.contains(kind) {
                self.said = self.said.with(TunnelKinds::of_option(kind.option()));
                news.push(hint(kind, percent));
            }
        }
        news
    }
}

/// For programs.
pub(crate) fn json(tunnels: &TunnelCounts, closed: &ClosedTunnels) -> Value {
    let closed: Map<String, Value> =
        closed.iter().map(|(kind, packets)| (kind.name().to_owned(), packets.into())).collect();
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
        "not_opened": closed,
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

#[cfg(test)]
mod tests {
    use flow::RecordTally;

    use super::*;

    fn ended(packets: u64, of: &[(TunnelKind, u64)]) -> Ended {
        let mut ended = Ended::default();
        ended.by_reason[0] = RecordTally { records: 1, packets, octets: 0 };
        ended.closed = ClosedTunnels::made_up(of);
        ended
    }

    #[test]
    fn hints_name_the_share_and_the_setting() {
        let seen = [(TunnelKind::Vxlan, 83), (TunnelKind::Gre, 5), (TunnelKind::Teredo, 4)];
        assert_eq!(
            hints(&ended(100, &seen)),
            [
                "83 % of packets are VXLAN; --decap vxlan meters what is inside",
                "5 % of packets are GRE; --decap gre,erspan meters what is inside",
            ]
        );
        assert_eq!(hints(&ended(1, &[])), [""; 0]);
        assert_eq!(hints(&Ended::default()), [""; 0]);
    }

    #[test]
    fn live_each_hint_comes_once() {
        let mut watch = HintWatch::default();
        let vxlan = |packets| ended(packets, &[(TunnelKind::Vxlan, packets / 2)]);
        assert_eq!(watch.news(&vxlan(999)), [""; 0]);
        assert_eq!(watch.news(&vxlan(1000)).len(), 1);
        assert_eq!(watch.news(&vxlan(2000)), [""; 0]);
        let both = ended(3000, &[(TunnelKind::Vxlan, 1500), (TunnelKind::L2tpV3, 1500)]);
        let words = "50 % of packets are L2TPv3; --decap l2tp with --l2tpv3 meters what is inside";
        assert_eq!(watch.news(&both), [words]);
    }
}
