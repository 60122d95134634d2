//! The sink of the output: adds the key of each message.

use std::fmt::{self, Debug};
use std::sync::Arc;

use flow::Conversation;

use super::client::{KafkaClient, KafkaSettings, put_entry};
use crate::batches::{Outbox, OutboxSettings};
use crate::content::{Content, Message};
use crate::conversation_id::put_community_id;
use crate::error::ExportError;
use crate::exporter::ExportCounts;
use crate::sink::{DocumentSink, Subject};
use crate::transport::{Collector, Host, Transport, TransportCounts};

/// The key of messages: those with the same key are in the same partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PartitionKey {
    /// The Community ID of a flow: equal for both directions of a conversation.
    Conversation,
    /// The exporter.
    Exporter(String),
    /// None: messages are spread over all partitions.
    None,
}

pub(crate) struct KafkaSink {
    hosts: Vec<Host>,
    partition_key: PartitionKey,
    /// The key of the message that is being written.
    key: Vec<u8>,
    /// Octets of a message of a protocol.
    message_octets: usize,
    outbox: Outbox,
}

impl KafkaSink {
    /// Opens the files. Connections are made with the first batch.
    pub(crate) fn open(
        settings: KafkaSettings,
        hosts: &[Host],
        partition_key: PartitionKey,
        outbox: OutboxSettings,
    ) -> Result<Self, ExportError> {
        let message_octets = (settings.message_octets - BESIDE).min(IPFIX_OCTETS_MAX);
        let not_opened = |problem| ExportError::NotOpened(format!("{}: {problem}", outbox.name));
        let client = Arc::new(KafkaClient::new(settings).map_err(not_opened)?);
        let key = match &partition_key {
            PartitionKey::Exporter(exporter) => exporter.clone().into_bytes(),
            PartitionKey::Conversation | PartitionKey::None => Vec::new(),
        };
        let outbox = Outbox::open(outbox, client)?;
        Ok(Self { hosts: hosts.to_vec(), partition_key, key, message_octets, outbox })
    }
}

impl DocumentSink for KafkaSink {
    #[inline]
    fn put(
        &mut self,
        content: Content,
        subject: Subject<'_>,
        put: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), ExportError> {
        let Self { partition_key, key, outbox, .. } = self;
        if *partition_key == PartitionKey::Conversation {
            key.clear();
            if let Subject::Record(record) = subject {
                put_community_id(&record.key, key);
            }
        }
        outbox.put(content, |out| put_entry(key, put, out))
    }

    fn flush(&mut self) -> Result<(), ExportError> {
        self.outbox.submit()
    }

    fn reopen(&mut self) -> Result<(), ExportError> {
        self.outbox.reopen();
        Ok(())
    }

    fn finish(&mut self) -> Result<(), ExportError> {
        self.outbox.finish()
    }

    fn counts(&self) -> ExportCounts {
        self.outbox.counts()
    }

    fn conversations(&self) -> Vec<Conversation> {
        Collector::tcp_conversations(&self.hosts)
    }
}

/// Messages of a protocol, each self-contained.
impl Transport for KafkaSink {
    fn send(&mut self, message: Message<'_>) -> Result<(), ExportError> {
        let Self { key, outbox, .. } = self;
        outbox.put(message.content(), |out| {
            put_entry(key, |out| out.extend_from_slice(message.octets), out);
        })
    }

    fn flush(&mut self) -> Result<(), ExportError> {
        self.outbox.submit()
    }

    fn reopen(&mut self) -> Result<(), ExportError> {
        self.outbox.reopen();
        Ok(())
    }

    fn finish(&mut self) -> Result<(), ExportError> {
        self.outbox.finish()
    }

    fn message_limit(&self) -> usize {
        self.message_octets
    }

    fn conversations(&self) -> Vec<Conversation> {
        Collector::tcp_conversations(&self.hosts)
    }

    fn counts(&self) -> TransportCounts {
        let counts = self.outbox.counts();
        let ExportCounts { messages, octets, errors, .. } = counts;
        let content = |records| Content { records, ..Content::default() };
        TransportCounts {
            sent: Content { messages, octets, ..content(counts.sent) },
            failed: content(counts.failed),
            errors,
            reconnects: 0,
        }
    }

    fn export_counts(&self) -> ExportCounts {
        self.outbox.counts()
    }
}

/// Octets of an IPFIX message at most, and those that the brokers' format takes beside it.
const IPFIX_OCTETS_MAX: usize = 32 << 10;
const BESIDE: usize = 200;

impl Debug for KafkaSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaSink").field("outbox", &self.outbox).finish_non_exhaustive()
    }
}
