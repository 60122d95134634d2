//! The destination of an output as users write it: a URL, and settings in its query or separate.

use std::path::Path;
use std::str::FromStr;

use super::balance::Given;
use super::elastic::{self, ELASTIC_HTTP, ELASTIC_HTTPS};
use super::host::{HOST_ONLY, NO_HOST, NO_USER, host, hosts};
use super::secrets::without_secrets;
use super::setting::{self, Settings, Use};
use super::udp::NETFLOW5;
use super::{
    Context, ODID, Opened, Output, Request, TargetForm, balance, file, kafka, meant,
    wants_dns_events, wants_options,
};
use crate::cluster::Cluster;
use crate::error::ExportError;
use crate::exporter::Exporter;
use crate::transport::{Host, Rotation};

/// An output, checked but not opened.
#[derive(Clone, Debug)]
pub struct Destination {
    /// The URL as it was written, without values of secret settings.
    url: String,
    output: &'static Output,
    target: Target,
    settings: Settings,
}

/// The target in the URL, and the function that opens the output.
#[derive(Clone, Debug)]
enum Target {
    Host(Host, fn(&Request<'_>, &Host) -> Opened),
    Hosts(Vec<Host>, fn(&Request<'_>, &[Host]) -> Opened),
    Topic(Vec<Host>, String, fn(&Request<'_>, &[Host], &str) -> Opened),
    Path(String, fn(&Request<'_>, &str) -> Opened),
    Group(Vec<Destination>),
}

impl FromStr for Destination {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        Self::new(url, [])
    }
}

impl PartialEq for Destination {
    fn eq(&self, other: &Self) -> bool {
        let is_same = self.url == other.url && self.settings == other.settings;
        is_same && self.members() == other.members()
    }
}

impl Destination {
    /// Checks a URL, with the settings of its query and more settings by name and value.
    ///
    /// # Errors
    ///
    /// Reason why the URL or a setting is refused, and the allowed values.
    pub fn new(
        url: &str,
        settings: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, String> {
        let shown = without_secrets(url);
        let (scheme, rest) = url
            .split_once(':')
            .ok_or_else(|| format!("output {shown}: no scheme{}", meant::tip_and_forms(&shown)))?;
        let output = Output::find(scheme).ok_or_else(|| {
            let tip = meant::tip_and_forms(&shown);
            format!("output {shown}: unknown scheme {scheme}{tip}")
        })?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let given = form_urlencoded::parse(query.as_bytes()).into_owned().chain(settings);
        let checked =
            output.target.parse(rest, query, given.collect()).and_then(|(target, own)| {
                let settings = Settings::new(output, own)?;
                if let Target::Path(path, _) = &target {
                    file::check(path, &settings)?;
                }
                if matches!(target, Target::Topic(..)) {
                    kafka::check(output.scheme, &settings)?;
                }
                Ok(Self { url: shown.clone(), output, target, settings })
            });
        checked.map_err(|problem| format!("output {shown}: {problem}"))
    }

    /// The collectors of a group. Empty for other outputs.
    fn members(&self) -> &[Self] {
        match &self.target {
            Target::Group(members) => members,
            Target::Host(..) | Target::Hosts(..) | Target::Topic(..) | Target::Path(..) => &[],
        }
    }

    /// True if it sends messages to one host.
    pub(super) fn is_collector(&self) -> bool {
        matches!(self.target, Target::Host(..))
    }

    /// Checks a setting of the output in a URL. A URL without a known output is not checked.
    ///
    /// # Errors
    ///
    /// The output does not have it, or the value is not allowed.
    pub fn check_setting(url: &str, name: &str, value: &str) -> Result<(), String> {
        if let Some(checked) = balance::check_setting(url, name, value) {
            return checked;
        }
        let output = url.split_once(':').and_then(|(scheme, _)| Output::find(scheme));
        output.map_or(Ok(()), |output| setting::check(output, name, value))
    }

    /// The URL as the user wrote it, without user and password.
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// True if it writes to standard output.
    pub fn is_stdout(&self) -> bool {
        matches!(&self.target, Target::Path(path, _) if path == "-")
    }

    /// True if its documents have ids, which contain [`Context::run`].
    pub fn names_documents(&self) -> bool {
        matches!(self.target, Target::Hosts(..) | Target::Topic(..))
    }

    /// True if it writes documents, false for messages.
    pub fn writes_documents(&self) -> bool {
        let format = self.settings.given::<String>(&kafka::FORMAT);
        self.output.writes_documents && format.is_none_or(|format| format != "ipfix")
    }

    /// True if it wants documents of options records.
    pub fn wants_options(&self) -> bool {
        wants_options(&self.settings)
    }

    /// True if it wants documents of DNS transactions.
    pub fn wants_dns_events(&self) -> bool {
        wants_dns_events(&self.settings)
    }

    /// The files that it writes, by the names in the settings.
    pub fn files_written(&self) -> impl Iterator<Item = &Path> {
        let path = match &self.target {
            Target::Path(path, _) if path != "-" => Some(path.as_str()),
            Target::Path(..) | Target::Host(..) | Target::Hosts(..) => None,
            Target::Topic(..) | Target::Group(_) => None,
        };
        path.into_iter().chain(self.settings.paths(self.output, Use::Written)).map(Path::new)
    }

    /// The files that it reads.
    pub fn files_read(&self) -> impl Iterator<Item = &Path> {
        let all = std::iter::once(self).chain(self.members().first());
        all.flat_map(|it| it.settings.paths(it.output, Use::Read)).map(Path::new)
    }

    /// Whether its files begin at certain times.
    pub fn rotates_by_time(&self) -> bool {
        matches!(file::rotation(&self.settings), Some(Rotation::Every(_)))
    }

    /// Whether both write to the same file or folder, by the names in the settings.
    pub fn shares_a_place(&self, other: &Self) -> bool {
        let both_to_stdout = self.is_stdout() && other.is_stdout();
        both_to_stdout || self.places().any(|place| other.places().any(|it| it == place))
    }

    fn places(&self) -> impl Iterator<Item = &Path> {
        let folders = self.settings.paths(self.output, Use::Folder).map(Path::new);
        self.files_written().chain(folders)
    }

    /// The scheme of its URL.
    pub fn scheme(&self) -> &'static str {
        self.output.scheme
    }

    /// The host that it sends to, if any, and the port.
    pub fn host(&self) -> Option<(&str, u16)> {
        match &self.target {
            Target::Host(host, _) => Some((&host.name, host.port)),
            Target::Hosts(hosts, _) | Target::Topic(hosts, ..) => {
                hosts.first().map(|host| (host.name.as_str(), host.port))
            }
            Target::Group(members) => members.first().and_then(Self::host),
            Target::Path(..) => None,
        }
    }

    /// Its Observation Domain ID, or `default` if it has none.
    pub fn domain_or(&self, default: u32) -> u32 {
        let settings = self.members().first().map_or(&self.settings, |first| &first.settings);
        settings.given(&ODID).unwrap_or(default)
    }

    /// Text for messages: the output with this Observation Domain ID.
    pub fn domain_words(&self, id: u32) -> String {
        let engine = if self.output.scheme == NETFLOW5.scheme {
            format!(", of which the low octet is the engine ID: {}", id.to_be_bytes()[3])
        } else {
            String::new()
        };
        format!("{}: Observation Domain ID {id}{engine}", self.name())
    }

    /// The URL without settings, for messages.
    pub fn name(&self) -> &str {
        self.url.split('?').next().unwrap_or(&self.url)
    }

    /// Opens it: resolves the host, connects, creates the file.
    ///
    /// # Errors
    ///
    /// The action that failed, in one sentence.
    pub fn open(&self, context: &Context) -> Result<Box<dyn Exporter>, ExportError> {
        let request = Request { name: self.name(), settings: &self.settings, context };
        match &self.target {
            Target::Host(host, open) => open(&request, host),
            Target::Hosts(hosts, open) => open(&request, hosts),
            Target::Topic(hosts, topic, open) => open(&request, hosts, topic),
            Target::Path(path, open) => open(&request, path),
            Target::Group(members) => balance::open(&request, members),
        }
    }

    /// The cluster of an output that writes into one.
    ///
    /// # Errors
    ///
    /// The output has no cluster, or its files cannot be read.
    pub fn cluster(&self) -> Result<Cluster, String> {
        let Target::Hosts(hosts, _) = &self.target else {
            return Err(format!(
                "{}: no cluster; a cluster is written as with -o: {} or {}",
                self.name(),
                ELASTIC_HTTP.form(),
                ELASTIC_HTTPS.form()
            ));
        };
        let has_tls = self.output.scheme == ELASTIC_HTTPS.scheme;
        elastic::cluster(self.as_str(), &self.settings, hosts, has_tls)
            .map_err(|problem| format!("{}: {problem}", self.name()))
    }

    /// Checks the output against settings of the whole program.
    ///
    /// # Errors
    ///
    /// The sampling interval is too large for the protocol.
    pub fn check(&self, sampling_interval: u32) -> Result<(), String> {
        self.members().iter().try_for_each(|member| member.check(sampling_interval))?;
        let most = self.output.sampling_interval_max;
        if sampling_interval > most {
            return Err(format!(
                "output {}: {} cannot report sampling of 1 in {sampling_interval} packets, at most \
                 1 in {most}",
                self.url, self.output.scheme
            ));
        }
        Ok(())
    }
}

impl TargetForm {
    /// Reads the rest of a URL. Returns the settings of the output itself: those of a group are
    /// without those of its collectors.
    fn parse(self, rest: &str, query: &str, given: Given) -> Result<(Target, Given), String> {
        let target = match self {
            Self::Host(default_port, open) => {
                if query.contains('#') {
                    return Err(HOST_ONLY.to_owned());
                }
                Target::Host(host(rest, default_port)?, open)
            }
            Self::Hosts(default_port, open) => {
                let text = rest.strip_prefix("//").ok_or(NO_HOST)?;
                let text = text.strip_suffix('/').unwrap_or(text);
                Target::Hosts(hosts(text, default_port)?, open)
            }
            Self::Topic(..) if !cfg!(feature = "kafka") => return Err(kafka::NOT_BUILT.to_owned()),
            Self::Topic(default_port, open) => {
                let text = rest.strip_prefix("//").ok_or(NO_HOST)?;
                if text.contains('@') {
                    return Err(NO_USER.to_owned());
                }
                let (text, topic) = text.split_once('/').unwrap_or((text, ""));
                let brokers = hosts(text, default_port)?;
                kafka::check_topic(topic)?;
                Target::Topic(brokers, topic.to_owned(), open)
            }
            Self::Group => {
                let (own, of_members) = balance::parted(given);
                return Ok((Target::Group(balance::members(rest, &of_members)?), own));
            }
            Self::Path(_) if rest.is_empty() => {
                return Err("no path; standard output is -".to_owned());
            }
            Self::Path(_) if rest.starts_with("//") => {
                let path = rest.trim_start_matches('/');
                return Err(format!("// does not belong before a path; write :{path} or :/{path}"));
            }
            Self::Path(open) => Target::Path(rest.to_owned(), open),
        };
        Ok((target, given))
    }
}
