//! `flowprobe ctl`: asks a run that goes on.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use exporter::{escaped_json, sentence};
use log::error;
use serde_json::Value;

use crate::report::escape::Escaped;
use crate::report::stdout::print;
use crate::settings::service::{CtlArguments, CtlCommand};

/// How long an answer may take: new settings may take a minute.
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
        let state = match (output["error"].as_str(), output["removed"].as_bool()) {
            (Some(problem), _) => format!("gave up: {problem}"),
            (None, Some(true)) => "removed".to_owned(),
            (None, _) => "sends".to_owned(),
        };
        let name = output["output"].as_str().unwrap_or_default();
        let (sent, spooled) = (records("sent"), records("spooled"));
        let line = format!("{name}: {state}, {sent} records sent, {lost} lost, {spooled} spooled");
        writeln!(text, "{}", Escaped(line)).expect("a string takes all");
    }
    text
}
