//! `--config`: a TOML file with the same names as the command line.
//!
//! ```toml
//! read = ["a.pcap", "b.pcap"]
//! idle-timeout = "30s"
//! max-flows = "2M"
//!
//! [[output]]
//! url = "ipfix+tls://10.0.0.5"
//! ca = "/etc/flowprobe/ca.pem"
//!
//! [groups]
//! web = ["192.0.2.80", "2001:db8::/64"]
//!
//! [rule.scan-horizontal]
//! threshold = 50
//! ignore = ["web"]
//! ```
//!
//! Its settings are converted to words of a command line, so both have the same checks. All
//! mistakes of a file are found, each with its line.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use exporter::{Destination, sentence};
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use url::form_urlencoded;

/// Kind of value of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    /// `true` or `false`.
    Switch,
    /// One value.
    Value,
    /// One value or several.
    List,
    /// One value or several. Each is `NAME=VALUE`, and a table can have the names as keys.
    Pairs,
}

/// The known settings.
pub(super) trait Known {
    /// The kind of value of a setting; `None` if there is no such setting.
    fn takes(&self, name: &str) -> Option<Takes>;

    /// Checks a value alone.
    ///
    /// # Errors
    ///
    /// The permitted values, in one sentence.
    fn check(&self, name: &str, value: &str) -> Result<(), String>;
}

/// A setting of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) name: String,
    /// As words of a command line.
    pub(super) words: Vec<Word>,
}

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

/// Reads a file: the valid settings, and all mistakes, each in one line with the file, the line,
/// the key and the permitted values.
pub(super) fn read(path: &Path, known: &dyn Known) -> (Vec<Setting>, Vec<String>) {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            let mistake = format!("configuration file {}: {}", path.display(), sentence(&error));
            return (Vec::new(), vec![mistake]);
        }
    };
    let (table, errors) = DeTable::parse_recoverable(&text);
    let mut reader = Reader { text: &text, known, mistakes: Vec::new() };
    for error in errors {
        let start = error.span().map_or(0, |span| span.start);
        reader.mistake(start, error.message().trim_end());
    }
    let mut settings = Vec::new();
    for (name, value) in table.get_ref() {
        settings.extend(reader.setting(name, value));
    }
    let mut mistakes = reader.mistakes;
    mistakes.sort_by_key(|(line, _)| *line);
    let sentences =
        mistakes.into_iter().map(|(line, problem)| format!("{}:{line}: {problem}", path.display()));
    (settings, sentences.collect())
}

struct Reader<'a> {
    text: &'a str,
    known: &'a dyn Known,
    /// Mistakes, each with its line.
    mistakes: Vec<(usize, String)>,
}

impl Reader<'_> {
    fn mistake(&mut self, offset: usize, problem: &str) {
        self.mistakes.push((self.line(offset), problem.to_owned()));
    }

    fn setting(
        &mut self,
        name: &Spanned<impl AsRef<str>>,
        value: &Spanned<DeValue<'_>>,
    ) -> Option<Setting> {
        let (start, name) = (name.span().start, name.get_ref().as_ref());
        let Some(takes) = self.known.takes(name) else {
            self.mistake(start, &format!("there is no setting {name}"));
            return None;
        };
        let words = match (value.get_ref(), takes) {
            (DeValue::Boolean(set), Takes::Switch) => {
                let text = format!("--{name}");
                set.then(|| self.word_at(start, text)).into_iter().collect()
            }
            (other, Takes::Switch) => {
                let problem = format!("{name} = {}: true or false is needed", shown(other));
                self.mistake(value.span().start, &problem);
                return None;
            }
            (DeValue::Array(values), Takes::List | Takes::Pairs) => {
                values.iter().filter_map(|value| self.word(name, value)).collect()
            }
            (DeValue::Table(pairs), Takes::Pairs) => self.pairs(name, "", pairs),
            (_, Takes::Value | Takes::List | Takes::Pairs) => {
                self.word(name, value).into_iter().collect()
            }
        };
        Some(Setting { name: name.to_owned(), words })
    }

    /// Converts a value to a word of a command line.
    fn word(&mut self, name: &str, value: &Spanned<DeValue<'_>>) -> Option<Word> {
        let start = value.span().start;
        let text = if let (OUTPUT, DeValue::Table(table)) = (name, value.get_ref()) {
            self.output(start, table)?
        } else if let Some(text) = text(value.get_ref()) {
            text
        } else {
            // The check of a setting without a value gives the permitted values.
            let allowed = self.known.check(name, "").err();
            let allowed = allowed.as_deref().unwrap_or("a text is needed");
            let problem = format!("{name} = {}: {allowed}", shown(value.get_ref()));
            self.mistake(start, &problem);
            return None;
        };
        if let Err(allowed) = self.known.check(name, &text) {
            // The message about an output begins with its name and its URL without secrets.
            let is_named = matches!(value.get_ref(), DeValue::String(_) | DeValue::Table(_));
            let problem = if name == OUTPUT && is_named {
                allowed
            } else {
                format!("{name} = {}: {allowed}", shown(value.get_ref()))
            };
            self.mistake(start, &problem);
            return None;
        }
        Some(self.word_at(start, format!("--{name}={text}")))
    }

    fn word_at(&self, offset: usize, text: String) -> Word {
        Word { text, line: self.line(offset) }
    }

    /// The line of an offset, from 1 on.
    fn line(&self, offset: usize) -> usize {
        let before = self.text.as_bytes().iter().take(offset);
        1 + before.filter(|octet| **octet == b'\n').count()
    }

    /// Converts the entries of a table to words. The key of an inner table is a prefix with a dot.
    fn pairs(&mut self, name: &str, prefix: &str, table: &DeTable<'_>) -> Vec<Word> {
        let mut words = Vec::new();
        for (key, value) in table {
            let path = Spanned::new(key.span(), format!("{prefix}{}", key.get_ref()));
            if let DeValue::Table(inner) = value.get_ref() {
                let prefix = format!("{}.", path.get_ref());
                words.extend(self.pairs(name, &prefix, inner));
            } else {
                words.extend(self.pair(name, &path, value));
            }
        }
        words
    }

    /// Converts an entry of a table to a word: `--name=key=value`. A list becomes a value with
    /// commas. Each wrong part of it is a separate mistake.
    fn pair(
        &mut self,
        name: &str,
        key: &Spanned<impl AsRef<str>>,
        value: &Spanned<DeValue<'_>>,
    ) -> Option<Word> {
        let parts = if let DeValue::Array(parts) = value.get_ref() {
            parts.iter().collect()
        } else {
            vec![value]
        };
        let mut texts = Vec::with_capacity(parts.len());
        let before = self.mistakes.len();
        for part in parts {
            let text = if let DeValue::Boolean(set) = part.get_ref() {
                Some(set.to_string())
            } else {
                text(part.get_ref())
            };
            let key = key.get_ref().as_ref();
            // The check without a value gives the permitted values.
            let pair = format!("{key}={}", text.as_deref().unwrap_or_default());
            if let Err(allowed) = self.known.check(name, &pair) {
                let problem = format!("{name}.{key} = {}: {allowed}", shown(part.get_ref()));
                self.mistake(part.span().start, &problem);
            }
            texts.extend(text);
        }
        let key = key.get_ref().as_ref();
        let pair = format!("{key}={}", texts.join(","));
        if self.mistakes.len() == before
            && let Err(allowed) = self.known.check(name, &pair)
        {
            let problem = format!("{name}.{key} = {}: {allowed}", shown(value.get_ref()));
            self.mistake(value.span().start, &problem);
        }
        let start = value.span().start;
        (self.mistakes.len() == before).then(|| self.word_at(start, format!("--{name}={pair}")))
    }

    /// The URL of an output that is given as a table. Each wrong setting is a separate mistake.
    fn output(&mut self, start: usize, table: &DeTable<'_>) -> Option<String> {
        let url = table.iter().find(|(key, _)| key.get_ref() == URL);
        let Some((_, url)) = url else {
            self.mistake(start, "an output needs a url, such as url = \"ipfix://192.0.2.1\"");
            return None;
        };
        let (url_start, Some(url)) = (url.span().start, text(url.get_ref())) else {
            let problem = format!("{URL} = {}: a text is needed", shown(url.get_ref()));
            self.mistake(url.span().start, &problem);
            return None;
        };
        let before = self.mistakes.len();
        if let Err(problem) = self.known.check(OUTPUT, &url) {
            self.mistake(url_start, &problem);
        }
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (key, value) in table.iter().filter(|(key, _)| key.get_ref() != URL) {
            let (key, start) = (key.get_ref().as_ref(), value.span().start);
            let Some(text) = text(value.get_ref()) else {
                let shown = shown(value.get_ref());
                self.mistake(start, &format!("{key} = {shown}: a text or number is needed"));
                continue;
            };
            if let Err(problem) = Destination::check_setting(&url, key, &text) {
                let url = url.split('?').next().unwrap_or_default();
                self.mistake(start, &format!("output {url}: {problem}"));
            }
            query.append_pair(key, &text);
        }
        if self.mistakes.len() > before {
            return None;
        }
        let query = query.finish();
        let separator = if url.contains('?') { "&" } else { "?" };
        Some(if query.is_empty() { url } else { url + separator + &query })
    }
}

/// The key of the URL in a table of an output.
const URL: &str = "url";

/// The setting that may be given as tables.
const OUTPUT: &str = "output";

/// A text or a whole number, in the notation of a command line.
fn text(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.clone().into_owned()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        DeValue::Boolean(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_)
        | DeValue::Table(_) => None,
    }
}

/// A value for messages, in one line.
fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("{text:?}"),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(set) => set.to_string(),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
            format!("({})", value.type_str())
        }
    }
}
