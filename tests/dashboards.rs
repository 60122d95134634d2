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
