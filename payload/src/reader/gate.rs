//! The gate: whether ports and first octets look like the opening of a conversation.

use flow::number::port;

use crate::quic;

/// Protocols that are looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds {
    /// DNS at its ports.
    pub dns: bool,
    /// The ports of DNS.
    pub dns_ports: DnsPorts,
    /// TLS in TCP, at any port.
    pub tls: bool,
    /// QUIC at any port.
    pub quic: bool,
    /// HTTP/1 at any port.
    pub http: bool,
    /// Of DNS also the records of answers.
    pub dns_answers: bool,
}

/// What a packet looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    Dns,
    Tls,
    Quic,
    /// QUIC of a version that is not known.
    OtherQuic,
    Request,
    Response,
}

/// Ports of DNS; those that are not needed stand for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DnsPorts([u16; Self::MAX]);

impl DnsPorts {
    /// Maximum number of ports.
    pub const MAX: usize = 4;

    /// These ports. `None` if there are none, or more than [`Self::MAX`].
    pub fn new(ports: &[u16]) -> Option<Self> {
        let mut all = [*ports.first()?; Self::MAX];
        all.get_mut(..ports.len())?.copy_from_slice(ports);
        Some(Self(all))
    }

    #[inline]
    fn have(self, port: u16) -> bool {
        self.0.contains(&port)
    }
}

impl Default for DnsPorts {
    fn default() -> Self {
        Self([port::DNS; Self::MAX])
    }
}

/// A client's datagram with an Initial packet has this many octets at least (RFC 9000 section
/// 14.1).
const INITIAL_OCTETS: usize = 1200;

impl Kinds {
    /// True if any protocol is looked for.
    pub fn any(self) -> bool {
        self.dns || self.tls || self.quic || self.http
    }

    #[inline]
    pub(super) fn opening(
        self,
        is_tcp: bool,
        (source, destination): (u16, u16),
        payload: &[u8],
    ) -> Option<Opening> {
        if self.dns && (self.dns_ports.have(source) || self.dns_ports.have(destination)) {
            return Some(Opening::Dns);
        }
        if is_tcp {
            return self.stream(payload);
        }
        if !self.quic || payload.len() < INITIAL_OCTETS {
            None
        } else if quic::is_initial(payload) {
            Some(Opening::Quic)
        } else {
            quic::is_of_other_version(payload).then_some(Opening::OtherQuic)
        }
    }

    #[inline]
    fn stream(self, payload: &[u8]) -> Option<Opening> {
        let start = payload.first_chunk::<4>()?;
        match start {
            [0x16, 3, 0..=4, _] if self.tls => Some(Opening::Tls),
            b"GET " | b"POST" | b"PUT " | b"HEAD" | b"DELE" | b"OPTI" | b"PATC" | b"CONN"
            | b"TRAC"
                if self.http =>
            {
                Some(Opening::Request)
            }
            b"HTTP" if self.http => Some(Opening::Response),
            _ => None,
        }
    }
}
