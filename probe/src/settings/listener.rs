//! Listeners: where the messages of exporters come in.

use std::fmt::{self, Display, Formatter};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

/// The protocols that a listener takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocols {
    Netflow,
    Ipfix,
    Sflow,
    All,
}

/// Where datagrams or connections come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listener {
    pub(crate) takes: Protocols,
    pub(crate) carrier: Carrier,
    pub(crate) address: SocketAddr,
}

/// What carries messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Carrier {
    Udp,
    Tcp,
    Tls(TlsFiles),
}

/// The files of a listener with TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    /// Authorities of exporters.
    pub(crate) authorities: Option<PathBuf>,
}

impl Protocols {
    const ALL: [(&str, Self, u16); 6] = [
        ("netflow", Self::Netflow, 2055),
        ("ipfix", Self::Ipfix, 4739),
        ("sflow", Self::Sflow, 6343),
        ("flow", Self::All, 2055),
        (TCP, Self::Ipfix, 4739),
        (TLS, Self::Ipfix, 4740),
    ];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, takes, _)| *takes == self).map_or("", |(name, ..)| name)
    }

    /// Whether this datagram is of a protocol that the listener takes. Datagrams that are of no
    /// protocol are taken, so that they are counted as such.
    pub(crate) fn takes(self, octets: &[u8]) -> bool {
        let protocol = match *octets {
            [0, 5 | 9, ..] => Self::Netflow,
            [0, 10, ..] => Self::Ipfix,
            [0, 0, 0, 5, ..] => Self::Sflow,
            _ => return true,
        };
        self == Self::All || self == protocol
    }
}

const TCP: &str = "ipfix+tcp";

const TLS: &str = "ipfix+tls";

impl TlsFiles {
    fn of_query(query: Option<&str>) -> Result<Self, String> {
        let mut files = Self::default();
        for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            let path = PathBuf::from(value.as_ref());
            match name.as_ref() {
                "cert" => files.certificate = path,
                "key" => files.key = path,
                "ca" => files.authorities = Some(path),
                _ => return Err(format!("{name} is not a setting of {TLS}: cert, key, ca")),
            }
        }
        if files.certificate.as_os_str().is_empty() || files.key.as_os_str().is_empty() {
            return Err(format!("{TLS} needs ?cert=FILE&key=FILE"));
        }
        Ok(files)
    }
}

impl FromStr for Listener {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let problem = || {
            "PROTOCOL://ADDRESS:PORT is needed, with netflow, ipfix, sflow, flow, ipfix+tcp or \
             ipfix+tls, such as netflow://:2055 or sflow://192.0.2.1"
                .to_owned()
        };
        let (name, rest) = text.split_once("://").ok_or_else(problem)?;
        let known = Protocols::ALL.iter().find(|(known, ..)| *known == name);
        let (name, takes, port) = known.ok_or_else(problem)?;
        let (takes, port) = (*takes, *port);
        let (rest, query) = rest.split_once('?').map_or((rest, None), |(it, q)| (it, Some(q)));
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let carrier = match *name {
            TLS => Carrier::Tls(TlsFiles::of_query(query)?),
            _ if query.is_some() => return Err(format!("{name} has no settings")),
            TCP => Carrier::Tcp,
            _ => Carrier::Udp,
        };
        let address = match rest.strip_prefix(':') {
            Some(port) if !rest.starts_with("::") => {
                let port = port.parse().map_err(|_error| problem())?;
                SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port)
            }
            _ if rest.is_empty() => SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port),
            _ => {
                let bare = rest.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
                let alone = bare.unwrap_or(rest).parse().ok();
                let alone = alone.map(|address: IpAddr| SocketAddr::new(address, port));
                rest.parse().ok().or(alone).ok_or_else(problem)?
            }
        };
        Ok(Self { takes, carrier, address })
    }
}

impl Display for Listener {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let name = match self.carrier {
            Carrier::Udp => self.takes.name(),
            Carrier::Tcp => TCP,
            Carrier::Tls(_) => TLS,
        };
        write!(f, "{name}://{}", self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_are_read_and_shown() {
        for (text, shown) in [
            ("netflow://:2055", "netflow://[::]:2055"),
            ("netflow://", "netflow://[::]:2055"),
            ("ipfix://", "ipfix://[::]:4739"),
            ("sflow://192.0.2.1", "sflow://192.0.2.1:6343"),
            ("flow://127.0.0.1:99/", "flow://127.0.0.1:99"),
            ("flow://[2001:db8::1]:99", "flow://[2001:db8::1]:99"),
            ("sflow://[2001:db8::1]", "sflow://[2001:db8::1]:6343"),
            ("sflow://::1", "sflow://[::1]:6343"),
            ("ipfix+tcp://:1", "ipfix+tcp://[::]:1"),
            ("ipfix+tls://192.0.2.1/?cert=a&key=b&ca=c", "ipfix+tls://192.0.2.1:4740"),
        ] {
            assert_eq!(text.parse::<Listener>().unwrap().to_string(), shown, "{text}");
        }
        let of_tls = ["ipfix+tls://:1", "ipfix+tls://:1?cert=a", "ipfix+tls://:1?cert=a&key=b&x=c"];
        let others = ["", ":2055", "tcp://:1", "flow://:x", "flow://host:1", "flow://:1?cert=a"];
        for text in of_tls.into_iter().chain(others) {
            assert!(text.parse::<Listener>().is_err(), "{text}");
        }
    }

    #[test]
    fn listeners_take_their_protocol() {
        let all: [&[u8]; 4] = [&[0, 5, 0, 1], &[0, 9], &[0, 10], &[0, 0, 0, 5]];
        let taken = |takes: Protocols| all.map(|octets| takes.takes(octets));
        assert_eq!(taken(Protocols::Netflow), [true, true, false, false]);
        assert_eq!(taken(Protocols::Ipfix), [false, false, true, false]);
        assert_eq!(taken(Protocols::Sflow), [false, false, false, true]);
        assert_eq!(taken(Protocols::All), [true; 4]);
        assert!(Protocols::Sflow.takes(b"x"), "the collector counts it");
    }
}
