//! Ethertypes and link types of ignored frames, as text and JSON.

use flow::words::{counted, grouped};
use flow::{Tally, Unread, UnreadCounts};
use serde_json::{Value, json};

use crate::capture::file::link_name;

/// The kinds as text, the most frequent first; empty if there are none.
pub(super) fn words(counts: &UnreadCounts) -> String {
    let mut parts: Vec<String> = counts
        .most_frequent()
        .map(|(kind, tally)| format!("{} {}", grouped(tally.packets), label(kind)))
        .collect();
    if counts.others().packets > 0 {
        parts.push(counted(counts.others().packets, "other", "others"));
    }
    parts.join(", ")
}

/// Names of Ethertypes, and of LLC Service Access Points.
pub(super) fn ethertypes(counts: &UnreadCounts) -> Vec<Value> {
    let known = counts.most_frequent().filter_map(|(kind, tally)| match kind {
        Unread::Ethertype(number) => Some(entry("ethertype", &format!("{number:#06x}"), tally)),
        Unread::Llc(number) => Some(entry("llc_sap", &format!("{number:#04x}"), tally)),
        Unread::LinkType(_) | Unread::Unknown => None,
    });
    known.chain(others(counts)).collect()
}

/// Names of link types, by their numbers in the pcap format.
pub(super) fn link_types(counts: &UnreadCounts) -> Vec<Value> {
    let known = counts.most_frequent().filter_map(|(kind, tally)| match kind {
        Unread::LinkType(number) => Some(entry("link_type", &number.to_string(), tally)),
        Unread::Ethertype(_) | Unread::Llc(_) | Unread::Unknown => None,
    });
    known.collect()
}

fn others(counts: &UnreadCounts) -> Option<Value> {
    let others = counts.others();
    (others.packets > 0).then(|| entry("ethertype", "other", others))
}

fn entry(key: &str, number: &str, tally: Tally) -> Value {
    json!({ key: number, "packets": tally.packets, "octets": tally.octets })
}

fn label(kind: Unread) -> String {
    let (number, name) = match kind {
        Unread::Ethertype(number) => (format!("Ethertype {number:#06x}"), ethertype_name(number)),
        Unread::Llc(number) => (format!("LLC {number:#04x}"), llc_name(number)),
        Unread::LinkType(number) => (format!("link type {}", link_name(number)), None),
        Unread::Unknown => ("unknown".to_owned(), None),
    };
    match name {
        Some(name) => format!("{number} ({name})"),
        None => number,
    }
}

fn ethertype_name(number: u16) -> Option<&'static str> {
    Some(match number {
        0x0806 => "ARP",
        0x0842 => "Wake-on-LAN",
        0x22f3 => "TRILL",
        0x22f4 => "IS-IS",
        0x8035 => "RARP",
        0x809b => "AppleTalk",
        0x8137 => "IPX",
        0x8808 => "flow control",
        0x8809 => "LACP",
        0x8847 | 0x8848 => "MPLS",
        0x8863 => "PPPoE discovery",
        0x887b => "HomePlug",
        0x888e => "EAPOL",
        0x8892 => "PROFINET",
        0x88a4 => "EtherCAT",
        0x88b8 => "GOOSE",
        0x88ba => "sampled values",
        0x88cc => "LLDP",
        0x88e1 => "HomePlug AV",
        0x88e5 => "MACsec",
        0x88f7 => "PTP",
        0x88fb => "PRP supervision",
        0x8902 => "CFM",
        0x8906 => "FCoE",
        0x8914 => "FIP",
        0x8915 => "RoCE",
        0x9000 => "loopback",
        _ => return None,
    })
}

fn llc_name(number: u8) -> Option<&'static str> {
    Some(match number {
        0x42 => "spanning tree",
        0xaa => "SNAP of a vendor",
        0xe0 => "IPX",
        0xf0 => "NetBIOS",
        0xfe => "IS-IS",
        0xff => "IPX without LLC",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use flow::{
        Frame, LinkType, Naming, NewClock, Observation, ObservationPoint, Observer,
        ObserverSettings, Sink,
    };

    use super::*;

    /// A sink that discards observations: these frames are ignored.
    struct Nowhere(Observation);

    impl Sink for Nowhere {
        fn vacancy(&mut self) -> &mut Observation {
            &mut self.0
        }

        fn push(&mut self) {
            panic!("the frame is metered");
        }

        fn begin_clock(&mut self, clock: NewClock) {
            panic!("a clock began: {clock:?}");
        }

        fn learn(&mut self, _: Naming) {}
    }

    #[test]
    fn kinds_are_named_the_most_frequent_first() {
        let mut observer = Observer::new(&ObserverSettings {
            key: flow::KeyFields::SEVEN,
            idle_timeout_ms: 15_000,
            active_timeout_ms: 60_000,
            tpids: flow::Tpids::default(),
            decap: flow::DecapSettings::default(),
            sampling: flow::Sampling { interval: 1 },
            seed: flow::HashSeed::new(1),
        });
        let mut observe = |link_type, ethertype: [u8; 2], behind: u8| {
            let mut data = [behind; 60];
            data[12..14].copy_from_slice(&ethertype);
            let time = flow::Timestamp::default();
            let frame = Frame {
                data: &data,
                wire_length: 60,
                time,
                point: ObservationPoint::default(),
                link_type,
            };
            observer.observe(&frame, &mut Nowhere(Observation::default()));
        };
        observe(LinkType::Ethernet, [0x12, 0x34], 0);
        observe(LinkType::Ethernet, [0, 40], 0x42);
        (0..2).for_each(|_| observe(LinkType::Unsupported(187), [0, 0], 0));
        (0..3).for_each(|_| observe(LinkType::Ethernet, [0x08, 0x06], 0));
        let words = words(&observer.counts().unread);
        assert_eq!(
            words,
            "3 Ethertype 0x0806 (ARP), 2 link type 187 (Bluetooth HCI), 1 Ethertype 0x1234, \
             1 LLC 0x42 (spanning tree)"
        );
    }
}
