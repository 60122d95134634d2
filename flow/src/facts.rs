//! Facts: names that were found in the payload of a conversation.

use alloc::boxed::Box;

/// What the openings of a conversation say. The records of both directions have it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The first DNS question, and its answer.
    pub dns: Option<DnsFacts>,
    /// The first ClientHello.
    pub tls: Option<TlsFacts>,
    /// The version of QUIC if the ClientHello came by it: `1`, `2` or `draft-29`.
    pub quic_version: Option<Box<str>>,
    /// The first HTTP/1 request, and the first response.
    pub http: Option<HttpFacts>,
}

/// Facts of DNS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DnsFacts {
    /// Identification of the message.
    pub id: u16,
    /// Name of the operation: `QUERY`.
    pub op_code: Box<str>,
    /// The name asked for.
    pub name: Option<Box<str>>,
    /// Type of the question: `AAAA`.
    pub kind: Box<str>,
    /// Class of the question: `IN`.
    pub class: Box<str>,
    /// The code of the answer: `NXDOMAIN`. `None` if none was seen.
    pub response_code: Option<Box<str>>,
}

/// Facts of TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFacts {
    /// The server name, at most 1,020 characters.
    pub server_name: Option<Box<str>>,
    /// JA3, in 32 digits.
    pub ja3: Box<str>,
    /// JA4.
    pub ja4: Option<Box<str>>,
    /// The highest version that the client offers, as on the wire.
    pub version: u16,
    /// The first protocol that the client offers.
    pub protocol_offered: Option<Box<str>>,
    /// Whether there is an encrypted hello.
    pub has_encrypted_hello: bool,
}

/// Facts of HTTP/1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpFacts {
    /// The method, as it was sent.
    pub method: Option<Box<str>>,
    /// The host.
    pub host: Option<Box<str>>,
    /// The port behind the host.
    pub port: Option<u16>,
    /// Minor number of the version.
    pub minor: u8,
    /// Status code of the first response.
    pub status: Option<u16>,
}
