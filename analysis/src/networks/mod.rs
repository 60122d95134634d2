//! Networks as users write them, and the registries' data on special addresses.

mod group;
mod special;

use std::net::IpAddr;

use ipnet::IpNet;

pub use group::{Group, Groups, Hosts};
pub(crate) use special::embedded_ipv4;
pub use special::{Purpose, purpose};

/// Reads a network such as `10.0.0.0/8`, or an address, which is a network of one host.
///
/// # Errors
///
/// The format that is needed.
pub fn network(text: &str) -> Result<IpNet, String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address));
    }
    let network = text.parse::<IpNet>().map_err(|_error| {
        "a network or an address is needed, such as 10.0.0.0/8 or 2001:db8::1".to_owned()
    })?;
    if network != network.trunc() {
        return Err(format!("{} is needed: {text} has bits behind its prefix", network.trunc()));
    }
    Ok(network)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_and_addresses_are_read() {
        for (text, expected) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("192.0.2.7", "192.0.2.7/32"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("2001:DB8::1", "2001:db8::1/128"),
        ] {
            assert_eq!(network(text).unwrap().to_string(), expected, "{text}");
        }
        for text in
            ["", "10", "10.0.0/8", "10.0.0.0/33", "::/129", "10.0.0.0/", "eth1", "10.0.0.0/+8"]
        {
            assert!(network(text).unwrap_err().contains("is needed, such as"), "{text}");
        }
        let problem = network("10.0.0.5/8").unwrap_err();
        assert_eq!(problem, "10.0.0.0/8 is needed: 10.0.0.5/8 has bits behind its prefix");
        assert!(network("2001:db8::1/64").is_err());
    }
}
