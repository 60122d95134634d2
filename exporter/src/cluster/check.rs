//! Check of a cluster: whether it accepts documents, missing parts, and future problems.

use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::disk::Watermarks;
use super::request::{Method, Problem, Reply, Request};
use super::setup::TEMPLATES;
use super::{Cluster, Finding, Level, MONITOR, Node, flows};
use crate::elastic::index_template;

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
        findings.push(node.health().unwrap_or_else(|problem| unknown("health", &problem)));
        findings.extend(node.rights());
        let template = node.template().unwrap_or_else(|problem| unknown("template", &problem));
        let has_template = template.level != Level::Fail;
        findings.push(template);
        findings.push(node.disk().unwrap_or_else(|problem| unknown("disk", &problem)));
        findings.push(node.clock().unwrap_or_else(|problem| unknown("clock", &problem)));
        findings.push(if has_template {
            node.document()
        } else {
            Finding::note("document", "none is sent: without the template its fields get no types")
        });
        findings
    }
}

/// A finding about a failed request.
fn unknown(subject: &'static str, problem: &Problem) -> Finding {
    Finding { level: Level::Warn, ..Finding::failed(subject, problem, MONITOR) }
}

impl Node<'_> {
    fn stream(&self) -> String {
        flows(&self.cluster.namespace)
    }

    fn health(&self) -> Result<Finding, Problem> {
        let health = self.get("/_cluster/health")?.done()?;
        let (status, nodes) =
            (health["status"].as_str().unwrap_or("unknown"), &health["number_of_nodes"]);
        let text = format!("{status}, nodes: {nodes}");
        Ok(match status {
            "green" => Finding::ok("health", text),
            "yellow" if *nodes == 1 => {
                Finding::note("health", format!("{text}: copies of shards have no second node"))
                    .remedy(
                        "flowprobe elastic setup --replicas 0, if one node is all there will be",
                    )
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
        let question = json!({"index": [{"names": [self.stream()], "privileges": names}]});
        let path = "/_security/user/_has_privileges";
        let reply = self.send(&Request::new(Method::Post, path).json(question)).ok()?;
        if reply.is_unknown() || reply.status >= 500 {
            return Some(Finding::note("rights", "no access control: all users have all rights"));
        }
        let answer = match reply.done() {
            Ok(answer) => answer,
            Err(problem) => return Some(unknown("rights", &problem)),
        };
        let stream = self.stream();
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

    /// Compares the fields that a new index would have with those of the template.
    fn template(&self) -> Result<Finding, Problem> {
        const REMEDY: &str = "flowprobe elastic setup";
        let path = format!("/_index_template/_simulate_index/{}", self.stream());
        let simulated = self.send(&Request::new(Method::Post, path))?.done()?;
        let mut wanted = Vec::new();
        types("", &index_template()["template"]["mappings"], &mut wanted);
        let mut found = Vec::new();
        types("", &simulated["template"]["mappings"], &mut found);
        let is_there = |(name, kind): &&(String, String)| {
            found.iter().any(|(other, known)| other == name && is_like(known, kind))
        };
        let missing: Vec<&str> =
            wanted.iter().filter(|field| !is_there(field)).map(|(name, _)| name.as_str()).collect();
        let ours = self.present_template(TEMPLATES[0].0)?;
        let text = match (ours.is_null(), missing.len()) {
            (true, count) if count == wanted.len() => {
                let text = format!("no template gives fields of {} their types", self.stream());
                return Ok(Finding::fail("template", text).remedy(REMEDY));
            }
            (_, 0) => return Ok(Finding::ok("template", "all fields have their types")),
            (_, count) => {
                let some = missing.iter().take(3).copied().collect::<Vec<_>>().join(", ");
                format!("{count} of {} fields have no type or another one: {some}", wanted.len())
            }
        };
        // Another template may have a higher priority, such as that of Elastic's integration.
        Ok(Finding::warn("template", text).remedy(REMEDY))
    }

    fn disk(&self) -> Result<Finding, Problem> {
        let filter = "*.cluster.routing.allocation.disk*";
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
        let stream = self.stream();
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

/// True if the known type holds the values of the wanted one.
fn is_like(known: &str, wanted: &str) -> bool {
    known == wanted
        || matches!((known, wanted), ("keyword", "constant_keyword"))
        || matches!((known, wanted), ("long", "short" | "integer") | ("integer", "short"))
}

/// The fields of a mapping with their types.
fn types(prefix: &str, mapping: &Value, found: &mut Vec<(String, String)>) {
    for (name, field) in mapping["properties"].as_object().into_iter().flatten() {
        let name = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match field["type"].as_str() {
            Some(kind) => found.push((name, kind.to_owned())),
            None => types(&name, field, found),
        }
    }
}
