//! Requests over HTTP, plain and under TLS: to clusters and webhooks.
//!
//! Only this folder uses ureq's `unversioned` interfaces.

mod connector;

use std::sync::Arc;
use std::time::Duration;

use connector::connector;
use rustls::ClientConfig;
use ureq::config::ConfigBuilder;
use ureq::typestate::AgentScope;
use ureq::unversioned::resolver::DefaultResolver;
use ureq::{Agent, Error};

use crate::error::sentence;

/// Settings of an agent that follows no redirects. A request takes at most `timeout`. An answer
/// with any status is no error.
pub(crate) fn config(timeout: Duration) -> ConfigBuilder<AgentScope> {
    Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_global(Some(timeout))
        .user_agent(concat!("flowprobe/", env!("CARGO_PKG_VERSION")))
}

/// An agent with these settings. URLs with `https` need `tls`.
pub(crate) fn agent(config: ConfigBuilder<AgentScope>, tls: Option<Arc<ClientConfig>>) -> Agent {
    Agent::with_parts(config.build(), connector(tls), DefaultResolver::default())
}

/// Text of an error.
#[expect(clippy::wildcard_enum_match_arm, reason = "ureq may have more errors at any time")]
pub(crate) fn words(error: &Error) -> String {
    match error {
        Error::Io(problem) => sentence(problem),
        Error::Timeout(_) => "there was no answer in time".to_owned(),
        Error::HostNotFound => "its name has no address".to_owned(),
        Error::ConnectionFailed => "no connection".to_owned(),
        Error::BodyExceedsLimit(limit) => format!("the answer has more than {limit} octets"),
        other => other.to_string(),
    }
}
