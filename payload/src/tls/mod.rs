//! The ClientHello of TLS and DTLS (RFC 8446, RFC 5246, RFC 6347), and what it tells of the client.

mod fingerprint;
mod handshake;
mod hello;
#[cfg(test)]
pub(crate) mod tests;

pub use fingerprint::{Ja3, Ja4};
pub use handshake::{Carrier, Records, datagram_hello, quic_hello, stream_hello};
pub use hello::ClientHello;
