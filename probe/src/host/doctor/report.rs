//! Findings as text and as JSON.

use std::fmt::Write;

use anstyle::{Reset, Style};
use exporter::Finding;
use serde_json::{Value, json};

use super::facts::Facts;
use super::findings::all;
use crate::host::interface::Interface;
use crate::host::method::Method;
use crate::report::escape::Escaped;
use crate::report::findings;

/// Findings on an interface.
#[derive(Debug)]
pub(super) struct Report {
    interface: Interface,
    method: Method,
    findings: Vec<Finding>,
}

impl Report {
    /// Computes the findings from facts.
    pub(super) fn new(facts: &Facts) -> Self {
        let method = facts.method();
        let findings = all(facts, &method);
        Self { interface: facts.interface.clone(), method, findings }
    }

    /// Whether capture would work.
    pub(super) fn works(&self) -> bool {
        !matches!(self.method, Method::None { .. })
    }

    /// A line for each finding, and its remedy on the next line. Styles are for a terminal.
    pub(super) fn text(&self) -> String {
        let bold = Style::new().bold();
        let mut text = String::new();
        let name = Escaped(&self.interface.name);
        let heading = format!("{}{name}{}", bold.render(), Reset.render());
        writeln!(text, "{heading}").expect("a string takes all");
        findings::put(&self.findings, &mut text);
        text
    }

    /// The report as one JSON object.
    pub(super) fn json(&self) -> Value {
        let interface = &self.interface;
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
            "findings": findings::json(&self.findings),
        })
    }
}
