//! Setup of a cluster before the first document: lifecycle, templates, dashboards.

use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::lifecycle::{self, POLICY};
use super::request::{Method, Problem, Reply, Request};
use super::{Cluster, Finding, Level, Node, dashboards};
use crate::elastic::{alert_template, index_template};

/// Settings of the setup.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// Documents are deleted after this time; `None`: no lifecycle policy.
    pub retention: Option<Duration>,
    /// Primary shards of each index.
    pub shards: Option<u32>,
    /// Copies of each shard.
    pub replicas: Option<u32>,
    /// The URL of Kibana or OpenSearch Dashboards, if dashboards are imported.
    pub dashboards: Option<String>,
}

/// The name of an index template, and the function that makes it.
type Template = (&'static str, fn() -> Value);

/// The index templates.
pub(super) const TEMPLATES: [Template; 2] =
    [("flowprobe-flows", index_template), ("flowprobe-alerts", alert_template)];

impl Cluster {
    /// Sets up the cluster. Existing parts are replaced.
    pub fn set_up(&self, setup: &Setup) -> Vec<Finding> {
        let node = match self.node() {
            Ok(node) => node,
            Err(finding) => return vec![finding],
        };
        let mut findings = vec![node.engine.finding()];
        if findings[0].level == Level::Fail {
            return findings;
        }
        if let Some(retention) = setup.retention {
            let finding = node.put_lifecycle(retention);
            let failed = finding.level == Level::Fail;
            findings.push(finding);
            // Templates need the policy.
            if failed {
                return findings;
            }
        }
        for (name, make) in TEMPLATES {
            let finding = node.put_template(name, &node.adapted(make(), setup));
            findings.push(finding.unwrap_or_else(|problem| {
                Finding::failed("template", &problem.of(name), RIGHT_OF_TEMPLATES)
            }));
        }
        if let Some(url) = &setup.dashboards {
            findings.push(dashboards::import(self, url, &node.engine));
        }
        findings
    }

    /// The requests that would set the cluster up, as text.
    ///
    /// # Errors
    ///
    /// The cluster did not answer, or does not support a lifecycle policy.
    pub fn plan(&self, setup: &Setup) -> Result<String, Finding> {
        let node = self.node()?;
        let mut requests = Vec::new();
        if let Some(retention) = setup.retention {
            requests.push(lifecycle::request(&node, retention)?);
        }
        for (name, make) in TEMPLATES {
            requests.push(template_request(name, &node.adapted(make(), setup)));
        }
        let mut lines: Vec<String> = requests.iter().map(Request::to_string).collect();
        if let Some(url) = &setup.dashboards {
            let base = url.trim_end_matches('/');
            lines.push(format!("# to {base}\n{}", dashboards::request(&node.engine)));
        }
        Ok(lines.join("\n"))
    }
}

impl Node<'_> {
    /// A template adapted to this cluster, with a digest that identifies it.
    fn adapted(&self, mut template: Value, setup: &Setup) -> Value {
        let settings = &mut template["template"]["settings"]["index"];
        if let Some(shards) = setup.shards {
            settings["number_of_shards"] = json!(shards);
        }
        if let Some(replicas) = setup.replicas {
            settings["number_of_replicas"] = json!(replicas);
        }
        if setup.retention.is_some() && !self.engine.is_opensearch {
            settings["lifecycle"] = json!({"name": POLICY});
        }
        let template = match self.engine.is_opensearch && self.engine.version < (2, 14) {
            true => without_constants(&template),
            false => template,
        };
        with_digest(template)
    }

    fn put_lifecycle(&self, retention: Duration) -> Finding {
        let request = match lifecycle::request(self, retention) {
            Ok(request) => request,
            Err(finding) => return finding,
        };
        match self.send(&request).and_then(Reply::done) {
            Ok(_) => Finding::ok("lifecycle", format!("policy {POLICY} is there")),
            Err(problem) => Finding::failed("lifecycle", &problem, lifecycle::RIGHT),
        }
    }

    /// Creates or replaces a template if its digest is different. Data streams with the old
    /// template continue in a new index, because an index keeps its fields.
    fn put_template(&self, name: &str, template: &Value) -> Result<Finding, Problem> {
        let present = self.present_template(name)?;
        if present["_meta"]["digest"] == template["_meta"]["digest"] {
            return Ok(Finding::ok("template", format!("{name} is there already")));
        }
        let mut reply = self.send(&template_request(name, template))?.done();
        if reply
            .as_ref()
            .is_err_and(|problem| problem.text.contains("after composition is invalid"))
        {
            // Constant keywords need a licence that this cluster does not have.
            let plain = with_digest(without_constants(template));
            if present["_meta"]["digest"] == plain["_meta"]["digest"] {
                return Ok(Finding::ok("template", format!("{name} is there already")));
            }
            reply = self.send(&template_request(name, &plain))?.done();
        }
        reply?;
        if present.is_null() {
            return Ok(Finding::ok("template", format!("{name} is there")));
        }
        let pattern = template["index_patterns"][0].as_str().unwrap_or_default();
        let streams = match self.roll_over(pattern) {
            Ok(streams) => streams,
            Err(problem) => {
                let problem = problem.of(&format!("{name} is replaced, but {pattern}"));
                return Ok(Finding::failed("template", &problem, RIGHT_OF_STREAMS));
            }
        };
        let streams = if streams.is_empty() { "no data stream".into() } else { streams.join(", ") };
        Ok(Finding::ok("template", format!("{name} is replaced; a new index for {streams}")))
    }

    /// The template of this name; null if there is none.
    pub(super) fn present_template(&self, name: &str) -> Result<Value, Problem> {
        let reply = self.get(&format!("/_index_template/{name}"))?;
        if reply.status == 404 {
            return Ok(Value::Null);
        }
        Ok(reply.done()?["index_templates"][0]["index_template"].take())
    }

    /// Begins a new index in each data stream of a pattern. Returns the names of the streams.
    fn roll_over(&self, pattern: &str) -> Result<Vec<String>, Problem> {
        let reply = self.get(&format!("/_data_stream/{pattern}"))?;
        if reply.status == 404 || reply.is_unknown() {
            return Ok(Vec::new());
        }
        let body = reply.done()?;
        let streams = body["data_streams"].as_array().into_iter().flatten();
        let streams = streams.filter_map(|stream| stream["name"].as_str());
        streams
            .map(|stream| {
                let request = Request::new(Method::Post, format!("/{stream}/_rollover"));
                self.send(&request)?.done().map(|_| stream.to_owned())
            })
            .collect()
    }
}

/// What the user needs to replace a template, and to go on with it in a new index.
const RIGHT_OF_TEMPLATES: &str =
    "the cluster privilege manage_index_templates, in OpenSearch indices:admin/index_template/*";
const RIGHT_OF_STREAMS: &str = "the index privilege manage on these data streams";

fn template_request(name: &str, template: &Value) -> Request {
    Request::new(Method::Put, format!("/_index_template/{name}")).json(template.clone())
}

/// The template with plain keywords: OpenSearch has constant ones since 2.14.
fn without_constants(template: &Value) -> Value {
    let text = template.to_string().replace("\"constant_keyword\"", "\"keyword\"");
    serde_json::from_str(&text).expect("a type was replaced by another one")
}

fn with_digest(mut template: Value) -> Value {
    template["_meta"]["digest"] = Value::Null;
    let digest = Sha256::digest(template.to_string());
    template["_meta"]["digest"] =
        json!(digest.iter().take(8).map(|octet| format!("{octet:02x}")).collect::<String>());
    template
}
