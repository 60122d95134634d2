//! Names in payload: the question of DNS, the server name of TLS and QUIC, the host of HTTP/1.
//!
//! Each parser takes the octets of one message, reads nothing beyond them, and returns a value of
//! fixed size or a [`Flaw`]. No parser panics, whatever the octets are. Only the opening of
//! a conversation is read: a DNS message, a ClientHello, the head of a request or response.
//!
//! [`Pieces`] puts a ClientHello together that arrives in several segments or CRYPTO frames.

mod flaw;
mod form;
mod octets;
mod pieces;
mod text;

#[cfg(test)]
mod tests;

pub mod dns;
pub mod http;
pub mod quic;
pub mod reader;
pub mod tls;

pub use flaw::Flaw;
pub use form::{HashKey, NameForm, domain_at};
pub use pieces::{Inserted, PIECES_OCTETS, Pieces};
pub use text::{Name, Text};
