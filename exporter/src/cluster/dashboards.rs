//! Import of dashboards into Kibana and OpenSearch Dashboards.

use super::request::{Method, Request};
use super::{Cluster, Engine, Finding, version};

/// The oldest Kibana that reads the file.
const KIBANA_MIN: (u32, u32) = (8, 7);

const KIBANA: &str = include_str!("../../../deploy/elastic/kibana.ndjson");
const OPENSEARCH: &str = include_str!("../../../deploy/elastic/opensearch-dashboards.ndjson");

/// The request that imports all dashboards, and replaces existing ones.
pub(super) fn request(engine: &Engine) -> Request {
    let request = Request::new(Method::Post, "/api/saved_objects/_import?overwrite=true");
    if engine.is_opensearch {
        request.header("osd-xsrf", "true").file("opensearch-dashboards.ndjson", OPENSEARCH)
    } else {
        request.header("kbn-xsrf", "true").file("kibana.ndjson", KIBANA)
    }
}

/// Imports the dashboards.
pub(super) fn import(cluster: &Cluster, url: &str, engine: &Engine) -> Finding {
    let base = url.trim_end_matches('/');
    let failed = |problem: String| Finding::fail("dashboards", format!("{base}: {problem}"));
    let status = match cluster.send(base, &Request::new(Method::Get, "/api/status")) {
        Ok(status) => status.done().unwrap_or_default(),
        Err(problem) => return failed(problem.text).remedy("check the address of --dashboards"),
    };
    let number = status["version"]["number"].as_str().unwrap_or_default();
    if !engine.is_opensearch && version(number).is_some_and(|version| version < KIBANA_MIN) {
        return failed(format!("Kibana {number} cannot read the dashboards"))
            .remedy("use Kibana 8.7 or a later one");
    }
    let answer = match cluster.send(base, &request(engine)).and_then(super::Reply::done) {
        Ok(answer) => answer,
        Err(problem) => {
            return Finding::failed(
                "dashboards",
                &problem.of(base),
                "the right to save dashboards",
            );
        }
    };
    if answer["success"] != true {
        return failed(format!("not all was imported: {}", answer["errors"]));
    }
    Finding::ok("dashboards", format!("{} objects are in {base}", answer["successCount"]))
}
