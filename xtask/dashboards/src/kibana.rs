//! Saved objects of Kibana 8.7 and later: data views, and dashboards with panels of Lens by value.

use serde_json::{Map, Value, json};

use crate::panel::{Board, Group, Measure, Panel, Shape, Source};
use crate::{BOARDS, places};

const VERSION: &str = "8.7.0";

pub(crate) fn objects() -> Vec<Value> {
    let views = [Source::Flows, Source::Alerts].map(data_view);
    views.into_iter().chain(BOARDS.iter().map(dashboard)).collect()
}

fn data_view(source: Source) -> Value {
    json!({
        "id": source.id(),
        "type": "index-pattern",
        "attributes": {
            "title": source.pattern(),
            "name": source.id(),
            "timeFieldName": source.time(),
        },
        "references": [],
        "coreMigrationVersion": VERSION,
        "typeMigrationVersion": "8.0.0",
    })
}

fn dashboard(board: &Board) -> Value {
    let mut references = Vec::new();
    let mut panels = Vec::new();
    for (panel, [x, y, w, h]) in board.panels.iter().zip(places(board.panels)) {
        let reference = if panel.shape == Shape::Map { MAP_REFERENCE } else { LENS_REFERENCE };
        references.push(json!({
            "id": panel.source.id(),
            "name": format!("{}:{reference}", panel.id),
            "type": "index-pattern",
        }));
        let (kind, attributes) =
            if panel.shape == Shape::Map { ("map", map(panel)) } else { ("lens", lens(panel)) };
        panels.push(json!({
            "version": VERSION,
            "type": kind,
            "gridData": {"x": x, "y": y, "w": w, "h": h, "i": panel.id},
            "panelIndex": panel.id,
            "title": panel.title,
            "embeddableConfig": {"attributes": attributes, "enhancements": {}},
        }));
    }
    let options = json!({"useMargins": true, "syncColors": true, "hidePanelTitles": false});
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
            "optionsJSON": options.to_string(),
            "kibanaSavedObjectMeta": {"searchSourceJSON": source.to_string()},
        },
        "references": references,
        "coreMigrationVersion": VERSION,
        "typeMigrationVersion": VERSION,
    })
}

const LENS_REFERENCE: &str = "indexpattern-datasource-layer-layer1";
const MAP_REFERENCE: &str = "layer_1_source_index_pattern";

fn lens(panel: &Panel) -> Value {
    let mut columns = Columns::default();
    let buckets: Vec<String> =
        panel.groups.iter().map(|group| columns.put(group_column(panel, *group))).collect();
    let metrics: Vec<String> =
        panel.measures.iter().map(|measure| columns.put_measure(*measure)).collect();
    let (kind, visualization) = visualization(panel, &buckets, &metrics);
    json!({
        "title": "",
        "type": "lens",
        "visualizationType": kind,
        "references": [
            {"id": panel.source.id(), "name": LENS_REFERENCE, "type": "index-pattern"},
        ],
        "state": {
            "visualization": visualization,
            "query": {"query": panel.query, "language": "lucene"},
            "filters": [],
            "internalReferences": [],
            "adHocDataViews": {},
            "datasourceStates": {"formBased": {"layers": {"layer1": {
                "columns": columns.columns,
                "columnOrder": columns.order,
                "incompleteColumns": {},
            }}}},
        },
    })
}

#[derive(Default)]
struct Columns {
    columns: Map<String, Value>,
    order: Vec<String>,
}

impl Columns {
    /// Gives its id.
    fn put(&mut self, column: Value) -> String {
        let id = format!("c{}", self.order.len());
        self.columns.insert(id.clone(), column);
        self.order.push(id.clone());
        id
    }

    fn put_measure(&mut self, measure: Measure) -> String {
        let column = |operation: &str, field: &str| {
            json!({
                "label": measure.label(),
                "customLabel": true,
                "dataType": "number",
                "operationType": operation,
                "sourceField": field,
                "isBucketed": false,
                "scale": "ratio",
                "params": {},
            })
        };
        let mut column = match measure {
            Measure::Count => column("count", "___records___"),
            Measure::Sum(field) => column("sum", field),
            Measure::Distinct(field) => column("unique_count", field),
            Measure::Max(field) => column("max", field),
            Measure::Percentile95(field) => column("percentile", field),
            Measure::Change(field) => {
                let sum = self.put(column("sum", field));
                let mut change = column("differences", field);
                change.as_object_mut().expect("a column").remove("sourceField");
                change["references"] = json!([sum]);
                change
            }
        };
        match measure {
            Measure::Percentile95(_) => column["params"] = json!({"percentile": 95}),
            Measure::Max("event.end" | "@timestamp") => column["dataType"] = json!("date"),
            Measure::Count
            | Measure::Sum(_)
            | Measure::Distinct(_)
            | Measure::Max(_)
            | Measure::Change(_) => {}
        }
        self.put(column)
    }
}

fn group_column(panel: &Panel, group: Group) -> Value {
    let column = |operation: &str, label: &str, kind: &str, scale: &str, params: Value| {
        json!({
            "label": label,
            "customLabel": true,
            "dataType": kind,
            "operationType": operation,
            "isBucketed": true,
            "scale": scale,
            "params": params,
        })
    };
    let with_field = |mut column: Value, field: &str| {
        column["sourceField"] = json!(field);
        column
    };
    match group {
        Group::Time => {
            let field = panel.source.time();
            let params = json!({"interval": "auto", "includeEmptyRows": true});
            with_field(column("date_histogram", field, "date", "interval", params), field)
        }
        Group::Terms(field, size) => {
            let first = panel.groups.len() + usize::from(is_change(panel));
            let params = json!({
                "size": size,
                "orderBy": {"type": "column", "columnId": format!("c{first}")},
                "orderDirection": "desc",
                "otherBucket": false,
                "missingBucket": false,
                "parentFormat": {"id": "terms"},
            });
            with_field(column("terms", field, data_type(field), "ordinal", params), field)
        }
        Group::Filters(filters) => {
            let filters: Vec<Value> = filters
                .iter()
                .map(|(label, query)| {
                    json!({"label": label, "input": {"query": query, "language": "lucene"}})
                })
                .collect();
            column("filters", "kind", "string", "ordinal", json!({"filters": filters}))
        }
        Group::Histogram(field, _) => {
            let ranges = json!([{"from": 0, "to": 1000, "label": ""}]);
            let params = json!({"type": "histogram", "ranges": ranges, "maxBars": "auto"});
            with_field(column("range", field, "number", "interval", params), field)
        }
        Group::Places(_) => unreachable!("places are on a map"),
    }
}

fn is_change(panel: &Panel) -> bool {
    matches!(panel.measures.first(), Some(Measure::Change(_)))
}

/// Of values that documents are grouped by.
fn data_type(field: &str) -> &'static str {
    const NUMBERS: [&str; 6] = ["port", "bits", "interface", "reason", "severity", "number"];
    match field.rsplit(['.', '_']).next() {
        Some("ip") => "ip",
        Some(last) if NUMBERS.contains(&last) && field != "event.reason" => "number",
        _ => "string",
    }
}

/// The type of a visualization, and its state.
fn visualization(panel: &Panel, buckets: &[String], metrics: &[String]) -> (&'static str, Value) {
    let series = match panel.shape {
        Shape::Areas => "area_stacked",
        Shape::Lines => "line",
        Shape::Bars => "bar_stacked",
        Shape::Numbers | Shape::Table | Shape::Map => {
            let columns: Vec<Value> =
                buckets.iter().chain(metrics).map(|id| json!({"columnId": id})).collect();
            let state = json!({"layerId": "layer1", "layerType": "data", "columns": columns});
            return ("lnsDatatable", state);
        }
    };
    let mut layer = json!({
        "layerId": "layer1",
        "layerType": "data",
        "seriesType": series,
        "xAccessor": buckets.first(),
        "accessors": metrics,
        "position": "top",
        "showGridlines": false,
    });
    if let Some(split) = buckets.get(1) {
        layer["splitAccessor"] = json!(split);
    }
    let state = json!({
        "legend": {"isVisible": true, "position": "right"},
        "valueLabels": "hide",
        "preferredSeriesType": series,
        "layers": [layer],
    });
    ("lnsXY", state)
}

/// Circles on a grid, as large as what is measured.
fn map(panel: &Panel) -> Value {
    let (Some(Group::Places(field)), Some(Measure::Sum(measured))) =
        (panel.groups.first(), panel.measures.first())
    else {
        unreachable!("a map has places and a sum");
    };
    let base = json!({
        "id": "base",
        "type": "EMS_VECTOR_TILE",
        "sourceDescriptor": {"type": "EMS_TMS", "isAutoSelect": true},
        "style": {"type": "EMS_VECTOR_TILE"},
        "visible": true,
    });
    let size = json!({
        "type": "DYNAMIC",
        "options": {
            "minSize": 4,
            "maxSize": 32,
            "field": {"name": format!("sum_of_{measured}"), "origin": "source"},
        },
    });
    let layer = json!({
        "id": "places",
        "type": "GEOJSON_VECTOR",
        "label": panel.title,
        "visible": true,
        "sourceDescriptor": {
            "type": "ES_GEO_GRID",
            "id": "places-source",
            "geoField": field,
            "requestType": "point",
            "resolution": "COARSE",
            "metrics": [{"type": "sum", "field": measured}],
            "applyGlobalQuery": true,
            "applyGlobalTime": true,
            "indexPatternRefName": MAP_REFERENCE,
        },
        "style": {"type": "VECTOR", "properties": {"iconSize": size}},
    });
    json!({
        "title": "",
        "description": "",
        "layerListJSON": json!([base, layer]).to_string(),
        "mapStateJSON": json!({"zoom": 1.2, "center": {"lon": 0, "lat": 20}}).to_string(),
        "uiStateJSON": "{}",
        "references": [
            {"id": panel.source.id(), "name": MAP_REFERENCE, "type": "index-pattern"},
        ],
    })
}
