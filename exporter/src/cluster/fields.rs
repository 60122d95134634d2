//! Fields of indexes, compared with those of the templates.

use serde_json::Value;

use super::request::{Method, Problem, Request};
use super::{Finding, Node};

/// The subject of findings about a data stream or an index.
const SUBJECT: &str = "index";

/// Number of fields that a finding names.
const NAMED: usize = 3;

/// A data stream or an index.
pub(super) struct Place {
    pub(super) name: String,
    /// The index of a data stream that takes documents; `None`: no data stream.
    write_index: Option<String>,
}

impl Place {
    pub(super) fn is_stream(&self) -> bool {
        self.write_index.is_some()
    }

    fn index(&self) -> &str {
        self.write_index.as_ref().unwrap_or(&self.name)
    }

    /// A finding about an index that has the name of a data stream.
    pub(super) fn no_stream(&self, outdated: &[String], template: &Value) -> Finding {
        let name = &self.name;
        let mut text = format!("{name} is an index and no data stream, without rollover");
        if !outdated.is_empty() {
            text += &format!(", and {}", without_type(outdated, template));
        }
        Finding::warn(SUBJECT, text).remedy(format!(
            "copy its documents into another index by POST /_reindex, then DELETE /{name}: \
             flowprobe creates the data stream by its next document"
        ))
    }

    /// A finding about an index that takes documents and has other fields than a new one would.
    /// `setup` is the command that sets the cluster up.
    pub(super) fn outdated(&self, outdated: &[String], template: &Value, setup: &str) -> Finding {
        let text = format!(
            "{}, which takes documents: {}",
            self.index(),
            without_type(outdated, template)
        );
        let remedy = if self.is_stream() {
            format!("{setup} begins a new index; this one keeps its fields")
        } else {
            format!(
                "copy its documents into another index by POST /_reindex, then DELETE /{}: an \
                 index keeps its fields",
                self.name
            )
        };
        Finding::warn(SUBJECT, text).remedy(remedy)
    }
}

/// The number of fields of a template that have no type of it, and some names.
pub(super) fn without_type(fields: &[String], template: &Value) -> String {
    let some = fields.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    let (count, all) = (fields.len(), count(template));
    format!("{count} of {all} fields have no type or another one: {some}")
}

impl Node<'_> {
    /// The data streams, indexes and aliases of a name or a pattern.
    pub(super) fn places(&self, pattern: &str) -> Result<Vec<Place>, Problem> {
        let reply = self.get(&format!("/_resolve/index/{pattern}"))?;
        if reply.status == 404 || reply.is_unknown() {
            return Ok(Vec::new());
        }
        let body = reply.done()?;
        let list = |kind: &str| body[kind].as_array().into_iter().flatten();
        let name = |place: &Value| place["name"].as_str().map(str::to_owned);
        let streams = list("data_streams").filter_map(|stream| {
            // The newest is the last.
            let write_index = stream["backing_indices"].as_array()?.last()?.as_str()?.to_owned();
            Some(Place { name: name(stream)?, write_index: Some(write_index) })
        });
        let indices = list("indices").filter(|index| index["data_stream"].is_null());
        let others = indices.chain(list("aliases"));
        let others =
            others.filter_map(|place| Some(Place { name: name(place)?, write_index: None }));
        Ok(streams.chain(others).collect())
    }

    /// Fields of a template that a new index would not have with their types.
    pub(super) fn missing(&self, name: &str, template: &Value) -> Result<Vec<String>, Problem> {
        let simulate = |name: &str| {
            let path = format!("/_index_template/_simulate_index/{name}");
            self.send(&Request::new(Method::Post, path))?.done()
        };
        let simulated = match simulate(name) {
            // OpenSearch simulates no name that a data stream has.
            Err(problem) if problem.text.contains("conflicts with") => {
                simulate(&format!("{name}.new"))?
            }
            simulated => simulated?,
        };
        Ok(wrong(&simulated["template"]["mappings"], template))
    }

    /// Fields of a template that a new index would have with their types, and that the index which
    /// takes documents does not have so.
    pub(super) fn outdated(&self, place: &Place, template: &Value) -> Result<Vec<String>, Problem> {
        let mappings = self.get(&format!("/{}/_mapping", place.index()))?.done()?;
        let mapping = mappings.as_object().and_then(|indices| indices.values().next_back());
        let Some(mapping) = mapping else { return Ok(Vec::new()) };
        let mut outdated = wrong(&mapping["mappings"], template);
        if !outdated.is_empty() {
            let missing = self.missing(&place.name, template)?;
            outdated.retain(|field| !missing.contains(field));
        }
        Ok(outdated)
    }
}

/// The fields of a template.
pub(super) fn count(template: &Value) -> usize {
    types(&template["template"]["mappings"]).len()
}

/// Fields of a template that have no type or another one in a mapping.
fn wrong(mapping: &Value, template: &Value) -> Vec<String> {
    let found = types(mapping);
    let is_there = |name: &str, kind: &str| {
        found.iter().any(|(other, known)| other == name && is_like(known, kind))
    };
    let wanted = types(&template["template"]["mappings"]).into_iter();
    wanted.filter(|(name, kind)| !is_there(name, kind)).map(|(name, _)| name).collect()
}

/// True if the known type holds the values of the wanted one.
fn is_like(known: &str, wanted: &str) -> bool {
    known == wanted
        || matches!((known, wanted), ("keyword", "constant_keyword"))
        || matches!((known, wanted), ("long", "short" | "integer") | ("integer", "short"))
}

/// The fields of a mapping with their types.
fn types(mapping: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    put_types("", mapping, &mut found);
    found
}

fn put_types(prefix: &str, mapping: &Value, found: &mut Vec<(String, String)>) {
    for (name, field) in mapping["properties"].as_object().into_iter().flatten() {
        let name = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match field["type"].as_str() {
            Some(kind) => found.push((name, kind.to_owned())),
            None => put_types(&name, field, found),
        }
    }
}
