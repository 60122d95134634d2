//! All outputs. Each is defined once; parsing, opening, help and messages use its definition.
//!
//! To add an output, define it in a module of its family and add a line to [`OUTPUTS`].

mod balance;
mod batches;
mod context;
mod destination;
mod elastic;
mod file;
mod host;
mod kafka;
mod meant;
mod secrets;
mod setting;
mod tcp;
mod tls;
mod udp;

use crate::error::ExportError;
use crate::exporter::Exporter;
use crate::json::{DocumentSettings, Fields};
use crate::message::{MessageEncoder, MessageExporter, Namespace, Refresh, ipfix};
use crate::transport::{Collector, Host, Transport};
use crate::words::wrapped;
pub use context::Context;
pub use destination::Destination;
pub use secrets::without_secrets;
pub use setting::Setting;
use setting::Settings;

/// All outputs, in the order in which help lists them.
pub static OUTPUTS: &[&Output] = &[
    &udp::NETFLOW5,
    &udp::NETFLOW9,
    &udp::IPFIX,
    &tcp::IPFIX_TCP,
    &tcp::IPFIX_TLS,
    &file::IPFIX_FILE,
    &file::JSON,
    &elastic::ELASTIC_HTTP,
    &elastic::ELASTIC_HTTPS,
    &kafka::KAFKA,
    &kafka::KAFKA_TLS,
    &balance::BALANCE,
];

/// Definition of an output, for users and for this crate.
#[derive(Debug)]
pub struct Output {
    /// The scheme of its URL.
    pub scheme: &'static str,
    /// Description in a few words.
    pub meaning: &'static str,
    /// Its settings, in the order in which help lists them.
    pub settings: &'static [&'static Setting],
    /// True if it writes documents, false for messages.
    pub writes_documents: bool,
    /// The form of the rest of the URL, and the function that opens the output.
    target: TargetForm,
    /// The largest sampling interval of the protocol.
    sampling_interval_max: u32,
}

/// The form of the rest of a URL, and the function that opens the output.
#[derive(Clone, Copy, Debug)]
enum TargetForm {
    /// `//HOST[:PORT]`, with this port by default.
    Host(u16, fn(&Request<'_>, &Host) -> Opened),
    /// `//HOST[:PORT][,HOST[:PORT]...]`, with this port by default.
    Hosts(u16, fn(&Request<'_>, &[Host]) -> Opened),
    /// `//HOST[:PORT][,HOST[:PORT]...]/TOPIC`, with this port by default.
    Topic(u16, fn(&Request<'_>, &[Host], &str) -> Opened),
    /// `PATH`, where `-` is standard output.
    Path(fn(&Request<'_>, &str) -> Opened),
    /// `URL,URL[,URL...]` of other outputs, each with a host.
    Group,
}

type Opened = Result<Box<dyn Exporter>, ExportError>;

/// Parameters for opening an output, besides its target.
struct Request<'a> {
    /// The URL without settings, for messages.
    name: &'a str,
    settings: &'a Settings,
    context: &'a Context,
}

const SOURCE: Setting = Setting::source(
    "source",
    "this host's address or interface that packets leave from; the route's by default",
);

const WAIT: Setting =
    Setting::duration("wait", "how long a replay waits for its collector").default("60s");

const ODID: Setting = Setting::number(
    "odid",
    "Observation Domain ID; by default this probe's, in a replay 1",
    1..=u32::MAX,
);

const NAMES: Setting =
    Setting::text("names", "elements of names in payload: ntop, cert, cesnet", |text| {
        text.parse::<Namespace>().is_ok()
    })
    .default("ntop");

/// Elastic's own pipelines fill in these fields only if documents do not have them.
const GEO: Setting =
    Setting::text("geo", "on, or off: documents without geo and as of their addresses", |text| {
        ["on", "off"].contains(&text)
    })
    .default("on");

const FIELDS: Setting =
    Setting::text("fields", "full, or lean: without related and what netflow.* repeats", |text| {
        ["full", "lean"].contains(&text)
    })
    .default("full");

const EVENTS: Setting = Setting::text(
    "events",
    "dns: also a document for each DNS question, with its answer; needs --payload dns",
    |text| text == "dns",
);

/// Options records of exporters are documents only where they are asked for: most users have no use
/// for them.
const OPTIONS: Setting = Setting::text(
    "options",
    "1: also a document for each options record of an exporter; needs collect",
    |text| text == "1",
);

fn wants_options(settings: &Settings) -> bool {
    settings.given::<String>(&OPTIONS).is_some()
}

fn wants_dns_events(settings: &Settings) -> bool {
    settings.given::<String>(&EVENTS).is_some()
}

impl Output {
    /// Form of its URL: `ipfix://HOST[:4739]`, `json:PATH`.
    pub fn form(&self) -> String {
        match self.target {
            TargetForm::Host(port, _) => format!("{}://HOST[:{port}]", self.scheme),
            TargetForm::Hosts(port, _) => format!("{}://HOST[:{port}],...", self.scheme),
            TargetForm::Topic(port, _) => format!("{}://HOST[:{port}],.../TOPIC", self.scheme),
            TargetForm::Path(_) => format!("{}:PATH", self.scheme),
            TargetForm::Group => format!("{}:URL,URL,...", self.scheme),
        }
    }

    /// The names of its settings, separated by commas.
    fn setting_names(&self) -> String {
        let names: Vec<_> = self.settings.iter().map(|setting| setting.name).collect();
        names.join(", ")
    }

    fn find(scheme: &str) -> Option<&'static Self> {
        OUTPUTS.iter().copied().find(|output| output.scheme == scheme)
    }
}

impl Request<'_> {
    fn observation_domain_id(&self) -> u32 {
        self.settings.given(&ODID).unwrap_or(self.context.observation_domain_id)
    }

    /// The collector on this host.
    fn collector(&self, host: &Host) -> Collector {
        Collector { host: host.clone(), source: self.settings.given(&SOURCE) }
    }

    /// The settings of its documents.
    fn documents(&self, namespace: String) -> DocumentSettings {
        let settings = self.settings;
        DocumentSettings {
            geo: settings.string(&GEO) == "on",
            fields: if settings.string(&FIELDS) == "lean" { Fields::Lean } else { Fields::Full },
            has_dns_events: wants_dns_events(settings),
            has_options: wants_options(settings),
            ..self.context.documents(namespace, self.observation_domain_id())
        }
    }

    /// The encoder of IPFIX messages, with this limit of octets.
    fn ipfix(&self, limit: usize) -> ipfix::Encoder {
        let names = self.settings.string(&NAMES).parse().ok().filter(|_| self.context.has_names);
        ipfix::Encoder::new(self.observation_domain_id(), limit, self.context.blocks(), names)
    }

    /// The exporter of messages with this encoder and this transport.
    fn messages<E: MessageEncoder + 'static>(
        &self,
        encoder: E,
        transport: impl Transport + 'static,
        refresh: Option<Refresh>,
    ) -> Box<dyn Exporter> {
        Box::new(MessageExporter::new(
            self.name.to_owned(),
            encoder,
            Box::new(transport),
            refresh,
            self.observation_domain_id(),
            self.context.sampling_interval,
            self.context.patience,
        ))
    }
}

/// The URL forms of all outputs, separated by commas.
pub fn forms() -> String {
    let forms: Vec<_> = OUTPUTS.iter().map(|output| output.form()).collect();
    forms.join(", ") + " (- is standard output)"
}

/// Columns of the outputs and of the settings in the help.
const FORM_COLUMNS: usize = 24;
const NAME_COLUMNS: usize = 17;

/// The part of a program's help that lists outputs and their settings, in lines of at most this
/// number of characters where words allow it.
pub fn help(columns: usize) -> String {
    let mut outputs = String::new();
    let mut settings = String::new();
    for output in OUTPUTS {
        let (form, names) = (output.form(), output.setting_names());
        outputs += &format!("  {form:<FORM_COLUMNS$} {}\n", output.meaning);
        outputs += &format!("  {:FORM_COLUMNS$} {names}\n", "");
        for setting in output.settings {
            let line = format!("  {:<NAME_COLUMNS$} {setting}\n", setting.name);
            if !settings.contains(&line) {
                settings += &line;
            }
        }
    }
    let outputs = wrapped(&outputs, columns, FORM_COLUMNS + 3);
    let settings = wrapped(&settings, columns, NAME_COLUMNS + 3);
    format!("{outputs}Settings of outputs:\n{settings}")
}
