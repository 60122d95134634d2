//! The document of an event: its time, its kind, its fields.

use std::io::Write;

use flow::{Event, EventKind, Value};

use super::member::{json_string, put_comma};
use super::time::TimeWriter;

/// Writes events.
#[derive(Debug, Default)]
pub(super) struct EventWriter {
    time: TimeWriter,
}

impl EventWriter {
    /// Appends the document of an event, without a line end. A dot in a field's name opens an
    /// object: `source.ip` is `"source":{"ip":...}`. Adjacent fields share the objects that the
    /// beginnings of their names have in common.
    pub(super) fn put(&mut self, event: &Event, out: &mut Vec<u8>) {
        out.extend_from_slice(br#"{"@timestamp":""#);
        self.time.put(event.time, out);
        out.extend_from_slice(br#"","event":{"kind":""#);
        out.extend_from_slice(kind(event.kind));
        out.push(b'"');
        let mut open = "event";
        for (name, value) in &event.fields {
            let (objects, member) = name.rsplit_once('.').unwrap_or(("", name));
            move_to(open, objects, out);
            open = objects;
            put_label(member, out);
            self.put_value(value, out);
        }
        move_to(open, "", out);
        out.push(b'}');
    }

    fn put_value(&mut self, value: &Value, out: &mut Vec<u8>) {
        match value {
            Value::Number(number) => {
                out.extend_from_slice(itoa::Buffer::new().format(*number).as_bytes());
            }
            Value::Truth(truth) => {
                out.extend_from_slice(if *truth { b"true" } else { b"false" });
            }
            Value::Text(text) => out.extend_from_slice(json_string(text).as_bytes()),
            Value::Address(address) => {
                write!(out, "\"{address}\"").expect("memory takes all");
            }
            Value::Time(time) => {
                out.push(b'"');
                self.time.put(*time, out);
                out.push(b'"');
            }
            Value::List(values) => {
                out.push(b'[');
                for (index, value) in values.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    self.put_value(value, out);
                }
                out.push(b']');
            }
        }
    }
}

/// `event.kind` of ECS.
fn kind(kind: EventKind) -> &'static [u8] {
    match kind {
        EventKind::Alert => b"alert",
        EventKind::DnsTransaction => b"event",
    }
}

/// Closes and opens objects, from those in which the last member is to those of the next.
fn move_to(from: &str, to: &str, out: &mut Vec<u8>) {
    let (from, to) = (objects(from), objects(to));
    let shared = from.iter().zip(&to).take_while(|(one, other)| one == other).count();
    from[shared..].iter().for_each(|_| out.push(b'}'));
    for name in &to[shared..] {
        put_label(name, out);
        out.push(b'{');
    }
}

fn objects(path: &str) -> Vec<&str> {
    path.split('.').filter(|name| !name.is_empty()).collect()
}

fn put_label(name: &str, out: &mut Vec<u8>) {
    put_comma(out);
    out.extend_from_slice(json_string(name).as_bytes());
    out.push(b':');
}

#[cfg(test)]
mod tests {
    use flow::Timestamp;

    use super::*;

    fn check(kind: EventKind, fields: Vec<(&'static str, Value)>, expected: &str) {
        let time = Timestamp::from_millis(1_709_164_801_007);
        let mut out = Vec::new();
        EventWriter::default().put(&Event { kind, time, fields }, &mut out);
        let text = String::from_utf8(out).unwrap();
        let start = r#"{"@timestamp":"2024-02-29T00:00:01.007Z","event":{"kind":"#;
        assert_eq!(text, format!("{start}{expected}"));
        serde_json::from_str::<serde_json::Value>(&text).unwrap();
    }

    #[test]
    fn dotted_names_become_objects_that_adjacent_fields_share() {
        check(EventKind::Alert, Vec::new(), r#""alert"}}"#);
        let text = |text: &str| Value::Text(text.to_owned());
        check(
            EventKind::Alert,
            vec![
                ("event.severity", Value::Number(3)),
                ("rule.name", text("a \"scan\"\n")),
                ("source.ip", Value::Address("2001:db8::1".parse().unwrap())),
                ("source.geo.country", text("FR")),
                ("source.geo.city", text("Évry")),
                ("source.port", Value::Number(u64::MAX)),
                ("message", text("")),
            ],
            concat!(
                r#""alert","severity":3},"rule":{"name":"a \"scan\"\n"},"#,
                r#""source":{"ip":"2001:db8::1","geo":{"country":"FR","city":"Évry"},"#,
                r#""port":18446744073709551615},"message":""}"#
            ),
        );
    }

    #[test]
    fn values_of_every_kind_are_written() {
        check(
            EventKind::DnsTransaction,
            vec![
                ("dns.seen", Value::Time(Timestamp::from_millis(1))),
                ("dns.none", Value::List(Vec::new())),
                ("dns.recursive", Value::Truth(true)),
                ("dns.signed", Value::Truth(false)),
                (
                    "dns.answers",
                    Value::List(vec![
                        Value::Address("192.0.2.1".parse().unwrap()),
                        Value::List(vec![Value::Number(0)]),
                    ]),
                ),
            ],
            concat!(
                r#""event"},"dns":{"seen":"1970-01-01T00:00:00.001Z","none":[],"#,
                r#""recursive":true,"signed":false,"#,
                r#""answers":["192.0.2.1",[0]]}}"#
            ),
        );
    }
}
