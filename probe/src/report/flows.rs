//! Requests of `flowprobe ctl` about flows in the table, and their answers.
//!
//! A request has words `NAME=VALUE`, which say which flows are meant, and how they are shown.

use std::net::IpAddr;
use std::str::FromStr;

use flow::FlowRecord;
use flow::number::protocol;
use ipnet::IpNet;
use serde_json::{Value, json};

use crate::pipeline::table_order::{FlowMatch, FlowOrder, SHOWN_MAX, TableAnswer, TableTask};
use crate::report::units::rfc3339;

/// Number of flows that are shown by default.
const SHOWN: usize = 20;

/// An order about flows, without the way of the answer.
pub(crate) struct Asked {
    pub(crate) task: TableTask,
    pub(crate) meant: FlowMatch,
}

/// Answers a request to show flows.
///
/// # Errors
///
/// The words are wrong, or there is no answer; in one sentence.
pub(crate) fn show(
    words: &str,
    ask: impl FnOnce(Asked) -> Result<TableAnswer, String>,
) -> Result<Value, String> {
    let (mut order, mut count) = (FlowOrder::Octets, SHOWN);
    let meant = matched(words, |name, value| {
        match name {
            "sort" => order = order_of(value)?,
            "limit" => {
                let number = value.parse().ok().filter(|number| (1..=SHOWN_MAX).contains(number));
                count = number.ok_or_else(|| format!("limit: 1 to {SHOWN_MAX} is needed"))?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let mut answer = ask(Asked { task: TableTask::Show(order, count), meant })?;
    order.keep_first(&mut answer.flows, count);
    let flows: Vec<Value> = answer.flows.iter().map(flow_json).collect();
    Ok(json!({ "flows": flows, "matched": answer.meant.records }))
}

/// Answers a request to end flows: `all`, or words that say which.
///
/// # Errors
///
/// As [`show`].
pub(crate) fn expire(
    words: &str,
    ask: impl FnOnce(Asked) -> Result<TableAnswer, String>,
) -> Result<Value, String> {
    let meant = match words {
        "all" => FlowMatch::default(),
        "" => return Err("all, or which flows, is needed".to_owned()),
        _ => matched(words, |_, _| Ok(false))?,
    };
    let answer = ask(Asked { task: TableTask::End, meant })?;
    Ok(json!({ "expired": answer.meant.records }))
}

/// Reads words. `other` gets those that do not say which flows are meant, and returns false for a
/// name that it does not know.
fn matched(
    words: &str,
    mut other: impl FnMut(&str, &str) -> Result<bool, String>,
) -> Result<FlowMatch, String> {
    let mut meant = FlowMatch::default();
    for word in words.split_whitespace() {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        match name {
            "host" => meant.host = Some(network(name, value)?),
            "source" => meant.source = Some(network(name, value)?),
            "destination" => meant.destination = Some(network(name, value)?),
            "port" => meant.port = Some(number(name, value)?),
            "source-port" => meant.source_port = Some(number(name, value)?),
            "destination-port" => meant.destination_port = Some(number(name, value)?),
            "protocol" => meant.protocol = Some(protocol_number(value)?),
            _ if other(name, value)? => {}
            _ => return Err(format!("{name} is not known here")),
        }
    }
    Ok(meant)
}

fn order_of(value: &str) -> Result<FlowOrder, String> {
    let found = FlowOrder::ALL.into_iter().find(|(_, name)| *name == value);
    found.map(|(order, _)| order).ok_or_else(|| {
        let names = FlowOrder::ALL.map(|(_, name)| name).join(", ");
        format!("sort: one of {names} is needed")
    })
}

fn network(name: &str, value: &str) -> Result<IpNet, String> {
    let network = value.parse().ok().or_else(|| value.parse::<IpAddr>().ok().map(IpNet::from));
    network.ok_or_else(|| format!("{name}: an address or a network is needed, as 10.0.0.0/8"))
}

fn number<T: FromStr>(name: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_error| format!("{name}: a number is needed, at most of 16 bits"))
}

fn protocol_number(value: &str) -> Result<u8, String> {
    let number = protocol::named(value).or_else(|| value.parse().ok());
    number.ok_or_else(|| "protocol: tcp, udp, icmp or a number to 255 is needed".to_owned())
}

fn flow_json(flow: &FlowRecord) -> Value {
    let key = &flow.key;
    json!({
        "source": key.source_address(),
        "source_port": key.source_port,
        "destination": key.destination_address(),
        "destination_port": key.destination_port,
        "protocol": key.protocol,
        "type_of_service": key.type_of_service,
        "vlan": flow.vlan_id,
        "tcp_control_bits": flow.tcp_control_bits,
        "packets": flow.packets,
        "octets": flow.octets,
        "start": rfc3339(flow.start),
        "end": rfc3339(flow.end),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The order that these words are read as.
    fn asked(words: &str) -> Result<(TableTask, FlowMatch), String> {
        let mut asked = None;
        show(words, |order| {
            asked = Some((order.task, order.meant));
            Ok(TableAnswer::default())
        })?;
        Ok(asked.unwrap())
    }

    #[test]
    fn words_say_which_flows_are_meant_and_how_they_are_shown() {
        let (task, meant) = asked("").unwrap();
        assert_eq!(task, TableTask::Show(FlowOrder::Octets, SHOWN));
        assert_eq!(meant, FlowMatch::default());
        let words = "host=10.0.0.0/8 port=53 protocol=udp sort=latest limit=3";
        let (task, meant) = asked(words).unwrap();
        assert_eq!(task, TableTask::Show(FlowOrder::Latest, 3));
        let host = Some("10.0.0.0/8".parse().unwrap());
        let (port, protocol) = (Some(53), Some(17));
        assert_eq!(meant, FlowMatch { host, port, protocol, ..FlowMatch::default() });
        for (words, said) in [
            ("host=ten", "host: an address"),
            ("port=70000", "port: a number"),
            ("protocol=x", "protocol: tcp"),
            ("sort=age", "sort: one of octets, packets, start, latest"),
            ("limit=0", "limit: 1 to 1000"),
            ("limit=1001", "limit: 1 to 1000"),
            ("colour=red", "colour is not known"),
        ] {
            let problem = asked(words).unwrap_err();
            assert!(problem.starts_with(said), "{words}: {problem}");
        }
    }

    #[test]
    fn nothing_is_ended_by_mistake() {
        let none = |_: Asked| -> Result<TableAnswer, String> { panic!("nothing is asked") };
        for words in ["", "everything", "limit=1", "all sort=octets", "port="] {
            expire(words, none).unwrap_err();
        }
        let end = |asked: Asked| {
            assert_eq!(asked.task, TableTask::End);
            Ok(TableAnswer::default())
        };
        assert_eq!(expire("all", end).unwrap(), json!({ "expired": 0 }));
    }
}
