//! Incidents of the detectors: open ones, and the latest ended ones.

use std::collections::VecDeque;

use flow::{Event, EventKind, Value as Field};
use serde_json::{Map, Value};

/// Maximum number of incidents that are kept. Ended ones are removed first.
const KEPT: usize = 200;

/// Octets of memory for them: one has some 25 fields, and a list of up to 6 addresses.
pub(crate) const OCTETS: usize = KEPT * 8 * 1024;

/// The latest state of each incident, by its `event.id`.
#[derive(Debug, Default)]
pub(crate) struct Incidents {
    /// In the order of their first alerts.
    list: VecDeque<Map<String, Value>>,
    /// Incidents beyond the limits of the detectors, which have no alert of their own.
    more: u64,
}

impl Incidents {
    /// Records an event if it is an alert.
    pub(crate) fn add(&mut self, event: &Event) {
        if event.kind != EventKind::Alert {
            return;
        }
        let mut fields: Map<String, Value> =
            event.fields.iter().map(|(name, field)| ((*name).to_owned(), value(field))).collect();
        fields.insert("@timestamp".to_owned(), event.time.as_millis().into());
        let Some(id) = fields.get("event.id") else {
            let count = fields.get("flowprobe.alert.count").and_then(Value::as_u64);
            self.more = self.more.saturating_add(count.unwrap_or(0));
            return;
        };
        let same = self.list.iter_mut().find(|known| known.get("event.id") == Some(id));
        if let Some(known) = same {
            *known = fields;
            return;
        }
        if self.list.len() == KEPT {
            let ended = self.list.iter().position(|known| !is_open(known)).unwrap_or(0);
            self.list.remove(ended);
        }
        self.list.push_back(fields);
    }

    /// Number of open ones.
    pub(crate) fn open(&self) -> usize {
        self.list.iter().filter(|fields| is_open(fields)).count()
    }

    /// Number of incidents beyond the limits of the detectors, which are not in the list.
    pub(crate) fn more(&self) -> u64 {
        self.more
    }

    /// The incidents: open ones first, then by severity, then the latest first.
    pub(crate) fn value(&self) -> Value {
        let severity = |fields: &Map<String, Value>| {
            fields.get("event.severity").and_then(Value::as_u64).unwrap_or(0)
        };
        let mut list: Vec<_> = self.list.iter().rev().collect();
        list.sort_by_key(|fields| (!is_open(fields), u64::MAX - severity(fields)));
        let with_state = list.into_iter().map(|fields| {
            let mut fields = fields.clone();
            let open = is_open(&fields);
            fields.insert("open".to_owned(), open.into());
            Value::Object(fields)
        });
        with_state.collect()
    }
}

fn is_open(fields: &Map<String, Value>) -> bool {
    let action = fields.get("event.action").and_then(Value::as_str);
    !action.is_some_and(|action| action.ends_with("-closed"))
}

fn value(field: &Field) -> Value {
    match field {
        Field::Number(number) => (*number).into(),
        Field::Text(text) => text.as_str().into(),
        Field::Address(address) => address.to_string().into(),
        Field::Time(time) => time.as_millis().into(),
        Field::List(list) => list.iter().map(value).collect(),
        Field::Truth(truth) => (*truth).into(),
        // No alert has it.
        Field::Dns(_) => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use flow::Timestamp;

    use super::*;

    fn alert(id: u64, action: &str, severity: u64) -> Event {
        Event {
            kind: EventKind::Alert,
            time: Timestamp::from_millis(id),
            fields: vec![
                ("event.id", Field::Number(id)),
                ("event.action", Field::Text(action.to_owned())),
                ("event.severity", Field::Number(severity)),
            ],
        }
    }

    #[test]
    fn an_incident_has_its_latest_state() {
        let mut incidents = Incidents::default();
        incidents.add(&alert(1, "syn-flood-opened", 73));
        incidents.add(&alert(2, "scan-slow-opened", 21));
        incidents.add(&alert(1, "syn-flood-closed", 73));
        let value = incidents.value();
        assert_eq!(value[0]["event.id"], 2);
        assert_eq!(value[0]["open"], true);
        assert_eq!(value[1]["event.id"], 1);
        assert_eq!(value[1]["open"], false);
        assert_eq!(incidents.open(), 1);
        assert_eq!(value.as_array().map(Vec::len), Some(2));
    }

    #[test]
    fn those_beyond_the_limits_are_only_counted() {
        let mut incidents = Incidents::default();
        incidents.add(&alert(1, "syn-flood-opened", 73));
        for count in [50, 7] {
            incidents.add(&Event {
                kind: EventKind::Alert,
                time: Timestamp::from_millis(count),
                fields: vec![
                    ("event.action", Field::Text("scan-slow-many".to_owned())),
                    ("event.severity", Field::Number(21)),
                    ("flowprobe.alert.count", Field::Number(count)),
                ],
            });
        }
        assert_eq!((incidents.open(), incidents.more()), (1, 57));
        assert_eq!(incidents.value().as_array().map(Vec::len), Some(1));
    }

    #[test]
    fn open_ones_stay_when_there_are_many() {
        let mut incidents = Incidents::default();
        incidents.add(&alert(0, "x-opened", 99));
        for id in 1..1000 {
            incidents.add(&alert(id, "x-closed", 21));
        }
        let value = incidents.value();
        assert_eq!(value.as_array().map(Vec::len), Some(KEPT));
        assert_eq!(value[0]["event.id"], 0);
    }
}
