//! Settings of the collector: where it listens, whom it hears, and how much it keeps.

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use collect::{ExporterNames, Limits, SamplingSettings, SflowExporter, TemplateScope};
use exporter::{Destination, number_with_unit};
use flow::NetworkSet;
use ipnet::IpNet;

use super::args::LiveSettings;
use super::exporter_names;
use super::listener::Listener;
use super::values::size;

/// Addresses that are heard by default: this host, and networks without a way from outside (RFC
/// 1122, RFC 1918, RFC 3927, RFC 4193, RFC 4291).
const ALLOWED: [&str; 8] = [
    "127.0.0.0/8",
    "::1/128",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "169.254.0.0/16",
    "fc00::/7",
    "fe80::/10",
];

/// Settings of the collector.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = Self::HEADING)]
pub(crate) struct CollectArguments {
    /// Where datagrams of exporters come in (with collect): PROTOCOL://ADDRESS:PORT; may be given
    /// several times. PROTOCOL is netflow (v5 and v9, port 2055), ipfix (4739), sflow (6343), or
    /// flow, which takes all of them; ipfix+tcp (4739) and ipfix+tls (4740) take connections.
    /// Without ADDRESS, all addresses of this host. TLS needs ?cert=FILE&key=FILE (PEM); with
    /// &ca=FILE, exporters have to show a certificate of these authorities
    #[arg(short, long, value_name = "URL", display_order = 1)]
    pub(crate) listen: Vec<Listener>,

    /// Networks from which datagrams are taken; others are counted. 0.0.0.0/0,::/0 takes all
    /// [default with --listen: this host, private and link-local networks]
    #[arg(long, value_name = "NETWORK,...", value_delimiter = ',')]
    pub(crate) allow: Vec<Network>,

    /// Exporters whose templates and sequence numbers are kept: 1 to 1M. Beyond it, the one not
    /// heard of for longest is forgotten
    #[arg(long, value_name = "N", default_value = "4096", value_parser = kept)]
    pub(crate) exporters: usize,

    /// Templates that are kept of all exporters: 1 to 1M
    #[arg(long, value_name = "N", default_value = "65536", value_parser = kept)]
    pub(crate) templates: usize,

    /// Memory in which datagrams of each socket of --listen wait: 1M to 64Gi
    #[arg(long, value_name = "SIZE", default_value = "32Mi", value_parser = size)]
    pub(crate) receive_buffer: u64,

    /// File in which templates are kept for the next run: each minute and at the end, so that it
    /// can read data at once
    #[arg(long, value_name = "FILE")]
    pub(crate) template_store: Option<PathBuf>,

    /// File with an address and a name of an exporter in each line: documents have the name as
    /// agent.name. It is read at the start
    #[arg(long, value_name = "FILE")]
    pub(crate) exporters_file: Option<PathBuf>,

    /// Scope of a template in datagrams: an exporter's address, or each of its ports, for several
    /// exporters behind one address
    #[arg(long, value_name = "SCOPE", default_value = "address")]
    pub(crate) template_scope: Scope,

    /// Exporter of a datagram of sFlow: the agent that it names, or its source, for agents that
    /// name an address that is not theirs
    #[arg(long, value_name = "WHICH", default_value = "agent")]
    pub(crate) exporter: WhichExporter,

    /// Sampling interval of an exporter, whatever it says of itself; may be given several times
    #[arg(long, value_name = "ADDRESS=N", value_parser = sampling_of)]
    pub(crate) sampling: Vec<(IpAddr, u32)>,

    /// Sampling interval of exporters that say none
    #[arg(long, value_name = "N", value_parser = interval)]
    pub(crate) default_sampling: Option<u32>,

    /// Multiply packets and octets by the sampling interval; documents then have flowprobe.scaled
    #[arg(long)]
    pub(crate) scale_samples: bool,
}

/// Whose a template is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scope {
    Address,
    Port,
}

/// Who the exporter of sFlow is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum WhichExporter {
    Agent,
    Source,
}

/// A network, or a single address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network(IpNet);

/// What a collector with sockets needs besides its limits.
#[derive(Clone, Debug)]
pub(crate) struct ListenSettings {
    pub(crate) listeners: Vec<Listener>,
    /// Octets.
    pub(crate) receive_buffer: u64,
    pub(crate) template_store: Option<PathBuf>,
    pub(crate) live: LiveSettings,
}

/// What a collector keeps and believes, of sockets and of files.
#[derive(Clone, Debug)]
pub(crate) struct CollectSettings {
    pub(crate) limits: Limits,
    pub(crate) scope: TemplateScope,
    pub(crate) sflow_exporter: SflowExporter,
    /// `None`: all networks.
    pub(crate) allowed: Option<NetworkSet>,
    pub(crate) sampling: SamplingSettings,
    /// What the user calls exporters.
    pub(crate) names: ExporterNames,
    /// The name of this program in events of options records, if an output wants them.
    pub(crate) options_from: Option<String>,
}

impl CollectArguments {
    /// Their heading in the help.
    pub(super) const HEADING: &str = "Collection";

    /// # Errors
    ///
    /// The file of names cannot be read; in one sentence.
    pub(super) fn settings(
        &self,
        outputs: &[Destination],
        name: &str,
    ) -> Result<CollectSettings, String> {
        let given = self.allow.iter().map(|network| network.0);
        let by_default = || ALLOWED.iter().filter_map(|text| text.parse::<IpNet>().ok()).collect();
        let allowed = match (self.allow.is_empty(), self.listen.is_empty()) {
            (true, true) => None,
            (true, false) => Some(by_default()),
            (false, _) => Some(given.collect()),
        };
        let (exporters, templates) = (self.exporters, self.templates);
        let names = self.exporters_file.as_deref().map(exporter_names::read).transpose()?;
        Ok(CollectSettings {
            limits: Limits { exporters, templates, ..Limits::default() },
            scope: match self.template_scope {
                Scope::Address => TemplateScope::Address,
                Scope::Port => TemplateScope::Port,
            },
            sflow_exporter: match self.exporter {
                WhichExporter::Agent => SflowExporter::Agent,
                WhichExporter::Source => SflowExporter::Source,
            },
            allowed,
            sampling: SamplingSettings {
                given: self.sampling.iter().copied().collect(),
                default: self.default_sampling.unwrap_or(0),
                scales: self.scale_samples,
            },
            names: names.unwrap_or_default(),
            options_from: outputs.iter().any(Destination::wants_options).then(|| name.to_owned()),
        })
    }
}

impl CollectSettings {
    /// Whether datagrams from this address are taken.
    pub(crate) fn allows(&self, address: IpAddr) -> bool {
        self.allowed.as_ref().is_none_or(|networks| networks.contains(address))
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let network = text.parse::<IpNet>().ok();
        let network = network.or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
        network.map(Self).ok_or_else(|| {
            "a network or an address is needed, such as 10.0.0.0/8 or 192.0.2.1".to_owned()
        })
    }
}

fn kept(text: &str) -> Result<usize, String> {
    number_with_unit(text)
        .filter(|number| (1..=1_000_000).contains(number))
        .and_then(|number| usize::try_from(number).ok())
        .ok_or_else(|| "a number from 1 to 1M is needed".to_owned())
}

fn interval(text: &str) -> Result<u32, String> {
    number_with_unit(text)
        .and_then(|number| u32::try_from(number).ok())
        .filter(|number| *number > 0)
        .ok_or_else(|| "a number from 1 to 4294967295 is needed, such as 1000".to_owned())
}

fn sampling_of(text: &str) -> Result<(IpAddr, u32), String> {
    let parts = text.split_once('=');
    let parts = parts.and_then(|(address, n)| Some((address.parse().ok()?, interval(n).ok()?)));
    parts.ok_or_else(|| "ADDRESS=N is needed, such as 192.0.2.1=1000".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_and_intervals_are_read() {
        assert!("10.0.0.0/8".parse::<Network>().is_ok() && "::1".parse::<Network>().is_ok());
        assert!("10.0.0.0/33".parse::<Network>().is_err() && "host".parse::<Network>().is_err());
        assert_eq!(sampling_of("192.0.2.1=1k"), Ok(([192, 0, 2, 1].into(), 1000)));
        assert!(sampling_of("192.0.2.1=0").is_err() && sampling_of("=5").is_err());
        assert_eq!((kept("1"), kept("1M")), (Ok(1), Ok(1_000_000)));
        assert!(kept("0").is_err() && kept("1000001").is_err());
    }
}
