//! The interfaces of all capture files together.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use exporter::Interface;
use flow::LinkType;

/// Maximum number of interfaces in a section, and of numbered interfaces of all files. More get
/// number 0.
pub(super) const INTERFACES_MAX: usize = 65_536;

/// Maximum number of interfaces whose names are exported.
const NAMES_MAX: usize = 4096;

/// Octets of a name; longer ones are cut.
const NAME_OCTETS_MAX: usize = 255;

/// Numbers and names of interfaces, over all sections and files.
///
/// Interfaces with the same name and link type are one. Without a name, interfaces at the same
/// position in their sections are one. Numbers begin at 1 and follow the order of the first
/// descriptions. If there is only one section, they are the positions.
///
/// The user can give a number to a name. A name of digits only is a position from 1 on: the first
/// interface that is described at that position has the number. No other interface has a number
/// that the user gave.
#[derive(Debug, Default)]
pub(super) struct Interfaces {
    /// Numbers that the user gave, by name or position.
    overrides: HashMap<String, Override>,
    /// Numbers that the user gave.
    reserved: HashSet<u32>,
    numbers: HashMap<Identity, u32>,
    /// The highest number that was assigned here.
    last: u32,
    named: Vec<Interface>,
    over_limit: u64,
}

/// Identity of an interface: two descriptions with the same identity are one interface.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Identity {
    Named { name: String, link_number: u16 },
    Unnamed { position: u32 },
}

#[derive(Debug)]
struct Override {
    number: u32,
    used: bool,
}

impl Interfaces {
    pub(super) fn new(overrides: &[(String, u32)]) -> Self {
        let reserved = overrides.iter().map(|(_, number)| *number).collect();
        let overrides = overrides
            .iter()
            .map(|(name, number)| (name.clone(), Override { number: *number, used: false }))
            .collect();
        Self { overrides, reserved, ..Self::default() }
    }

    /// The number of an interface that a file describes. Its position in the section begins at 0.
    pub(super) fn register(&mut self, position: u32, name: Option<String>, link: u16) -> u32 {
        let given = name.as_ref().filter(|name| !is_position(name));
        let given = given.and_then(|name| self.given_to_name(name));
        let name = name.map(shortened);
        let identity = match name.clone() {
            Some(name) => Identity::Named { name, link_number: link },
            None => Identity::Unnamed { position },
        };
        if let Some(number) = self.numbers.get(&identity) {
            return *number;
        }
        if self.numbers.len() == INTERFACES_MAX {
            self.over_limit += 1;
            return given.unwrap_or(0);
        }
        let number = given
            .or_else(|| self.given_to_position(position))
            .unwrap_or_else(|| self.next_number(position));
        self.numbers.insert(identity, number);
        // The name is that of a capture on several interfaces, not of the interface of a packet.
        if let Some(name) = name
            && LinkType::from_number(link) != LinkType::LinuxCooked2
        {
            if self.named.len() < NAMES_MAX {
                self.named.push(Interface { number, name });
            } else {
                self.over_limit += 1;
            }
        }
        number
    }

    /// The number of the only interface of a file, which the file does not describe: 0, unless the
    /// user gave a number to its position.
    pub(super) fn register_only(&mut self, link: u16) -> u32 {
        if self.overrides.contains_key(&text_of(0)) { self.register(0, None, link) } else { 0 }
    }

    fn given_to_name(&mut self, name: &str) -> Option<u32> {
        let given = self.overrides.get_mut(name)?;
        given.used = true;
        Some(given.number)
    }

    /// A number is given to only one interface at a position: the first.
    fn given_to_position(&mut self, position: u32) -> Option<u32> {
        let given = self.overrides.get_mut(&text_of(position)).filter(|given| !given.used)?;
        given.used = true;
        Some(given.number)
    }

    fn next_number(&mut self, position: u32) -> u32 {
        let mut number = self.last.max(position).saturating_add(1);
        while self.reserved.contains(&number) {
            number = number.saturating_add(1);
        }
        self.last = number;
        number
    }

    /// Descriptions over the limit: the interface has no number, or its name is not exported.
    pub(super) fn over_limit(&self) -> u64 {
        self.over_limit
    }

    /// Number of interfaces with a name.
    pub(super) fn named_count(&self) -> usize {
        self.named.len()
    }

    /// Interfaces with a name, in the order of their first descriptions.
    pub(super) fn named(&self) -> Arc<[Interface]> {
        self.named.as_slice().into()
    }

    /// The interface for a message: its number, its name.
    pub(super) fn describe(&self, number: u32) -> String {
        let name = self.named.iter().find(|interface| interface.number == number);
        let name = name.map_or(String::new(), |interface| format!(" ({})", interface.name));
        format!("interface {number}{name}")
    }

    /// Names to which the user gave a number and that no file has.
    pub(super) fn unused_overrides(&self) -> impl Iterator<Item = &str> {
        self.overrides.iter().filter(|(_, given)| !given.used).map(|(name, _)| name.as_str())
    }
}

/// Whether `--ifindex` takes a name as a position.
fn is_position(name: &str) -> bool {
    name.bytes().all(|octet| octet.is_ascii_digit())
}

/// A position in the notation of the user, from 1 on.
fn text_of(position: u32) -> String {
    position.saturating_add(1).to_string()
}

/// A name, cut to the maximum length, without the memory of the rest.
fn shortened(mut name: String) -> String {
    name.truncate(name.floor_char_boundary(NAME_OCTETS_MAX));
    name.shrink_to_fit();
    name
}

/// A link type for messages: its number, and its name if it is a common one.
pub(crate) fn link_name(link: u16) -> String {
    let name = match link {
        8 => "SLIP",
        19 => "Linux ATM CLIP",
        119 => "Prism 802.11",
        122 => "IP over Fibre Channel",
        143 => "DOCSIS",
        147..=162 => "user-defined",
        187 | 201 => "Bluetooth HCI",
        189 | 220 => "USB",
        195 | 215 | 230 => "IEEE 802.15.4",
        227 => "SocketCAN",
        231 => "D-Bus",
        249 => "USBPcap",
        251 => "Bluetooth LE",
        253 => "netlink",
        260 => "Ruby IPMI",
        _ => return link.to_string(),
    };
    format!("{link} ({name})")
}
