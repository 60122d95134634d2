//! Check of a cluster: whether it accepts documents, missing parts, and future problems.

use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::disk::Watermarks;
use super::fields::{self, without_type};
use super::request::{Method, Problem, Reply, Request};
use super::setup::{TEMPLATES, Template};
use super::{Cluster, Finding, Level, MONITOR, Node};
use crate::elastic::{IndexPattern, alert_stream, dns_stream, flow_stream};

/// Largest tolerated difference of clocks.
const CLOCK_MAX_S: f64 = 5.0;

/// Number of searches for the document, and the time between two.
const LOOKS: u32 = 20;
const LOOK: Duration = Duration::from_millis(500);

impl Cluster {
    /// Examines the cluster. Writes a document, searches for it, and deletes it.
    pub fn check(&self) -> Vec<Finding> {
        let node = match self.node() {
            Ok(node) => node,
            Err(finding) => return vec![finding],
        };
        let mut findings = vec![node.engine.finding()];
        findings.push(node.health().unwrap_or_else(|problem| unknown("health", &problem, MONITOR)));
        findings.extend(node.rights());
        let mut fields = node.fields(&node.target(), TEMPLATES[0]);
        let has_template = fields[0].level == Level::Ok;
        findings.append(&mut fields);
        // Alerts are not written by every probe.
        findings.extend(
            node.fields(&node.alerts(), TEMPLATES[1])
                .into_iter()
                .map(|finding| Finding { level: finding.level.min(Level::Warn), ..finding }),
        );
        if self.has_dns_events {
            findings.extend(node.fields(&dns_stream(&self.namespace), TEMPLATES[2]));
        }
        findings.push(
            node.policy_finding()
                .unwrap_or_else(|problem| unknown("lifecycle", &problem, READ_ILM)),
        );
        findings.push(node.disk().unwrap_or_else(|problem| unknown("disk", &problem, MONITOR)));
        findings.push(node.clock().unwrap_or_else(|problem| unknown("clock", &problem, MONITOR)));
        let is_there = || node.places(&node.target()).is_ok_and(|places| !places.is_empty());
        findings.push(if has_template || is_there() {
            node.document()
        } else {
            let text = "none is sent: it would create an index without the types of the template";
            Finding::note("document", text)
        });
        findings
    }
}

/// The right to see what an index is.
const METADATA: &str = "the index privilege view_index_metadata";

/// The right to see a policy.
const READ_ILM: &str =
    "the cluster privilege read_ilm, in OpenSearch cluster:admin/opendistro/ism/*";

/// Whether one node has all data, from the health of a cluster.
pub(super) fn has_one_data_node(health: &Value) -> bool {
    health["number_of_data_nodes"] == 1
}

/// A finding about a failed request, for which a user needs this right.
fn unknown(subject: &'static str, problem: &Problem, right: &str) -> Finding {
    Finding { level: Level::Warn, ..Finding::failed(subject, problem, right) }
}

impl Node<'_> {
    /// The data stream of flows.
    fn stream(&self) -> String {
        flow_stream(&self.cluster.namespace)
    }

    /// Where flows go that end now: an index, if the URL names one, else the data stream.
    fn target(&self) -> String {
        self.cluster.index.as_ref().map_or_else(|| self.stream(), IndexPattern::now)
    }

    /// The data stream of alerts.
    fn alerts(&self) -> String {
        alert_stream(&self.cluster.namespace)
    }

    fn health(&self) -> Result<Finding, Problem> {
        let health = self.get("/_cluster/health")?.done()?;
        let (status, nodes) =
            (health["status"].as_str().unwrap_or("unknown"), &health["number_of_nodes"]);
        let text = format!("{status}, nodes: {nodes}");
        Ok(match status {
            "green" => Finding::ok("health", text),
            "yellow" if has_one_data_node(&health) => {
                Finding::note("health", format!("{text}: copies of shards have no second node"))
                    .remedy(format!(
                        "{} --replicas 0, if one node is all there will be; indexes from before \
                         keep their copies",
                        self.cluster.setup_command()
                    ))
            }
            "yellow" => Finding::warn("health", text),
            _ => Finding::fail("health", format!("{text}: some shards are missing"))
                .remedy("GET /_cluster/allocation/explain shows the reason"),
        })
    }

    /// Privileges of the user. `None` for OpenSearch, and if the request fails.
    fn rights(&self) -> Option<Finding> {
        if self.engine.is_opensearch {
            return None;
        }
        let names = ["create_doc", "auto_configure"];
        let question = json!({"index": [{"names": [self.target()], "privileges": names}]});
        let path = "/_security/user/_has_privileges";
        let reply = self.send(&Request::new(Method::Post, path).json(question)).ok()?;
        if reply.is_unknown() || reply.status >= 500 {
            return Some(Finding::note("rights", "no access control: all users have all rights"));
        }
        let answer = match reply.done() {
            Ok(answer) => answer,
            Err(problem) => return Some(unknown("rights", &problem, MONITOR)),
        };
        let stream = self.target();
        let missing: Vec<&str> =
            names.into_iter().filter(|name| answer["index"][&stream][name] != true).collect();
        let user = answer["username"].as_str().unwrap_or("the user");
        Some(if missing.is_empty() {
            Finding::ok("rights", format!("{user} may write into {stream}"))
        } else {
            let missing = missing.join(" and ");
            Finding::fail("rights", format!("{user} may not write into {stream}"))
                .remedy(format!("give {user} the index privileges {missing} on {stream}"))
        })
    }

    /// Compares the fields of a new index, and those of the index that takes documents, with those
    /// of a template. The first finding is about the new index.
    fn fields(&self, target: &str, (name, make): Template) -> Vec<Finding> {
        let template = make();
        let finding = self.template(target, name, &template);
        let mut findings =
            vec![finding.unwrap_or_else(|problem| unknown("template", &problem, MONITOR))];
        match self.places(target) {
            Ok(places) => findings.extend(places.iter().filter_map(|place| {
                match self.outdated(place, &template) {
                    Ok(outdated) if !place.is_stream() && self.cluster.index.is_none() => {
                        Some(place.no_stream(&outdated, &template))
                    }
                    Ok(outdated) => {
                        let setup = self.cluster.setup_command();
                        (!outdated.is_empty()).then(|| place.outdated(&outdated, &template, &setup))
                    }
                    Err(problem) => Some(unknown("index", &problem, METADATA)),
                }
            })),
            Err(problem) => findings.push(unknown("index", &problem, METADATA)),
        }
        findings
    }

    /// Compares the fields that a new index would have with those of the template.
    fn template(&self, target: &str, name: &str, template: &Value) -> Result<Finding, Problem> {
        let missing = self.missing(target, template)?;
        // Only flows may go into another target than the templates are for.
        let remedy = if self.cluster.index.is_some() && target == self.target() {
            format!(
                "give {target} a template with the fields of {name}: {} --dry-run prints it",
                self.cluster.setup_command()
            )
        } else {
            self.cluster.setup_command()
        };
        if missing.is_empty() {
            return Ok(Finding::ok("template", format!("all fields of {target} have their types")));
        }
        if missing.len() == fields::count(template) {
            let text = format!("no template gives fields of {target} their types");
            return Ok(Finding::fail("template", text).remedy(remedy));
        }
        // Another template may have a higher priority, such as that of Elastic's integration.
        let is_absent = self.present_template(name)?.is_null();
        let absent = if is_absent { format!("{name} is missing: ") } else { String::new() };
        let text =
            format!("{absent}in a new index of {target} {}", without_type(&missing, template));
        Ok(Finding::warn("template", text).remedy(remedy))
    }

    /// Whether the policy of the data stream is there.
    fn policy_finding(&self) -> Result<Finding, Problem> {
        if self.cluster.index.is_some() {
            let text = format!("the policy is for data streams, and not for {}", self.target());
            return Ok(Finding::note("lifecycle", text)
                .remedy("delete old indexes by a policy of your own, or by other means"));
        }
        self.lifecycle(&self.present_template(TEMPLATES[0].0)?)
    }

    fn disk(&self) -> Result<Finding, Problem> {
        // With flat_settings, a setting is one key with dots, and not a path of keys.
        let filter = "*.cluster*";
        let settings = self.get(&format!(
            "/_cluster/settings?include_defaults=true&flat_settings=true&filter_path={filter}"
        ))?;
        let nodes = "/_cat/allocation?format=json&bytes=b&h=node,disk.avail,disk.total";
        let nodes = self.get(nodes)?.done()?;
        Ok(Watermarks(&settings.done()?).finding(&nodes))
    }

    /// Compares the nodes' time with the middle of the request.
    fn clock(&self) -> Result<Finding, Problem> {
        let before = Timestamp::now().as_millisecond();
        let stats = self.get("/_nodes/stats/os?filter_path=nodes.*.name,nodes.*.timestamp")?;
        let middle = i64::midpoint(before, Timestamp::now().as_millisecond());
        let stats = stats.done()?;
        let nodes = stats["nodes"].as_object().into_iter().flatten();
        let difference = |node: &Value| {
            let time = node["timestamp"].as_i64()?;
            let name = node["name"].as_str().unwrap_or_default().to_owned();
            Some(((time - middle) as f64 / 1000.0, name))
        };
        let worst = nodes
            .filter_map(|(_, node)| difference(node))
            .max_by(|a, b| a.0.abs().total_cmp(&b.0.abs()));
        let Some((seconds, name)) = worst else {
            return Ok(Finding::note("clock", "the nodes do not report their time"));
        };
        if seconds.abs() <= CLOCK_MAX_S {
            return Ok(Finding::ok("clock", "the nodes have the time of this host"));
        }
        let text = format!("node {name} is {seconds:+.0} s from this host");
        Ok(Finding::warn("clock", text).remedy("use NTP on both: dashboards show a wrong time"))
    }

    /// Writes a document, searches for it, and deletes it.
    fn document(&self) -> Finding {
        const WRITE: &str = "the index privileges create_doc and auto_configure";
        const READ: &str = "the index privilege read";
        let stream = self.target();
        let now = Timestamp::now();
        let id = format!("check-{:x}", fastrand::u64(..));
        let path = format!("/{stream}/_create/{id}?refresh=true");
        let create = Request::new(Method::Post, path).json(self.sample(now));
        let created = match self.send(&create).and_then(Reply::done) {
            Ok(created) => created,
            Err(problem) => return Finding::failed("document", &problem, WRITE),
        };
        let query = json!({"query": {"ids": {"values": [id]}}});
        let search = Request::new(Method::Post, format!("/{stream}/_search")).json(query);
        let found = self.wait_for(&search, &id);
        // The delete request names the index: it is not possible through a data stream.
        let index = created["_index"].as_str().unwrap_or_default();
        let path = format!("/{index}/_doc/{id}?refresh=true");
        let deleted = self.send(&Request::new(Method::Delete, path)).and_then(Reply::done);
        let rest = if deleted.is_ok() { "" } else { "; it stays: the user may not delete it" };
        match found {
            Ok(true) => {
                Finding::ok("document", format!("one was written into {stream} and found{rest}"))
            }
            Ok(false) => {
                Finding::fail("document", format!("one was written into {stream} and not found"))
            }
            Err(problem) => {
                let problem = problem.of(&format!("one was written into {stream} and not found"));
                Finding::failed("document", &problem, READ)
            }
        }
    }

    /// Looks for a document until it is found, or for some time.
    fn wait_for(&self, search: &Request, id: &str) -> Result<bool, Problem> {
        for _ in 0..LOOKS {
            let answer = self.send(search)?.done()?;
            if answer["hits"]["hits"][0]["_id"] == id {
                return Ok(true);
            }
            thread::sleep(LOOK);
        }
        Ok(false)
    }

    fn sample(&self, now: Timestamp) -> Value {
        let now = now.to_string();
        json!({
            "@timestamp": now,
            "data_stream": {
                "type": "logs",
                "dataset": "netflow.log",
                "namespace": self.cluster.namespace,
            },
            "event": {"kind": "event", "action": "flowprobe_check", "start": now, "end": now},
            "network": {"bytes": 0, "packets": 0},
            "message": "flowprobe elastic check",
        })
    }
}
