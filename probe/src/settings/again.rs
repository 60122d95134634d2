//! The settings of a live run that goes on while its file of `--config` changes.
//!
//! Some settings change at once. The others keep their values, and need another start.

use std::collections::BTreeSet;
use std::ffi::OsString;

use exporter::Destination;

use super::args::Arguments;
use super::config::Config;
use super::file::FromFile;
use super::parse::parse_again;

/// Settings of the site: stages and documents depend on them.
const SITE: [&str; 6] = [
    "groups",
    "local-networks",
    "mail-servers",
    "dns-servers",
    "inside-interfaces",
    "outside-interfaces",
];

/// The other settings that change while the program runs.
const OTHERS: [&str; 10] = [
    OUTPUT,
    "alerts",
    "idle-timeout",
    "active-timeout",
    "tags",
    "rule",
    "detector-memory",
    "geo",
    "networks",
    "geo-refresh",
];

const OUTPUT: &str = "output";

/// Settings of files with places.
const PLACES: [&str; 3] = ["geo", "networks", "geo-refresh"];

/// Settings that were read again.
pub(crate) struct Reread {
    /// What is in force from now on: new values of settings that change, others as before.
    pub(crate) args: Arguments,
    /// The names of settings with new values.
    pub(crate) changed: BTreeSet<String>,
    /// The names of settings whose new values need another start.
    pub(crate) restart: BTreeSet<String>,
    from_file: FromFile,
}

/// Reads the settings again.
///
/// # Errors
///
/// All mistakes, each in a line.
pub(crate) fn read(words: &[OsString], before: &Arguments) -> Result<Reread, Vec<String>> {
    let cli = parse_again(words)?;
    let new = cli.args;
    let is_new = |name: &&String| new.texts.get(*name) != before.texts.get(*name);
    let differing: BTreeSet<String> = new.texts.keys().filter(is_new).cloned().collect();
    let mut fixed = BTreeSet::new();
    // Without outputs there is a table on the terminal.
    if new.output.is_empty() != before.output.is_empty() {
        fixed.insert(OUTPUT);
    }
    // Questions wait for answers from the start on, or never. The same applies to options records.
    let wants_dns_events: fn(&Destination) -> bool = Destination::wants_dns_events;
    for wants in [wants_dns_events, Destination::wants_options] {
        if new.output.iter().any(wants) && !before.output.iter().any(wants) {
            fixed.insert(OUTPUT);
        }
    }
    // Templates have places, or not.
    if new.places.is_given() != before.places.is_given() {
        fixed.extend(PLACES);
    }
    let changes = |name: &&String| {
        let changing = SITE.iter().chain(&OTHERS);
        let mut changing = changing.filter(|changing| !fixed.contains(*changing));
        changing.any(|changing| changing == name)
    };
    let (changed, restart) = differing.iter().cloned().partition(|name| changes(&name));
    let mut args = before.clone();
    if !fixed.contains(OUTPUT) {
        args.output = new.output;
    }
    if !fixed.contains(PLACES[0]) {
        args.places = new.places;
    }
    let top_by = std::mem::take(&mut args.site.top_by);
    args.site = new.site;
    args.site.top_by = top_by;
    args.detect = new.detect;
    args.idle_timeout = new.idle_timeout;
    args.active_timeout = new.active_timeout;
    let changed: BTreeSet<String> = changed;
    for name in &changed {
        args.texts.insert(name.clone(), new.texts[name].clone());
        if new.given.contains(name) {
            args.given.insert(name.clone());
        } else {
            args.given.remove(name);
        }
    }
    Ok(Reread { args, changed, restart, from_file: cli.from_file })
}

impl Reread {
    /// The settings, checked against each other.
    ///
    /// # Errors
    ///
    /// All settings that contradict each other, each in one sentence.
    pub(crate) fn config(&self) -> Result<Config, Vec<String>> {
        let mut args = self.args.clone();
        // They stay as they are, and their files may not be readable any more: the token of the
        // page, the key of names, the names of exporters.
        (args.http.http, args.filter, args.collect.exporters_file) = (None, None, None);
        args.payload.forget_key();
        Config::new(&args).map_err(|problems| self.from_file.located(&problems))
    }

    /// Whether a setting of the site has changed.
    pub(crate) fn site_changed(&self) -> bool {
        SITE.iter().any(|name| self.changed.contains(*name))
    }

    /// Whether one of the settings of places has changed.
    pub(crate) fn places_changed(&self) -> bool {
        PLACES.iter().any(|name| self.changed.contains(*name))
    }

    /// What has changed, in words, except for outputs and alerts.
    pub(crate) fn words(&self) -> Vec<String> {
        let others = self.changed.iter().filter(|name| *name != OUTPUT && *name != "alerts");
        let words = others.map(|name| {
            let texts = self.args.texts.get(name).map(Vec::as_slice).unwrap_or_default();
            let texts: Vec<_> = texts.iter().map(|text| text.to_string_lossy()).collect();
            match texts.as_slice() {
                [] => format!("{name} is not set any more"),
                texts => format!("{name} is now {}", texts.join(",")),
            }
        });
        words.collect()
    }
}
