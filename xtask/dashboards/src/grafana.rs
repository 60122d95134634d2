//! A dashboard of Grafana over Elasticsearch or OpenSearch. Flows and incidents are two data
//! sources, which are chosen at its top.

use serde_json::{Value, json};

use crate::panel::{Board, Group, Measure, Panel, Shape, Source};
use crate::{BOARDS, HEIGHT, places};

pub(crate) fn dashboard() -> Value {
    let mut panels = Vec::new();
    let mut top = 0;
    for board in BOARDS {
        put_board(board, &mut top, &mut panels);
    }
    let data_source = |source: Source| {
        json!({
            "name": variable(source),
            "label": source.pattern(),
            "type": "datasource",
            "query": "elasticsearch",
        })
    };
    json!({
        "uid": "flowprobe-elasticsearch",
        "title": "flowprobe: flows in Elasticsearch",
        "tags": ["flowprobe"],
        "schemaVersion": 38,
        "version": 1,
        "editable": true,
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [data_source(Source::Flows), data_source(Source::Alerts)]},
        "panels": panels,
    })
}

fn variable(source: Source) -> &'static str {
    match source {
        Source::Flows => "flows",
        Source::Alerts => "alerts",
    }
}

/// A row, and its panels beneath. Grafana's grid has 24 columns.
fn put_board(board: &Board, top: &mut u32, panels: &mut Vec<Value>) {
    let mut put = |mut panel: Value| {
        panel["id"] = json!(panels.len() + 1);
        panels.push(panel);
    };
    let place = json!({"x": 0, "y": *top, "w": 24, "h": 1});
    put(json!({"type": "row", "title": board.title, "gridPos": place, "panels": []}));
    *top += 1;
    let mut bottom = 0;
    for (it, [x, y, w, h]) in board.panels.iter().zip(places(board.panels)) {
        bottom = y + HEIGHT;
        let mut panel = panel(it);
        panel["gridPos"] = json!({"x": x / 2, "y": *top + y, "w": w / 2, "h": h});
        put(panel);
    }
    *top += bottom;
}

fn panel(panel: &Panel) -> Value {
    let kind = match panel.shape {
        Shape::Numbers => "stat",
        Shape::Areas | Shape::Lines => "timeseries",
        Shape::Bars if matches!(panel.groups.first(), Some(Group::Time)) => "timeseries",
        Shape::Bars => "barchart",
        Shape::Table => "table",
        Shape::Map => "geomap",
    };
    let source =
        json!({"type": "elasticsearch", "uid": format!("${{{}}}", variable(panel.source))});
    let mut groups: Vec<(usize, &Group)> = panel.groups.iter().enumerate().collect();
    // Series of a data source have time as the innermost group.
    groups.sort_by_key(|(_, group)| matches!(group, Group::Time));
    let groups: Vec<Value> = groups.into_iter().map(|it| group(panel, it)).collect();
    // Without a group the data source would give documents.
    let groups = if groups.is_empty() { vec![group(panel, (0, &Group::Time))] } else { groups };
    let metrics: Vec<Value> = panel.measures.iter().enumerate().flat_map(metric).collect();
    let stacked = matches!(panel.shape, Shape::Areas | Shape::Bars);
    let custom = match kind {
        "timeseries" if stacked => json!({"fillOpacity": 40, "stacking": {"mode": "normal"}}),
        _ => json!({}),
    };
    json!({
        "type": kind,
        "title": panel.title,
        "datasource": source,
        "fieldConfig": {"defaults": {"custom": custom}, "overrides": []},
        "options": {},
        "targets": [{
            "refId": "A",
            "datasource": source,
            "query": panel.query,
            "timeField": panel.source.time(),
            "bucketAggs": groups,
            "metrics": metrics,
        }],
    })
}

/// The id of a measure in a target; groups have other ids.
fn id(number: usize) -> String {
    format!("{}", number + 1)
}

fn metric((number, measure): (usize, &Measure)) -> Vec<Value> {
    let id = id(number);
    let of = |kind: &str, field: &str| vec![json!({"id": id, "type": kind, "field": field})];
    match measure {
        Measure::Count => vec![json!({"id": id, "type": "count"})],
        Measure::Sum(field) => of("sum", field),
        Measure::Distinct(field) => of("cardinality", field),
        Measure::Max(field) => of("max", field),
        Measure::Percentile95(field) => {
            let settings = json!({"percents": ["95"]});
            vec![json!({"id": id, "type": "percentiles", "field": field, "settings": settings})]
        }
        Measure::Change(field) => {
            let sum = format!("{id}-sum");
            let settings = json!({"lag": "1"});
            vec![
                json!({"id": sum, "type": "sum", "field": field, "hide": true}),
                json!({"id": id, "type": "serial_diff", "field": sum, "settings": settings}),
            ]
        }
    }
}

fn group(panel: &Panel, (number, group): (usize, &Group)) -> Value {
    let id = format!("g{}", number + 1);
    match group {
        Group::Time => json!({
            "id": id,
            "type": "date_histogram",
            "field": panel.source.time(),
            "settings": {"interval": "auto", "min_doc_count": "0"},
        }),
        Group::Terms(field, size) => {
            let order = if matches!(panel.measures[0], Measure::Count) { "_count" } else { "1" };
            let settings = json!({"size": size.to_string(), "order": "desc", "orderBy": order});
            json!({"id": id, "type": "terms", "field": field, "settings": settings})
        }
        Group::Filters(filters) => {
            let filter = |(label, query): &(&str, &str)| json!({"label": label, "query": query});
            let filters: Vec<Value> = filters.iter().map(filter).collect();
            json!({"id": id, "type": "filters", "settings": {"filters": filters}})
        }
        Group::Histogram(field, width) => {
            let settings = json!({"interval": width.to_string(), "min_doc_count": "1"});
            json!({"id": id, "type": "histogram", "field": field, "settings": settings})
        }
        Group::Places(field) => {
            let settings = json!({"precision": "3"});
            json!({"id": id, "type": "geohash_grid", "field": field, "settings": settings})
        }
    }
}
