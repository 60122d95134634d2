//! The gate: whether ports and first octets look like the opening of a conversation.

use crate::quic;

/// Protocols that are looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds {
    /// DNS at port 53.
    pub dns: bool,
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
    Request,
    Response,
}

const DNS_PORT: u16 = 53;

/// A client's datagram with an Initial packet has this many octets at least (RFC 9000 section
/// 14.1).
const INITIAL_OCTETS: usize = 1200;

impl Kinds {
    /// True if any protocol is looked for.
    pub fn any(self) -> bool {
        self != Self::default()
    }

    #[inline]
    pub(super) fn opening(
        self,
        is_tcp: bool,
        (source, destination): (u16, u16),
        payload: &[u8],
    ) -> Option<Opening> {
        if self.dns && (source == DNS_PORT || destination == DNS_PORT) {
            return Some(Opening::Dns);
        }
        if is_tcp {
            return self.stream(payload);
        }
        let is_long = payload.len() >= INITIAL_OCTETS;
        (self.quic && is_long && quic::is_initial(payload)).then_some(Opening::Quic)
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
