//! The ClientHello of TLS and DTLS (RFC 8446, RFC 5246, RFC 6347), what it tells of the client, and
//! what the server chose.

mod fingerprint;
mod handshake;
mod hello;
mod server;
#[cfg(test)]
pub(crate) mod tests;

pub use fingerprint::{Ja3, Ja4};
pub use handshake::{Carrier, Records, cut_hello, datagram_hello, quic_hello, stream_hello};
pub use hello::ClientHello;
pub(crate) use server::begins_with_server_hello;
pub use server::{Cipher, ServerHello};
