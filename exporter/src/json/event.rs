//! The document of an event: its time, its kind and its fields.

use flow::{Event, EventKind, Value};
use serde_json::{Map, Value as Json};

use super::facts::put_dns;
use super::member::json_string;
use super::time::TimeWriter;

/// Writes events.
#[derive(Debug, Default)]
pub(super) struct EventWriter {
    time: TimeWriter,
}

impl EventWriter {
    /// Appends the document of an event, without a line end. A dot in a field's name opens an
    /// object: `source.ip` is `"source":{"ip":...}`. The members of an object are sorted by name.
    pub(super) fn put(&mut self, event: &Event, out: &mut Vec<u8>) {
        let mut document = Map::new();
        document.insert("@timestamp".to_owned(), self.value(&Value::Time(event.time)));
        insert(&mut document, "event.kind", kind(event.kind).into());
        for (name, value) in &event.fields {
            let value = self.value(value);
            insert(&mut document, name, value);
        }
        out.extend_from_slice(json_string(&document).as_bytes());
    }

    fn value(&mut self, value: &Value) -> Json {
        match value {
            Value::Number(number) => (*number).into(),
            Value::Truth(truth) => (*truth).into(),
            Value::Text(text) => text.as_str().into(),
            Value::Address(address) => address.to_string().into(),
            Value::Time(time) => {
                let mut text = Vec::new();
                self.time.put(*time, &mut text);
                String::from_utf8_lossy(&text).into()
            }
            Value::List(values) => values.iter().map(|value| self.value(value)).collect(),
            Value::Dns(dns) => {
                let mut text = Vec::new();
                put_dns(dns, &mut text);
                serde_json::from_slice(&text).expect("what is written is JSON")
            }
        }
    }
}

/// `event.kind` of ECS.
fn kind(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Alert => "alert",
        EventKind::DnsTransaction | EventKind::ExporterOptions => "event",
    }
}

/// Inserts a field into the nested objects of its name.
fn insert(object: &mut Map<String, Json>, name: &str, value: Json) {
    match name.split_once('.') {
        None => drop(object.insert(name.to_owned(), value)),
        Some((outer, rest)) => {
            let inner = object.entry(outer).or_insert_with(|| Map::new().into());
            let inner = inner.as_object_mut().expect("a field is no object to another one");
            insert(inner, rest, value);
        }
    }
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
        assert_eq!(text, format!(r#"{{"@timestamp":"2024-02-29T00:00:01.007Z",{expected}}}"#));
    }

    #[test]
    fn dotted_names_become_objects_in_whatever_order_they_come() {
        check(EventKind::Alert, Vec::new(), r#""event":{"kind":"alert"}"#);
        let text = |text: &str| Value::Text(text.to_owned());
        check(
            EventKind::Alert,
            vec![
                ("source.ip", Value::Address("2001:db8::1".parse().unwrap())),
                ("rule.name", text("a \"scan\"\n")),
                ("source.geo.country", text("FR")),
                ("event.severity", Value::Number(3)),
                ("source.geo.city", text("Évry")),
                ("message", text("")),
                ("source.port", Value::Number(u64::MAX)),
            ],
            concat!(
                r#""event":{"kind":"alert","severity":3},"message":"","#,
                r#""rule":{"name":"a \"scan\"\n"},"#,
                r#""source":{"geo":{"city":"Évry","country":"FR"},"ip":"2001:db8::1","#,
                r#""port":18446744073709551615}"#
            ),
        );
    }

    #[test]
    fn text_is_safe_for_a_terminal() {
        check(
            EventKind::ExporterOptions,
            vec![("message", Value::Text("a\u{9b}31m\u{202e}b".to_owned()))],
            r#""event":{"kind":"event"},"message":"a\u009b31m\u202eb""#,
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
                r#""dns":{"answers":["192.0.2.1",[0]],"none":[],"recursive":true,"#,
                r#""seen":"1970-01-01T00:00:00.001Z","signed":false},"event":{"kind":"event"}"#
            ),
        );
    }
}
