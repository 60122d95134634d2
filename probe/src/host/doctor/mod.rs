//! `flowprobe doctor`: checks whether capture on an interface would work, and for problems.
//!
//! Facts are gathered without changes to the interface. Findings are computed from the facts alone:
//! one for each subject, with the remedy if there is one.

mod facts;
mod findings;
mod report;

use log::error;

use facts::Facts;
use report::Report;

use crate::host::interface::links::links;
use crate::host::rights;
use crate::settings::selector::Selector;

/// Output format of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// As text.
    Text,
    /// A line of JSON for each interface.
    Json,
}

/// Result of an examination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Examined {
    /// For standard output, with styles.
    pub(crate) text: String,
    /// Whether capture would work on all interfaces.
    pub(crate) works: bool,
}

/// Examines interfaces. An interface that does not exist is logged at once, as an error. At the end
/// this process has no capabilities.
pub(crate) fn examine(selectors: &[Selector], form: Form) -> Examined {
    let mut examined = Examined { text: String::new(), works: true };
    let mut all = Vec::new();
    let names = names(selectors);
    for name in &names {
        match name.as_ref().map_err(Clone::clone).and_then(|name| Facts::gather(name, names.len()))
        {
            Ok(facts) => all.push(facts),
            Err(problem) => {
                error!("{problem}");
                examined.works = false;
            }
        }
    }
    // A run does this too, and ends if it fails.
    let obstacle = rights::give_up(None, false).err();
    for facts in &mut all {
        facts.obstacle.clone_from(&obstacle);
        let report = Report::new(facts);
        examined.works &= report.works();
        match form {
            Form::Text if examined.text.is_empty() => examined.text = report.text(),
            Form::Text => examined.text.extend(["\n", report.text().as_str()]),
            Form::Json => examined.text.extend([report.json().to_string().as_str(), "\n"]),
        }
    }
    examined
}

/// The names of the selected interfaces, or the reason why there is none.
fn names(selectors: &[Selector]) -> Vec<Result<String, String>> {
    let mut names = Vec::new();
    for selector in selectors {
        let Selector::Pattern(..) = selector else {
            names.push(Ok(selector.to_string()));
            continue;
        };
        match links() {
            Err(problem) => names.push(Err(problem)),
            Ok(links) => {
                let matching: Vec<_> =
                    links.into_iter().filter(|link| selector.selects(&link.name)).collect();
                if matching.is_empty() {
                    names.push(Err(format!("no interface matches {selector}")));
                }
                names.extend(matching.into_iter().map(|link| Ok(link.name)));
            }
        }
    }
    names
}

#[cfg(test)]
mod tests;
