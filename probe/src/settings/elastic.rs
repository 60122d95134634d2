//! The command line of `flowprobe elastic`.

use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Subcommand};
use exporter::{Destination, Retention, missing_unit};

/// Command for a cluster.
#[derive(Debug, Subcommand)]
pub(crate) enum ElasticCommand {
    /// Give a cluster the index templates and the lifecycle of data streams, and dashboards to
    /// Kibana or OpenSearch Dashboards. What is there stays unless it differs or an option changes
    /// it
    Setup(SetupArguments),
    /// Check whether a cluster accepts flows, and which parts are missing. One document is sent,
    /// looked for and deleted
    Check {
        /// The cluster in the form of an output, such as elastic+https://HOST:9200?user=me
        #[arg(value_name = "URL")]
        url: Destination,
        /// One line of JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct SetupArguments {
    /// The cluster in the form of an output, such as elastic+https://HOST:9200?user=me
    #[arg(value_name = "URL")]
    pub(crate) url: Destination,

    /// Age at which documents are deleted: 1h or more. With none, a policy that is there deletes no
    /// more; a new cluster gets no policy, and then indexes are not rolled over either
    /// [default: that of the policy in the cluster, else 30d]
    #[arg(long, value_name = "TIME")]
    pub(crate) retention: Option<Age>,

    /// Primary shards of each index: 1 to 1024 [default: those of the template in the cluster, else
    /// the cluster's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) shards: Option<u32>,

    /// Copies of each shard, 0 for a cluster of one node: 0 to 10 [default: those of the template
    /// in the cluster, else the cluster's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=10))]
    pub(crate) replicas: Option<u32>,

    /// URL of Kibana or OpenSearch Dashboards, such as https://HOST:5601: it gets the dashboards,
    /// with the credentials of the cluster
    #[arg(long, value_name = "URL", value_parser = dashboards)]
    pub(crate) dashboards: Option<String>,

    /// Print the requests, and send only queries
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// One line of JSON
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) json: bool,
}

/// Age at which documents are deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Age(pub(crate) Retention);

impl FromStr for Age {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self(Retention::Never));
        }
        match humantime::parse_duration(text) {
            Ok(time) if time >= Duration::from_secs(3600) && time.subsec_nanos() == 0 => {
                Ok(Self(Retention::After(time)))
            }
            Ok(_) | Err(_) => {
                let tip = missing_unit(text, "d");
                Err(format!("not a time of 1h or more, such as 30d, and not none{tip}"))
            }
        }
    }
}

/// Checks the URL of a web server.
fn dashboards(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    match rest {
        Some(rest) if rest.contains('@') => {
            let settings = "elastic+https://HOST:9200?user=NAME&password-file=FILE";
            Err(format!("user and password-file are settings of the cluster's URL: {settings}"))
        }
        Some(rest) if !rest.is_empty() && !rest.contains(['?', '#', ' ']) => Ok(text.to_owned()),
        Some(_) | None => Err("not a URL such as https://HOST:5601".to_owned()),
    }
}
