//! The ClientHello of TLS (RFC 8446, RFC 5246), what it tells of the client, and what the server
//! chose.

mod fingerprint;
mod handshake;
mod hello;
mod server;
#[cfg(test)]
pub(crate) mod tests;

pub use fingerprint::{Ja3, Ja4};
pub(crate) use handshake::cut_hello;
pub use handshake::{Records, quic_hello, stream_hello};
pub use hello::ClientHello;
pub(crate) use server::begins_with_server_hello;
pub use server::{Cipher, ServerHello};
