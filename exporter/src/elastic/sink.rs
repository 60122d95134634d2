//! The sink of the output: adds to each document what the bulk API needs.

use std::fmt::{self, Debug};
use std::sync::Arc;

use flow::{Conversation, EventKind};

use super::client::{ClientSettings, ElasticClient};
use super::target::{IndexNames, IndexPattern};
use crate::batches::{Outbox, OutboxSettings};
use crate::content::Content;
use crate::error::ExportError;
use crate::exporter::ExportCounts;
use crate::sink::{DocumentSink, Subject};
use crate::transport::Collector;

/// Settings of an [`ElasticSink`].
pub(crate) struct ElasticSettings {
    pub(crate) client: ClientSettings,
    /// Prefix of each document id: the probe and the run.
    pub(crate) id_prefix: String,
    /// The data stream of alerts. Flows go to the target of the client.
    pub(crate) alert_target: String,
    /// The data stream of DNS transactions.
    pub(crate) dns_target: String,
    /// The index of each flow. By default flows go to the target of the client.
    pub(crate) index: Option<IndexPattern>,
    pub(crate) outbox: OutboxSettings,
}

pub(crate) struct ElasticSink {
    client: ClientSettings,
    id_prefix: String,
    alert_target: String,
    dns_target: String,
    /// Set if each flow names its index.
    indices: Option<IndexNames>,
    /// The number of the next document.
    sequence: u64,
    outbox: Outbox,
}

impl ElasticSink {
    /// Opens the files. Connections are made with the first batch.
    pub(crate) fn open(settings: ElasticSettings) -> Result<Self, ExportError> {
        let ElasticSettings { client, id_prefix, alert_target, dns_target, index, outbox } =
            settings;
        let not_opened = |problem| ExportError::NotOpened(format!("{}: {problem}", outbox.name));
        let connected = Arc::new(ElasticClient::new(&client).map_err(not_opened)?);
        let outbox = Outbox::open(outbox, connected)?;
        let indices = index.map(IndexNames::new);
        Ok(Self { client, id_prefix, alert_target, dns_target, indices, sequence: 0, outbox })
    }
}

impl DocumentSink for ElasticSink {
    #[inline]
    fn put(
        &mut self,
        content: Content,
        subject: Subject<'_>,
        put: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), ExportError> {
        let Self { id_prefix, alert_target, dns_target, indices, sequence, outbox, .. } = self;
        let own = match subject {
            Subject::Event(event) => match event.kind {
                EventKind::Alert => Some(alert_target.as_str()),
                EventKind::DnsTransaction => Some(dns_target.as_str()),
                // They are beside the flows.
                EventKind::ExporterOptions => None,
            },
            Subject::Record(_) => None,
        };
        let target = match own {
            Some(target) => Some(target),
            None => indices.as_mut().map(|indices| indices.at(subject.time())),
        };
        let number = *sequence;
        *sequence += 1;
        outbox.put(content, |out| {
            out.extend_from_slice(br#"{"create":{"_id":""#);
            out.extend_from_slice(id_prefix.as_bytes());
            out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
            if let Some(target) = target {
                out.extend_from_slice(br#"","_index":""#);
                out.extend_from_slice(target.as_bytes());
            }
            out.extend_from_slice(b"\"}}\n");
            put(out);
            out.push(b'\n');
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

    fn counts(&self) -> ExportCounts {
        self.outbox.counts()
    }

    fn conversations(&self) -> Vec<Conversation> {
        Collector::tcp_conversations(&self.client.hosts)
    }
}

impl Debug for ElasticSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ElasticSink").field("outbox", &self.outbox).finish_non_exhaustive()
    }
}
