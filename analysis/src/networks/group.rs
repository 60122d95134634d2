//! Named groups of hosts.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use flow::NetworkSet;
use ipnet::IpNet;

use super::network;

/// Hosts in a list: a network, or a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hosts {
    /// All hosts of a network.
    Network(IpNet),
    /// All hosts of the group with this name.
    Group(String),
}

impl FromStr for Hosts {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if is_group_name(text) {
            return Ok(Self::Group(text.to_owned()));
        }
        network(text).map(Self::Network)
    }
}

impl Display for Hosts {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(network) => network.fmt(f),
            Self::Group(name) => f.write_str(name),
        }
    }
}

/// A group: `NAME=NETWORK,NETWORK...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    name: String,
    networks: Vec<IpNet>,
}

impl FromStr for Group {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, networks) = text
            .split_once('=')
            .ok_or_else(|| "NAME=NETWORK,... is needed, such as web=192.0.2.0/24".to_owned())?;
        if !is_group_name(name) {
            return Err(format!(
                "{name:?} is no name of a group: it begins with a letter and goes on with letters, \
                 digits, - and _"
            ));
        }
        let networks = networks.split(',').map(network).collect::<Result<_, _>>()?;
        Ok(Self { name: name.to_owned(), networks })
    }
}

/// True for a name of a group. It never looks like a network or an address.
fn is_group_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

/// All groups, by name.
#[derive(Clone, Debug, Default)]
pub struct Groups(BTreeMap<String, Vec<IpNet>>);

impl Groups {
    /// # Errors
    ///
    /// Names that are given twice.
    pub fn new(groups: impl IntoIterator<Item = Group>) -> Result<Self, String> {
        let (mut all, mut twice) = (BTreeMap::new(), Vec::new());
        for Group { name, networks } in groups {
            if all.insert(name.clone(), networks).is_some() && !twice.contains(&name) {
                twice.push(name);
            }
        }
        if twice.is_empty() {
            Ok(Self(all))
        } else {
            Err(format!("group {} is given twice", twice.join(", ")))
        }
    }

    /// The set of all hosts in a list.
    ///
    /// # Errors
    ///
    /// Names in the list that no group has.
    pub(crate) fn set_of(&self, list: &[Hosts]) -> Result<NetworkSet, String> {
        let (mut networks, mut unknown) = (Vec::new(), Vec::new());
        for hosts in list {
            match hosts {
                Hosts::Network(network) => networks.push(*network),
                Hosts::Group(name) => match self.0.get(name) {
                    Some(group) => networks.extend(group),
                    None => unknown.push(name.as_str()),
                },
            }
        }
        if unknown.is_empty() {
            Ok(networks.into_iter().collect())
        } else {
            Err(format!("there is no group {}", unknown.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_name_networks_and_groups() {
        let groups = ["web=192.0.2.0/24,2001:db8::1", "mail-out=10.0.0.25"];
        let groups = groups.map(|text| text.parse::<Group>().unwrap());
        let groups = Groups::new(groups).unwrap();
        let list = ["10.1.0.0/16", "web"].map(|text| text.parse::<Hosts>().unwrap());
        let set = groups.set_of(&list).unwrap();
        for (text, inside) in [
            ("10.1.2.3", true),
            ("192.0.2.9", true),
            ("2001:db8::1", true),
            ("2001:db8::2", false),
            ("10.0.0.25", false),
        ] {
            assert_eq!(set.contains(text.parse().unwrap()), inside, "{text}");
        }
        let unknown = ["webb".parse().unwrap()];
        assert_eq!(groups.set_of(&unknown).unwrap_err(), "there is no group webb");
    }

    #[test]
    fn mistakes_in_groups_are_told() {
        for text in ["web", "=10.0.0.0/8", "7up=10.0.0.0/8", "web=", "web=10.0.0.0/8,", "a=b"] {
            assert!(text.parse::<Group>().is_err(), "{text}");
        }
        let twice = ["web=10.0.0.1", "web=10.0.0.2"].map(|text| text.parse().unwrap());
        assert_eq!(Groups::new(twice).unwrap_err(), "group web is given twice");
        for text in ["", "10.0.0", "-web", "web server", "fe80:"] {
            assert!(text.parse::<Hosts>().is_err(), "{text}");
        }
    }
}
