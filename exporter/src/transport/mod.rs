//! Transports of messages: UDP, TCP, TLS, a file.
//!
//! Transports do not read messages. They count the records in them. Sent: the kernel took the
//! datagram, the peer's kernel acknowledged the octets, or the file has them. Failed: they are
//! known to be lost.

mod answer;
mod attempts;
mod collector;
mod file;
mod pace;
mod route;
mod session;
mod stream;
mod udp;
mod wire;

use std::fmt::Debug;

use flow::{Conversation, Timestamp};

use crate::content::{Content, Message};
use crate::error::ExportError;
use crate::exporter::ExportCounts;
pub(crate) use collector::{Collector, Host, Source};
pub(crate) use file::{FileSettings, FileTransport, Form, Rotation, Start};
pub use file::{FilesInUse, LineFile};
pub(crate) use route::RouteSettings;
pub(crate) use stream::{StreamSettings, StreamTransport};
pub(crate) use udp::{UdpSettings, UdpTransport};

/// Sends or writes messages.
pub(crate) trait Transport: Debug + Send {
    /// Takes a message. It may wait for more messages, for the pace, or for the peer.
    ///
    /// # Errors
    ///
    /// The transport has given up; every record is counted by then.
    fn send(&mut self, message: Message<'_>) -> Result<(), ExportError>;

    /// Sends waiting messages.
    ///
    /// # Errors
    ///
    /// As [`Transport::send`].
    fn flush(&mut self) -> Result<(), ExportError>;

    /// Time of the next file rotation.
    fn rotation_due(&self) -> Timestamp {
        Timestamp::MAX
    }

    /// Ends the file and begins the next one, with a new session.
    ///
    /// # Errors
    ///
    /// As [`Transport::send`].
    fn rotate(&mut self, _now: Timestamp) -> Result<(), ExportError> {
        Ok(())
    }

    /// Opens a file again by its name, which begins a session.
    ///
    /// # Errors
    ///
    /// As [`Transport::send`].
    fn reopen(&mut self) -> Result<(), ExportError> {
        Ok(())
    }

    /// Sends waiting messages and ends the session.
    ///
    /// # Errors
    ///
    /// As [`Transport::send`].
    fn finish(&mut self) -> Result<(), ExportError> {
        self.flush()
    }

    /// True if a session began since the last call: templates are due. Called between messages. It
    /// may begin a session.
    fn session_began(&mut self) -> bool {
        false
    }

    /// Current maximum octets of a message.
    fn message_limit(&self) -> usize {
        RELIABLE_MESSAGE_OCTETS
    }

    /// True if messages can be sent now.
    fn is_ready(&self) -> bool {
        true
    }

    /// False if messages do not arrive: there is no way to the peer, or it refused some of late.
    fn is_answering(&self) -> bool {
        self.is_ready()
    }

    /// Conversations that carry the messages.
    fn conversations(&self) -> Vec<Conversation> {
        Vec::new()
    }

    fn counts(&self) -> TransportCounts;

    /// The counts with those that only some transports have.
    fn export_counts(&self) -> ExportCounts {
        self.counts().into()
    }
}

/// The least limit of messages that a transport sets. Encoders assert that templates and options
/// fit.
pub(crate) const MESSAGE_OCTETS_MIN: usize = 528;

/// Limit of messages over TCP and in files: far below 1,000 records, and below collectors' limits.
const RELIABLE_MESSAGE_OCTETS: usize = 8192;

/// Counters of a transport.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TransportCounts {
    pub(crate) sent: Content,
    pub(crate) failed: Content,
    /// Sends that failed, or whose datagram was refused by the peer later.
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
