//! Settings of batches, and of their spool.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::patience::Patience;
use crate::spool::WhenFull;
use crate::transport::FilesInUse;

/// Settings of an [`Outbox`](super::Outbox).
pub(crate) struct OutboxSettings {
    /// The URL, for messages.
    pub(crate) name: String,
    /// What the service takes, for messages: documents or messages.
    pub(crate) unit: &'static str,
    /// The name of threads.
    pub(crate) thread: &'static str,
    /// The format of batches. A spool may have batches of another output.
    pub(crate) format: u8,
    /// Number of hosts of the service.
    pub(crate) hosts: usize,
    /// Octets of a batch, before compression.
    pub(crate) batch_octets: usize,
    /// Maximum octets of waiting batches in memory.
    pub(crate) memory_octets: usize,
    /// Maximum requests in flight.
    pub(crate) connections: u32,
    /// The dead letter file, for documents that the service refuses.
    pub(crate) dead_letters: Option<PathBuf>,
    /// The files that the run uses.
    pub(crate) in_use: Arc<FilesInUse>,
    pub(crate) patience: Patience,
    /// A replay gives up if the service accepts no document for this time.
    pub(crate) give_up: Duration,
    /// The spool for documents that the service does not accept yet.
    pub(crate) spool: Option<SpoolSettings>,
}

/// Settings of the spool of an [`Outbox`](super::Outbox).
pub(crate) struct SpoolSettings {
    pub(crate) directory: PathBuf,
    pub(crate) octets_max: u64,
    pub(crate) when_full: WhenFull,
}
