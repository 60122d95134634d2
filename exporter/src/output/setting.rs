//! A setting of an output: defined once, checked when it is given, read when the output is opened.

use std::fmt::{self, Display};
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use super::Output;
use super::secrets::without_user;
use crate::tls::Fingerprint;
use crate::transport::{Rotation, Source};
use crate::unit::{missing_unit, number_with_unit};

/// Definition of a setting of an output.
#[derive(Debug)]
pub struct Setting {
    /// The key in a URL's query or in a configuration file.
    pub name: &'static str,
    /// Meaning, with the unit.
    pub meaning: &'static str,
    allowed: Allowed,
    default: Option<&'static str>,
    /// Another setting that this one requires.
    needs: Option<&'static str>,
}

/// Allowed values of a setting.
#[derive(Debug)]
enum Allowed {
    Number(RangeInclusive<u32>),
    Duration,
    Source,
    Fingerprint,
    Path(Use),
    Rotation,
    /// Octets.
    Size(RangeInclusive<u64>),
    Text(fn(&str) -> bool),
}

/// Use of a file that a setting names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    Read,
    Written,
    /// A folder of files that are read and written.
    Folder,
}

impl Setting {
    pub(super) const fn number(
        name: &'static str,
        meaning: &'static str,
        range: RangeInclusive<u32>,
    ) -> Self {
        Self { name, meaning, allowed: Allowed::Number(range), default: None, needs: None }
    }

    /// A duration of a second or more.
    pub(super) const fn duration(name: &'static str, meaning: &'static str) -> Self {
        Self { name, meaning, allowed: Allowed::Duration, default: None, needs: None }
    }

    /// An address or an interface of this host.
    pub(super) const fn source(name: &'static str, meaning: &'static str) -> Self {
        Self { name, meaning, allowed: Allowed::Source, default: None, needs: None }
    }

    /// The SHA-256 hash of a certificate.
    pub(super) const fn fingerprint(name: &'static str, meaning: &'static str) -> Self {
        Self { name, meaning, allowed: Allowed::Fingerprint, default: None, needs: None }
    }

    /// A file that is read.
    pub(super) const fn path(name: &'static str, meaning: &'static str) -> Self {
        Self { name, meaning, allowed: Allowed::Path(Use::Read), default: None, needs: None }
    }

    /// A folder of files that are read and written.
    pub(super) const fn folder(name: &'static str, meaning: &'static str) -> Self {
        Self { name, meaning, allowed: Allowed::Path(Use::Folder), default: None, needs: None }
    }

    /// A file that is written.
    pub(super) const fn written_path(name: &'static str, meaning: &'static str) -> Self {
        Self { name, meaning, allowed: Allowed::Path(Use::Written), default: None, needs: None }
    }

    /// A number of octets.
    pub(super) const fn size(
        name: &'static str,
        meaning: &'static str,
        range: RangeInclusive<u64>,
    ) -> Self {
        Self { name, meaning, allowed: Allowed::Size(range), default: None, needs: None }
    }

    /// Text that a function allows.
    pub(super) const fn text(
        name: &'static str,
        meaning: &'static str,
        allowed: fn(&str) -> bool,
    ) -> Self {
        Self { name, meaning, allowed: Allowed::Text(allowed), default: None, needs: None }
    }

    /// A period of whole seconds, or a size.
    pub(super) const fn rotation(name: &'static str, meaning: &'static str) -> Self {
        Self { name, meaning, allowed: Allowed::Rotation, default: None, needs: None }
    }

    /// The default value, in the form that users write.
    pub(super) const fn default(self, default: &'static str) -> Self {
        Self { default: Some(default), ..self }
    }

    pub(super) const fn needs(self, other: &'static str) -> Self {
        Self { needs: Some(other), ..self }
    }

    fn check(&self, text: &str) -> Result<(), String> {
        if self.allowed.contains(text) {
            Ok(())
        } else {
            let is_time = matches!(self.allowed, Allowed::Duration | Allowed::Rotation);
            let tip = if is_time { missing_unit(text, "s") } else { String::new() };
            Err(format!("{}={} is not {}{tip}", self.name, without_user(text), self.allowed))
        }
    }
}

/// Text for help: the meaning, the range, and the default.
impl Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.meaning)?;
        match &self.allowed {
            Allowed::Number(range) => write!(f, " ({} to {})", range.start(), range.end())?,
            Allowed::Duration => f.write_str(" (1s or more)")?,
            Allowed::Source
            | Allowed::Fingerprint
            | Allowed::Path(_)
            | Allowed::Rotation
            | Allowed::Size(_)
            | Allowed::Text(_) => {}
        }
        self.default.map_or(Ok(()), |default| write!(f, " [default: {default}]"))
    }
}

impl Allowed {
    fn contains(&self, text: &str) -> bool {
        match self {
            Self::Number(range) => text.parse().is_ok_and(|number| range.contains(&number)),
            Self::Duration => humantime::parse_duration(text)
                .is_ok_and(|duration| duration >= Duration::from_secs(1)),
            Self::Rotation => text.parse::<Rotation>().is_ok(),
            Self::Source => text.parse::<Source>().is_ok(),
            Self::Fingerprint => text.parse::<Fingerprint>().is_ok(),
            Self::Path(_) => !text.is_empty(),
            Self::Size(range) => {
                number_with_unit(text).is_some_and(|octets| range.contains(&octets))
            }
            Self::Text(is_allowed) => !text.is_empty() && is_allowed(text),
        }
    }
}

/// Text for errors.
impl Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(range) => write!(f, "a number from {} to {}", range.start(), range.end()),
            Self::Duration => f.write_str("a duration of a second or more, such as 60s"),
            Self::Source => f.write_str("an address of this host or the name of an interface"),
            Self::Fingerprint => f.write_str("a SHA-256 fingerprint of 64 hexadecimal digits"),
            Self::Path(_) => f.write_str("a path"),
            Self::Rotation => f.write_str("whole seconds or a size, such as 1h or 100MB"),
            Self::Text(_) => f.write_str("allowed here"),
            Self::Size(range) => {
                write!(f, "a size from {} to {} octets, such as 5M", range.start(), range.end())
            }
        }
    }
}

/// Checks a single setting of an output.
///
/// # Errors
///
/// The output does not have it, or the value is not allowed.
pub(super) fn check(output: &Output, name: &str, value: &str) -> Result<(), String> {
    let setting = output.settings.iter().find(|setting| setting.name == name);
    let setting = setting.ok_or_else(|| {
        let (scheme, names) = (output.scheme, output.setting_names());
        format!("{name} is not a setting of {scheme}; its settings are {names}")
    })?;
    setting.check(value)
}

/// The checked settings of an output.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Settings(Vec<(String, String)>);

impl Settings {
    /// Checks settings, each by name and value.
    ///
    /// # Errors
    ///
    /// Settings that are unknown, given twice, or have values that are not allowed.
    pub(super) fn new(
        output: &Output,
        given: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, String> {
        let mut known = Self::default();
        let mut problems = Vec::new();
        for (name, value) in given {
            problems.extend(check(output, &name, &value).err());
            if known.text(&name).is_some() {
                problems.push(format!("{name} is set twice"));
            }
            known.0.push((name, value));
        }
        for setting in output.settings.iter().filter(|setting| known.text(setting.name).is_some()) {
            if let Some(other) = setting.needs.filter(|other| known.text(other).is_none()) {
                let (first, second) = (setting.name.min(other), setting.name.max(other));
                problems.push(format!("{first} and {second} belong together"));
            }
        }
        if problems.is_empty() { Ok(known) } else { Err(problems.join("; ")) }
    }

    /// The files that these settings of an output name for this use.
    pub(super) fn paths(&self, output: &Output, sought: Use) -> impl Iterator<Item = &str> {
        let settings = output.settings.iter();
        let of_use = settings
            .filter(move |setting| matches!(setting.allowed, Allowed::Path(it) if it == sought));
        of_use.filter_map(|setting| self.text(setting.name))
    }

    /// The given value, if any.
    pub(super) fn given<T: FromStr>(&self, setting: &Setting) -> Option<T> {
        self.text(setting.name).map(|text| parsed(text.parse()))
    }

    /// The given number, or the default.
    pub(super) fn number(&self, setting: &Setting) -> u32 {
        parsed(self.text_or_default(setting).parse())
    }

    /// The given duration, or the default.
    pub(super) fn duration(&self, setting: &Setting) -> Duration {
        parsed(humantime::parse_duration(self.text_or_default(setting)))
    }

    /// The given text, or the default.
    pub(super) fn string(&self, setting: &Setting) -> String {
        self.text_or_default(setting).to_owned()
    }

    /// The given size in octets, or the default.
    pub(super) fn size(&self, setting: &Setting) -> usize {
        let octets = number_with_unit(self.text_or_default(setting)).unwrap_or_default();
        usize::try_from(octets).unwrap_or(usize::MAX)
    }

    fn text_or_default<'a>(&'a self, setting: &'a Setting) -> &'a str {
        let text = self.text(setting.name).or(setting.default);
        text.expect("a setting without a default is read by `given`")
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }
}

/// Shows names only: a user may write a password into a value.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

fn parsed<T, E>(result: Result<T, E>) -> T {
    result.ok().expect("values are checked when they are given")
}

#[cfg(test)]
mod tests {
    use super::super::OUTPUTS;

    #[test]
    fn defaults_are_allowed() {
        for setting in OUTPUTS.iter().flat_map(|output| output.settings) {
            if let Some(default) = setting.default {
                setting.check(default).unwrap();
            }
        }
    }

    #[test]
    fn other_settings_that_are_needed_exist() {
        for output in OUTPUTS {
            for other in output.settings.iter().filter_map(|setting| setting.needs) {
                assert!(output.settings.iter().any(|setting| setting.name == other), "{other}");
            }
        }
    }
}
