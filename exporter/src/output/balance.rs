//! A group of collectors, each of which gets its share of the conversations.

use super::destination::Destination;
use super::secrets::without_secrets;
use super::{Opened, Output, Request, Setting, TargetForm};
use crate::balance::Balance;

pub(super) const BALANCE: Output = Output {
    scheme: "balance",
    meaning: "each conversation to one of these collectors; other settings are those of each",
    settings: &[&TAKEOVER],
    writes_documents: false,
    target: TargetForm::Group,
    sampling_interval_max: u32::MAX,
};

const TAKEOVER: Setting =
    Setting::duration("takeover", "of a group: time away until others get the share")
        .default("30s");

/// Maximum number of collectors of a group.
const MEMBERS_MAX: usize = 64;

/// Settings, by name and value.
pub(super) type Given = Vec<(String, String)>;

/// Separates the settings of the group from those of its collectors.
pub(super) fn parted(given: Given) -> (Given, Given) {
    let is_own = |name: &str| BALANCE.settings.iter().any(|setting| setting.name == name);
    given.into_iter().partition(|(name, _)| is_own(name))
}

/// The collectors of a group in the rest of its URL, with these settings.
pub(super) fn members(text: &str, settings: &Given) -> Result<Vec<Destination>, String> {
    let urls: Vec<&str> = text.split(',').collect();
    if !(2..=MEMBERS_MAX).contains(&urls.len()) {
        return Err(format!("2 to {MEMBERS_MAX} collectors with commas between them are needed"));
    }
    let mut members = Vec::new();
    for url in urls {
        let member = Destination::new(url, settings.iter().cloned())?;
        if !member.is_collector() {
            let url = without_secrets(url);
            return Err(format!("{url} is no collector, such as ipfix://HOST"));
        }
        if members.iter().any(|other: &Destination| other.name() == member.name()) {
            return Err(format!("{url} is there twice"));
        }
        members.push(member);
    }
    Ok(members)
}

/// Checks a setting of the first collector of a group.
pub(super) fn check_setting(url: &str, name: &str, value: &str) -> Option<Result<(), String>> {
    let members = url.strip_prefix(BALANCE.scheme)?.strip_prefix(':')?;
    let is_own = BALANCE.settings.iter().any(|setting| setting.name == name);
    let first = members.split([',', '?']).next().filter(|_| !is_own)?;
    Some(Destination::check_setting(first, name, value))
}

pub(super) fn open(request: &Request<'_>, members: &[Destination]) -> Opened {
    let open = |member: &Destination| Ok((member.name().to_owned(), member.open(request.context)?));
    let members = members.iter().map(open).collect::<Result<_, _>>()?;
    let takeover = request.settings.duration(&TAKEOVER);
    Ok(Box::new(Balance::new(request.name, members, request.context.patience, takeover)))
}
