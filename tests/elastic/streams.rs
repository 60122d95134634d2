//! Data streams of tests, and their index template.

use serde_json::{Value, json};

/// The data stream of a namespace.
pub fn stream(namespace: &str) -> String {
    format!("logs-netflow.log-{namespace}")
}

/// The index template of the program, for the data streams of one test, where no unknown field is
/// taken. The engines of tests have no constant_keyword: it comes with a licence.
pub fn strict_template(namespace: &str) -> Value {
    let template = exporter::index_template().to_string();
    let template = template.replace("constant_keyword", "keyword");
    let mut template: Value = serde_json::from_str(&template).unwrap();
    template["index_patterns"] = json!([stream(namespace)]);
    template["template"]["mappings"]["dynamic"] = json!("strict");
    template["template"]["settings"]["index"]["number_of_replicas"] = json!(0);
    template
}

/// The same for a cluster of three nodes, where one may be away.
pub fn template_for_three_nodes(namespace: &str) -> Value {
    let mut template = strict_template(namespace);
    let index = &mut template["template"]["settings"]["index"];
    index["number_of_replicas"] = json!(1);
    index["number_of_shards"] = json!(3);
    index["refresh_interval"] = json!("200ms");
    template
}
