//! Facts about a cluster or an interface, for people.

use super::request::Problem;

/// Level of a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// No problem.
    Ok,
    /// Information.
    Note,
    /// A future problem.
    Warn,
    /// A failure.
    Fail,
}

/// A fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Its level.
    pub level: Level,
    /// One word for the subject.
    pub subject: &'static str,
    /// The fact in words.
    pub text: String,
    /// Action that solves the problem.
    pub remedy: Option<String>,
}

impl Finding {
    fn new(level: Level, subject: &'static str, text: impl Into<String>) -> Self {
        Self { level, subject, text: text.into(), remedy: None }
    }

    /// A fact without a problem.
    pub fn ok(subject: &'static str, text: impl Into<String>) -> Self {
        Self::new(Level::Ok, subject, text)
    }

    pub(super) fn note(subject: &'static str, text: impl Into<String>) -> Self {
        Self::new(Level::Note, subject, text)
    }

    pub(super) fn warn(subject: &'static str, text: impl Into<String>) -> Self {
        Self::new(Level::Warn, subject, text)
    }

    pub(super) fn fail(subject: &'static str, text: impl Into<String>) -> Self {
        Self::new(Level::Fail, subject, text)
    }

    /// A request that failed, for which a user needs this right.
    pub(super) fn failed(subject: &'static str, problem: &Problem, right: &str) -> Self {
        Self { remedy: problem.remedy(right), ..Self::fail(subject, problem.text.clone()) }
    }

    /// The same fact on another level, with a remedy.
    pub fn at(self, level: Level, remedy: impl Into<String>) -> Self {
        Self { level, ..self }.remedy(remedy)
    }

    pub(super) fn remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }
}
