//! `flowprobe elastic`: sets clusters up, and checks them.

use exporter::{Cluster, Destination, Finding, Level, Retention, Setup};
use serde_json::json;

use crate::report::escape::Escaped;
use crate::report::findings;
use crate::settings::elastic::{ElasticCommand, SetupArguments};

/// Result of a command.
#[derive(Debug)]
pub(crate) struct Done {
    /// For standard output, with styles.
    pub(crate) text: String,
    /// Whether there was no failure.
    pub(crate) works: bool,
}

/// Runs a command.
///
/// # Errors
///
/// The URL does not name a cluster, or its settings cannot be read.
pub(crate) fn run(command: &ElasticCommand) -> Result<Done, String> {
    match command {
        ElasticCommand::Setup(arguments) => set_up(&arguments.url.cluster()?, arguments),
        ElasticCommand::Check { url, json } => Ok(done(url, &url.cluster()?.check(), *json)),
    }
}

fn set_up(cluster: &Cluster, arguments: &SetupArguments) -> Result<Done, String> {
    let setup = Setup {
        retention: arguments.retention.map_or(Retention::Kept, |given| given.0),
        shards: arguments.shards,
        replicas: arguments.replicas,
        dashboards: arguments.dashboards.clone(),
    };
    if !arguments.dry_run {
        return Ok(done(&arguments.url, &cluster.set_up(&setup), arguments.json));
    }
    Ok(match cluster.plan(&setup) {
        Ok(text) => Done { text, works: true },
        Err(finding) => done(&arguments.url, &[finding], arguments.json),
    })
}

fn done(url: &Destination, list: &[Finding], as_json: bool) -> Done {
    let works = list.iter().all(|finding| finding.level != Level::Fail);
    let mut text;
    if as_json {
        let findings = findings::json(list);
        let object = json!({"cluster": url.as_str(), "works": works, "findings": findings});
        text = format!("{object}\n");
    } else {
        text = format!("{}\n", Escaped(url.as_str()));
        findings::put(list, &mut text);
    }
    Done { text, works }
}
