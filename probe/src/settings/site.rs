//! Settings of the analysis: tags, and the site with its inside and outside networks.

use analysis::networks::{Group, Groups, Hosts};
use analysis::top::TopBy;
use analysis::{Site, SiteSettings};
use clap::{Args, ValueEnum};

/// Tags, and facts on the monitored site.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Analysis")]
pub(crate) struct SiteArguments {
    /// Give flows tags such as syn-only: auto does so for documents and for the table
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(super) tags: When,

    /// Lists on the terminal instead of flows: sources, destinations, conversations or ports, by
    /// sessions, targets, octets or packets; may be given several times
    #[arg(long, value_name = "WHO:COUNT,...", value_delimiter = ',')]
    pub(super) top_by: Vec<TopBy>,

    /// Networks of the site: prefixes, addresses or names of groups. They decide the direction in
    /// documents, and which source addresses are spoofed or bogons
    #[arg(long, value_name = "NETWORK,...", value_delimiter = ',')]
    local_networks: Vec<Hosts>,

    /// Interfaces that receive only packets of the local networks: by name or number; packets with
    /// another source are spoofed
    #[arg(long, value_name = "IFACE,...", value_delimiter = ',', value_parser = interface)]
    inside_interfaces: Vec<String>,

    /// Interfaces that receive no packets of the local networks: packets with a local source are
    /// spoofed
    #[arg(long, value_name = "IFACE,...", value_delimiter = ',', value_parser = interface)]
    outside_interfaces: Vec<String>,

    /// Hosts that may send mail to other servers: prefixes, addresses or names of groups
    #[arg(long, value_name = "NETWORK,...", value_delimiter = ',')]
    mail_servers: Vec<Hosts>,

    /// DNS servers that hosts of the local networks may ask (for the rule unknown-dns-server):
    /// prefixes, addresses or names of groups
    #[arg(long, value_name = "NETWORK,...", value_delimiter = ',')]
    dns_servers: Vec<Hosts>,

    /// A group of hosts with a name; may be given several times. In a file it is an entry of the
    /// table groups
    #[arg(long, value_name = "NAME=NETWORK,...")]
    groups: Vec<Group>,
}

/// Condition for a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    /// If an output or the table shows them.
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

impl SiteArguments {
    /// The site, with all names looked up.
    ///
    /// # Errors
    ///
    /// Settings that contradict each other; one sentence each.
    pub(super) fn site(&self) -> Result<Site, Vec<String>> {
        Site::new(&SiteSettings {
            groups: self.groups.clone(),
            local_networks: self.local_networks.clone(),
            mail_servers: self.mail_servers.clone(),
            dns_servers: self.dns_servers.clone(),
            inside_interfaces: self.inside_interfaces.clone(),
            outside_interfaces: self.outside_interfaces.clone(),
        })
    }

    /// The groups. Empty if they contradict each other.
    pub(super) fn groups(&self) -> Groups {
        Groups::new(self.groups.iter().cloned()).unwrap_or_default()
    }
}

fn interface(text: &str) -> Result<String, String> {
    if text.is_empty() || text.contains(['*', '?', '[']) {
        return Err("the name or the number of an interface is needed, such as eth1".to_owned());
    }
    Ok(text.to_owned())
}
