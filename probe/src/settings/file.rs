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
use std::path::Path;

use exporter::{Destination, sentence, without_secrets};
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};
use url::form_urlencoded;

pub(crate) use super::origin::FromFile;
use super::origin::Word;

/// Kind of value of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ValueKind {
    /// `true` or `false`.
    Switch,
    /// One value.
    Value,
    /// One value with commas between its parts. A list can have the parts.
    Parts,
    /// One value or several.
    List,
    /// One value or several. Each is `NAME=VALUE`, and a table can have the names as keys.
    Pairs,
}

/// The known settings.
pub(super) trait Known {
    /// The kind of value of a setting; `None` if there is no such setting.
    fn takes(&self, name: &str) -> Option<ValueKind>;

    /// The setting that was probably meant by a name that no setting has.
    fn nearest(&self, name: &str) -> Option<String>;

    /// Whether a value of a setting is several values with commas between them.
    fn has_commas(&self, name: &str) -> bool;

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
    let mut reader = Reader { text: &text, known, broken: BTreeSet::new(), mistakes: Vec::new() };
    for error in errors {
        let start = error.span().map_or(0, |span| span.start);
        // What is behind a mistake of syntax may be wrong only because of it.
        reader.mistake(start, error.message().trim_end());
        reader.broken.insert(reader.line(start));
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
    /// Lines whose syntax is wrong. What their values are is not known.
    broken: BTreeSet<usize>,
    /// Mistakes, each with its line.
    mistakes: Vec<(usize, String)>,
}

impl Reader<'_> {
    /// Whether the syntax of the line of an offset is wrong.
    fn is_broken(&self, offset: usize) -> bool {
        self.broken.contains(&self.line(offset))
    }

    fn mistake(&mut self, offset: usize, problem: &str) {
        let line = self.line(offset);
        if !self.broken.contains(&line) {
            self.mistakes.push((line, problem.to_owned()));
        }
    }

    fn setting(
        &mut self,
        name: &Spanned<impl AsRef<str>>,
        value: &Spanned<DeValue<'_>>,
    ) -> Option<Setting> {
        let (start, name) = (name.span().start, name.get_ref().as_ref());
        if self.is_broken(start) {
            return None;
        }
        let Some(takes) = self.known.takes(name) else {
            let nearest = self.known.nearest(name);
            let tip = nearest.map(|it| format!("; perhaps {it}")).unwrap_or_default();
            self.mistake(start, &format!("there is no setting {name}{tip}"));
            return None;
        };
        let words = match (value.get_ref(), takes) {
            (DeValue::Boolean(set), ValueKind::Switch) => {
                let text = format!("--{name}");
                set.then(|| self.word_at(start, text)).into_iter().collect()
            }
            (other, ValueKind::Switch) => {
                let problem = format!("{name} = {}: true or false is needed", shown(other));
                self.mistake(value.span().start, &problem);
                return None;
            }
            (DeValue::Array(values), ValueKind::List | ValueKind::Pairs) => {
                values.iter().filter_map(|value| self.word(name, value)).collect()
            }
            (DeValue::Array(parts), ValueKind::Parts) => {
                let start = value.span().start;
                self.joined(name, start, parts).into_iter().collect()
            }
            (DeValue::Table(pairs), ValueKind::Pairs) => self.pairs(name, "", pairs),
            (_, ValueKind::Value | ValueKind::Parts | ValueKind::List | ValueKind::Pairs) => {
                self.word(name, value).into_iter().collect()
            }
        };
        Some(Setting { name: name.to_owned(), words })
    }

    /// Converts a list of parts to one word with commas. Each wrong part is a separate mistake.
    fn joined(&mut self, name: &str, start: usize, parts: &DeArray<'_>) -> Option<Word> {
        let before = self.mistakes.len();
        let words: Vec<_> = parts.iter().filter_map(|part| self.word(name, part)).collect();
        let of_name = format!("--{name}=");
        let texts = words.iter().filter_map(|word| word.text.strip_prefix(&of_name));
        let text = texts.collect::<Vec<_>>().join(",");
        if self.mistakes.len() > before {
            return None;
        }
        if let Err(allowed) = self.known.check(name, &text) {
            self.mistake(start, &format!("{name} = {text:?}: {allowed}"));
            return None;
        }
        Some(self.word_at(start, of_name + &text))
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
            if name == OUTPUT && is_named {
                self.mistake(start, &allowed);
            } else if self.known.has_commas(name) && text.contains(',') {
                self.wrong_parts(name, start, &text);
            } else {
                let problem = format!("{name} = {}: {allowed}", shown(value.get_ref()));
                self.mistake(start, &problem);
            }
            return None;
        }
        Some(self.word_at(start, format!("--{name}={text}")))
    }

    /// The mistakes of a text with several values, each by itself.
    fn wrong_parts(&mut self, name: &str, start: usize, text: &str) {
        for part in text.split(',') {
            if let Err(allowed) = self.known.check(name, part) {
                let part = without_secrets(part);
                self.mistake(start, &format!("{name} = {part:?}: {allowed}"));
            }
        }
    }

    fn word_at(&self, offset: usize, text: String) -> Word {
        Word::new(text, self.line(offset))
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
            if self.is_broken(key.span().start) {
                continue;
            }
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
                let shown = without_secrets(&url);
                let shown = shown.split('?').next().unwrap_or_default();
                self.mistake(start, &format!("output {shown}: {problem}"));
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

/// A value for messages, in one line and without secrets.
fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("{:?}", without_secrets(text)),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(set) => set.to_string(),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
            format!("({})", value.type_str())
        }
    }
}
