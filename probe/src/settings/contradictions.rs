//! Settings that are valid alone but not together. All contradictions are found, not only the
//! first.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::path::PathBuf;

use analysis::detect::Detectors;
use clap::{Arg, CommandFactory};
use exporter::Destination;
use flow::{HashSeed, KeyField, Tpids};

use super::args::{Arguments, CaptureMethod, Cli, LiveSettings};
use super::config;
use super::detect::AlertTarget;
use super::http::HttpArguments;
use super::listen::{CollectArguments, Scope};
use super::listener::{Carrier, Listener};
use super::payload::PayloadArguments;
use super::tunnels::TunnelArguments;
use super::values::Stats;
use crate::capture::file::{FilePlace, Input};
use crate::capture::packet::Direction;

/// A contradiction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) sentence: String,
    /// A setting is missing. Otherwise settings exclude each other.
    pub(super) is_lack: bool,
}

/// Settings that cannot be used together.
const APART: [(&str, &str); 4] =
    [("top", "output"), ("order", "output"), ("top-by", "output"), ("top-by", "order")];

/// What tells conversations apart.
const CONVERSATION: [KeyField; 5] = [
    KeyField::Source,
    KeyField::Destination,
    KeyField::SourcePort,
    KeyField::DestinationPort,
    KeyField::Protocol,
];

/// Settings that need another one.
const NEED: [(&str, &str); 1] = [("tunnel-key", "decap")];

/// Headings of the help under which all settings need one of them.
const NEED_FIRST: [(&str, &str); 2] =
    [(HttpArguments::HEADING, "http"), (PayloadArguments::HEADING, "payload")];

/// Headings of the help with settings of metering only.
const HEADINGS_OF_METERING: [&str; 3] =
    [LiveSettings::HEADING, PayloadArguments::HEADING, TunnelArguments::HEADING];

/// Settings of metering under other headings. The page shows packets.
const OF_METERING: [&str; 12] = [
    "control",
    "interface",
    "idle-timeout",
    "active-timeout",
    "protocol-timeout",
    "max-flows",
    "flow-key",
    "sample",
    "workers",
    "ifindex",
    "http",
    "burst",
];

/// Those among them that a collector with sockets has.
const OF_LISTENING: [&str; 6] =
    ["control", "workers", "http", "user", "require-outputs", "stats-interval"];

/// A setting, hidden from the help of `collect` if it has no meaning there.
pub(super) fn shown_for_collect(argument: Arg) -> Arg {
    let name = argument.get_long().unwrap_or_default();
    let is_refused = is_of_metering(&argument) && !OF_LISTENING.contains(&name);
    argument.hide(is_refused)
}

fn is_of_metering(argument: &Arg) -> bool {
    let is_under = |heading| HEADINGS_OF_METERING.contains(&heading);
    argument.get_help_heading().is_some_and(is_under)
        || argument.get_long().is_some_and(|name| OF_METERING.contains(&name))
}

/// The names of the settings for which this is true, sorted.
fn names_of(is_meant: impl Fn(&Arg) -> bool) -> BTreeSet<String> {
    let command = Cli::command();
    let meant = command.get_arguments().filter(|argument| is_meant(argument));
    meant.filter_map(Arg::get_long).map(str::to_owned).collect()
}

/// The names of the settings under a heading of the help.
fn names_under(heading: &str) -> BTreeSet<String> {
    names_of(|argument| argument.get_help_heading() == Some(heading))
}

/// All contradictions of these settings.
pub(super) fn of(args: &Arguments) -> Vec<Problem> {
    let mut problems = Problems(Vec::new());
    problems.names(args);
    problems.live(&args.live);
    problems.inputs(args);
    problems.outputs(args);
    problems.stdout(args);
    problems.files(args);
    problems.interface_numbers(args);
    problems.table(args);
    problems.analysis(args);
    args.tunnels.problem().into_iter().for_each(|problem| problems.clash(problem));
    problems.0
}

/// The outputs, and the files of alerts, each once.
fn destinations(args: &Arguments) -> Vec<&Destination> {
    let alerts = args.detect.alerts.iter().filter_map(AlertTarget::file);
    let mut all: Vec<&Destination> = Vec::new();
    for output in &args.output {
        if !all.contains(&output) {
            all.push(output);
        }
    }
    all.extend(alerts);
    all
}

struct Problems(Vec<Problem>);

impl Problems {
    /// Adds a problem of settings that exclude each other.
    fn clash(&mut self, sentence: impl Into<String>) {
        self.0.push(Problem { sentence: sentence.into(), is_lack: false });
    }

    /// Adds a problem of a missing setting.
    fn lack(&mut self, sentence: impl Into<String>) {
        self.0.push(Problem { sentence: sentence.into(), is_lack: true });
    }

    /// Settings that need or exclude another one, regardless of their values.
    fn names(&mut self, args: &Arguments) {
        let is_given = |name: &str| args.given.contains(name);
        for (one, other) in APART {
            if is_given(one) && is_given(other) {
                self.clash(format!("--{one} cannot be used with --{other}"));
            }
        }
        for (one, other) in NEED {
            if is_given(one) && !is_given(other) {
                self.lack(format!("--{one} needs --{other}"));
            }
        }
        for (heading, first) in NEED_FIRST {
            let others = names_under(heading).into_iter().filter(|name| name != first);
            for name in others.filter(|name| is_given(name) && !is_given(first)) {
                self.lack(format!("--{name} needs --{first}"));
            }
        }
        if args.collects {
            self.collects(args);
            return;
        }
        if is_given("control") && !is_given("interface") {
            self.lack("--control needs --interface");
        }
        let of_collect = names_under(CollectArguments::HEADING);
        for name in of_collect.iter().filter(|name| is_given(name)) {
            self.lack(format!("--{name} needs the command collect: flowprobe collect --{name}"));
        }
        let mut of_live = names_under(LiveSettings::HEADING);
        of_live.retain(|name| is_given(name));
        if is_given("interface") {
            if !args.inputs.is_empty() {
                self.clash("--interface cannot be used with capture files (--read)");
            }
            return;
        }
        for name in &of_live {
            if args.inputs.is_empty() {
                self.lack(format!("--{name} needs --interface"));
            } else {
                self.clash(format!("--{name} cannot be used with capture files (--read)"));
            }
        }
        if args.inputs.is_empty() && of_live.is_empty() {
            self.lack("nothing to do: give an interface with -i IFACE, or a file with -r FILE");
        }
    }

    /// Settings of metering, which have no meaning for flows that others metered.
    fn collects(&mut self, args: &Arguments) {
        let is_given = |name: &String| args.given.contains(name);
        let listens = is_given(&"listen".to_owned());
        let mut refused = names_of(is_of_metering);
        refused.retain(|name| !(listens && OF_LISTENING.contains(&name.as_str())));
        for name in refused.iter().filter(|name| is_given(name)) {
            if OF_LISTENING.contains(&name.as_str()) {
                self.lack(format!("--{name} needs --listen"));
            } else {
                self.clash(format!("--{name} cannot be used with collect"));
            }
        }
        if !listens && args.inputs.is_empty() {
            self.lack(
                "nothing to collect: give a listener with -l URL, or a capture file of datagrams \
                 with -r FILE",
            );
        }
        if listens && !args.inputs.is_empty() {
            self.clash("--listen cannot be used with capture files (--read)");
        }
        if listens && args.filter.is_some() {
            self.clash("--filter needs frames of captures; use --allow with --listen");
        }
        for name in ["receive-buffer", "template-store"].map(str::to_owned) {
            if !listens && is_given(&name) {
                self.lack(format!("--{name} needs --listen"));
            }
        }
        if args.collect.template_store.is_some() && args.collect.template_scope == Scope::Port {
            self.clash("--template-store keeps templates of addresses; it needs the scope address");
        }
        let listeners = &args.collect.listen;
        for (index, listener) in listeners.iter().enumerate() {
            // The system chooses another port for each 0.
            let mut before = listeners[..index].iter().filter(|other| other.address.port() != 0);
            let is_datagrams = |it: &Listener| it.carrier == Carrier::Udp;
            if before.any(|other| {
                other.address == listener.address && is_datagrams(other) == is_datagrams(listener)
            }) {
                self.clash(format!("--listen {listener}: the address is given twice"));
            }
        }
    }

    fn live(&mut self, live: &LiveSettings) {
        for (index, name) in live.interface.iter().enumerate() {
            if live.interface[..index].contains(name) {
                self.clash(format!("interface {name} given twice"));
            }
        }
        let is_afxdp = live.capture == CaptureMethod::Afxdp;
        if is_afxdp && live.direction != Direction::In {
            let direction = "--direction in; the others need --capture packet";
            self.clash(format!("--capture afxdp sees incoming packets only, which is {direction}"));
        }
        if live.take_interface && !is_afxdp {
            self.lack("--take-interface has an effect with --capture afxdp only");
        }
    }

    fn inputs(&mut self, args: &Arguments) {
        if let Err(problem) = Input::of_names(&args.inputs) {
            self.clash(problem);
        }
    }

    fn outputs(&mut self, args: &Arguments) {
        for (index, output) in args.output.iter().enumerate() {
            if args.output[..index].contains(output) {
                self.clash(format!("output {} given twice", output.as_str()));
            } else if let Err(problem) = output.check(args.sample.get()) {
                self.clash(problem);
            }
        }
    }

    /// Several outputs to standard output.
    fn stdout(&mut self, args: &Arguments) {
        let mut on_stdout = destinations(args).into_iter().filter(|output| output.is_stdout());
        let first = on_stdout.next();
        for other in on_stdout {
            let name = other.as_str();
            self.clash(format!("output {name}: only one output can go to standard output"));
        }
        if args.stats != Stats::JsonStdout {
            return;
        }
        if args.output.is_empty() {
            self.lack("--stats json:- needs an --output: the table is on standard output");
        }
        if let Some(output) = first {
            let name = output.as_str();
            self.clash(format!("output {name}: --stats json:- goes to standard output"));
        }
    }

    /// Files or pipes that are written twice, or read and written, under any names.
    fn files(&mut self, args: &Arguments) {
        let outputs = destinations(args);
        let inputs = Input::of_names(&args.inputs).unwrap_or_default();
        let mut read: Vec<_> = inputs.iter().filter_map(Input::place).collect();
        let keys = args.http.http_token_file.iter().chain(&args.payload.payload_names_key);
        let others = args.config.iter().chain(args.places.paths()).chain(keys);
        let of_outputs = outputs.iter().flat_map(|output| output.files_read());
        let others = others.map(PathBuf::as_path).chain(of_outputs);
        read.extend(others.filter_map(FilePlace::of_path));
        let mut written = Vec::new();
        let mut check = |name: &str, place: Option<FilePlace>| {
            let Some(place) = place else { return };
            if written.contains(&place) {
                self.clash(format!("{name}: another output writes the same file"));
            } else if read.contains(&place) {
                self.clash(format!("{name}: this file is read"));
            } else {
                written.push(place);
            }
        };
        if let Stats::JsonFile(path) = &args.stats {
            check(&format!("--stats json:{}", path.display()), FilePlace::of_path(path));
        }
        if outputs.iter().any(|output| output.is_stdout()) {
            check("standard output", FilePlace::of_stdout());
        }
        for output in outputs {
            let name = format!("output {}", output.as_str());
            output.files_written().for_each(|path| check(&name, FilePlace::of_path(path)));
        }
        // Without outputs there is a table on standard output.
        if args.output.is_empty()
            && FilePlace::of_stdout().is_some_and(|place| read.contains(&place))
        {
            self.clash("standard output goes to a file that is read");
        }
    }

    fn interface_numbers(&mut self, args: &Arguments) {
        for (index, (name, number)) in args.ifindex.iter().enumerate() {
            let before = &args.ifindex[..index];
            if let Some((other, _)) = before.iter().find(|(_, given)| given == number) {
                let other = format!("--ifindex {other}={number}");
                self.clash(format!("--ifindex {name}={number}: {other} has this number"));
            }
            if before.iter().any(|(other, _)| other == name) {
                self.clash(format!("--ifindex {name}: interface given twice"));
            }
            let interfaces = &args.live.interface;
            let is_captured = interfaces.iter().any(|interface| interface.selects(name));
            if !interfaces.is_empty() && !is_captured {
                self.lack(format!("--ifindex {name}: there is no -i {name}"));
            }
        }
    }

    fn table(&mut self, args: &Arguments) {
        if let Some(workers) = args.workers.map(NonZeroU32::get)
            && args.max_flows.get() < workers
        {
            self.clash(format!(
                "--max-flows {}: --workers {workers} needs at least one flow for each",
                args.max_flows
            ));
        }
        args.timeouts.problem().into_iter().for_each(|problem| self.clash(problem));
        let has_protocol = config::key(args).contains(KeyField::Protocol);
        if !args.timeouts.protocol_timeout.is_empty() && !has_protocol {
            self.lack("--protocol-timeout needs proto in --flow-key");
        }
        if args.tpid.len() > Tpids::MAX {
            self.clash(format!("--tpid can be given {} times", Tpids::MAX));
        }
        let key = config::key(args);
        if args.payload.is_read() && !CONVERSATION.iter().all(|field| key.contains(*field)) {
            self.lack("--payload needs src, dst, sport, dport and proto in --flow-key");
        }
        for by in &args.site.top_by {
            if let Err(problem) = by.check(config::key(args)) {
                self.clash(format!("--top-by {problem}"));
            }
        }
    }

    /// The site, the detectors and the page.
    fn analysis(&mut self, args: &Arguments) {
        for problem in args.site.site().err().into_iter().flatten() {
            self.lack(problem);
        }
        let is_live = !args.live.interface.is_empty() || !args.collect.listen.is_empty();
        let (key, detect) = (config::key(args), &args.detect);
        for problem in detect.problems(&args.output, key) {
            self.lack(problem);
        }
        let groups = args.site.groups();
        let detect = detect.settings(&args.output, is_live, key, HashSeed::new(0), "");
        let problems = detect.and_then(|settings| Detectors::check(&settings, &groups).err());
        problems.into_iter().flatten().for_each(|problem| self.lack(problem));
        if let Err(problem) = args.http.settings() {
            self.lack(problem);
        }
        if let Err(problem) = args.payload.settings(&args.output) {
            self.lack(problem);
        }
    }
}
