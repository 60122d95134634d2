//! Where an output goes, as users write it: a URL whose query has the settings.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use flow::{KeyFields, Timestamp};
use url::Url;

use crate::error::ExportError;
use crate::exporter::Exporter;
use crate::json::{DocumentSettings, JsonExporter};
use crate::message::{Encoder, MessageExporter, Refresh, Uptime, ipfix, netflow5, netflow9};
use crate::transport::{
    FileTransport, Patience, StreamSettings, StreamTransport, TlsSettings, Transport, UdpSettings,
    UdpTransport,
};

/// An output, checked but not opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// As it was written.
    text: String,
    observation_domain_id: Option<u32>,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Udp(Protocol, UdpSettings, Refresh),
    Stream(StreamSettings),
    IpfixFile(String),
    Json(String),
}

/// What goes over UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Netflow5,
    Netflow9,
    Ipfix,
}

/// What an output needs to know of the program.
#[derive(Clone, Debug)]
pub struct Context {
    /// Replay waits for a slow or lost collector, live capture does not.
    pub patience: Patience,
    /// Where sysUpTime counts from, live; a replay counts from its own clock.
    pub uptime_start: Option<Timestamp>,
    /// The Observation Domain ID of outputs that do not set one; not 0.
    pub observation_domain_id: u32,
    /// One of so many packets is metered.
    pub sampling_interval: u32,
    /// Fields of the flow key.
    pub key: KeyFields,
    /// The name of this exporter in documents.
    pub name: String,
    /// The version of the program in documents.
    pub version: String,
}

/// Default ports: IPFIX (RFC 7011 section 10.1), IPFIX over TLS, and what NetFlow collectors use.
const IPFIX_PORT: u16 = 4739;
const IPFIX_TLS_PORT: u16 = 4740;
const NETFLOW_PORT: u16 = 2055;

/// The largest IP packet, in octets; the smallest is what every IPv4 host takes (RFC 791).
const MTU: (usize, usize, usize) = (576, 1500, 9000);

/// Datagrams per second.
const PACE: u32 = 10_000;

const REFRESH: Refresh = Refresh { interval: Duration::from_secs(60), messages: 100 };

const RECONNECT_MAX: Duration = Duration::from_secs(60);

/// How outputs are written, for messages and help.
pub const FORMS: &str = "netflow5://HOST[:PORT], netflow9://HOST[:PORT], ipfix://HOST[:PORT], \
                         ipfix+tcp://HOST[:PORT], ipfix+tls://HOST[:PORT], ipfix-file:PATH, \
                         json:PATH (- is standard output)";

impl FromStr for Destination {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = |problem: String| format!("output {text}: {problem}");
        let (scheme, rest) =
            text.split_once(':').ok_or_else(|| named(format!("no scheme; outputs are {FORMS}")))?;
        let parse = || match scheme {
            "ipfix-file" | "json" => Self::file(text, scheme, rest),
            "netflow5" | "netflow9" | "ipfix" | "ipfix+tcp" | "ipfix+tls" => {
                Self::network(text, scheme)
            }
            _ => Err(format!("unknown scheme {scheme}; outputs are {FORMS}")),
        };
        parse().map_err(named)
    }
}

impl Destination {
    /// As the user wrote it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it writes to standard output.
    pub fn is_stdout(&self) -> bool {
        matches!(&self.kind, Kind::IpfixFile(path) | Kind::Json(path) if path == "-")
    }

    /// The file that it writes, if it writes one that has a name.
    pub fn path(&self) -> Option<&Path> {
        match &self.kind {
            Kind::IpfixFile(path) | Kind::Json(path) if path != "-" => Some(Path::new(path)),
            Kind::IpfixFile(_) | Kind::Json(_) | Kind::Udp(..) | Kind::Stream(_) => None,
        }
    }

    /// Opens it: finds the host, connects, creates the file.
    ///
    /// # Errors
    ///
    /// What failed, in one sentence.
    pub fn open(&self, context: &Context) -> Result<Box<dyn Exporter>, ExportError> {
        let domain = self.observation_domain_id.unwrap_or(context.observation_domain_id);
        let name = self.text.split('?').next().unwrap_or(&self.text);
        let (encoder, transport, refresh) = match &self.kind {
            Kind::Udp(protocol, settings, refresh) => {
                let udp = UdpTransport::open(name, settings)?;
                let limit = udp.message_limit();
                let uptime = Uptime::new(context.uptime_start);
                let encoder = match protocol {
                    Protocol::Netflow5 => Encoder::Netflow5(netflow5::Encoder::new(
                        domain.to_be_bytes()[3],
                        context.sampling_interval,
                        limit,
                        uptime,
                    )),
                    Protocol::Netflow9 => {
                        Encoder::Netflow9(netflow9::Encoder::new(domain, limit, uptime))
                    }
                    Protocol::Ipfix => Encoder::Ipfix(ipfix::Encoder::new(domain, limit)),
                };
                (encoder, Transport::Udp(udp), Some(*refresh))
            }
            Kind::Stream(settings) => {
                let stream = StreamTransport::open(name, settings.clone(), context.patience)?;
                let transport = Transport::Stream(stream);
                let encoder = ipfix::Encoder::new(domain, transport.message_limit());
                (Encoder::Ipfix(encoder), transport, None)
            }
            Kind::IpfixFile(path) => {
                let transport = Transport::File(FileTransport::create(path)?);
                let encoder = ipfix::Encoder::new(domain, transport.message_limit());
                (Encoder::Ipfix(encoder), transport, None)
            }
            Kind::Json(path) => {
                let settings = DocumentSettings {
                    name: context.name.clone(),
                    version: context.version.clone(),
                    namespace: "default".to_owned(),
                    observation_domain_id: domain,
                    key: context.key,
                    sampling_interval: context.sampling_interval,
                };
                return Ok(Box::new(JsonExporter::new(settings, FileTransport::create(path)?)));
            }
        };
        Ok(Box::new(MessageExporter::new(
            name.to_owned(),
            encoder,
            transport,
            refresh,
            domain,
            context.sampling_interval,
        )))
    }

    /// Checks what only the whole program knows.
    ///
    /// # Errors
    ///
    /// A setting that this output cannot say.
    pub fn check(&self, sampling_interval: u32) -> Result<(), String> {
        let is_netflow5 = matches!(self.kind, Kind::Udp(Protocol::Netflow5, ..));
        if is_netflow5 && sampling_interval > netflow5::SAMPLING_INTERVAL_MAX {
            return Err(format!(
                "output {}: NetFlow v5 cannot say that one of {sampling_interval} packets is \
                 sampled, at most one of {}",
                self.text,
                netflow5::SAMPLING_INTERVAL_MAX
            ));
        }
        Ok(())
    }

    fn file(text: &str, scheme: &str, rest: &str) -> Result<Self, String> {
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        if path.is_empty() {
            return Err("no path; standard output is -".to_owned());
        }
        let mut query = Query::new(query);
        let observation_domain_id = query.observation_domain_id()?;
        query.finish(scheme)?;
        let path = path.to_owned();
        let kind = if scheme == "json" { Kind::Json(path) } else { Kind::IpfixFile(path) };
        Ok(Self { text: text.to_owned(), observation_domain_id, kind })
    }

    fn network(text: &str, scheme: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| error.to_string())?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or("no host")?;
        // Brackets belong to the URL, not to the address.
        let host = host.trim_matches(['[', ']']).to_owned();
        let has_user = !url.username().is_empty() || url.password().is_some();
        if has_user || !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err("only a host, a port and settings are allowed".to_owned());
        }
        let mut query = Query::new(url.query().unwrap_or_default());
        let observation_domain_id = query.observation_domain_id()?;
        let default_port = match scheme {
            "ipfix+tls" => IPFIX_TLS_PORT,
            "ipfix" | "ipfix+tcp" => IPFIX_PORT,
            _ => NETFLOW_PORT,
        };
        let port = url.port().unwrap_or(default_port);
        if port == 0 {
            return Err("nothing can be sent to port 0".to_owned());
        }
        let kind = match scheme {
            "ipfix+tcp" | "ipfix+tls" => Kind::Stream(StreamSettings {
                host,
                port,
                tls: if scheme == "ipfix+tls" { Some(query.tls()?) } else { None },
                reconnect_max: query.duration("reconnect", RECONNECT_MAX)?,
            }),
            _ => {
                let (protocol, refresh) = match scheme {
                    // No templates, nothing to repeat.
                    "netflow5" => (Protocol::Netflow5, REFRESH),
                    "netflow9" => (Protocol::Netflow9, query.refresh()?),
                    _ => (Protocol::Ipfix, query.refresh()?),
                };
                let (mtu_min, mtu, mtu_max) = MTU;
                let settings = UdpSettings {
                    host,
                    port,
                    mtu: query.number("mtu", mtu_min..=mtu_max)?.unwrap_or(mtu),
                    pace: NonZeroU32::new(query.number("pps", 0..=u32::MAX)?.unwrap_or(PACE)),
                };
                Kind::Udp(protocol, settings, refresh)
            }
        };
        query.finish(scheme)?;
        Ok(Self { text: text.to_owned(), observation_domain_id, kind })
    }
}

/// The settings of an output. Each is taken once; what is left at the end is refused.
struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    fn new(text: &str) -> Self {
        let pairs = url::form_urlencoded::parse(text.as_bytes()).into_owned().collect();
        Self { pairs }
    }

    fn take(&mut self, name: &str) -> Result<Option<String>, String> {
        let Some(index) = self.pairs.iter().position(|(key, _)| key == name) else {
            return Ok(None);
        };
        let (_, value) = self.pairs.remove(index);
        if self.pairs.iter().any(|(key, _)| key == name) {
            return Err(format!("{name} is set twice"));
        }
        Ok(Some(value))
    }

    fn number<N>(
        &mut self,
        name: &str,
        range: std::ops::RangeInclusive<N>,
    ) -> Result<Option<N>, String>
    where
        N: FromStr + PartialOrd + std::fmt::Display,
    {
        let Some(text) = self.take(name)? else { return Ok(None) };
        match text.parse() {
            Ok(number) if range.contains(&number) => Ok(Some(number)),
            _ => Err(format!(
                "{name}={text} is not a number from {} to {}",
                range.start(),
                range.end()
            )),
        }
    }

    fn duration(&mut self, name: &str, default: Duration) -> Result<Duration, String> {
        let Some(text) = self.take(name)? else { return Ok(default) };
        match humantime::parse_duration(&text) {
            Ok(duration) if duration >= Duration::from_secs(1) => Ok(duration),
            _ => Err(format!("{name}={text} is not a duration of a second or more, such as 60s")),
        }
    }

    fn observation_domain_id(&mut self) -> Result<Option<u32>, String> {
        self.number("odid", 1..=u32::MAX)
    }

    fn refresh(&mut self) -> Result<Refresh, String> {
        Ok(Refresh {
            interval: self.duration("template-refresh", REFRESH.interval)?,
            messages: self.number("template-packets", 1..=u32::MAX)?.unwrap_or(REFRESH.messages),
        })
    }

    fn tls(&mut self) -> Result<TlsSettings, String> {
        let mut path = |name| Ok::<_, String>(self.take(name)?.map(PathBuf::from));
        let (authorities, certificate, key) = (path("ca")?, path("cert")?, path("key")?);
        let identity = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => {
                return Err("cert and key belong together".to_owned());
            }
        };
        Ok(TlsSettings { authorities, identity })
    }

    fn finish(self, scheme: &str) -> Result<(), String> {
        match self.pairs.first() {
            None => Ok(()),
            Some((name, _)) => {
                Err(format!("{name} is not a setting of {scheme}; those are {}", settings(scheme)))
            }
        }
    }
}

/// The settings that a scheme has, for messages.
fn settings(scheme: &str) -> &'static str {
    match scheme {
        "netflow5" => "odid, mtu, pps",
        "netflow9" | "ipfix" => "odid, mtu, pps, template-refresh, template-packets",
        "ipfix+tcp" => "odid, reconnect",
        "ipfix+tls" => "odid, reconnect, ca, cert, key",
        _ => "odid",
    }
}
