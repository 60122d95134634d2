//! Retention of documents: index lifecycle management of Elasticsearch, index state management of
//! OpenSearch.

use std::time::Duration;

use serde_json::{Value, json};

use super::request::{Method, Problem, Request};
use super::{Engine, Finding, Node};
use crate::elastic::streams;

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
fn index_lifecycle(retention: Option<Duration>, engine: &Engine) -> Value {
    let size = if engine.version >= (7, 13) { "max_primary_shard_size" } else { "max_size" };
    let age = retention.map_or(INDEX_AGE, index_age);
    let rollover = json!({"max_age": units(age), size: SHARD_MAX});
    let mut phases = json!({"hot": {"actions": {"rollover": rollover}}});
    if let Some(retention) = retention {
        phases["delete"] = json!({"min_age": units(retention), "actions": {"delete": {}}});
    }
    json!({"policy": {"phases": phases}})
}

/// Policy of OpenSearch. The age of an index counts from its creation.
fn index_states(retention: Option<Duration>) -> Value {
    let age = retention.map_or(INDEX_AGE, index_age);
    let rollover = json!({"min_index_age": units(age), "min_size": SHARD_MAX});
    let mut hot = json!({"name": "hot", "actions": [{"rollover": rollover}], "transitions": []});
    let mut states = Vec::new();
    if let Some(retention) = retention {
        let over = json!({"min_index_age": units(retention + age)});
        hot["transitions"] = json!([{"state_name": "delete", "conditions": over}]);
        states.push(json!({"name": "delete", "actions": [{"delete": {}}], "transitions": []}));
    }
    states.insert(0, hot);
    json!({"policy": {
        "description": "Documents of flowprobe",
        "default_state": "hot",
        "states": states,
        "ism_template": [{"index_patterns": streams("*"), "priority": 150}],
    }})
}

/// When documents are deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Retention {
    /// As the policy in the cluster says; after 30 days where there is none.
    #[default]
    Kept,
    /// Never. A new cluster gets no policy.
    Never,
    /// After this time.
    After(Duration),
}

/// The retention of a new policy.
const RETENTION: Duration = Duration::from_secs(30 * 86_400);

/// What is to be done about the policy.
pub(super) struct Change {
    /// The request, if the policy changes.
    pub(super) request: Option<Request>,
    /// What is said when it succeeded.
    pub(super) finding: Finding,
    /// True if the cluster has the policy then.
    pub(super) has_policy: bool,
}

/// A policy in a cluster.
enum Policy {
    /// The cluster has no management of lifecycles.
    Unsupported,
    Absent,
    /// The answer with the policy.
    Present(Value),
}

impl Policy {
    /// When it deletes, in words.
    fn words(&self, name: &str) -> String {
        let Self::Present(answer) = self else {
            return "indexes are neither rolled over nor deleted".to_owned();
        };
        let after = answer[name]["policy"]["phases"]["delete"]["min_age"].as_str();
        if let Some(after) = after {
            return format!("indexes are deleted {after} after their rollover");
        }
        let states = answer["policy"]["states"].as_array().into_iter().flatten();
        let transitions = states.flat_map(|state| state["transitions"].as_array()).flatten();
        let age = transitions
            .filter(|transition| transition["state_name"] == "delete")
            .find_map(|transition| transition["conditions"]["min_index_age"].as_str());
        age.map_or_else(
            || "no index is deleted".to_owned(),
            |age| format!("indexes are deleted at an age of {age}"),
        )
    }
}

/// What the management of lifecycles is called.
fn management(engine: &Engine) -> String {
    let what = if engine.is_opensearch { "index state" } else { "index lifecycle" };
    format!("the cluster has no {what} management")
}

fn failed(problem: &Problem) -> Finding {
    Finding::failed("lifecycle", problem, RIGHT)
}

impl Node<'_> {
    fn policy_path(&self, name: &str) -> String {
        let folder =
            if self.engine.is_opensearch { "_plugins/_ism/policies" } else { "_ilm/policy" };
        format!("/{folder}/{name}")
    }

    fn policy(&self, name: &str) -> Result<Policy, Problem> {
        let reply = self.get(&self.policy_path(name))?;
        Ok(match reply.status {
            _ if reply.is_unknown() => Policy::Unsupported,
            404 => Policy::Absent,
            _ => Policy::Present(reply.done()?),
        })
    }

    /// What is to be done for a retention.
    ///
    /// # Errors
    ///
    /// The cluster does not support policies, or the request failed.
    pub(super) fn retain(&self, retention: Retention) -> Result<Change, Finding> {
        let present = self.policy(POLICY).map_err(|problem| failed(&problem))?;
        let words = present.words(POLICY);
        let unchanged = |finding| Change { request: None, finding, has_policy: true };
        let retention = match (retention, &present) {
            (Retention::Never, Policy::Unsupported | Policy::Absent) => {
                let finding = Finding::note("lifecycle", format!("no policy: {words}"));
                return Ok(Change { has_policy: false, ..unchanged(finding) });
            }
            (_, Policy::Unsupported) => {
                return Err(Finding::fail("lifecycle", management(&self.engine))
                    .remedy("use --retention none, and delete old documents by other means"));
            }
            (Retention::Kept, Policy::Present(_)) => {
                let text = format!("policy {POLICY} is there already: {words}");
                return Ok(unchanged(Finding::ok("lifecycle", text)));
            }
            (Retention::Kept, Policy::Absent) => Some(RETENTION),
            (Retention::After(time), _) => Some(time),
            (Retention::Never, Policy::Present(_)) => None,
        };
        Ok(self.replace(&present, retention))
    }

    /// The request that creates or replaces the policy.
    fn replace(&self, present: &Policy, retention: Option<Duration>) -> Change {
        let mut path = self.policy_path(POLICY);
        let body = if self.engine.is_opensearch {
            index_states(retention)
        } else {
            index_lifecycle(retention, &self.engine)
        };
        let words = Policy::Present(match self.engine.is_opensearch {
            true => body.clone(),
            false => json!({ POLICY: body }),
        })
        .words(POLICY);
        let mut finding = Finding::ok("lifecycle", format!("policy {POLICY} is there: {words}"));
        if let (true, Policy::Present(present)) = (self.engine.is_opensearch, present) {
            // The replacement of a policy names the version that was read.
            let (number, term) = (&present["_seq_no"], &present["_primary_term"]);
            path += &format!("?if_seq_no={number}&if_primary_term={term}");
            // Each index keeps a copy of the policy.
            let [flows, alerts, dns] = streams("*");
            let text = format!(
                "policy {POLICY} is there: {words}. Indexes from before keep the policy of then"
            );
            finding = Finding::note("lifecycle", text).remedy(format!(
                "POST /_plugins/_ism/change_policy/.ds-{flows} with {{\"policy_id\": \"{POLICY}\"}}, \
                 and for .ds-{alerts} and .ds-{dns}"
            ));
        }
        let request = Some(Request::new(Method::Put, path).json(body));
        Change { request, finding, has_policy: true }
    }

    /// Whether the policy is there that the indexes of a template need.
    pub(super) fn lifecycle(&self, template: &Value) -> Result<Finding, Problem> {
        let setup = self.cluster.setup_command();
        let named = template["template"]["settings"]["index"]["lifecycle"]["name"].as_str();
        let name = if self.engine.is_opensearch { Some(POLICY) } else { named };
        let Some(name) = name else {
            return Ok(Finding::note(
                "lifecycle",
                format!("no policy: {}", Policy::Absent.words("")),
            )
            .remedy(format!("{setup} --retention 30d, unless that is intended")));
        };
        let policy = self.policy(name)?;
        Ok(match &policy {
            Policy::Unsupported => Finding::note(
                "lifecycle",
                format!("{}: {}", management(&self.engine), policy.words(name)),
            ),
            Policy::Absent => {
                let text = format!("policy {name} is missing: {}", policy.words(name));
                Finding::warn("lifecycle", text).remedy(setup)
            }
            Policy::Present(_) => {
                Finding::ok("lifecycle", format!("policy {name}: {}", policy.words(name)))
            }
        })
    }
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
