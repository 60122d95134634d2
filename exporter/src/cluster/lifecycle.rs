//! Retention of documents: index lifecycle management of Elasticsearch, index state management of
//! OpenSearch.

use std::time::Duration;

use serde_json::{Value, json};

use super::request::{Method, Problem, Request};
use super::{Engine, Finding, Node, PATTERNS};

/// The policy's name.
pub(super) const POLICY: &str = "flowprobe";

/// What the user needs for it.
pub(super) const RIGHT: &str =
    "the cluster privilege manage_ilm, in OpenSearch cluster:admin/opendistro/ism/*";

/// An index takes the documents of one day, or up to this size.
const INDEX_AGE: Duration = Duration::from_secs(86_400);
const SHARD_MAX: &str = "50gb";

/// A time in the format of clusters, in the largest unit that divides it.
fn units(time: Duration) -> String {
    let seconds = time.as_secs();
    let units = [(86_400, 'd'), (3_600, 'h'), (60, 'm')];
    let fitting = units.iter().find(|(size, _)| seconds.is_multiple_of(*size));
    fitting
        .map_or_else(|| format!("{seconds}s"), |(size, unit)| format!("{}{unit}", seconds / size))
}

/// Age at which an index is closed for new documents.
fn index_age(retention: Duration) -> Duration {
    INDEX_AGE.min(retention)
}

/// Policy of Elasticsearch. The time until deletion counts from the rollover of the index.
fn index_lifecycle(retention: Duration, engine: &Engine) -> Value {
    let size = if engine.version >= (7, 13) { "max_primary_shard_size" } else { "max_size" };
    let rollover = json!({"max_age": units(index_age(retention)), size: SHARD_MAX});
    let hot = json!({"actions": {"rollover": rollover}});
    let delete = json!({"min_age": units(retention), "actions": {"delete": {}}});
    json!({"policy": {"phases": {"hot": hot, "delete": delete}}})
}

/// Policy of OpenSearch. The age of an index counts from its creation.
fn index_states(retention: Duration) -> Value {
    let age = index_age(retention);
    let rollover = json!({"min_index_age": units(age), "min_size": SHARD_MAX});
    let over = json!({"min_index_age": units(retention + age)});
    let hot = json!({
        "name": "hot",
        "actions": [{"rollover": rollover}],
        "transitions": [{"state_name": "delete", "conditions": over}],
    });
    let delete = json!({"name": "delete", "actions": [{"delete": {}}], "transitions": []});
    json!({"policy": {
        "description": "Documents of flowprobe",
        "default_state": "hot",
        "states": [hot, delete],
        "ism_template": [{"index_patterns": PATTERNS, "priority": 150}],
    }})
}

/// The request that creates or replaces the policy.
///
/// # Errors
///
/// The cluster does not support policies, or the request failed.
pub(super) fn request(node: &Node<'_>, retention: Duration) -> Result<Request, Finding> {
    let path = if node.engine.is_opensearch {
        format!("/_plugins/_ism/policies/{POLICY}")
    } else {
        format!("/_ilm/policy/{POLICY}")
    };
    let failed = |problem: Problem| Finding::failed("lifecycle", &problem, RIGHT);
    let present = node.get(&path).map_err(failed)?;
    if present.is_unknown() {
        let what = if node.engine.is_opensearch { "index state" } else { "index lifecycle" };
        return Err(Finding::fail("lifecycle", format!("the cluster has no {what} management"))
            .remedy("use --retention none, and delete old documents by other means"));
    }
    if !node.engine.is_opensearch {
        let body = index_lifecycle(retention, &node.engine);
        return Ok(Request::new(Method::Put, path).json(body));
    }
    // The replacement of a policy names the version that was read.
    let version = match present.status {
        404 => String::new(),
        _ => present.done().map_err(failed).map(|present| {
            let (number, term) = (&present["_seq_no"], &present["_primary_term"]);
            format!("?if_seq_no={number}&if_primary_term={term}")
        })?,
    };
    Ok(Request::new(Method::Put, path + &version).json(index_states(retention)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_the_largest_unit_that_fits() {
        for (seconds, text) in [(86_400 * 30, "30d"), (7_200, "2h"), (5_400, "90m"), (61, "61s")] {
            assert_eq!(units(Duration::from_secs(seconds)), text);
        }
    }
}
