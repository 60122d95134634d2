//! Where messages go: UDP, TCP, TLS, a file.
//!
//! Transports never look inside a message. They count the records in it: sent, when nothing more
//! can be heard of them (the kernel took the datagram, the peer's kernel acknowledged the octets,
//! the file has them); failed, when it is known that they did not arrive.

mod collector;
mod file;
mod pace;
mod route;
mod session;
mod stream;
mod tls;
mod trust;
mod udp;

use std::fmt::Debug;

use flow::{Conversation, Timestamp};

use crate::content::Content;
use crate::error::ExportError;
use crate::exporter::ExportCounts;
use crate::message::Message;
pub(crate) use collector::{Collector, Host, Source};
pub(crate) use file::{FileSettings, FileTransport, Form, Rotation, Start};
pub use file::{FilesInUse, LineFile};
pub(crate) use route::RouteSettings;
pub use stream::Patience;
pub(crate) use stream::{StreamSettings, StreamTransport};
pub(crate) use tls::TlsSettings;
pub(crate) use trust::Fingerprint;
pub(crate) use udp::{UdpSettings, UdpTransport};

/// Takes messages somewhere.
pub(crate) trait Transport: Debug + Send {
    /// Takes a message. It may wait for others, for the pace, or for the peer.
    ///
    /// # Errors
    ///
    /// When the transport has given up; every record is counted by then.
    fn send(&mut self, message: Message<'_>) -> Result<(), ExportError>;

    /// Sends what waits.
    ///
    /// # Errors
    ///
    /// As [`Transport::send`].
    fn flush(&mut self) -> Result<(), ExportError>;

    /// From when on the next of several files is to be begun.
    fn rotation_due(&self) -> Timestamp {
        Timestamp::MAX
    }

    /// Begins the next of several files, and a session with it.
    ///
    /// # Errors
    ///
    /// As [`Transport::send`].
    fn rotate(&mut self, _now: Timestamp) -> Result<(), ExportError> {
        Ok(())
    }

    /// Opens a file anew by its name, which begins a session.
    ///
    /// # Errors
    ///
    /// As [`Transport::send`].
    fn reopen(&mut self) -> Result<(), ExportError> {
        Ok(())
    }

    /// Sends what waits and ends the session.
    ///
    /// # Errors
    ///
    /// As [`Transport::send`].
    fn finish(&mut self) -> Result<(), ExportError> {
        self.flush()
    }

    /// Whether a session began since this was last asked, or now: templates are due. To be asked
    /// between messages.
    fn session_began(&mut self) -> bool {
        false
    }

    /// The most octets that a message may have from now on.
    fn message_limit(&self) -> usize {
        RELIABLE_MESSAGE_OCTETS
    }

    /// Whether there is a way to send messages now.
    fn is_ready(&self) -> bool {
        true
    }

    /// The packets that carry the messages.
    fn conversations(&self) -> Vec<Conversation> {
        Vec::new()
    }

    fn counts(&self) -> TransportCounts;
}

/// Messages over TCP and in files: well below 1,000 records, and below what collectors take.
pub(crate) const RELIABLE_MESSAGE_OCTETS: usize = 8192;

/// What a transport made of what it was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TransportCounts {
    pub(crate) sent: Content,
    pub(crate) failed: Content,
    /// Sends that the kernel refused, or heard afterwards that nobody listens.
    pub(crate) errors: u64,
    /// Sessions after the first.
    pub(crate) reconnects: u64,
}

impl From<TransportCounts> for ExportCounts {
    fn from(counts: TransportCounts) -> Self {
        Self {
            sent: counts.sent.records,
            failed: counts.failed.records,
            events_sent: counts.sent.events,
            events_failed: counts.failed.events,
            messages: counts.sent.messages,
            octets: counts.sent.octets,
            errors: counts.errors,
            reconnects: counts.reconnects,
            ..Self::default()
        }
    }
}
