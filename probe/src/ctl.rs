//! `flowprobe ctl`: asks a run that goes on.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use exporter::{escaped_json, sentence};
use log::error;
use serde_json::Value;

use crate::report::escape::Escaped;
use crate::report::stdout::print;
use crate::report::table::protocol_name;
use crate::report::units::{counted, grouped, octets};
use crate::settings::service::{CtlArguments, CtlCommand};

/// How long the run may be silent: new settings may take a minute.
const PATIENCE: Duration = Duration::from_secs(90);

/// Asks, and prints the answer. `false` if there is none, or if the run says that it cannot do it.
pub(crate) fn ask(CtlArguments { socket, command }: &CtlArguments) -> bool {
    match answer(socket, command) {
        Ok(text) => print(text.as_bytes()),
        Err(problem) => {
            error!("{problem}");
            false
        }
    }
}

/// The answer in words.
///
/// # Errors
///
/// The program cannot be asked, or it says that it cannot do it; in one sentence.
fn answer(socket: &Path, command: &CtlCommand) -> Result<String, String> {
    let request = match command {
        CtlCommand::Stats | CtlCommand::Outputs => "stats".to_owned(),
        CtlCommand::Flows { meant, sort, limit, .. } => {
            let sort = sort.iter().map(|order| format!("sort={order}"));
            let limit = limit.iter().map(|number| format!("limit={number}"));
            let words: Vec<_> = meant.words().into_iter().chain(sort).chain(limit).collect();
            format!("flows {}", words.join(" "))
        }
        CtlCommand::Expire { all: true, .. } => "expire all".to_owned(),
        CtlCommand::Expire { meant, .. } => format!("expire {}", meant.words().join(" ")),
        CtlCommand::Pause { output } => format!("pause {output}"),
        CtlCommand::Resume { output } => format!("resume {output}"),
        CtlCommand::Reload => "reload".to_owned(),
        CtlCommand::LogLevel { level } => format!("log-level {level}"),
    };
    let line = exchange(socket, &request).map_err(|problem| {
        format!("{}: {}; is it the --control of the run?", socket.display(), sentence(&problem))
    })?;
    let answer: Value = serde_json::from_str(&line)
        .map_err(|_invalid| format!("{}: the answer is no JSON", socket.display()))?;
    if let Some(problem) = answer["error"].as_str() {
        return Err(problem.to_owned());
    }
    let statistics = &answer["statistics"];
    Ok(match command {
        CtlCommand::Stats => escaped_json(&statistics.to_string()) + "\n",
        CtlCommand::Outputs => outputs(&statistics["outputs"]),
        CtlCommand::Flows { json: true, .. } => escaped_json(&answer.to_string()) + "\n",
        CtlCommand::Flows { .. } => flows(&answer),
        CtlCommand::Expire { .. } => {
            let number = answer["expired"].as_u64().unwrap_or_default();
            format!("{} ended\n", counted(number, "flow", "flows"))
        }
        CtlCommand::Pause { output } => format!("{}: paused\n", Escaped(output)),
        CtlCommand::Resume { output } => format!("{}: sends again\n", Escaped(output)),
        CtlCommand::Reload => "the settings are in force\n".to_owned(),
        CtlCommand::LogLevel { level } => format!("messages from now on: {level}\n"),
    })
}

fn exchange(socket: &Path, request: &str) -> std::io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(format!("{request}\n").as_bytes())?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    Ok(line)
}

/// A line for each output.
fn outputs(outputs: &Value) -> String {
    let mut text = String::new();
    for output in outputs.as_array().into_iter().flatten() {
        let records = |what: &str| output[what]["records"].as_u64().unwrap_or_default();
        let lost = records("failed") + records("dropped");
        let is = |what: &str| output[what] == true;
        let state = match output["error"].as_str() {
            Some(problem) => format!("gave up: {problem}"),
            None if is("removed") => "removed".to_owned(),
            None if is("paused") => "paused".to_owned(),
            None => "sends".to_owned(),
        };
        let name = output["output"].as_str().unwrap_or_default();
        let (sent, spooled) = (records("sent"), records("spooled"));
        let line = format!("{name}: {state}, {sent} records sent, {lost} lost, {spooled} spooled");
        writeln!(text, "{}", Escaped(line)).expect("a string takes all");
        for collector in output["collectors"].as_array().into_iter().flatten() {
            writeln!(text, "{}", Escaped(collector_words(collector))).expect("a string takes all");
        }
    }
    text
}

/// A collector of a group, below its output.
fn collector_words(collector: &Value) -> String {
    let records = |what: &str| collector[what]["records"].as_u64().unwrap_or_default();
    let name = collector["collector"].as_str().unwrap_or_default();
    let state = if collector["away"] == true { "away" } else { "sends" };
    let (sent, lost, moved) = (records("sent"), records("failed"), records("moved"));
    format!("  {name}: {state}, {sent} records sent, {lost} lost, {moved} went to others")
}

/// A line for each flow, and the number of all that were meant.
fn flows(answer: &Value) -> String {
    let mut text = String::new();
    let flows = answer["flows"].as_array().map(Vec::as_slice).unwrap_or_default();
    for flow in flows {
        let number = |what: &str| flow[what].as_u64().unwrap_or_default();
        let side = |address: &str, port: &str| {
            let address = flow[address].as_str().and_then(|address| address.parse().ok());
            let port = u16::try_from(number(port)).unwrap_or_default();
            address.map_or_else(String::new, |it| SocketAddr::new(it, port).to_string())
        };
        let protocol = protocol_name(u8::try_from(number("protocol")).unwrap_or_default());
        let (source, destination) =
            (side("source", "source_port"), side("destination", "destination_port"));
        let sum = counted(number("packets"), "packet", "packets");
        let octets = octets(number("octets"));
        let [start, end] = ["start", "end"].map(|what| flow[what].as_str().unwrap_or_default());
        let line =
            format!("{protocol} {source} > {destination}: {sum}, {octets}, {start} to {end}");
        writeln!(text, "{}", Escaped(line)).expect("a string takes all");
    }
    let matched = answer["matched"].as_u64().unwrap_or_default();
    let shown = grouped(flows.len() as u64);
    writeln!(text, "{shown} of {} shown", counted(matched, "flow", "flows"))
        .expect("a string takes all");
    text
}
