//! Top lists: sources, destinations, conversations, ports, interfaces.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use flow::{FlowKey, IpVersion, RecordTally};
use serde_json::{Value, json};

use crate::flows::{Flow, LatestFlows, Where, end_of, protocol_name};
use crate::search::list_size;
use crate::series::Span;
use crate::sum::Sum;
use crate::sums::Sums;
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
    /// A conversation by protocol and ports.
    Session,
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
            "session" => Of::Session,
            "port" => Of::Port,
            "interface" => Of::Interface,
            "source-country" => Of::Country(Side::Source),
            "destination-country" => Of::Country(Side::Destination),
            "source-as" => Of::System(Side::Source),
            "destination-as" => Of::System(Side::Destination),
            _ => {
                return Err("of is source, destination, conversation, session, port, interface, \
                     source-country, destination-country, source-as or destination-as"
                    .to_owned());
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

    /// Computes the list from these flow records and from flows in the table. `sums` is memory for
    /// it.
    pub(crate) fn of(
        &self,
        flows: &LatestFlows,
        table: Option<&TableFlows>,
        sums: &mut Sums,
    ) -> Value {
        sums.clear();
        // The places of flows in the table are not known.
        let table = table.filter(|_| !matches!(self.of, Of::Country(_) | Of::System(_)));
        let newest = flows.iter().next().map(|flow| end_of(&flow.record));
        let latest = newest.max(table.map(|table| table.latest)).unwrap_or(0);
        let is_recent = |end: u64| end + self.span.seconds * 1000 >= latest;
        let mut whole = Sum::default();
        let (mut since, mut count) = (None, 0_u64);
        for Flow { record, source, destination, .. } in flows.iter() {
            let end = end_of(record);
            if !is_recent(end) {
                continue;
            }
            since = Some(since.map_or(end, |since: u64| since.min(end)));
            count += 1;
            let one = Sum::of(record);
            sums.add(self.key(&record.key, [*source, *destination]), one);
            whole += one;
        }
        let mut in_table = HashMap::<FlowKey, Sum>::new();
        let mut counted = Sum::default();
        let heaviest = table.into_iter().flat_map(TableFlows::heaviest);
        for (key, flow) in heaviest.filter(|(_, flow)| is_recent(flow.end)) {
            let RecordTally { records: flows, packets, octets } = flow.tally;
            let one = Sum { octets, packets, flows };
            let key = self.key(key, [Where::default(); 2]);
            sums.add(key, one);
            *in_table.entry(key).or_default() += one;
            whole += one;
            counted += one;
        }
        let rows = sums.first(self.size, |sum| self.order(sum)).into_iter().map(|(key, sum)| {
            let mut row = sum.value();
            row["name"] = self.name(&key).into();
            row["in_table"] = in_table.get(&key).copied().unwrap_or_default().value();
            row
        });
        json!({
            "rows": rows.collect::<Vec<_>>(),
            "all": whole.value(),
            "different": sums.len(),
            "records": count,
            "since": since,
            "kept": flows.iter().len(),
            "latest": latest,
            "cut": flows.forgotten().filter(|end| is_recent(*end)),
            "in_table": table.map(|table| {
                let mut value = counted.value();
                value["of_flows"] = table.all.records.into();
                value
            }),
        })
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
    fn key(&self, key: &FlowKey, places: [Where; 2]) -> FlowKey {
        let nothing = FlowKey {
            source: [0; 16],
            destination: [0; 16],
            source_port: 0,
            destination_port: 0,
            protocol: 0,
            type_of_service: 0,
            interface: 0,
            ip_version: IpVersion::V4,
        };
        let ip_version = key.ip_version;
        match self.of {
            Of::Country(side) => {
                let mut source = [0; 16];
                let country = places[side as usize].country;
                source.iter_mut().zip(country).for_each(|(to, letter)| *to = letter);
                FlowKey { source, ..nothing }
            }
            Of::System(side) => FlowKey { interface: places[side as usize].as_number, ..nothing },
            Of::Source => FlowKey { source: key.source, ip_version, ..nothing },
            Of::Destination => FlowKey { destination: key.destination, ip_version, ..nothing },
            Of::Conversation => {
                let mut ends = [key.source, key.destination];
                ends.sort_unstable();
                let [source, destination] = ends;
                FlowKey { source, destination, ip_version, ..nothing }
            }
            Of::Session => {
                // The ports of ICMP are type and code, which differ by direction.
                let [from, to] =
                    if key.is_icmp() { [0; 2] } else { [key.source_port, key.destination_port] };
                let mut ends = [(key.source, from), (key.destination, to)];
                ends.sort_unstable();
                let [(source, source_port), (destination, destination_port)] = ends;
                let protocol = key.protocol;
                FlowKey {
                    source,
                    destination,
                    source_port,
                    destination_port,
                    protocol,
                    ip_version,
                    ..nothing
                }
            }
            Of::Port => FlowKey {
                destination_port: key.destination_port,
                protocol: key.protocol,
                ..nothing
            },
            Of::Interface => FlowKey { interface: key.interface, ..nothing },
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
            Of::Session => {
                let end = |address: IpAddr, port| match port {
                    0 => address.to_string(),
                    port => SocketAddr::new(address, port).to_string(),
                };
                let source = end(key.source_address(), key.source_port);
                let destination = end(key.destination_address(), key.destination_port);
                format!("{} {source} \u{2194} {destination}", protocol_name(key.protocol))
            }
            Of::Country(_) if key.source[0] == 0 => "unknown".to_owned(),
            Of::Country(_) => key.source[..2].iter().copied().map(char::from).collect(),
            Of::System(_) if key.interface == 0 => "unknown".to_owned(),
            Of::System(_) => format!("AS{}", key.interface),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::tests::record;
    use crate::memory::Memory;

    fn list(of: &str, by: &str, span: &str) -> Value {
        let mut answer = record(0, 9_000, 5);
        std::mem::swap(&mut answer.key.source, &mut answer.key.destination);
        std::mem::swap(&mut answer.key.source_port, &mut answer.key.destination_port);
        let mut flows = LatestFlows::new(&Memory::default());
        [answer, record(0, 10_000, 2), record(0, 400_000, 1)]
            .iter()
            .for_each(|it| flows.add(it, None));
        let ranking = Ranking::parse(Some(of), Some(by), Some(span), None).expect("a ranking");
        ranking.of(&flows, None, &mut Sums::new(10))
    }

    #[test]
    fn both_directions_of_a_conversation_are_one() {
        let all = list("conversation", "octets", "15m");
        assert_eq!(all["rows"][0]["name"], "10.0.0.1 \u{2194} 10.0.0.2");
        assert_eq!(all["rows"][0]["packets"], 8);
        assert_eq!(all["different"], 1);
    }

    #[test]
    fn both_directions_of_a_session_are_one() {
        let all = list("session", "octets", "15m");
        assert_eq!(all["rows"][0]["name"], "tcp 10.0.0.1:1025 \u{2194} 10.0.0.2:80");
        assert_eq!((&all["rows"][0]["packets"], &all["different"]), (&8.into(), &1.into()));
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
    fn a_clock_that_is_ahead_hides_no_other_record() {
        let mut flows = LatestFlows::new(&Memory::default());
        flows.add(&record(0, 9_000, 5), None);
        let exported = flow::Timestamp::from_millis(10_000);
        flows.add(&flow::FlowRecord { exported, ..record(1 << 50, 1 << 50, 3) }, None);
        let ranking = Ranking::parse(None, None, Some("5m"), None).expect("a ranking");
        let list = ranking.of(&flows, None, &mut Sums::new(10));
        assert_eq!((&list["latest"], &list["records"]), (&10_000.into(), &2.into()));
    }

    #[test]
    fn a_list_says_from_when_it_is_whole() {
        let mut flows = LatestFlows::new(&Memory { records: 2, ..Memory::default() });
        let ranking = |span| Ranking::parse(None, None, Some(span), None).expect("a ranking");
        let mut cut = |end: u64, span| {
            flows.add(&record(0, end, 1), None);
            let list = ranking(span).of(&flows, None, &mut Sums::new(10));
            assert_eq!(list["latest"], end);
            list["cut"].clone()
        };
        assert_eq!(cut(10_000, "5m"), Value::Null);
        assert_eq!(cut(9_000, "5m"), Value::Null);
        // The first one, which ended later than the second, is gone.
        assert_eq!(cut(20_000, "5m"), 10_000);
        assert_eq!(cut(30_000, "5m"), 10_000);
        assert_eq!(cut(310_001, "15m"), 20_000);
        // What is gone ended before the span of time.
        assert_eq!(cut(330_001, "5m"), Value::Null);
        assert_eq!(cut(400_000, "5m"), 310_001);
        assert_eq!(cut(900_000, "5m"), Value::Null);
    }

    #[test]
    fn flows_in_the_table_are_part_of_the_sums_until_their_records_come() {
        let mut flows = LatestFlows::new(&Memory::default());
        flows.add(&record(0, 10_000, 2), None);
        let standing = record(11_000, 40_000, 5);
        let all = RecordTally { records: 30, ..RecordTally::default() };
        let mut table = TableFlows::new(&[standing], all);
        let ranking = |of| Ranking::parse(Some(of), None, None, None).expect("a ranking");
        let list = ranking("source").of(&flows, Some(&table), &mut Sums::new(10));
        let sum = json!({ "octets": 700, "packets": 7, "flows": 2, "name": "10.0.0.1",
            "in_table": { "octets": 500, "packets": 5, "flows": 1 } });
        assert_eq!(list["rows"], json!([sum]));
        assert_eq!((&list["records"], &list["all"]["packets"]), (&1.into(), &7.into()));
        assert_eq!(
            (&list["in_table"]["flows"], &list["in_table"]["of_flows"]),
            (&1.into(), &30.into())
        );
        // Places of flows are known from records alone.
        assert_eq!(
            ranking("source-as").of(&flows, Some(&table), &mut Sums::new(10))["in_table"],
            Value::Null
        );
        flows.add(&record(11_000, 42_000, 6), None);
        table.take_out(&record(11_000, 42_000, 6));
        let list = ranking("source").of(&flows, Some(&table), &mut Sums::new(10));
        assert_eq!((&list["all"]["packets"], &list["in_table"]["flows"]), (&8.into(), &0.into()));
    }
}
