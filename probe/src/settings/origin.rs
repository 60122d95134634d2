//! Where in the file of `--config` a value is.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A word of a command line, made from a value of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    /// The line of the file, from 1 on.
    line: usize,
}

/// The values that come from a file, so that messages on contradictions have their lines.
#[derive(Clone, Debug, Default)]
pub(crate) struct FromFile {
    path: PathBuf,
    words: Vec<Word>,
}

impl FromFile {
    pub(super) fn new(path: &Path, words: Vec<Word>) -> Self {
        Self { path: path.to_owned(), words }
    }

    /// The problems in the order of their lines. Before each are the places of the values that it
    /// mentions. Problems of the command line alone come first.
    pub(crate) fn located(&self, problems: &[String]) -> Vec<String> {
        let mut located: Vec<_> = problems.iter().map(|it| (self.lines_of(it), it)).collect();
        located.sort_by_key(|(lines, _)| lines.first().copied());
        located.iter().map(|(lines, problem)| self.sentence(lines, problem)).collect()
    }

    /// The message of one problem, if it mentions a value of the file.
    pub(super) fn located_in_file(&self, problem: &str) -> Option<String> {
        let lines = self.lines_of(problem);
        (!lines.is_empty()).then(|| self.sentence(&lines, problem))
    }

    fn lines_of(&self, problem: &str) -> BTreeSet<usize> {
        let mentioned = self.words.iter().filter(|word| self.mentions(problem, word));
        mentioned.map(|word| word.line).collect()
    }

    fn sentence(&self, lines: &BTreeSet<usize>, problem: &str) -> String {
        let lines: Vec<_> = lines.iter().map(usize::to_string).collect();
        match lines.as_slice() {
            [] => problem.to_owned(),
            lines => format!("{}:{}: {problem}", self.path.display(), lines.join(",")),
        }
    }

    /// Whether a problem mentions this word: it has its value, or the name of the setting and none
    /// of its values.
    fn mentions(&self, problem: &str, word: &Word) -> bool {
        let of_setting = |other: &&Word| other.name() == word.name();
        let mut others = self.words.iter().filter(of_setting);
        let has_name = || follows(problem, word.name(), "");
        word.is_meant_in(problem) || has_name() && !others.any(|other| other.is_meant_in(problem))
    }
}

impl Word {
    pub(super) fn new(text: String, line: usize) -> Self {
        Self { text, line }
    }

    /// The name of the setting, as on the command line.
    fn name(&self) -> &str {
        self.text.split('=').next().unwrap_or_default()
    }

    /// Whether a message has this value after the name of the setting: the whole value, an output
    /// without its settings, or the name of a pair.
    fn is_meant_in(&self, message: &str) -> bool {
        let (name, value) = self.text.split_once('=').unwrap_or((&self.text, ""));
        let short = match name {
            "--output" | "--interface" => name.trim_start_matches('-'),
            _ => name,
        };
        let parts = [Some(value), value.split('?').next(), value.split('=').next()];
        let mut parts = parts.into_iter().flatten().filter(|part| !part.is_empty());
        parts.any(|part| follows(message, short, part))
    }
}

/// Whether a message has a name followed by a value, as whole words.
fn follows(message: &str, name: &str, value: &str) -> bool {
    let goes_on = |next: char| next.is_alphanumeric() || next == '-' || next == '=';
    let is_end = |rest: &str| !rest.starts_with(goes_on);
    let sought = if value.is_empty() { name.to_owned() } else { format!("{name} {value}") };
    message.split(sought.as_str()).skip(1).any(is_end)
}
