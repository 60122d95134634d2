//! Facts: names that were found in the payload of a conversation.

use alloc::boxed::Box;
use core::net::IpAddr;

/// What the openings of a conversation say. The records of both directions have it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The first DNS question, and its answer.
    pub dns: Option<DnsFacts>,
    /// The first ClientHello.
    pub tls: Option<TlsFacts>,
    /// What the server chose, if its first segment showed it.
    pub tls_choice: Option<TlsChoice>,
    /// The version of QUIC if the ClientHello came by it: `1`, `2` or `draft-29`.
    pub quic_version: Option<Named<u32>>,
    /// The first HTTP/1 request, and the first response.
    pub http: Option<HttpFacts>,
}

/// A number of a registry, with its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named<N = u16> {
    /// The number.
    pub number: N,
    /// Its name, or the number if it has none.
    pub name: Box<str>,
}

/// Facts of DNS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DnsFacts {
    /// Identification of the message.
    pub id: u16,
    /// The operation: `QUERY`.
    pub op_code: Named,
    /// Names of the flags that are set: of the answer if one was seen, else of the question.
    pub flags: Box<[&'static str]>,
    /// The name asked for.
    pub name: Option<Box<str>>,
    /// Where the registered domain and the public suffix begin in the name. `None` if it has no
    /// registered domain, or is not told whole.
    pub domain_at: Option<(u16, u16)>,
    /// Type of the question: `AAAA`.
    pub kind: Named,
    /// Class of the question: `IN`.
    pub class: Named,
    /// The answer. `None` if none was seen.
    pub response: Option<DnsResponse>,
}

/// What a DNS answer says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DnsResponse {
    /// Its code: `NXDOMAIN`.
    pub code: Named,
    /// Number of records in the answer section, as the header says.
    pub answers_count: u16,
    /// The first of these records, if they are asked for.
    pub answers: Box<[DnsAnswer]>,
    /// Addresses and names in these records, with spaces between them. They have none.
    pub texts: Box<str>,
}

/// A record of a DNS answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsAnswer {
    /// The owner.
    pub name: Option<Box<str>>,
    /// Type of the record: `CNAME`.
    pub kind: Box<str>,
    /// Class of the record: `IN`.
    pub class: Box<str>,
    /// Time to live, in seconds.
    pub ttl: u32,
    /// What it says.
    pub data: DnsData,
}

/// What a record of a DNS answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DnsData {
    /// An address.
    Address(IpAddr),
    /// A name. `None` if it is not told.
    Name(Option<Box<str>>),
}

/// Facts of TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFacts {
    /// The server name, at most 1,020 characters.
    pub server_name: Option<Box<str>>,
    /// JA3, in 32 digits. `None` if the capture has cut the hello.
    pub ja3: Option<Box<str>>,
    /// JA4.
    pub ja4: Option<Box<str>>,
    /// The highest version that the client offers, as on the wire. 0 if it is not known.
    pub version: u16,
    /// The first protocol that the client offers.
    pub protocol_offered: Option<Box<str>>,
    /// Whether there is an encrypted hello.
    pub has_encrypted_hello: bool,
}

/// What a server chose of what a client of TLS offered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsChoice {
    /// The version, as on the wire.
    pub version: u16,
    /// The cipher suite: `TLS_AES_128_GCM_SHA256`.
    pub cipher: Named,
    /// The protocol. In TLS 1.3 it is encrypted.
    pub protocol: Option<Box<str>>,
}

/// Facts of HTTP/1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpFacts {
    /// The method, as it was sent.
    pub method: Option<Box<str>>,
    /// The host.
    pub host: Option<Box<str>>,
    /// What else the request says of the resource. `None` if names are not told whole.
    pub url: Option<UrlFacts>,
    /// Minor number of the version.
    pub minor: u8,
    /// Status code of the first response.
    pub status: Option<u16>,
}

/// What an HTTP/1 request says of a resource besides its host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UrlFacts {
    /// The port behind the host.
    pub port: Option<u16>,
    /// The path, without the query string, if it is asked for.
    pub path: Option<Box<str>>,
    /// The user agent, if it is asked for.
    pub agent: Option<Box<str>>,
    /// The host of the page that led there, if it is asked for.
    pub referrer_host: Option<Box<str>>,
}

/// How many messages of a conversation were read, up to the end of a record of it. Those that
/// came again are among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NameCounts {
    /// Questions of DNS.
    pub dns_queries: u32,
    /// Answers of DNS.
    pub dns_responses: u32,
    /// Answers of DNS with another code than NOERROR.
    pub dns_errors: u32,
    /// ClientHellos.
    pub tls_hellos: u32,
    /// Requests of HTTP/1.
    pub http_requests: u32,
}

/// A protocol in whose payload names are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameProtocol {
    /// DNS over UDP or TCP.
    Dns,
    /// TLS.
    Tls,
    /// HTTP/1.
    Http,
    /// QUIC.
    Quic,
}

impl NameProtocol {
    /// All protocols.
    pub const ALL: [Self; 4] = [Self::Dns, Self::Tls, Self::Http, Self::Quic];

    /// Its name (`network.protocol` of ECS).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Tls => "tls",
            Self::Http => "http",
            Self::Quic => "quic",
        }
    }
}

impl Facts {
    /// The protocol of the names. `None` if there are none.
    pub fn protocol(&self) -> Option<NameProtocol> {
        match self {
            Self { quic_version: Some(_), .. } => Some(NameProtocol::Quic),
            Self { tls: Some(_), .. } | Self { tls_choice: Some(_), .. } => Some(NameProtocol::Tls),
            Self { http: Some(_), .. } => Some(NameProtocol::Http),
            Self { dns: Some(_), .. } => Some(NameProtocol::Dns),
            _ => None,
        }
    }

    /// The host names that were found, each once.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        let tls = self.tls.as_ref().and_then(|tls| tls.server_name.as_deref());
        let http = self.http.as_ref().and_then(|http| http.host.as_deref());
        let dns = self.dns.as_ref().and_then(|dns| dns.name.as_deref());
        let http = http.filter(|host| tls != Some(host));
        let dns = dns.filter(|name| tls != Some(name) && http != Some(name) && *name != ".");
        [tls, http, dns].into_iter().flatten()
    }

    /// The addresses in the DNS answer.
    pub fn resolved(&self) -> impl Iterator<Item = IpAddr> {
        let response = self.dns.iter().filter_map(|dns| dns.response.as_ref());
        response.flat_map(DnsResponse::addresses)
    }
}

impl DnsResponse {
    /// The addresses in the answers.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.answers.iter().filter_map(|answer| match answer.data {
            DnsData::Address(address) => Some(address),
            DnsData::Name(_) => None,
        })
    }
}

impl DnsFacts {
    /// The registered domain of the name.
    pub fn registered_domain(&self) -> Option<&str> {
        self.name.as_deref()?.get(usize::from(self.domain_at?.0)..)
    }

    /// The public suffix of the name.
    pub fn top_level_domain(&self) -> Option<&str> {
        self.name.as_deref()?.get(usize::from(self.domain_at?.1)..)
    }

    /// The labels before the registered domain, if there are any.
    pub fn subdomain(&self) -> Option<&str> {
        let end = usize::from(self.domain_at?.0).checked_sub(1)?;
        self.name.as_deref()?.get(..end)
    }
}
