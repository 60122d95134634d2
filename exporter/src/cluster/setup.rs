//! Setup of a cluster before the first document: lifecycle, templates, dashboards.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::check::has_one_data_node;
use super::lifecycle::{self, POLICY, Retention};
use super::request::{Method, Problem, Reply, Request};
use super::{Cluster, Finding, Level, Node, dashboards};
use crate::elastic::{alert_template, dns_template, index_template};

/// Settings of the setup.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// When documents are deleted.
    pub retention: Retention,
    /// Primary shards of each index; `None`: as the template in the cluster says.
    pub shards: Option<u32>,
    /// Copies of each shard; `None`: as the template in the cluster says.
    pub replicas: Option<u32>,
    /// The URL of Kibana or OpenSearch Dashboards, if dashboards are imported.
    pub dashboards: Option<String>,
}

/// The name of an index template, and the function that makes it.
pub(super) type Template = (&'static str, fn() -> Value);

/// The index templates.
pub(super) const TEMPLATES: [Template; 3] = [
    ("flowprobe-flows", index_template),
    ("flowprobe-alerts", alert_template),
    ("flowprobe-dns", dns_template),
];

impl Cluster {
    /// Sets up the cluster. What is there stays unless it differs or an option changes it.
    pub fn set_up(&self, setup: &Setup) -> Vec<Finding> {
        let node = match self.node() {
            Ok(node) => node,
            Err(finding) => return vec![finding],
        };
        let mut findings = vec![node.engine.finding()];
        if findings[0].level == Level::Fail {
            return findings;
        }
        // Templates need the policy.
        let has_policy = match node.put_lifecycle(setup.retention) {
            Ok((finding, has_policy)) => {
                findings.push(finding);
                has_policy
            }
            Err(finding) => {
                findings.push(finding);
                return findings;
            }
        };
        findings.extend(node.needless_copies(setup));
        for template in TEMPLATES {
            let put = node.put_template(template, setup, has_policy);
            findings.extend(put.unwrap_or_else(|problem| {
                vec![Finding::failed("template", &problem.of(template.0), RIGHT_OF_TEMPLATES)]
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
        let change = node.retain(setup.retention)?;
        let has_policy = change.has_policy;
        let mut requests: Vec<Request> = change.request.into_iter().collect();
        for (name, make) in TEMPLATES {
            let present = node.present_template(name).map_err(|problem| {
                Finding::failed("template", &problem.of(name), RIGHT_OF_TEMPLATES)
            })?;
            let template = node.adapted(make(), setup, &present, has_policy);
            requests.push(template_request(name, &template));
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
    /// A note where one node has all data, and the template of flows asks for copies of shards, or
    /// leaves their number to the cluster. A request that fails is no reason against the setup.
    fn needless_copies(&self, setup: &Setup) -> Option<Finding> {
        if setup.replicas == Some(0) {
            return None;
        }
        let health = self.get("/_cluster/health").and_then(Reply::done).ok()?;
        if !has_one_data_node(&health) {
            return None;
        }
        let present = self.present_template(TEMPLATES[0].0).ok()?;
        let replicas = setup.replicas.or_else(|| kept(&present, "number_of_replicas"));
        (replicas != Some(0)).then(|| {
            let text = "one node: copies of shards have no place, and the cluster stays yellow";
            Finding::note("replicas", text)
                .remedy(format!("{} --replicas 0 keeps it green", self.cluster.setup_command()))
        })
    }

    /// A template adapted to this cluster, with a digest that identifies it. Numbers that are not
    /// given stay as they are in the present template.
    fn adapted(
        &self,
        mut template: Value,
        setup: &Setup,
        present: &Value,
        has_policy: bool,
    ) -> Value {
        let settings = &mut template["template"]["settings"]["index"];
        for (name, given) in setup.numbers() {
            if let Some(number) = given.or_else(|| kept(present, name)) {
                settings[name] = json!(number);
            }
        }
        if has_policy && !self.engine.is_opensearch {
            settings["lifecycle"] = json!({"name": POLICY});
        }
        let template = match self.engine.is_opensearch && self.engine.version < (2, 14) {
            true => without_constants(&template),
            false => template,
        };
        with_digest(template)
    }

    /// The finding, and whether the cluster has the policy now.
    fn put_lifecycle(&self, retention: Retention) -> Result<(Finding, bool), Finding> {
        let change = self.retain(retention)?;
        if let Some(request) = &change.request {
            self.send(request)
                .and_then(Reply::done)
                .map_err(|problem| Finding::failed("lifecycle", &problem, lifecycle::RIGHT))?;
        }
        Ok((change.finding, change.has_policy))
    }

    /// Creates or replaces a template if its digest is different. Data streams from before, and
    /// those with other fields, continue in a new index, because an index keeps its fields.
    fn put_template(
        &self,
        (name, make): Template,
        setup: &Setup,
        has_policy: bool,
    ) -> Result<Vec<Finding>, Problem> {
        let present = self.present_template(name)?;
        let template = self.adapted(make(), setup, &present, has_policy);
        let is_new = self.replace_template(name, &template, &present)?;
        let mut text = match (is_new, present.is_null()) {
            (false, _) => format!("{name} is there already"),
            (true, true) => format!("{name} is there"),
            (true, false) => format!("{name} is replaced"),
        };
        for (number, given) in setup.numbers() {
            if let (None, Some(kept)) = (given, kept(&present, number)) {
                text += &format!(", {number} stays {kept}");
            }
        }
        let pattern = template["index_patterns"][0].as_str().unwrap_or_default();
        let (streams, mut findings) = match self.roll_over(pattern, &template, is_new) {
            Ok(done) => done,
            Err(problem) => {
                let problem = problem.of(&format!("{text}, but {pattern}"));
                return Ok(vec![Finding::failed("template", &problem, RIGHT_OF_STREAMS)]);
            }
        };
        if !streams.is_empty() {
            text += &format!("; a new index for {}", streams.join(", "));
        } else if is_new && !present.is_null() {
            text += "; no data stream uses it yet";
        }
        findings.insert(0, Finding::ok("template", text));
        Ok(findings)
    }

    /// Puts a template, if it is not there. True if it was not.
    fn replace_template(
        &self,
        name: &str,
        template: &Value,
        present: &Value,
    ) -> Result<bool, Problem> {
        if present["_meta"]["digest"] == template["_meta"]["digest"] {
            return Ok(false);
        }
        let mut reply = self.send(&template_request(name, template))?.done();
        if reply
            .as_ref()
            .is_err_and(|problem| problem.text.contains("after composition is invalid"))
        {
            // Constant keywords need a licence that this cluster does not have.
            let plain = with_digest(without_constants(template));
            if present["_meta"]["digest"] == plain["_meta"]["digest"] {
                return Ok(false);
            }
            reply = self.send(&template_request(name, &plain))?.done();
        }
        reply.map(|_| true)
    }

    /// The template of this name; null if there is none.
    pub(super) fn present_template(&self, name: &str) -> Result<Value, Problem> {
        let reply = self.get(&format!("/_index_template/{name}"))?;
        if reply.status == 404 {
            return Ok(Value::Null);
        }
        Ok(reply.done()?["index_templates"][0]["index_template"].clone())
    }

    /// Begins a new index in data streams of a pattern: in all, or in those whose index lacks types
    /// of fields. Returns the names of the streams, and findings about indexes that are no streams.
    fn roll_over(
        &self,
        pattern: &str,
        template: &Value,
        all: bool,
    ) -> Result<(Vec<String>, Vec<Finding>), Problem> {
        let (mut streams, mut findings) = (Vec::new(), Vec::new());
        for place in self.places(pattern)? {
            if !place.is_stream() {
                findings.push(place.no_stream(&self.outdated(&place, template)?, template));
            } else if all || !self.outdated(&place, template)?.is_empty() {
                let path = format!("/{}/_rollover", place.name);
                self.send(&Request::new(Method::Post, path))?.done()?;
                streams.push(place.name);
            }
        }
        Ok((streams, findings))
    }
}

impl Setup {
    /// Settings of an index that are numbers.
    fn numbers(&self) -> [(&'static str, Option<u32>); 2] {
        [("number_of_shards", self.shards), ("number_of_replicas", self.replicas)]
    }
}

/// A number of a template in the cluster. It is there as text.
fn kept(present: &Value, name: &str) -> Option<u32> {
    present["template"]["settings"]["index"][name].as_str()?.parse().ok()
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
