//! Facts about a cluster or an interface, for people.

use super::request::Problem;

/// How good a fact is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    Ok,
    /// Good to know.
    Note,
    /// It will be a problem.
    Warn,
    /// It does not work.
    Fail,
}

/// A fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How good it is.
    pub level: Level,
    /// A word for what it is about.
    pub subject: &'static str,
    /// The fact in words.
    pub text: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

impl Finding {
    fn new(level: Level, subject: &'static str, text: impl Into<String>) -> Self {
        Self { level, subject, text: text.into(), remedy: None }
    }

    /// A fact that is as it should be.
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

    /// The same on another level, with what to do about it.
    pub fn at(self, level: Level, remedy: impl Into<String>) -> Self {
        Self { level, ..self }.remedy(remedy)
    }

    pub(super) fn remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }
}
