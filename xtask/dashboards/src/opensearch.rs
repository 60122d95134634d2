//! Saved objects of OpenSearch Dashboards: classic visualizations, as Kibana 7.10 had them.

use serde_json::{Value, json};

use crate::panel::{Board, Group, Measure, Panel, Shape, Source};
use crate::{BOARDS, places};

const VERSION: &str = "7.9.3";

const INDEX_REFERENCE: &str = "kibanaSavedObjectMeta.searchSourceJSON.index";

pub(crate) fn objects() -> Vec<Value> {
    let mut objects = Vec::from([Source::Flows, Source::Alerts].map(index_pattern));
    for board in BOARDS {
        objects.extend(board.panels.iter().map(visualization));
        objects.push(dashboard(board));
    }
    objects
}

fn index_pattern(source: Source) -> Value {
    json!({
        "id": source.id(),
        "type": "index-pattern",
        "attributes": {"title": source.pattern(), "timeFieldName": source.time()},
        "references": [],
        "migrationVersion": {"index-pattern": "7.6.0"},
    })
}

fn visualization(panel: &Panel) -> Value {
    let kind = match panel.shape {
        Shape::Numbers => "metric",
        Shape::Areas => "area",
        Shape::Lines => "line",
        Shape::Bars => "histogram",
        Shape::Table => "table",
        Shape::Map => "tile_map",
    };
    let mut aggregations = Vec::new();
    for measure in panel.measures {
        let id = (aggregations.len() + 1).to_string();
        aggregations.push(measure_aggregation(&id, *measure));
    }
    for (number, group) in panel.groups.iter().enumerate() {
        let id = (aggregations.len() + 1).to_string();
        let schema = match panel.shape {
            Shape::Table => "bucket",
            _ if number == 0 => "segment",
            Shape::Numbers | Shape::Areas | Shape::Lines | Shape::Bars | Shape::Map => "group",
        };
        aggregations.push(group_aggregation(&id, schema, panel.source, *group));
    }
    let state = json!({
        "title": panel.title,
        "type": kind,
        "params": parameters(panel.shape),
        "aggs": aggregations,
    });
    let source = json!({
        "query": {"query": panel.query, "language": "lucene"},
        "filter": [],
        "indexRefName": INDEX_REFERENCE,
    });
    json!({
        "id": id(panel),
        "type": "visualization",
        "attributes": {
            "title": panel.title,
            "description": "",
            "version": 1,
            "uiStateJSON": "{}",
            "visState": state.to_string(),
            "kibanaSavedObjectMeta": {"searchSourceJSON": source.to_string()},
        },
        "references": [
            {"id": panel.source.id(), "name": INDEX_REFERENCE, "type": "index-pattern"},
        ],
        "migrationVersion": {"visualization": "7.8.0"},
    })
}

fn id(panel: &Panel) -> String {
    format!("flowprobe-{}", panel.id)
}

fn parameters(shape: Shape) -> Value {
    match shape {
        Shape::Table => json!({"perPage": 20, "showTotal": false}),
        Shape::Areas | Shape::Lines | Shape::Bars => {
            json!({"addLegend": true, "addTooltip": true, "legendPosition": "right"})
        }
        Shape::Numbers => json!({"addLegend": false, "addTooltip": true}),
        Shape::Map => json!({"mapType": "Scaled Circle Markers", "isDesaturated": true}),
    }
}

fn measure_aggregation(id: &str, measure: Measure) -> Value {
    let (kind, mut params) = match measure {
        Measure::Count => ("count", json!({})),
        Measure::Sum(field) => ("sum", json!({"field": field})),
        Measure::Distinct(field) => ("cardinality", json!({"field": field})),
        Measure::Max(field) => ("max", json!({"field": field})),
        Measure::Percentile95(field) => ("percentiles", json!({"field": field, "percents": [95]})),
        Measure::Change(field) => {
            let sum = json!({
                "id": format!("{id}-metric"),
                "enabled": true,
                "type": "sum",
                "params": {"field": field},
            });
            ("serial_diff", json!({"metricAgg": "custom", "customMetric": sum}))
        }
    };
    params["customLabel"] = json!(measure.label());
    json!({"id": id, "enabled": true, "type": kind, "schema": "metric", "params": params})
}

fn group_aggregation(id: &str, schema: &str, source: Source, group: Group) -> Value {
    let (kind, params) = match group {
        Group::Time => ("date_histogram", json!({"field": source.time(), "interval": "auto"})),
        Group::Terms(field, size) => {
            ("terms", json!({"field": field, "size": size, "order": "desc", "orderBy": "1"}))
        }
        Group::Filters(filters) => {
            let filter = |(label, query): &(&str, &str)| {
                let input = json!({"query": query, "language": "lucene"});
                json!({"label": label, "input": input})
            };
            let filters: Vec<Value> = filters.iter().map(filter).collect();
            ("filters", json!({"filters": filters}))
        }
        Group::Histogram(field, width) => {
            ("histogram", json!({"field": field, "interval": width, "min_doc_count": true}))
        }
        Group::Places(field) => {
            ("geohash_grid", json!({"field": field, "autoPrecision": true, "precision": 3}))
        }
    };
    json!({"id": id, "enabled": true, "type": kind, "schema": schema, "params": params})
}

fn dashboard(board: &Board) -> Value {
    let mut references = Vec::new();
    let mut panels = Vec::new();
    for (panel, [x, y, w, h]) in board.panels.iter().zip(places(board.panels)) {
        let name = format!("panel_{}", panels.len());
        references.push(json!({"id": id(panel), "name": name, "type": "visualization"}));
        panels.push(json!({
            "version": VERSION,
            "gridData": {"x": x, "y": y, "w": w, "h": h, "i": panel.id},
            "panelIndex": panel.id,
            "embeddableConfig": {},
            "panelRefName": name,
        }));
    }
    let source = json!({"query": {"query": "", "language": "kuery"}, "filter": []});
    json!({
        "id": format!("flowprobe-{}", board.id),
        "type": "dashboard",
        "attributes": {
            "title": board.title,
            "description": "",
            "version": 1,
            "timeRestore": false,
            "panelsJSON": Value::Array(panels).to_string(),
            "optionsJSON": json!({"useMargins": true, "hidePanelTitles": false}).to_string(),
            "kibanaSavedObjectMeta": {"searchSourceJSON": source.to_string()},
        },
        "references": references,
        "migrationVersion": {"dashboard": VERSION},
    })
}
