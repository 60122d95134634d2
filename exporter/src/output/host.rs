//! Hosts in URLs.

use std::net::Ipv6Addr;

use crate::transport::Host;

/// Reads `HOST[:PORT][,HOST[:PORT]...]`.
pub(super) fn hosts(text: &str, default_port: u16) -> Result<Vec<Host>, String> {
    if text.contains('@') {
        return Err(NO_USER.to_owned());
    }
    text.split(',').map(|text| host(&format!("//{text}"), default_port)).collect()
}

pub(super) const NO_USER: &str = "user and password-file are settings: in place of \
                                  NAME:PASSWORD@HOST write HOST?user=NAME&password-file=FILE";

pub(super) const NO_HOST: &str = "no host: // belongs before it";

pub(super) const HOST_ONLY: &str = "only a host, a port and settings are allowed";

/// Reads `//HOST[:PORT]`. An IPv6 address is in brackets (RFC 3986 section 3.2.2). Its zone follows
/// a %, or %25 (RFC 6874).
pub(super) fn host(text: &str, default_port: u16) -> Result<Host, String> {
    let text = text.strip_prefix("//").ok_or(NO_HOST)?;
    let text = text.strip_suffix('/').unwrap_or(text);
    if text.contains(['/', '@', '#']) {
        return Err(HOST_ONLY.to_owned());
    }
    let (name, port) = match text.strip_prefix('[') {
        Some(text) => {
            let (address, port) = text.split_once(']').ok_or("no ] after the IPv6 address")?;
            (ipv6(address)?, port)
        }
        None if text.matches(':').count() > 1 => {
            return Err("an IPv6 address is written in brackets, as in [::1]:4739".to_owned());
        }
        None => {
            let (name, port) = text.split_at(text.find(':').unwrap_or(text.len()));
            (host_name(name)?, port)
        }
    };
    let port = match port {
        "" | ":" => default_port,
        _ => port
            .strip_prefix(':')
            .and_then(|port| port.parse().ok())
            .filter(|&port| port != 0)
            .ok_or_else(|| format!("{port} is not a port from :1 to :65535"))?,
    };
    Ok(Host { name, port })
}

fn host_name(name: &str) -> Result<String, String> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    match name.chars().find(|&c| !is_allowed(c)) {
        _ if name.is_empty() => Err("no host".to_owned()),
        Some(other) => Err(format!("{other:?} cannot be in the name of a host")),
        None => Ok(name.to_owned()),
    }
}

fn ipv6(text: &str) -> Result<String, String> {
    let (address, zone) = match text.split_once('%') {
        Some((address, zone)) => {
            (address, zone.strip_prefix("25").filter(|zone| !zone.is_empty()).unwrap_or(zone))
        }
        None => (text, ""),
    };
    let parsed: Ipv6Addr =
        address.parse().map_err(|_error| format!("{address} is not an IPv6 address"))?;
    if parsed.is_unicast_link_local() && zone.is_empty() {
        return Err(format!("a link-local address needs its interface, as in [{address}%eth0]"));
    }
    Ok(if zone.is_empty() { address.to_owned() } else { format!("{address}%{zone}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_or_addresses() {
        for (text, name, port) in [
            ("//h", "h", 1),
            ("//collector.example:2/", "collector.example", 2),
            ("//h:", "h", 1),
            ("//[::1]:65535", "::1", 65_535),
            ("//[fe80::1%eth0]", "fe80::1%eth0", 1),
            ("//[fe80::1%25eth0]:3", "fe80::1%eth0", 3),
            ("//[fe80::1%25]", "fe80::1%25", 1),
        ] {
            assert_eq!(host(text, 1), Ok(Host { name: name.to_owned(), port }), "{text}");
        }
        for (text, reason) in [
            ("h", "//"),
            ("//", "no host"),
            ("//:1", "no host"),
            ("//h:0", ":0 is not a port from :1 to :65535"),
            ("//h:-1", ":-1 is not a port"),
            ("//[::1]1", "1 is not a port"),
            ("//::1:4739", "brackets"),
            ("//[::1", "no ]"),
            ("//[fe80::1]", "a link-local address needs its interface, as in [fe80::1%eth0]"),
            ("//[fe80::1%]:3", "a link-local address needs its interface"),
            ("//[::zz]", "::zz is not an IPv6 address"),
            ("//a%20b", "'%'"),
        ] {
            let error = host(text, 1).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
