//! Metrics for Prometheus: each number of the statistics has its own name.
//!
//! The statistics are the only list of counters. A row maps a place in them to the name of a
//! metric, so each counter is counted in only one place.

mod collected;
mod findings;
mod interfaces;
mod names;
mod outputs;
mod packets;
mod records;
mod rows;
mod tunnels;
mod workers;

use std::collections::HashSet;
use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::prometheus_text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use serde_json::Value;

use rows::{Kind, Row};

/// A metric: its name, its meaning, and its values by label.
#[derive(Debug)]
pub(crate) struct Metric {
    row: &'static Row,
    values: Vec<(Labels, f64)>,
}

type Labels = Vec<(&'static str, String)>;

/// All metrics of the statistics at a point in time.
#[derive(Debug)]
pub(crate) struct Metrics(Vec<Metric>);

impl Metrics {
    /// The metrics of these statistics, which have the form of `--stats json`.
    pub(crate) fn of(statistics: &Value) -> Self {
        let mut taken = HashSet::new();
        let metrics =
            rows::all().map(|row| Metric { row, values: values(row, statistics, &mut taken) });
        Self(metrics.filter(|metric| !metric.values.is_empty()).collect())
    }

    /// The text format of Prometheus (exposition format 0.0.4).
    pub(crate) fn text(self) -> String {
        let mut registry = Registry::with_prefix("flowprobe");
        registry.register_collector(Box::new(self));
        let mut text = String::new();
        encode(&mut text, &registry).expect("a string takes all");
        text
    }
}

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for Metric { row, values } in &self.0 {
            let kind = match row.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
            };
            let mut metric = encoder.encode_descriptor(row.name, row.help, None, kind)?;
            for (labels, value) in values {
                let family = metric.encode_family(labels)?;
                match row.kind {
                    Kind::Counter => ConstCounter::new(*value).encode(family)?,
                    Kind::Gauge => ConstGauge::new(*value).encode(family)?,
                }
            }
        }
        Ok(())
    }
}

/// Places of numbers without a row, for tests.
pub fn without_metric(statistics: &Value) -> Vec<String> {
    let mut taken = HashSet::new();
    rows::all().for_each(|row| drop(values(row, statistics, &mut taken)));
    let mut numbers = Vec::new();
    all_numbers(statistics, String::new(), &mut numbers);
    numbers.retain(|place| !taken.contains(place));
    numbers
}

/// The values at the place of a row, except places that an earlier row has taken.
fn values(row: &Row, statistics: &Value, taken: &mut HashSet<String>) -> Vec<(Labels, f64)> {
    let mut found = Vec::new();
    walk(row.place, statistics, (String::new(), Labels::new()), &mut found);
    found.retain(|(place, ..)| !taken.contains(place));
    taken.extend(found.iter().map(|(place, ..)| place.clone()));
    found.into_iter().map(|(_, labels, value)| (labels, value)).collect()
}

type Found = Vec<(String, Labels, f64)>;

fn walk(place: &'static str, value: &Value, so_far: (String, Labels), found: &mut Found) {
    let (path, labels) = so_far;
    if place.is_empty() {
        found.extend(number(value).map(|number| (path, labels, number)));
        return;
    }
    let (step, rest) = place.split_once('.').unwrap_or((place, ""));
    let with = |label: &'static str, value: &str| {
        labels.iter().cloned().chain([(label, value.to_owned())]).collect::<Labels>()
    };
    if let Some(label) = step.strip_prefix('{').and_then(|step| step.strip_suffix('}')) {
        for (key, value) in value.as_object().into_iter().flatten() {
            walk(rest, value, (format!("{path}.{key}"), with(label, key)), found);
        }
    } else if let Some((key, list)) = step.split_once('[') {
        let (label, name) = list.trim_end_matches(']').split_once('=').expect("[label=key]");
        for (index, value) in value[key].as_array().into_iter().flatten().enumerate() {
            let Some(name) = value[name].as_str() else { continue };
            walk(rest, value, (format!("{path}.{key}.{index}"), with(label, name)), found);
        }
    } else if let Some(value) = value.get(step) {
        walk(rest, value, (format!("{path}.{step}"), labels), found);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a metric is a 64-bit float by its format")]
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Bool(is) => Some(f64::from(u8::from(*is))),
        Value::Number(number) => number.as_u64().map(|n| n as f64).or_else(|| number.as_f64()),
        Value::Null | Value::String(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn all_numbers(value: &Value, path: String, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            fields
                .iter()
                .for_each(|(key, value)| all_numbers(value, format!("{path}.{key}"), found));
        }
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items.for_each(|(index, value)| all_numbers(value, format!("{path}.{index}"), found));
        }
        Value::Bool(_) | Value::Number(_) => found.push(path),
        Value::Null | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_and_names_become_labels() {
        let statistics = json!({
            "received": { "packets": 7, "octets": 700 },
            "ended": { "idle": { "records": 2 }, "end": { "records": 1 } },
            "interfaces": [{ "name": "a\"b\\c\n", "lost": 3, "captured": true }],
            "outputs": [{ "output": "json:-", "sent": { "records": 1 }, "failed": { "records": 2 } }],
            "new": 1,
        });
        let text = Metrics::of(&statistics).text();
        for line in [
            "# TYPE flowprobe_received_packets_total counter",
            "flowprobe_received_packets_total 7",
            "flowprobe_ended_records_total{reason=\"end\"} 1",
            "flowprobe_ended_records_total{reason=\"idle\"} 2",
            "flowprobe_interface_lost_packets_total{interface=\"a\\\"b\\\\c\\n\"} 3",
            "flowprobe_interface_captured{interface=\"a\\\"b\\\\c\\n\"} 1",
            "flowprobe_output_sent_records_total{output=\"json:-\"} 1",
            "flowprobe_output_not_sent_records_total{output=\"json:-\",outcome=\"failed\"} 2",
        ] {
            assert!(text.lines().any(|have| have.starts_with(line)), "{line}\n{text}");
        }
        assert!(!text.contains("outcome=\"sent\""), "{text}");
        assert_eq!(without_metric(&statistics), [".new"]);
    }

    #[test]
    fn a_name_is_used_once() {
        let mut names: Vec<_> = rows::all().map(|row| row.name).collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
