//! Commands for a cluster: set it up for documents, and check whether it accepts them.
//!
//! Requests use the credentials and the TLS settings of the output.

mod check;
mod dashboards;
mod disk;
mod fields;
mod finding;
mod lifecycle;
mod request;
mod setup;

use ureq::Agent;

use crate::elastic::{ClientSettings, Engine, IndexPattern, version};
pub use finding::{Finding, Level};
pub use lifecycle::Retention;
use request::{Method, Problem, Reply, Request};
pub use setup::Setup;

/// A cluster, with the credentials of the user.
#[derive(Debug)]
pub struct Cluster {
    /// Its URL as the user wrote it, without secrets.
    url: String,
    agent: Agent,
    bases: Vec<String>,
    authorization: Option<String>,
    /// The namespace of the data streams.
    namespace: String,
    /// The index of flows, if they do not go into the data stream.
    index: Option<IndexPattern>,
    /// DNS transactions are written too.
    has_dns_events: bool,
}

/// The right to ask a cluster what it is and how it is.
const MONITOR: &str = "the cluster privilege monitor";

impl Cluster {
    pub(crate) fn new(
        url: &str,
        settings: ClientSettings,
        namespace: String,
        index: Option<IndexPattern>,
        has_dns_events: bool,
    ) -> Result<Self, String> {
        Ok(Self {
            url: url.to_owned(),
            agent: settings.agent()?,
            bases: settings.bases(),
            authorization: settings.credentials.map(|who| who.authorization()),
            namespace,
            index,
            has_dns_events,
        })
    }

    /// The command that sets this cluster up, to be copied into a shell.
    fn setup_command(&self) -> String {
        format!("flowprobe elastic setup '{}'", self.url.replace('\'', r"'\''"))
    }

    /// The first host that answers, with its engine.
    fn node(&self) -> Result<Node<'_>, Finding> {
        let mut problem = Problem::new("no host".to_owned());
        for base in &self.bases {
            match self.send(base, &Request::new(Method::Get, "/")).and_then(Reply::done) {
                Ok(body) => match Engine::of(&body) {
                    Some(engine) => return Ok(Node { cluster: self, base, engine }),
                    None => {
                        let text = format!("{base} is neither Elasticsearch nor OpenSearch");
                        problem = Problem::new(text);
                    }
                },
                Err(error) => problem = error.of(base),
            }
        }
        Err(Finding::failed("cluster", &problem, MONITOR))
    }

    fn send(&self, base: &str, request: &Request) -> Result<Reply, Problem> {
        request.send(&self.agent, base, self.authorization.as_deref())
    }
}

/// The host that answers requests.
struct Node<'a> {
    cluster: &'a Cluster,
    base: &'a str,
    engine: Engine,
}

impl Node<'_> {
    fn send(&self, request: &Request) -> Result<Reply, Problem> {
        self.cluster.send(self.base, request)
    }

    fn get(&self, path: &str) -> Result<Reply, Problem> {
        self.send(&Request::new(Method::Get, path))
    }
}

impl Engine {
    fn finding(&self) -> Finding {
        if self.has_data_streams {
            return Finding::ok("cluster", self.to_string());
        }
        Finding::fail("cluster", format!("{self} has no data streams"))
            .remedy("use Elasticsearch 7.9 (not oss) or OpenSearch 1.0, or a later one")
    }
}
