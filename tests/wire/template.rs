//! The index template: it stands in the repository, and has each field that documents have.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::support;

const FILE: &str = "deploy/elastic/index-template.json";

/// The names of all fields of a document.
fn fields(prefix: &str, value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                fields(&name, value, found);
            }
        }
        _ => {
            found.insert(prefix.to_owned());
        }
    }
}

/// The names of all fields of a mapping.
fn mapped(prefix: &str, properties: &Value, found: &mut BTreeSet<String>) {
    for (key, field) in properties.as_object().expect("properties are an object") {
        let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match field.get("properties") {
            Some(inner) => mapped(&name, inner, found),
            None => assert!(field["type"].is_string() && found.insert(name.clone()), "{name}"),
        }
    }
}

#[test]
fn template_in_the_repository_is_that_of_the_program() {
    let path = support::root().join(FILE);
    let template = format!("{:#}\n", exporter::index_template());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &template).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap_or_default(), template, "{FILE}");
}

#[test]
fn template_has_each_field_of_documents() {
    let sample = support::office();
    let run = support::run(["-r", sample.to_str().unwrap(), "-o", "json:-", "--sample", "1:2"]);
    let mut used = BTreeSet::new();
    run.documents().iter().for_each(|document| fields("", document, &mut used));
    let mut known = BTreeSet::new();
    mapped("", &exporter::index_template()["template"]["mappings"]["properties"], &mut known);
    let unknown: Vec<_> = used.difference(&known).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    assert!(used.len() > 50, "{used:?}");
}
