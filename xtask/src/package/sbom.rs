//! The bill of materials: each library in the program, in the form of CycloneDX 1.5.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result};
use commands::{cargo, root};
use serde_json::{Value, json};

use super::{VERSION, printed};

/// The libraries of a package of the workspace, as JSON. Tools that build it, and what only tests
/// need, are not in it.
pub(super) fn of(package: &str, features: Option<&str>) -> Result<Vec<u8>> {
    let mut command = cargo();
    command.args(["metadata", "--format-version", "1", "--locked"]);
    command.arg("--filter-platform").arg(platform()?);
    if let Some(features) = features {
        command.args(["--manifest-path", "probe/Cargo.toml", "--features", features]);
    }
    let metadata: Value = serde_json::from_str(&printed(&mut command)?)?;
    let lock = fs::read_to_string(root().join("Cargo.lock")).context("reading Cargo.lock")?;
    let document = document(package, &metadata, &checksums(&lock))?;
    Ok((serde_json::to_string_pretty(&document)? + "\n").into_bytes())
}

/// What the program is built for.
fn platform() -> Result<String> {
    let mut rustc = std::process::Command::new("rustc");
    let said = printed(rustc.arg("-vV").current_dir(root()))?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc says no host")?.to_owned())
}

fn document(
    package: &str,
    metadata: &Value,
    checksums: &BTreeMap<(String, String), String>,
) -> Result<Value> {
    let packages = by_id(&metadata["packages"]);
    let nodes = by_id(&metadata["resolve"]["nodes"]);
    let mut ids = packages.iter().filter(|(_, it)| it["name"] == package);
    let (&top, _) = ids.next().with_context(|| format!("no package {package}"))?;
    let (mut known, mut next) = (BTreeSet::from([top]), vec![top]);
    let mut dependencies = Vec::new();
    while let Some(id) = next.pop() {
        let needs: BTreeSet<&str> = nodes.get(id).map(|node| needs(node)).unwrap_or_default();
        let reference = |id: &str| packages.get(id).map(|it| url(it));
        let on: Vec<_> = needs.iter().filter_map(|id| reference(id)).collect();
        dependencies.push(json!({ "ref": reference(id), "dependsOn": on }));
        next.extend(needs.into_iter().filter(|id| known.insert(id)));
    }
    dependencies.sort_by_key(|it| it["ref"].to_string());
    let others = known.iter().filter(|id| **id != top).filter_map(|id| packages.get(id));
    let mut components: Vec<_> = others.map(|it| component(it, checksums)).collect();
    components.sort_by_key(|it| it["bom-ref"].to_string());
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": { "component": {
            "type": "application",
            "bom-ref": packages.get(top).map(|it| url(it)),
            "name": "flowprobe",
            "version": VERSION,
            "licenses": [{ "expression": "MIT OR Apache-2.0" }],
        } },
        "components": components,
        "dependencies": dependencies,
    }))
}

/// The elements of a list by their `id`.
fn by_id(list: &Value) -> BTreeMap<&str, &Value> {
    let elements = list.as_array().into_iter().flatten();
    elements.filter_map(|it| Some((it["id"].as_str()?, it))).collect()
}

/// What is linked into a package, or makes code of it.
fn needs(node: &Value) -> BTreeSet<&str> {
    let deps = node["deps"].as_array().into_iter().flatten();
    let is_linked = |dep: &&Value| {
        let mut kinds = dep["dep_kinds"].as_array().into_iter().flatten();
        kinds.any(|kind| kind["kind"].is_null())
    };
    deps.filter(is_linked).filter_map(|dep| dep["pkg"].as_str()).collect()
}

fn url(package: &Value) -> String {
    format!("pkg:cargo/{}@{}", text(&package["name"]), text(&package["version"]))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn component(package: &Value, checksums: &BTreeMap<(String, String), String>) -> Value {
    let (name, version) = (text(&package["name"]), text(&package["version"]));
    let mut component = json!({
        "type": "library",
        "bom-ref": url(package),
        "name": name,
        "version": version,
        "purl": url(package),
    });
    if let Some(license) = package["license"].as_str() {
        // A form before that of SPDX.
        let expression = license.replace('/', " OR ");
        component["licenses"] = json!([{ "expression": expression }]);
    }
    if let Some(checksum) = checksums.get(&(name.to_owned(), version.to_owned())) {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
    }
    component
}

/// The checksums of the packages of a `Cargo.lock`, by name and version.
fn checksums(lock: &str) -> BTreeMap<(String, String), String> {
    let blocks = lock.split("[[package]]");
    let value = |block: &str, name: &str| {
        let mut lines = block.lines();
        let rest = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "))?;
        Some(rest.trim_matches('"').to_owned())
    };
    let of_block = |block| {
        let key = (value(block, "name")?, value(block, "version")?);
        Some((key, value(block, "checksum")?))
    };
    blocks.filter_map(of_block).collect()
}
