//! Findings about an interface or a cluster, as text and as JSON.

use std::fmt::Write;

use anstyle::{AnsiColor, Reset, Style};
use exporter::{Finding, Level, wrapped};
use serde_json::{Value, json};

use crate::report::escape::Escaped;
use crate::report::terminal;

/// Adds a line for each finding, and its remedy on the next line. Styles are for a terminal, and
/// lines are broken where it is narrower.
pub(crate) fn put(findings: &[Finding], text: &mut String) {
    let columns = terminal::columns_of_stdout().unwrap_or(usize::MAX);
    let width = findings.iter().map(|finding| finding.subject.len()).max().unwrap_or(0);
    for Finding { level, subject, text: found, remedy } in findings {
        let (mark, style) = mark(*level);
        let indent = 2 + 4 + 2 + width + 2;
        let line = format!("  {mark:<4}  {subject:<width$}  {}", Escaped(found));
        let line = wrapped(&line, columns, indent);
        let (styled, rest) = line.split_at(2 + 4);
        writeln!(text, "{}{styled}{}{rest}", style.render(), Reset.render())
            .expect("a string takes all");
        if let Some(remedy) = remedy {
            let line = format!("{:indent$}-> {}", "", Escaped(remedy));
            let line = wrapped(&line, columns, indent + 3);
            writeln!(text, "{line}").expect("a string takes all");
        }
    }
}

/// The findings as JSON objects.
pub(crate) fn json(findings: &[Finding]) -> Vec<Value> {
    let object = |finding: &Finding| {
        json!({
            "level": mark(finding.level).0,
            "subject": finding.subject,
            "text": finding.text,
            "remedy": finding.remedy,
        })
    };
    findings.iter().map(object).collect()
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
