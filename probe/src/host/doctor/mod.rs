//! `flowprobe doctor`: whether capture on an interface would work, and what would falsify it.
//!
//! Facts are gathered without touching the interface. What follows from them is computed from the
//! facts alone, a finding to each subject, with the remedy where there is one.

mod facts;
mod findings;
mod report;

use log::error;

use facts::Facts;
use report::Report;

/// How findings are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// For people.
    Text,
    /// A line of JSON for each interface.
    Json,
}

/// What came of an examination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Examined {
    /// For standard output, with styles.
    pub(crate) text: String,
    /// Whether capture would work on all interfaces.
    pub(crate) works: bool,
}

/// Examines interfaces. One that is not there is said at once, as an error.
pub(crate) fn examine(names: &[String], form: Form) -> Examined {
    let mut examined = Examined { text: String::new(), works: true };
    for name in names {
        let report = match Facts::gather(name, names.len()) {
            Ok(facts) => Report::new(&facts),
            Err(problem) => {
                error!("{problem}");
                examined.works = false;
                continue;
            }
        };
        examined.works &= report.works();
        match form {
            Form::Text if examined.text.is_empty() => examined.text = report.text(),
            Form::Text => examined.text.extend(["\n", report.text().as_str()]),
            Form::Json => examined.text.extend([report.json().to_string().as_str(), "\n"]),
        }
    }
    examined
}

#[cfg(test)]
mod tests;
