//! What users probably mean by a URL without the scheme of an output.

use std::net::{IpAddr, Ipv6Addr};

use super::{OUTPUTS, Output, forms};
use crate::words::nearest;

/// Schemes of other programs, and the outputs that do the same.
const SCHEMES: [(&str, &[&str]); 16] = [
    ("http", &["elastic+http"]),
    ("https", &["elastic+https"]),
    ("elastic", &["elastic+http", "elastic+https"]),
    ("elasticsearch", &["elastic+http", "elastic+https"]),
    ("opensearch", &["elastic+http", "elastic+https"]),
    ("udp", &["ipfix", "netflow9"]),
    ("tcp", &["ipfix+tcp"]),
    ("tls", &["ipfix+tls"]),
    ("ipfix+udp", &["ipfix"]),
    ("netflow", &["netflow9", "netflow5"]),
    ("netflow-v5", &["netflow5"]),
    ("netflow-v9", &["netflow9"]),
    ("nf5", &["netflow5"]),
    ("nf9", &["netflow9"]),
    ("kafka+ssl", &["kafka+tls"]),
    ("file", &["json"]),
];

/// The outputs whose default port this is, and those of messages for any other one.
const PORTS: [(u16, &[&str]); 4] = [
    (9200, &["elastic+http", "elastic+https"]),
    (9092, &["kafka"]),
    (4739, &["ipfix", "ipfix+tcp"]),
    (4740, &["ipfix+tls"]),
];
const OF_MESSAGES: &[&str] = &["ipfix", "netflow9"];

/// Words for an error: what was probably meant by a URL, which has no secrets any more, and the
/// forms of all outputs.
pub(super) fn tip_and_forms(url: &str) -> String {
    let meant = meant(url);
    let perhaps = if meant.is_empty() { "" } else { "; perhaps " };
    format!("{perhaps}{}; outputs are {}", meant.join(" or "), forms())
}

fn meant(url: &str) -> Vec<String> {
    if let Some(output) = Output::find(url) {
        return vec![output.form()];
    }
    if url == "-" || has_end(url, &[".json", ".ndjson", ".jsonl"]) {
        return vec![format!("json:{url}")];
    }
    if has_end(url, &[".ipfix"]) {
        return vec![format!("ipfix-file:{url}")];
    }
    if let Some((scheme, rest)) = url.split_once("://") {
        return of_scheme(scheme, rest);
    }
    if url.contains('@') {
        return Vec::new();
    }
    if let Some(port) = port_of_host(url) {
        let schemes = PORTS.iter().find(|(known, _)| Some(*known) == port);
        let schemes = schemes.map_or(OF_MESSAGES, |(_, schemes)| *schemes);
        return with_schemes(schemes, url);
    }
    if let Ok(address) = url.parse::<Ipv6Addr>() {
        return with_schemes(OF_MESSAGES, &format!("[{address}]"));
    }
    if url.contains('/') || url.contains('.') && !url.contains(':') {
        return vec![format!("json:{url}")];
    }
    let meant = url.split_once(':').and_then(|(scheme, rest)| {
        of_known_scheme(scheme).map(|scheme| format!("{scheme}:{rest}"))
    });
    meant.into_iter().collect()
}

/// Whether a text without its settings ends so.
fn has_end(url: &str, ends: &[&str]) -> bool {
    let path = url.split('?').next().unwrap_or_default();
    !path.contains(':') && ends.iter().any(|end| path.ends_with(end))
}

/// The port of `HOST[:PORT]`: `None` if it is no host, `Some(None)` if it has no port.
fn port_of_host(url: &str) -> Option<Option<u16>> {
    let host = url.split('?').next().unwrap_or_default();
    let is_name = |name: &str| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-._[]:".contains(c))
    };
    match host.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => {
            port.parse().ok().filter(|_| is_name(name)).map(Some)
        }
        _ => {
            let is_address = host.parse::<IpAddr>().is_ok_and(|address| address.is_ipv4());
            (is_address || host == "localhost").then_some(None)
        }
    }
}

fn of_scheme(scheme: &str, rest: &str) -> Vec<String> {
    let scheme = scheme.to_lowercase();
    // A user belongs into settings.
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    match SCHEMES.iter().find(|(known, _)| *known == scheme) {
        Some((_, ["json"])) => vec![format!("json:{rest}")],
        Some((_, schemes)) => with_schemes(schemes, host),
        None => of_known_scheme(&scheme).map(|it| format!("{it}://{host}")).into_iter().collect(),
    }
}

/// The scheme of an output that is written in nearly this way.
fn of_known_scheme(scheme: &str) -> Option<&'static str> {
    nearest(scheme, OUTPUTS.iter().map(|output| output.scheme))
}

fn with_schemes(schemes: &[&str], host: &str) -> Vec<String> {
    let whole = |scheme: &&str| {
        let topic = if *scheme == "kafka" { "/TOPIC" } else { "" };
        format!("{scheme}://{host}{topic}")
    };
    schemes.iter().map(whole).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes_that_are_tipped_exist() {
        let of_ports = PORTS.iter().flat_map(|(_, schemes)| *schemes);
        let all = SCHEMES.iter().flat_map(|(_, schemes)| *schemes).chain(of_ports);
        for scheme in all.chain(OF_MESSAGES) {
            assert!(Output::find(scheme).is_some(), "{scheme}");
        }
        for (scheme, _) in SCHEMES {
            assert!(Output::find(scheme).is_none(), "{scheme}");
        }
    }
}
