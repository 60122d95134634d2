//! Top lists: sources, destinations, conversations, ports, interfaces.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::ops::AddAssign;
use std::sync::Arc;

use flow::{FlowKey, Place, RecordTally};
use foldhash::fast::RandomState;
use serde_json::{Value, json};

use crate::flows::{Flow, LatestFlows, protocol_name};
use crate::search::list_size;
use crate::series::Span;
use crate::table::TableFlows;

/// Rows of an answer: default and maximum.
const SIZE: usize = 10;
const SIZE_MAX: usize = 100;

/// A requested list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ranking {
    of: Of,
    by: By,
    span: Span,
    size: usize,
}

#[derive(Clone, Copy, Debug)]
enum Of {
    Source,
    Destination,
    Conversation,
    Port,
    Interface,
    Country(Side),
    System(Side),
}

#[derive(Clone, Copy, Debug)]
enum Side {
    Source,
    Destination,
}

#[derive(Clone, Copy, Debug)]
enum By {
    Octets,
    Packets,
    Flows,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    octets: u64,
    packets: u64,
    flows: u64,
}

type Sums = HashMap<FlowKey, Sum, RandomState>;

impl Sum {
    fn value(self) -> Value {
        json!({ "octets": self.octets, "packets": self.packets, "flows": self.flows })
    }
}

impl AddAssign for Sum {
    fn add_assign(&mut self, other: Self) {
        self.octets += other.octets;
        self.packets += other.packets;
        self.flows += other.flows;
    }
}

impl Ranking {
    /// # Errors
    ///
    /// A word is unknown, or the size is out of range; in one sentence.
    pub(crate) fn parse(
        of: Option<&str>,
        by: Option<&str>,
        span: Option<&str>,
        size: Option<&str>,
    ) -> Result<Self, String> {
        let of = match of.unwrap_or("source") {
            "source" => Of::Source,
            "destination" => Of::Destination,
            "conversation" => Of::Conversation,
            "port" => Of::Port,
            "interface" => Of::Interface,
            "source-country" => Of::Country(Side::Source),
            "destination-country" => Of::Country(Side::Destination),
            "source-as" => Of::System(Side::Source),
            "destination-as" => Of::System(Side::Destination),
            _ => {
                return Err(
                    "of is source, destination, conversation, port, interface, source-country, \
                     destination-country, source-as or destination-as"
                        .to_owned(),
                );
            }
        };
        let by = match by.unwrap_or("octets") {
            "octets" => By::Octets,
            "packets" => By::Packets,
            "flows" => By::Flows,
            _ => return Err("by is octets, packets or flows".to_owned()),
        };
        Ok(Self { of, by, span: Span::parse(span)?, size: list_size(size, SIZE, SIZE_MAX)? })
    }

    /// Computes the list from these flow records and from flows in the table.
    pub(crate) fn of(&self, flows: &LatestFlows, table: Option<&TableFlows>) -> Value {
        // The places of flows in the table are not known.
        let table = table.filter(|_| !matches!(self.of, Of::Country(_) | Of::System(_)));
        let newest = flows.iter().next().map(|flow| flow.record.end.as_millis());
        let latest = newest.max(table.map(|table| table.latest)).unwrap_or(0);
        let is_recent = |end: u64| end + self.span.seconds * 1000 >= latest;
        let mut sums = Sums::with_capacity_and_hasher(flows.iter().len(), RandomState::default());
        let mut whole = Sum::default();
        let (mut since, mut count) = (None, 0_u64);
        for Flow { record, source, destination, .. } in flows.iter() {
            let end = record.end.as_millis();
            if !is_recent(end) {
                continue;
            }
            since = Some(since.map_or(end, |since: u64| since.min(end)));
            count += 1;
            let one = Sum { octets: record.octets, packets: record.packets, flows: 1 };
            *sums.entry(self.key(&record.key, [source, destination])).or_default() += one;
            whole += one;
        }
        let mut in_table = Sums::default();
        let mut counted = Sum::default();
        let heaviest = table.map(|table| table.without_records(flows)).unwrap_or_default();
        for (key, flow) in heaviest.iter().filter(|(_, flow)| is_recent(flow.end)) {
            let RecordTally { records: flows, packets, octets } = flow.tally;
            let (key, one) = (self.key(key, [&None, &None]), Sum { octets, packets, flows });
            for to in [sums.entry(key).or_default(), in_table.entry(key).or_default()] {
                *to += one;
            }
            whole += one;
            counted += one;
        }
        let rows = self.first(&sums).into_iter().map(|(key, sum)| {
            let mut row = sum.value();
            row["name"] = self.name(key).into();
            row["in_table"] = in_table.get(key).copied().unwrap_or_default().value();
            row
        });
        json!({
            "rows": rows.collect::<Vec<_>>(),
            "all": whole.value(),
            "different": sums.len(),
            "records": count,
            "since": since,
            "in_table": table.map(|table| {
                let mut value = counted.value();
                value["of_flows"] = table.all.records.into();
                value
            }),
        })
    }

    /// The first rows, which are found without sorting the others.
    fn first<'a>(&self, sums: &'a Sums) -> Vec<(&'a FlowKey, &'a Sum)> {
        let mut list: Vec<_> = sums.iter().map(|(key, sum)| (self.order(sum), key, sum)).collect();
        let by_order = |(order, key, _): &((u64, u64), &FlowKey, &Sum)| (Reverse(*order), **key);
        if list.len() > self.size {
            list.select_nth_unstable_by_key(self.size, by_order);
            list.truncate(self.size);
        }
        list.sort_unstable_by_key(by_order);
        list.into_iter().map(|(_, key, sum)| (key, sum)).collect()
    }

    fn order(&self, sum: &Sum) -> (u64, u64) {
        match self.by {
            By::Octets => (sum.octets, sum.packets),
            By::Packets => (sum.packets, sum.octets),
            By::Flows => (sum.flows, sum.octets),
        }
    }

    /// The part of a flow key that identifies a row; all other fields are 0. The letters of a
    /// country replace the source address, the number of an Autonomous System replaces the
    /// interface.
    fn key(&self, key: &FlowKey, places: [&Option<Arc<Place>>; 2]) -> FlowKey {
        let nothing = FlowKey {
            source: [0; 16],
            destination: [0; 16],
            source_port: 0,
            destination_port: 0,
            protocol: 0,
            type_of_service: 0,
            interface: 0,
            ip_version: key.ip_version,
        };
        match self.of {
            Of::Country(side) => {
                let code = places[side as usize].as_ref().and_then(|it| it.country_code.as_deref());
                let mut source = [0; 16];
                source
                    .iter_mut()
                    .zip(code.unwrap_or_default().bytes())
                    .for_each(|(to, it)| *to = it);
                FlowKey { source, ip_version: flow::IpVersion::V4, ..nothing }
            }
            Of::System(side) => {
                let number = places[side as usize].as_ref().and_then(|it| it.as_number);
                let interface = number.unwrap_or(0);
                FlowKey { interface, ip_version: flow::IpVersion::V4, ..nothing }
            }
            Of::Source => FlowKey { source: key.source, ..nothing },
            Of::Destination => FlowKey { destination: key.destination, ..nothing },
            Of::Conversation => {
                let (source, destination) = if key.source <= key.destination {
                    (key.source, key.destination)
                } else {
                    (key.destination, key.source)
                };
                FlowKey { source, destination, ..nothing }
            }
            Of::Port => FlowKey {
                destination_port: key.destination_port,
                protocol: key.protocol,
                ip_version: flow::IpVersion::V4,
                ..nothing
            },
            Of::Interface => {
                FlowKey { interface: key.interface, ip_version: flow::IpVersion::V4, ..nothing }
            }
        }
    }

    fn name(&self, key: &FlowKey) -> String {
        match self.of {
            Of::Source => key.source_address().to_string(),
            Of::Destination => key.destination_address().to_string(),
            Of::Conversation => {
                format!("{} \u{2194} {}", key.source_address(), key.destination_address())
            }
            Of::Port => format!("{} {}", protocol_name(key.protocol), key.destination_port),
            Of::Interface => key.interface.to_string(),
            Of::Country(_) => {
                let code = key.source.iter().take_while(|octet| **octet != 0);
                let code: String = code.map(|octet| char::from(*octet)).collect();
                if code.is_empty() { "unknown".to_owned() } else { code }
            }
            Of::System(_) if key.interface == 0 => "unknown".to_owned(),
            Of::System(_) => format!("AS{}", key.interface),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::tests::record;

    fn list(of: &str, by: &str, span: &str) -> Value {
        let mut answer = record(0, 9_000, 5);
        std::mem::swap(&mut answer.key.source, &mut answer.key.destination);
        std::mem::swap(&mut answer.key.source_port, &mut answer.key.destination_port);
        let mut flows = LatestFlows::new();
        [answer, record(0, 10_000, 2), record(0, 400_000, 1)]
            .iter()
            .for_each(|it| flows.add(it, None));
        let ranking = Ranking::parse(Some(of), Some(by), Some(span), None).expect("a ranking");
        ranking.of(&flows, None)
    }

    #[test]
    fn both_directions_of_a_conversation_are_one() {
        let all = list("conversation", "octets", "15m");
        assert_eq!(all["rows"][0]["name"], "10.0.0.1 \u{2194} 10.0.0.2");
        assert_eq!(all["rows"][0]["packets"], 8);
        assert_eq!(all["different"], 1);
    }

    #[test]
    fn order_and_span_are_those_asked_for() {
        let by_octets = list("source", "octets", "15m");
        assert_eq!(by_octets["rows"][0]["name"], "10.0.0.2");
        let by_flows = list("source", "flows", "15m");
        assert_eq!(by_flows["rows"][0]["name"], "10.0.0.1");
        assert_eq!(by_flows["all"]["packets"], 8);
        let recent = list("port", "packets", "5m");
        assert_eq!(recent["records"], 1);
        assert_eq!(recent["rows"][0]["name"], "tcp 80");
    }

    #[test]
    fn flows_in_the_table_are_part_of_the_sums_until_their_records_come() {
        let mut flows = LatestFlows::new();
        flows.add(&record(0, 10_000, 2), None);
        let standing = record(11_000, 40_000, 5);
        let all = RecordTally { records: 30, ..RecordTally::default() };
        let table = TableFlows::new(&[standing], all);
        let ranking = |of| Ranking::parse(Some(of), None, None, None).expect("a ranking");
        let list = ranking("source").of(&flows, Some(&table));
        let sum = json!({ "octets": 700, "packets": 7, "flows": 2, "name": "10.0.0.1",
            "in_table": { "octets": 500, "packets": 5, "flows": 1 } });
        assert_eq!(list["rows"], json!([sum]));
        assert_eq!((&list["records"], &list["all"]["packets"]), (&1.into(), &7.into()));
        assert_eq!(
            (&list["in_table"]["flows"], &list["in_table"]["of_flows"]),
            (&1.into(), &30.into())
        );
        // Places of flows are known from records alone.
        assert_eq!(ranking("source-as").of(&flows, Some(&table))["in_table"], Value::Null);
        flows.add(&record(11_000, 42_000, 6), None);
        let list = ranking("source").of(&flows, Some(&table));
        assert_eq!((&list["all"]["packets"], &list["in_table"]["flows"]), (&8.into(), &0.into()));
    }
}
