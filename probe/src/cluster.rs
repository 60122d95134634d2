//! `flowprobe elastic`: sets clusters up, and checks them.

use std::fmt::Write;

use anstyle::{AnsiColor, Reset, Style};
use exporter::{Cluster, Destination, Finding, Level, Setup};
use serde_json::{Value, json};

use crate::report::escape::Escaped;
use crate::settings::elastic::{ElasticCommand, SetupArguments};

/// What came of a command.
#[derive(Debug)]
pub(crate) struct Done {
    /// For standard output, with styles.
    pub(crate) text: String,
    /// Whether nothing failed.
    pub(crate) works: bool,
}

/// Does what a command asks for.
///
/// # Errors
///
/// The URL names no cluster, or its settings cannot be read.
pub(crate) fn run(command: &ElasticCommand) -> Result<Done, String> {
    match command {
        ElasticCommand::Setup(arguments) => set_up(&arguments.url.cluster()?, arguments),
        ElasticCommand::Check { url, json } => Ok(done(url, &url.cluster()?.check(), *json)),
    }
}

fn set_up(cluster: &Cluster, arguments: &SetupArguments) -> Result<Done, String> {
    let setup = Setup {
        retention: arguments.retention.0,
        shards: arguments.shards,
        replicas: arguments.replicas,
        dashboards: arguments.dashboards.clone(),
    };
    if !arguments.dry_run {
        return Ok(done(&arguments.url, &cluster.set_up(&setup), arguments.json));
    }
    Ok(match cluster.plan(&setup) {
        Ok(text) => Done { text, works: true },
        Err(finding) => done(&arguments.url, &[finding], arguments.json),
    })
}

fn done(url: &Destination, findings: &[Finding], as_json: bool) -> Done {
    let works = findings.iter().all(|finding| finding.level != Level::Fail);
    let text = match as_json {
        true => format!("{}\n", object(url, works, findings)),
        false => lines(url, findings),
    };
    Done { text, works }
}

/// A line for each finding, and the remedy beneath.
fn lines(url: &Destination, findings: &[Finding]) -> String {
    let mut text = format!("{}\n", Escaped(url.as_str()));
    let width = findings.iter().map(|finding| finding.subject.len()).max().unwrap_or(0);
    for Finding { level, subject, text: found, remedy } in findings {
        let (mark, style) = mark(*level);
        let mark = format!("{}{mark:<4}{}", style.render(), Reset.render());
        let found = Escaped(found);
        writeln!(text, "  {mark}  {subject:<width$}  {found}").expect("a string takes all");
        if let Some(remedy) = remedy {
            let indent = 2 + 4 + 2 + width + 2;
            writeln!(text, "{:indent$}-> {}", "", Escaped(remedy)).expect("a string takes all");
        }
    }
    text
}

/// The same as one object.
fn object(url: &Destination, works: bool, findings: &[Finding]) -> Value {
    let finding = |finding: &Finding| {
        json!({
            "level": mark(finding.level).0,
            "subject": finding.subject,
            "text": finding.text,
            "remedy": finding.remedy,
        })
    };
    let findings: Vec<Value> = findings.iter().map(finding).collect();
    json!({"cluster": url.as_str(), "works": works, "findings": findings})
}

fn mark(level: Level) -> (&'static str, Style) {
    let colour = |colour: AnsiColor| Style::new().fg_color(Some(colour.into()));
    match level {
        Level::Ok => ("ok", colour(AnsiColor::Green)),
        Level::Note => ("note", colour(AnsiColor::Cyan)),
        Level::Warn => ("warn", colour(AnsiColor::Yellow).bold()),
        Level::Fail => ("fail", colour(AnsiColor::Red).bold()),
    }
}
