//! Settings of the detectors: their rules, and the destinations of alerts.

use std::str::FromStr;

use analysis::detect::{self, DetectSettings, RuleSettings};
use clap::Args;
use exporter::{Destination, Webhook, missing_unit};
use flow::{HashSeed, KeyFields};

use super::values::size;

/// Settings of the detectors and of alerts.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Detectors")]
pub(crate) struct DetectArguments {
    /// Look for scans, floods and abuse, and send alerts there: to json:PATH, to an http:// or
    /// https:// URL with a POST for each alert, or to outputs, which are the outputs of documents;
    /// may be given several times [default: no detectors; on the terminal for a replay without
    /// outputs]
    #[arg(long, value_name = "WHERE")]
    pub(crate) alerts: Vec<AlertTarget>,

    /// Tune a rule: enabled, threshold, threshold-inside, window, ignore, groups.NAME; see
    /// flowprobe rules. In a file it is an entry of the table [rule.RULE]
    #[arg(long, value_name = "RULE.KEY=VALUE")]
    rule: Vec<RuleWord>,

    /// Maximum memory for the counts of the detectors
    #[arg(long, value_name = "SIZE", default_value = "128Mi", value_parser = size)]
    detector_memory: u64,
}

/// Destination of alerts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum AlertTarget {
    /// A file, or standard output.
    File(Box<Destination>),
    /// A URL that gets a request for each alert.
    Webhook(Webhook),
    /// The outputs of documents.
    Outputs,
}

impl AlertTarget {
    /// The file, if the destination is one.
    pub(super) fn file(&self) -> Option<&Destination> {
        match self {
            Self::File(file) => Some(file),
            Self::Webhook(_) | Self::Outputs => None,
        }
    }

    /// The name in totals and messages.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::File(file) => file.as_str().to_owned(),
            Self::Webhook(webhook) => webhook.name(),
            Self::Outputs => "outputs".to_owned(),
        }
    }
}

impl FromStr for AlertTarget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "outputs" {
            return Ok(Self::Outputs);
        }
        if text.starts_with("http://") || text.starts_with("https://") {
            return text.parse().map(Self::Webhook);
        }
        if text.starts_with("json:") {
            return text.parse().map(|file| Self::File(Box::new(file)));
        }
        Err("json:PATH, an http:// or https:// URL, or outputs is needed".to_owned())
    }
}

/// One setting of a rule: `RULE.KEY=VALUE`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RuleWord(RuleSettings);

impl FromStr for RuleWord {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const FORM: &str = "RULE.KEY=VALUE is needed, such as scan-slow.threshold=50";
        let (name, value) = text.split_once('=').ok_or(FORM)?;
        let (id, key) = name.split_once('.').ok_or(FORM)?;
        let mut settings = RuleSettings { id: id.to_owned(), ..RuleSettings::default() };
        let max = detect::threshold_max(id)?;
        let number = |text: &str| {
            let problem = |_error| format!("a whole number from 1 to {max} is needed");
            text.parse::<u64>().map_err(problem)
        };
        match key.split_once('.') {
            None if key == "enabled" => {
                let enabled = value.parse();
                let enabled = enabled.map_err(|_error| "true or false is needed")?;
                settings.enabled = Some(enabled);
            }
            None if key == "threshold" => settings.threshold = Some(number(value)?),
            None if key == "threshold-inside" => settings.threshold_inside = Some(number(value)?),
            None if key == "window" => settings.window_s = Some(window(value)?),
            None if key == "ignore" => {
                let hosts = value.split(',').filter(|hosts| !hosts.is_empty()).map(str::parse);
                settings.ignore = hosts.collect::<Result<_, _>>()?;
            }
            Some(("groups", group)) => settings.groups = vec![(group.parse()?, number(value)?)],
            Some(_) | None => {
                return Err(format!(
                    "{key} is no setting of a rule: enabled, threshold, threshold-inside, window, \
                     ignore or groups.NAME is needed"
                ));
            }
        }
        detect::check(&settings)?;
        Ok(Self(settings))
    }
}

fn window(text: &str) -> Result<u32, String> {
    let problem = || {
        let tip = missing_unit(text, "s");
        format!("a time in whole seconds from 1s to 3600s is needed, such as 60s{tip}")
    };
    let time = humantime::parse_duration(text).map_err(|_error| problem())?;
    if time.subsec_nanos() != 0 {
        return Err(problem());
    }
    u32::try_from(time.as_secs()).map_err(|_error| problem())
}

impl DetectArguments {
    /// Problems of the destinations of alerts.
    pub(super) fn problems(&self, outputs: &[Destination], key: KeyFields) -> Vec<String> {
        let mut problems = Vec::new();
        if !self.alerts.is_empty() && !key.contains_five_tuple() {
            let problem = "--alerts needs src, dst, sport, dport and proto in --flow-key";
            problems.push(problem.to_owned());
        }
        let has_documents = outputs.iter().any(Destination::writes_documents);
        if self.alerts.contains(&AlertTarget::Outputs) && !has_documents {
            problems.push("--alerts outputs: there is no output of documents".to_owned());
        }
        problems
    }

    /// The settings of the detectors. `None` if alerts have no destination, or if the flow key
    /// lacks a field of the 5-tuple.
    pub(super) fn settings(
        &self,
        outputs: &[Destination],
        is_live: bool,
        key: KeyFields,
        seed: HashSeed,
        observer: &str,
    ) -> Option<DetectSettings> {
        let is_wanted = !self.alerts.is_empty() || !is_live && outputs.is_empty();
        (is_wanted && key.contains_five_tuple()).then(|| DetectSettings {
            seed,
            rules: self.rules(),
            memory: self.detector_memory,
            observer: observer.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        })
    }

    /// The settings of each rule. The last value of a setting counts.
    fn rules(&self) -> Vec<RuleSettings> {
        let mut rules: Vec<RuleSettings> = Vec::new();
        for RuleWord(word) in &self.rule {
            let known = rules.iter().position(|rule| rule.id == word.id);
            let place = known.unwrap_or_else(|| {
                rules.push(RuleSettings { id: word.id.clone(), ..RuleSettings::default() });
                rules.len() - 1
            });
            let rule = &mut rules[place];
            rule.enabled = word.enabled.or(rule.enabled);
            rule.threshold = word.threshold.or(rule.threshold);
            rule.threshold_inside = word.threshold_inside.or(rule.threshold_inside);
            rule.window_s = word.window_s.or(rule.window_s);
            rule.ignore.extend(word.ignore.iter().cloned());
            rule.groups.extend(word.groups.iter().cloned());
        }
        rules
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str) -> RuleSettings {
        text.parse::<RuleWord>().unwrap().0
    }

    #[test]
    fn settings_of_rules_are_words() {
        assert_eq!(word("scan-slow.enabled=false").enabled, Some(false));
        assert_eq!(word("scan-slow.threshold=50").threshold, Some(50));
        assert_eq!(word("syn-flood.window=30s").window_s, Some(30));
        assert_eq!(word("syn-flood.window=1min").window_s, Some(60));
        assert_eq!(word("scan-slow.ignore=10.0.0.5,scanners").ignore.len(), 2);
        assert_eq!(word("scan-slow.groups.guests=7").groups, [("guests".parse().unwrap(), 7)]);
        for (text, needed) in [
            ("scan-slow", "RULE.KEY=VALUE is needed"),
            ("scan.enabled=true", "there is no rule scan"),
            ("scan-slow.enabled=1", "true or false is needed"),
            ("scan-slow.threshold=0", "1 to 2000 is needed"),
            ("scan-slow.window=1500ms", "whole seconds"),
            ("scan-slow.window=2h", "1s to 3600s is needed"),
            ("scan-slow.colour=red", "groups.NAME is needed"),
        ] {
            let problem = text.parse::<RuleWord>().unwrap_err();
            assert!(problem.contains(needed), "{text}: {problem}");
        }
    }
}
