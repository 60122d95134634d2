//! `flowprobe doctor`: checks whether capture on an interface would work, and for problems.
//!
//! Facts are gathered without touching the interface, but for half a second in which its packets
//! are listened to. What follows from them is computed from the facts alone, a finding to each
//! subject, with the remedy where there is one.

mod facts;
mod findings;
mod report;
mod spreading;
mod traffic;

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
        match name.as_ref().map_err(Clone::clone).and_then(|name| Facts::gather(name)) {
            Ok(facts) => all.push(facts),
            Err(problem) => {
                error!("{problem}");
                examined.works = false;
            }
        }
    }
    traffic::listen(&mut all);
    // A run does so too, and ends if it cannot.
    let obstacle = rights::give_up(None, false).err();
    all.iter_mut().for_each(|facts| facts.obstacle.clone_from(&obstacle));
    facts::share(&mut all, selectors.iter().any(Selector::is_pattern));
    for facts in &all {
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
