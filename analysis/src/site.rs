//! The monitored site: its networks, its servers, and the interfaces at its edge.

use std::net::{IpAddr, Ipv4Addr};

use flow::number::protocol;
use flow::{FlowDirection, FlowKey, FlowRecord, NetworkSet};

use crate::networks::{Group, Groups, Hosts, embedded_ipv4};

/// The site in the settings of the user.
#[derive(Clone, Debug, Default)]
pub struct SiteSettings {
    /// `--groups`.
    pub groups: Vec<Group>,
    /// `--local-networks`.
    pub local_networks: Vec<Hosts>,
    /// `--mail-servers`.
    pub mail_servers: Vec<Hosts>,
    /// `--dns-servers`.
    pub dns_servers: Vec<Hosts>,
    /// `--inside-interfaces`: names, or numbers.
    pub inside_interfaces: Vec<String>,
    /// `--outside-interfaces`.
    pub outside_interfaces: Vec<String>,
}

/// The monitored site. Parts that are not known are empty.
#[derive(Clone, Debug, Default)]
pub struct Site {
    /// Groups of hosts with a name.
    pub groups: Groups,
    /// Addresses of the site.
    pub local_networks: NetworkSet,
    /// Hosts that may send mail to other servers.
    pub mail_servers: NetworkSet,
    /// DNS servers that hosts of the site may ask.
    pub dns_servers: NetworkSet,
    /// Interfaces where packets of the site come in.
    pub(crate) inside: InterfaceNames,
    /// Interfaces where packets from elsewhere come in.
    pub(crate) outside: InterfaceNames,
}

impl Site {
    /// Resolves groups.
    ///
    /// # Errors
    ///
    /// Settings that contradict each other, each in a sentence.
    pub fn new(settings: &SiteSettings) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let groups = Groups::new(settings.groups.iter().cloned()).unwrap_or_else(|problem| {
            problems.push(format!("--groups: {problem}"));
            Groups::default()
        });
        let mut hosts = |setting: &str, list: &[Hosts]| {
            groups.set_of(list).unwrap_or_else(|problem| {
                problems.push(format!("--{setting}: {problem}"));
                NetworkSet::default()
            })
        };
        let local_networks = hosts("local-networks", &settings.local_networks);
        let mail_servers = hosts("mail-servers", &settings.mail_servers);
        let dns_servers = hosts("dns-servers", &settings.dns_servers);
        let (inside, outside) = (&settings.inside_interfaces, &settings.outside_interfaces);
        for both in inside.iter().filter(|name| outside.contains(name)) {
            problems.push(format!(
                "--inside-interfaces {both}: --outside-interfaces has this interface too"
            ));
        }
        let (inside, outside) = (InterfaceNames::new(inside), InterfaceNames::new(outside));
        if !problems.is_empty() {
            return Err(problems);
        }
        if local_networks.is_empty() && !(inside.is_empty() && outside.is_empty()) {
            let problem = "--inside-interfaces and --outside-interfaces need --local-networks";
            return Err(vec![problem.to_owned()]);
        }
        Ok(Self { groups, local_networks, mail_servers, dns_servers, inside, outside })
    }

    /// True for an address of the site, also for an IPv6 address that embeds one.
    #[inline]
    pub fn is_local(&self, address: IpAddr) -> bool {
        self.local_networks.contains(address)
            || matches!(address, IpAddr::V6(v6) if embedded_ipv4(v6)
                .is_some_and(|v4| self.local_networks.contains(v4.into())))
    }

    /// True if packets with the source of this record cannot come in on its interface.
    #[inline]
    pub(crate) fn is_spoofed(&self, record: &FlowRecord) -> bool {
        let interface = record.key.interface;
        let (is_inside, is_outside) =
            (self.inside.contains(interface), self.outside.contains(interface));
        if record.direction != FlowDirection::Ingress || !is_inside && !is_outside {
            return false;
        }
        let source = record.key.source_address();
        let is_on_wrong_side = if self.is_local(source) { is_outside } else { is_inside };
        is_on_wrong_side && !begins_on_link(&record.key, source)
    }
}

/// True for packets with a special source address that are normal on their own link: from a host
/// that has no address yet, or between link-local addresses.
pub(crate) fn begins_on_link(key: &FlowKey, source: IpAddr) -> bool {
    let destination = key.destination_address();
    match (source, destination) {
        (IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V4(to)) => {
            let is_dhcp = key.protocol == protocol::UDP
                && (key.source_port, key.destination_port) == (68, 67);
            is_dhcp || key.protocol == protocol::IGMP && to.is_multicast()
        }
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            from.is_link_local() && (to.is_link_local() || to.is_multicast() || to.is_broadcast())
        }
        (IpAddr::V6(from), IpAddr::V6(to)) if from.is_unspecified() => {
            // Duplicate address detection: solicitations, and multicast listener reports for them.
            let kind = key.destination_port >> 8;
            key.is_icmp() && to.is_multicast() && matches!(kind, 131 | 132 | 133 | 135 | 143)
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let is_neighbour_discovery =
                key.is_icmp() && matches!(key.destination_port >> 8, 133..=137);
            from.is_unicast_link_local()
                && (to.is_unicast_link_local() || to.is_multicast() || is_neighbour_discovery)
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

/// Interfaces by number or by name. A name gets its number when the interface is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct InterfaceNames {
    names: Vec<String>,
    numbers: Vec<u32>,
}

impl InterfaceNames {
    /// Interfaces in the form that users write: digits are a number.
    pub(crate) fn new(interfaces: &[String]) -> Self {
        let mut all = Self::default();
        for interface in interfaces {
            match interface.parse() {
                Ok(number) => all.numbers.push(number),
                Err(_) => all.names.push(interface.clone()),
            }
        }
        all
    }

    /// True if there are no interfaces.
    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty() && self.numbers.is_empty()
    }

    /// Learns the name of an interface.
    pub(crate) fn learn(&mut self, number: u32, name: &str) {
        if self.names.iter().any(|own| own == name) && !self.numbers.contains(&number) {
            self.numbers.push(number);
        }
    }

    /// True if the interface with this number is one of them.
    #[inline]
    pub(crate) fn contains(&self, number: u32) -> bool {
        self.numbers.contains(&number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(list: &[&str]) -> Vec<Hosts> {
        list.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn an_address_is_local_by_itself_or_by_what_is_in_it() {
        let settings = SiteSettings {
            groups: vec!["office=10.0.0.0/8".parse().unwrap()],
            local_networks: hosts(&["office", "2001:db8::/32"]),
            ..SiteSettings::default()
        };
        let site = Site::new(&settings).unwrap();
        for (text, is_local) in [
            ("10.1.2.3", true),
            ("11.0.0.1", false),
            ("2001:db8::1", true),
            ("2001:db9::1", false),
            ("64:ff9b::10.1.2.3", true),
            ("64:ff9b::11.1.2.3", false),
            ("2002:a01:203::1", true),
        ] {
            assert_eq!(site.is_local(text.parse().unwrap()), is_local, "{text}");
        }
        assert!(!Site::default().is_local(IpAddr::from([10, 0, 0, 1])));
    }

    #[test]
    fn contradictions_are_told() {
        let base =
            || SiteSettings { local_networks: hosts(&["10.0.0.0/8"]), ..SiteSettings::default() };
        let names = |list: &[&str]| list.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let both = SiteSettings {
            inside_interfaces: names(&["eth1", "eth2"]),
            outside_interfaces: names(&["eth2"]),
            ..base()
        };
        let problem = |settings| {
            let problems = Site::new(settings).unwrap_err();
            assert_eq!(problems.len(), 1, "{problems:?}");
            problems[0].clone()
        };
        assert!(problem(&both).contains("--inside-interfaces eth2"));
        let alone =
            SiteSettings { outside_interfaces: names(&["eth2"]), ..SiteSettings::default() };
        assert!(problem(&alone).contains("need --local-networks"));
        let unknown = SiteSettings { mail_servers: hosts(&["mail"]), ..base() };
        assert_eq!(problem(&unknown), "--mail-servers: there is no group mail");
    }

    #[test]
    fn interfaces_are_known_by_number_or_name() {
        let mut interfaces = InterfaceNames::new(&["7".to_owned(), "eth1".to_owned()]);
        assert!(interfaces.contains(7) && !interfaces.contains(2));
        interfaces.learn(2, "eth1");
        interfaces.learn(3, "eth2");
        assert!(interfaces.contains(2) && !interfaces.contains(3));
    }
}
