//! The dashboards in deploy/ are those of the description, whole, and of fields that there are.

mod support;

use std::collections::BTreeSet;
use std::fs;

use dashboards::{BOARDS, Source, files};
use serde_json::Value;

#[test]
fn files_are_those_of_the_description() {
    for (path, content) in files() {
        let there = fs::read_to_string(support::root().join(path)).unwrap();
        assert!(there == content, "{path} is not what `cargo xtask dashboards` writes");
    }
}

#[test]
fn panels_have_names_of_their_own() {
    let panels = || BOARDS.iter().flat_map(|board| board.panels);
    let names: BTreeSet<_> = panels().map(|panel| panel.id).collect();
    assert_eq!(names.len(), panels().count());
}

/// The field of a mapping, if it has a type.
fn has_field(template: &Value, name: &str) -> bool {
    let parts: Vec<_> = name.split('.').collect();
    let place = format!("/template/mappings/properties/{}/type", parts.join("/properties/"));
    template.pointer(&place).is_some_and(Value::is_string)
}

#[test]
fn each_field_of_a_panel_has_a_type_in_the_template() {
    let (flows, alerts) = (exporter::index_template(), exporter::alert_template());
    for panel in BOARDS.iter().flat_map(|board| board.panels) {
        let template = if panel.source == Source::Flows { &flows } else { &alerts };
        let fields = panel.fields();
        assert!(!fields.is_empty());
        for field in fields {
            assert!(has_field(template, field), "{}: {field}", panel.id);
        }
    }
}

/// Each saved object has an id of its own, and refers to objects of the same file.
#[test]
fn references_of_saved_objects_are_complete() {
    for (path, content) in files().into_iter().filter(|(path, _)| path.ends_with("ndjson")) {
        let objects: Vec<Value> =
            content.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let name = |it: &Value| (it["type"].to_string(), it["id"].to_string());
        let known: BTreeSet<_> = objects.iter().map(name).collect();
        assert_eq!(known.len(), objects.len(), "{path}");
        for object in &objects {
            for reference in object["references"].as_array().unwrap() {
                assert!(known.contains(&name(reference)), "{path}: {reference}");
            }
            check_panels(object);
        }
    }
}

/// Each panel of a dashboard has the reference that it names, and its place.
fn check_panels(object: &Value) {
    let Some(panels) = object["attributes"]["panelsJSON"].as_str() else { return };
    let panels: Vec<Value> = serde_json::from_str(panels).unwrap();
    let references = object["references"].as_array().unwrap();
    assert!(panels.len() > 5 && panels.len() == references.len());
    for (panel, reference) in panels.iter().zip(references) {
        let name = reference["name"].as_str().unwrap();
        let id = panel["panelIndex"].as_str().unwrap();
        assert_eq!(panel["gridData"]["i"], id);
        let has_it = panel["panelRefName"] == name || name.starts_with(&format!("{id}:"));
        assert!(has_it, "{id}: {name}");
    }
}

/// JSON in a string, which all exports have.
#[track_caller]
fn inner(text: &Value) -> Value {
    serde_json::from_str(text.as_str().expect("JSON in a string")).expect("JSON")
}

/// The names of the members, in the order of the alphabet.
fn keys(object: &Value) -> Vec<&str> {
    let mut keys: Vec<_> =
        object.as_object().expect("an object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

/// As Kibana 8.7 and OpenSearch Dashboards export saved objects: the members of each, and JSON in
/// strings where they have it.
#[test]
fn saved_objects_have_the_published_form() {
    for (path, content) in files().into_iter().filter(|(path, _)| path.ends_with("ndjson")) {
        let is_kibana = path.ends_with("kibana.ndjson");
        assert!(content.ends_with("}\n"), "{path}");
        for line in content.lines() {
            let object: Value = serde_json::from_str(line).unwrap();
            let kind = object["type"].as_str().unwrap();
            let members = keys(&object);
            let versions = if is_kibana {
                vec!["coreMigrationVersion", "typeMigrationVersion"]
            } else {
                assert!(object["migrationVersion"][kind].is_string(), "{line}");
                vec!["migrationVersion"]
            };
            let mut expected = [vec!["attributes", "id", "references", "type"], versions].concat();
            expected.sort_unstable();
            assert_eq!(members, expected, "{line}");
            for reference in object["references"].as_array().unwrap() {
                assert_eq!(keys(reference), ["id", "name", "type"], "{reference}");
            }
            let attributes = &object["attributes"];
            assert!(attributes["title"].is_string(), "{line}");
            match kind {
                "index-pattern" => assert!(attributes["timeFieldName"].is_string(), "{line}"),
                "visualization" => check_visualization(attributes),
                "dashboard" => {
                    check_search_source(attributes);
                    inner(&attributes["optionsJSON"]);
                    let panels = inner(&attributes["panelsJSON"]);
                    let panels = panels.as_array().unwrap().iter();
                    panels.filter(|panel| panel["type"] == "lens").for_each(check_lens);
                }
                other => panic!("{path} has a {other}"),
            }
        }
    }
}

fn check_search_source(attributes: &Value) {
    let source = inner(&attributes["kibanaSavedObjectMeta"]["searchSourceJSON"]);
    assert!(source["query"]["query"].is_string() && source["filter"].is_array(), "{source}");
}

/// Aggregations have numbers of their own, and one of them is measured.
fn check_visualization(attributes: &Value) {
    check_search_source(attributes);
    inner(&attributes["uiStateJSON"]);
    let state = inner(&attributes["visState"]);
    assert_eq!(state["title"], attributes["title"]);
    assert!(state["type"].is_string() && state["params"].is_object(), "{state}");
    let aggregations = state["aggs"].as_array().unwrap();
    let ids: BTreeSet<_> = aggregations.iter().map(|it| it["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), aggregations.len(), "{state}");
    assert!(aggregations.iter().any(|it| it["schema"] == "metric"), "{state}");
}

/// What a Lens panel draws are columns of its layer, whose data view is one of its references.
fn check_lens(panel: &Value) {
    let attributes = &panel["embeddableConfig"]["attributes"];
    let state = &attributes["state"];
    assert!(attributes["visualizationType"].is_string(), "{panel}");
    assert!(state["filters"].is_array() && state["query"]["query"].is_string(), "{panel}");
    let layers = state["datasourceStates"]["formBased"]["layers"].as_object().unwrap();
    let references = attributes["references"].as_array().unwrap();
    let mut columns = BTreeSet::new();
    for (layer, content) in layers {
        let name = format!("indexpattern-datasource-layer-{layer}");
        assert!(references.iter().any(|reference| reference["name"] == name.as_str()), "{panel}");
        let order = content["columnOrder"].as_array().unwrap().iter();
        let order: BTreeSet<_> = order.map(|column| column.as_str().unwrap()).collect();
        assert!(order.iter().copied().eq(keys(&content["columns"])), "{panel}");
        columns.extend(order);
    }
    let mut drawn = BTreeSet::new();
    columns_in(&state["visualization"], &mut drawn);
    assert!(!drawn.is_empty() && drawn.is_subset(&columns), "{panel}: {drawn:?}");
}

/// The columns that a visualization names: strings in members that are about columns.
fn columns_in<'a>(of: &'a Value, found: &mut BTreeSet<&'a str>) {
    for (name, value) in of.as_object().into_iter().flatten() {
        let lower = name.to_ascii_lowercase();
        let is_of_columns = lower.ends_with("accessor")
            || lower.ends_with("accessors")
            || matches!(name.as_str(), "columnId" | "metrics" | "primaryGroups");
        match value {
            Value::String(text) if is_of_columns => drop(found.insert(text)),
            Value::Array(list) => {
                for item in list {
                    match item.as_str() {
                        Some(text) if is_of_columns => drop(found.insert(text)),
                        _ => columns_in(item, found),
                    }
                }
            }
            other => columns_in(other, found),
        }
    }
}
