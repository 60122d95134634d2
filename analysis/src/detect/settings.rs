//! Settings of rules.

use flow::{HashSeed, NetworkSet};

use super::rule::{Form, Rule};
use super::rules::RULES;
use crate::networks::{Groups, Hosts};

/// `[rule.ID]` of a configuration file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleSettings {
    /// The id of the rule.
    pub id: String,
    /// On or off.
    pub enabled: Option<bool>,
    /// Its threshold; for inside sources too if these have no other one.
    pub threshold: Option<u64>,
    /// Its threshold for sources of the own networks.
    pub threshold_inside: Option<u64>,
    /// Seconds of a window.
    pub window_s: Option<u32>,
    /// Hosts that the rule ignores.
    pub ignore: Vec<Hosts>,
    /// Thresholds of groups of hosts.
    pub groups: Vec<(Hosts, u64)>,
}

/// Settings of the detectors.
#[derive(Clone, Debug)]
pub struct DetectSettings {
    /// Seed of all hashes: fixed in a replay, random live.
    pub seed: HashSeed,
    /// Settings of rules that have any.
    pub rules: Vec<RuleSettings>,
    /// Memory of all tables, in octets.
    pub memory: u64,
    /// `observer.name` of documents.
    pub observer: String,
    /// `observer.version` of documents.
    pub version: String,
}

/// The rules of one thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All rules.
    All,
    /// Rules about floods, and those that yield to them.
    Floods,
    /// The other rules.
    Others,
}

impl Part {
    /// True if the rule is one of this part.
    pub(super) fn contains(self, rule: &Rule) -> bool {
        let is_flood = |id| RULES.iter().any(|rule| rule.id == id && rule.category == FLOOD);
        let floods = rule.category == FLOOD || rule.yields_to.iter().any(|id| is_flood(*id));
        match self {
            Self::All => true,
            Self::Floods => floods,
            Self::Others => !floods,
        }
    }
}

/// The category of rules about floods.
pub(super) const FLOOD: &str = "flood";

/// The largest number of different things that a threshold can ask for.
const DISTINCT_MAX: u64 = 2000;

/// Allowed seconds of a window.
const WINDOW_S: std::ops::RangeInclusive<u32> = 1..=3600;

/// The effective limits of a rule.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    pub(super) outside: u64,
    pub(super) inside: u64,
    pub(super) window_s: u32,
    pub(super) ignore: NetworkSet,
    pub(super) groups: Vec<(NetworkSet, u64)>,
}

impl Limits {
    /// The limits of a rule; `None` if it is off.
    ///
    /// # Errors
    ///
    /// Groups that are not known, each in a sentence.
    pub(super) fn of(
        rule: &Rule,
        settings: &[RuleSettings],
        groups: &Groups,
    ) -> Result<Option<Self>, Vec<String>> {
        let of_rule = settings.iter().find(|settings| settings.id == rule.id);
        let settings = of_rule.cloned().unwrap_or_default();
        if settings.enabled == Some(false) {
            return Ok(None);
        }
        let outside = settings.threshold.unwrap_or(rule.threshold);
        let inside = settings.threshold_inside.or(settings.threshold);
        let inside = inside.or(rule.threshold_inside).unwrap_or(outside);
        let mut problems = Vec::new();
        let mut set = |key: &str, list: &[Hosts]| {
            groups.set_of(list).unwrap_or_else(|problem| {
                problems.push(format!("--rule {}.{key}: {problem}", rule.id));
                NetworkSet::default()
            })
        };
        let ignore = set("ignore", &settings.ignore);
        let mut of_group = |(hosts, limit): &(Hosts, u64)| {
            (set(&format!("groups.{hosts}"), std::slice::from_ref(hosts)), *limit)
        };
        let groups = settings.groups.iter().map(&mut of_group).collect();
        if !problems.is_empty() {
            return Err(problems);
        }
        let window_s = settings.window_s.unwrap_or(rule.window_s);
        Ok(Some(Self { outside, inside, window_s, ignore, groups }))
    }
}

/// The highest threshold of the rule with this name.
///
/// # Errors
///
/// There is no such rule.
pub fn threshold_max(id: &str) -> Result<u64, String> {
    let Some(rule) = RULES.iter().find(|rule| rule.id == id) else {
        let ids: Vec<_> = RULES.iter().map(|rule| rule.id).collect();
        return Err(format!("there is no rule {id}; rules are {}", ids.join(", ")));
    };
    Ok(match rule.form {
        Form::Distinct => DISTINCT_MAX,
        Form::Sum | Form::Rate => u64::MAX >> 16,
    })
}

/// Checks the settings of a rule when they are read.
///
/// # Errors
///
/// The allowed values.
pub fn check(settings: &RuleSettings) -> Result<(), String> {
    let max = threshold_max(&settings.id)?;
    let given = [settings.threshold, settings.threshold_inside];
    let given = given.into_iter().flatten().chain(settings.groups.iter().map(|(_, limit)| *limit));
    if given.into_iter().any(|threshold| !(1..=max).contains(&threshold)) {
        return Err(format!("a whole number from 1 to {max} is needed"));
    }
    if let Some(window) = settings.window_s.filter(|window| !WINDOW_S.contains(window)) {
        return Err(format!("window {window}s: a time from 1s to 3600s is needed"));
    }
    Ok(())
}
