//! The Observation Domain ID of an output without a configured one.
//!
//! Collectors identify templates by it. So it stays the same over restarts, and differs between
//! probes that send to the same collector.

use std::fs;

use exporter::Destination;

use super::config::host_name;

/// The domain of a replay: its output depends only on the capture files and the settings.
const REPLAY: u32 = 1;

const MACHINE_ID: &str = "/etc/machine-id";

/// Source of the domains of outputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Domain {
    Replay,
    /// Live: the identity of the host, and the interfaces or listeners as given, sorted.
    Live {
        host: String,
        interfaces: Vec<String>,
    },
}

impl Domain {
    /// The domain of this host when it captures from these interfaces, or listens at these URLs.
    pub(crate) fn live(mut interfaces: Vec<String>) -> Self {
        let machine = fs::read_to_string(MACHINE_ID).unwrap_or_default();
        interfaces.sort();
        Self::Live { host: machine_id(&machine).map_or_else(host_name, str::to_owned), interfaces }
    }

    /// The domain of an output without a configured one; not 0.
    pub(crate) fn id(&self, output: &Destination) -> u32 {
        match self {
            Self::Replay => REPLAY,
            Self::Live { host, interfaces } => {
                let (name, port) = output
                    .host()
                    .map_or((String::new(), 0), |(name, port)| (name.to_ascii_lowercase(), port));
                let port = port.to_string();
                let mut parts = vec![host.as_str(), output.scheme(), &name, &port];
                parts.extend(interfaces.iter().map(String::as_str));
                hash(&parts)
            }
        }
    }
}

/// The machine ID in the text of its file. In images and containers it may be empty, or a word for
/// a system that was not started yet (machine-id(5)).
fn machine_id(text: &str) -> Option<&str> {
    let id = text.trim();
    let is_id = id.len() == 32 && id.bytes().all(|digit| digit.is_ascii_hexdigit());
    (is_id && id.bytes().any(|digit| digit != b'0')).then_some(id)
}

/// FNV-1a of texts, each followed by an octet that is not in any of them.
fn hash(texts: &[&str]) -> u32 {
    let octets = texts.iter().flat_map(|text| text.bytes().chain([0]));
    let hash = octets
        .fold(0x811c_9dc5_u32, |hash, octet| (hash ^ u32::from(octet)).wrapping_mul(0x0100_0193));
    hash.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINE: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn machine_id_is_32_digits_that_are_not_all_zero() {
        assert_eq!(machine_id(&format!("{MACHINE}\n")), Some(MACHINE));
        for text in ["", "\n", "uninitialized\n", &"0".repeat(32), &MACHINE[1..], "x"] {
            assert_eq!(machine_id(text), None, "{text:?}");
        }
        assert_eq!(machine_id(&format!("{MACHINE}0")), None);
    }

    #[test]
    fn every_part_makes_another_domain_and_order_makes_none() {
        let live = |host: &str, interfaces: &[&str]| Domain::Live {
            host: host.to_owned(),
            interfaces: interfaces.iter().map(|&name| name.to_owned()).collect(),
        };
        let id = |domain: &Domain, url: &str| domain.id(&url.parse().unwrap());
        let here = live(MACHINE, &["eth1", "eth2"]);
        let ids = [
            id(&here, "ipfix://10.0.0.5"),
            id(&here, "ipfix://10.0.0.6"),
            id(&here, "ipfix://10.0.0.5:4740"),
            id(&here, "ipfix+tcp://10.0.0.5"),
            id(&here, "json:-"),
            id(&live("other", &["eth1", "eth2"]), "ipfix://10.0.0.5"),
            id(&live(MACHINE, &["eth1"]), "ipfix://10.0.0.5"),
            id(&live(MACHINE, &["eth1eth2"]), "ipfix://10.0.0.5"),
            id(&live(MACHINE, &[]), "ipfix://10.0.0.5"),
        ];
        for (index, id) in ids.iter().enumerate() {
            assert!(*id != 0 && !ids[..index].contains(id), "{index}: {ids:?}");
        }
        assert_eq!(ids[0], id(&here, "ipfix://10.0.0.5:4739?mtu=1400"));
        assert_eq!(id(&here, "ipfix://Collector"), id(&here, "ipfix://collector"));
        assert_eq!(id(&Domain::Replay, "ipfix://10.0.0.5"), 1);
        let typed = |names: [&str; 2]| Domain::live(names.map(str::to_owned).to_vec());
        assert_eq!(typed(["eth2", "eth1"]), typed(["eth1", "eth2"]));
    }
}
