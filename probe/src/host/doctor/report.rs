//! Findings as people and as programs read them.

use std::fmt::Write;

use anstyle::{AnsiColor, Reset, Style};
use serde_json::{Value, json};

use super::facts::Facts;
use super::findings::{Finding, Level, findings};
use crate::host::interface::Interface;
use crate::host::method::Method;
use crate::report::escape::Escaped;

/// What was found of an interface.
#[derive(Debug)]
pub(super) struct Report {
    interface: Interface,
    method: Method,
    findings: Vec<Finding>,
}

impl Report {
    /// What follows from the facts.
    pub(super) fn new(facts: &Facts) -> Self {
        let method = facts.method();
        let findings = findings(facts, &method);
        Self { interface: facts.interface.clone(), method, findings }
    }

    /// Whether capture would work.
    pub(super) fn works(&self) -> bool {
        !matches!(self.method, Method::None { .. })
    }

    /// A line for each finding, and the remedy beneath. Styles are for a terminal.
    pub(super) fn text(&self) -> String {
        let bold = Style::new().bold();
        let mut text = String::new();
        let name = Escaped(&self.interface.name);
        let heading = format!("{}{name}{}", bold.render(), Reset.render());
        writeln!(text, "{heading}").expect("a string takes all");
        let width = self.findings.iter().map(|finding| finding.subject.len()).max().unwrap_or(0);
        for finding in &self.findings {
            let (mark, style) = mark(finding.level);
            let (subject, found) = (finding.subject, Escaped(&finding.text));
            let mark = format!("{}{mark:<4}{}", style.render(), Reset.render());
            writeln!(text, "  {mark}  {subject:<width$}  {found}").expect("a string takes all");
            if let Some(remedy) = &finding.remedy {
                let indent = 2 + 4 + 2 + width + 2;
                writeln!(text, "{:indent$}-> {}", "", Escaped(remedy)).expect("a string takes all");
            }
        }
        text
    }

    /// The same as one object.
    pub(super) fn json(&self) -> Value {
        let interface = &self.interface;
        let findings: Vec<Value> = self
            .findings
            .iter()
            .map(|finding| {
                json!({
                    "level": mark(finding.level).0,
                    "subject": finding.subject,
                    "text": finding.text,
                    "remedy": finding.remedy,
                })
            })
            .collect();
        json!({
            "interface": {
                "name": interface.name,
                "index": interface.index,
                "driver": interface.driver,
                "mtu": interface.mtu,
                "rx_queues": interface.rx_queues,
                "up": interface.is_up(),
                "carrier": interface.is_running(),
                "addresses": interface.addresses,
                "consumable": interface.needed(&[]).is_none(),
            },
            "works": self.works(),
            "method": match self.method {
                Method::Xdp => Some("afxdp"),
                Method::Packet { .. } => Some("packet"),
                Method::None { .. } => None,
            },
            "findings": findings,
        })
    }
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
