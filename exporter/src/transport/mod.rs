//! Where messages go: UDP, TCP, TLS, a file.
//!
//! Transports never look inside a message. They count the records in it: sent, when nothing more
//! can be heard of them (the kernel took the datagram, the peer's kernel acknowledged the octets,
//! the file has them); failed, when it is known that they did not arrive.

mod file;
mod pace;
mod stream;
mod tls;
mod udp;

pub(crate) use file::FileTransport;
pub use stream::Patience;
pub(crate) use stream::{StreamSettings, StreamTransport};
pub(crate) use tls::TlsSettings;
pub(crate) use udp::{UdpSettings, UdpTransport};

use flow::Conversation;

use crate::error::ExportError;
use crate::message::{Content, Message};

/// What a transport made of the messages it was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TransportCounts {
    pub(crate) sent: Content,
    pub(crate) failed: Content,
    /// Sends that the kernel refused, or heard afterwards that nobody listens.
    pub(crate) errors: u64,
    /// Sessions after the first.
    pub(crate) reconnects: u64,
}

#[derive(Debug)]
pub(crate) enum Transport {
    Udp(UdpTransport),
    Stream(StreamTransport),
    File(FileTransport),
}

impl Transport {
    /// Takes a message. It may wait for others, for the pace, or for the peer.
    ///
    /// # Errors
    ///
    /// When the transport has given up; every record is counted by then.
    pub(crate) fn send(&mut self, message: Message<'_>) -> Result<(), ExportError> {
        match self {
            Self::Udp(udp) => {
                udp.send(message);
                Ok(())
            }
            Self::Stream(stream) => stream.send(message),
            Self::File(file) => {
                file.append(message.records, |out| out.extend_from_slice(message.octets))
            }
        }
    }

    /// Sends what waits.
    pub(crate) fn flush(&mut self) -> Result<(), ExportError> {
        match self {
            Self::Udp(udp) => {
                udp.flush();
                Ok(())
            }
            Self::Stream(stream) => stream.flush(),
            Self::File(file) => file.flush(),
        }
    }

    /// Sends what waits and ends the session.
    pub(crate) fn finish(&mut self) -> Result<(), ExportError> {
        match self {
            Self::Udp(udp) => {
                udp.finish();
                Ok(())
            }
            Self::Stream(stream) => stream.finish(),
            Self::File(file) => file.flush(),
        }
    }

    /// Whether a session began since this was last asked: templates are due.
    pub(crate) fn session_began(&mut self) -> bool {
        match self {
            Self::Stream(stream) => stream.session_began(),
            Self::Udp(_) | Self::File(_) => false,
        }
    }

    /// The most octets that a message may have from now on.
    pub(crate) fn message_limit(&self) -> usize {
        match self {
            Self::Udp(udp) => udp.message_limit(),
            Self::Stream(_) | Self::File(_) => RELIABLE_MESSAGE_OCTETS,
        }
    }

    /// The packets that carry the messages.
    pub(crate) fn conversation(&self) -> Option<Conversation> {
        match self {
            Self::Udp(udp) => udp.conversation(),
            Self::Stream(stream) => stream.conversation(),
            Self::File(_) => None,
        }
    }

    pub(crate) fn counts(&self) -> TransportCounts {
        match self {
            Self::Udp(udp) => udp.counts(),
            Self::Stream(stream) => stream.counts(),
            Self::File(file) => file.counts(),
        }
    }
}

/// Messages over TCP and in files: well below 1,000 records, and below what collectors take.
const RELIABLE_MESSAGE_OCTETS: usize = 8192;
