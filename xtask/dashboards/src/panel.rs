//! A panel: which documents, how they are grouped, what is measured, how it is drawn.

use serde_json::{Map, Value, json};

/// A dashboard.
#[derive(Debug)]
pub struct Board {
    /// In the ids of saved objects.
    pub id: &'static str,
    /// For people.
    pub title: &'static str,
    /// From the top.
    pub panels: &'static [Panel],
}

/// A panel.
#[derive(Debug)]
pub struct Panel {
    /// Unique.
    pub id: &'static str,
    /// For people.
    pub title: &'static str,
    /// Which documents.
    pub source: Source,
    /// Which of them, in the query language of Lucene; all if empty.
    pub query: &'static str,
    /// The outer one first.
    pub groups: &'static [Group],
    /// The first one gives the order of groups.
    pub measures: &'static [Measure],
    /// How it is drawn.
    pub shape: Shape,
}

/// Data streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Flows.
    Flows,
    /// Incidents, as they open, change and close.
    Alerts,
}

/// How a panel is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Numbers.
    Numbers,
    /// Over time, stacked.
    Areas,
    /// Over time.
    Lines,
    /// Bars.
    Bars,
    /// Rows.
    Table,
    /// Places.
    Map,
}

/// How documents are grouped.
#[derive(Clone, Copy, Debug)]
pub enum Group {
    /// By time, of the source's field.
    Time,
    /// By the values of a field: so many that are first.
    Terms(&'static str, u32),
    /// By queries, each with a name.
    Filters(&'static [(&'static str, &'static str)]),
    /// By numbers: a field and the width of a group.
    Histogram(&'static str, u32),
    /// By places.
    Places(&'static str),
}

/// What is measured of a group.
#[derive(Clone, Copy, Debug)]
pub enum Measure {
    /// Documents.
    Count,
    /// The sum of a field.
    Sum(&'static str),
    /// Different values of a field.
    Distinct(&'static str),
    /// The largest value of a field.
    Max(&'static str),
    /// The 95th percentile of a field.
    Percentile95(&'static str),
    /// How much the sum of a field differs from that of the time before.
    Change(&'static str),
}

impl Source {
    /// The pattern of its data streams.
    pub fn pattern(self) -> &'static str {
        match self {
            Self::Flows => "logs-netflow.log-*",
            Self::Alerts => "logs-flowprobe.alert-*",
        }
    }

    /// The field by which time is chosen.
    pub fn time(self) -> &'static str {
        match self {
            Self::Flows => "event.end",
            Self::Alerts => "@timestamp",
        }
    }

    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::Flows => "flowprobe-flows",
            Self::Alerts => "flowprobe-alerts",
        }
    }
}

impl Measure {
    pub(crate) fn field(self) -> Option<&'static str> {
        match self {
            Self::Count => None,
            Self::Sum(field)
            | Self::Distinct(field)
            | Self::Max(field)
            | Self::Percentile95(field)
            | Self::Change(field) => Some(field),
        }
    }

    pub(crate) fn label(self) -> String {
        match self {
            Self::Count => "documents".to_owned(),
            Self::Sum(field) => field.to_owned(),
            Self::Distinct(field) => format!("different {field}"),
            Self::Max(field) => format!("largest {field}"),
            Self::Percentile95(field) => format!("95th percentile of {field}"),
            Self::Change(field) => format!("change of {field}"),
        }
    }

    /// The aggregation, where documents are not just counted.
    fn aggregation(self) -> Option<Value> {
        let of = |name: &str, field: &str| Some(json!({name: {"field": field}}));
        match self {
            Self::Count => None,
            Self::Sum(field) => of("sum", field),
            Self::Distinct(field) => of("cardinality", field),
            Self::Max(field) => of("max", field),
            Self::Percentile95(field) => {
                Some(json!({"percentiles": {"field": field, "percents": [95]}}))
            }
            Self::Change(_) => Some(json!({"serial_diff": {"buckets_path": "sum", "lag": 1}})),
        }
    }
}

impl Panel {
    /// The names of all fields, those of queries too.
    pub fn fields(&self) -> Vec<&'static str> {
        let mut fields = vec![self.source.time()];
        fields.extend(self.measures.iter().filter_map(|measure| measure.field()));
        fields.extend(fields_of(self.query));
        for group in self.groups {
            match group {
                Group::Time => {}
                Group::Terms(field, _) | Group::Histogram(field, _) | Group::Places(field) => {
                    fields.push(field);
                }
                Group::Filters(filters) => {
                    fields.extend(filters.iter().flat_map(|(_, query)| fields_of(query)));
                }
            }
        }
        fields
    }

    /// The body of the search by which a program that draws this panel gets its numbers. Groups are
    /// named `group`, measures `m0`, `m1` and so on.
    pub fn search(&self) -> Value {
        let mut inner = Map::new();
        for (number, measure) in (0..).zip(self.measures) {
            if let Measure::Change(field) = measure {
                inner.insert("sum".to_owned(), json!({"sum": {"field": field}}));
            }
            if let Some(aggregation) = measure.aggregation() {
                inner.insert(format!("m{number}"), aggregation);
            }
        }
        for group in self.groups.iter().rev() {
            let mut body = self.aggregation(*group);
            let order = inner.clone();
            if !inner.is_empty() {
                body["aggs"] = Value::Object(inner);
            }
            if let Some(terms) = body.get_mut("terms")
                && order.contains_key("m0")
            {
                terms["order"] = json!({"m0": "desc"});
            }
            inner = Map::from_iter([("group".to_owned(), body)]);
            // An outer group is in the order of the same measure.
            if let Some(measure) = order.get("m0") {
                inner.insert("m0".to_owned(), measure.clone());
            }
        }
        if matches!(self.groups.first(), Some(Group::Time)) {
            inner.remove("m0");
        }
        let query = if self.query.is_empty() { "*" } else { self.query };
        json!({"size": 0, "query": {"query_string": {"query": query}}, "aggs": inner})
    }

    fn aggregation(&self, group: Group) -> Value {
        match group {
            Group::Time => {
                let field = self.source.time();
                json!({"date_histogram": {"field": field, "fixed_interval": "10s"}})
            }
            Group::Terms(field, size) => json!({"terms": {"field": field, "size": size}}),
            Group::Filters(filters) => {
                let filter = |(name, query): &(&str, &str)| {
                    ((*name).to_owned(), json!({"query_string": {"query": query}}))
                };
                let filters: Map<_, _> = filters.iter().map(filter).collect();
                json!({"filters": {"filters": filters}})
            }
            Group::Histogram(field, width) => {
                json!({"histogram": {"field": field, "interval": width, "min_doc_count": 1}})
            }
            Group::Places(field) => json!({"geohash_grid": {"field": field, "precision": 3}}),
        }
    }
}

/// The names of fields in a query: words that a colon follows.
fn fields_of(query: &'static str) -> impl Iterator<Item = &'static str> {
    query.split([' ', '(', ')']).filter_map(|word| Some(word.split_once(':')?.0))
}
