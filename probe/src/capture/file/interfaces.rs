//! The interfaces of all capture files together.

use std::collections::HashMap;
use std::sync::Arc;

use exporter::Interface;

/// Numbers and names of interfaces. An interface has the number of its position in its section,
/// the same over sections and files, unless the user gave its name another.
#[derive(Debug, Default)]
pub(super) struct Interfaces {
    overrides: HashMap<String, Override>,
    named: Vec<Interface>,
}

#[derive(Debug)]
struct Override {
    number: u32,
    used: bool,
}

impl Interfaces {
    pub(super) fn new(overrides: &[(String, u32)]) -> Self {
        let overrides = overrides
            .iter()
            .map(|(name, number)| (name.clone(), Override { number: *number, used: false }))
            .collect();
        Self { overrides, ..Self::default() }
    }

    /// The number of an interface that a file describes.
    pub(super) fn register(&mut self, position: u32, name: Option<String>) -> u32 {
        let mut number = position;
        if let Some(name) = name {
            if let Some(given) = self.overrides.get_mut(&name) {
                number = given.number;
                given.used = true;
            }
            if self.named.iter().all(|interface| interface.number != number) {
                self.named.push(Interface { number, name });
            }
        }
        number
    }

    /// How many have a name.
    pub(super) fn named_count(&self) -> usize {
        self.named.len()
    }

    /// Those that have a name, in the order in which they came up.
    pub(super) fn named(&self) -> Arc<[Interface]> {
        self.named.as_slice().into()
    }

    /// The interface for a message: its number, its name.
    pub(super) fn describe(&self, number: u32) -> String {
        let name = self.named.iter().find(|interface| interface.number == number);
        let name = name.map_or(String::new(), |interface| format!(" ({})", interface.name));
        format!("interface {number}{name}")
    }

    /// Names that the user gave a number and that did not come up.
    pub(super) fn unused_overrides(&self) -> impl Iterator<Item = &str> {
        self.overrides.iter().filter(|(_, given)| !given.used).map(|(name, _)| name.as_str())
    }
}

/// A link type for messages: its number, and its name if it is one that turns up.
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
