//! The output's side: documents become batches.

use std::fmt::{self, Debug};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use flow::Conversation;
use log::error;

use super::batch::Batch;
use super::client::{Client, ClientSettings};
use super::dead_letter::DeadLetters;
use super::delivery::{Delivery, DeliveryState};
use super::sender::Sender;
use crate::content::Content;
use crate::ending;
use crate::error::{ExportError, sentence};
use crate::exporter::{Delivery as Report, ExportCounts};
use crate::sink::DocumentSink;
use crate::transport::{Collector, Patience};

/// Settings of an [`ElasticSink`].
pub(crate) struct ElasticSettings {
    /// The URL, for messages.
    pub(crate) name: String,
    pub(crate) client: ClientSettings,
    /// What each id begins with: the probe and the run.
    pub(crate) id_prefix: String,
    /// The data stream of alerts. Flows go to that of the client.
    pub(crate) alert_target: String,
    /// Octets of a batch, before compression.
    pub(crate) batch_octets: usize,
    /// Octets of batches that wait in memory.
    pub(crate) memory_octets: usize,
    /// The most requests under way.
    pub(crate) connections: u32,
    /// The file for documents that the cluster refuses.
    pub(crate) dead_letters: Option<PathBuf>,
    pub(crate) patience: Patience,
    /// A replay ends when the cluster accepts nothing for this time.
    pub(crate) give_up: Duration,
}

/// How long a live run waits at its end.
const END: Duration = Duration::from_secs(10);

/// Room for one more document beyond a full batch.
const SPARE: usize = 16 * 1024;

pub(crate) struct ElasticSink {
    settings: ElasticSettings,
    batch: Batch,
    /// The number of the next document.
    sequence: u64,
    sender: Sender,
    threads: Vec<JoinHandle<()>>,
}

impl ElasticSink {
    /// Opens the files. Connections are made when there is something to send.
    pub(crate) fn open(settings: ElasticSettings) -> Result<Self, ExportError> {
        let not_opened = |problem| ExportError::NotOpened(format!("{}: {problem}", settings.name));
        let client = Client::new(&settings.client).map_err(not_opened)?;
        let dead_letters = settings.dead_letters.as_ref().map(|path| {
            DeadLetters::open(path)
                .map_err(|error| format!("cannot open {}: {}", path.display(), sentence(&error)))
        });
        let dead_letters = dead_letters.transpose().map_err(not_opened)?;
        let delivery = Delivery::new(
            settings.name.clone(),
            settings.client.hosts.len(),
            settings.connections,
            settings.memory_octets,
        );
        let sender = Sender {
            delivery: Arc::new(delivery),
            client: Arc::new(client),
            dead_letters: dead_letters.map(|file| Arc::new(Mutex::new(file))),
        };
        let batch = Batch::with_capacity(settings.batch_octets + SPARE);
        Ok(Self { settings, batch, sequence: 0, sender, threads: Vec::new() })
    }

    /// Hands the batch on. Waits for room, or makes it.
    fn submit(&mut self) -> Result<(), ExportError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        self.start()?;
        let empty = Batch::with_capacity(self.settings.batch_octets + SPARE);
        let mut batch = std::mem::replace(&mut self.batch, empty);
        batch.trim();
        let delivery = Arc::clone(&self.sender.delivery);
        while let Err(refused) = delivery.offer(batch) {
            batch = refused;
            if self.settings.patience == Patience::GoOn {
                delivery.drop_oldest();
                continue;
            }
            let idle = delivery.wait(Duration::from_millis(100));
            if idle > self.settings.give_up || !ending::may_wait_for_peer(idle) {
                self.batch = batch;
                return Err(self.give_up());
            }
        }
        Ok(())
    }

    /// Starts the threads. Rights were given up before.
    fn start(&mut self) -> Result<(), ExportError> {
        while self.threads.len() < self.settings.connections as usize {
            let sender = self.sender.clone();
            let thread = thread::Builder::new().name("elastic".to_owned());
            let thread = thread.spawn(move || sender.run()).map_err(|error| {
                let problem = format!("cannot start a thread: {}", sentence(&error));
                ExportError::GaveUp(format!("{}: {problem}", self.settings.name))
            })?;
            self.threads.push(thread);
        }
        Ok(())
    }

    /// Ends all threads. What is left is counted.
    fn give_up(&mut self) -> ExportError {
        let left = std::mem::take(&mut self.batch).total();
        self.sender.delivery.count(|counts| counts.unsent += left);
        self.end();
        let unsent = self.sender.delivery.report().counts.unsent.messages;
        let name = &self.settings.name;
        ExportError::GaveUp(format!("{name}: {unsent} documents were not accepted in time"))
    }

    fn end(&mut self) {
        self.sender.delivery.stop();
        self.sender.client.shutdown();
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

impl DocumentSink for ElasticSink {
    #[inline]
    fn put(&mut self, content: Content, put: impl FnOnce(&mut Vec<u8>)) -> Result<(), ExportError> {
        let (prefix, sequence) = (&self.settings.id_prefix, self.sequence);
        let target = (content.events > 0).then_some(&self.settings.alert_target);
        self.batch.put(content, |out| {
            out.extend_from_slice(br#"{"create":{"_id":""#);
            out.extend_from_slice(prefix.as_bytes());
            out.extend_from_slice(itoa::Buffer::new().format(sequence).as_bytes());
            if let Some(target) = target {
                out.extend_from_slice(br#"","_index":""#);
                out.extend_from_slice(target.as_bytes());
            }
            out.extend_from_slice(b"\"}}\n");
            put(out);
            out.push(b'\n');
        });
        self.sequence += 1;
        if self.batch.octets() < self.settings.batch_octets { Ok(()) } else { self.submit() }
    }

    fn flush(&mut self) -> Result<(), ExportError> {
        self.submit()
    }

    fn reopen(&mut self) -> Result<(), ExportError> {
        if let (Some(path), Some(file)) = (&self.settings.dead_letters, &self.sender.dead_letters) {
            let opened = file.lock().unwrap_or_else(PoisonError::into_inner).open_again();
            if let Err(problem) = opened {
                let (path, problem) = (path.display(), sentence(&problem));
                error!("cannot open {path} again, the old file goes on: {problem}");
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), ExportError> {
        self.submit()?;
        let end = match self.settings.patience {
            Patience::GoOn => Some(Instant::now() + END),
            Patience::Wait => None,
        };
        if !self.sender.delivery.drain(end, self.settings.give_up) {
            return Err(self.give_up());
        }
        self.end();
        Ok(())
    }

    fn counts(&self) -> ExportCounts {
        let DeliveryState { counts, in_flight, limit, waiting_octets } =
            self.sender.delivery.report();
        let sent = counts.accepted + counts.duplicate;
        let failed = counts.refused + counts.dropped + counts.unsent;
        ExportCounts {
            sent: sent.records,
            failed: failed.records,
            dead_lettered: counts.dead_lettered.records,
            events_sent: sent.events,
            events_failed: failed.events + counts.dead_lettered.events,
            retried: counts.retried,
            messages: sent.messages,
            octets: counts.octets,
            errors: counts.errors,
            delivery: Some(Report {
                accepted: counts.accepted.messages,
                duplicate: counts.duplicate.messages,
                dead_lettered: counts.dead_lettered.messages,
                refused: counts.refused.messages,
                dropped: counts.dropped.messages,
                unsent: counts.unsent.messages,
                requests: counts.requests,
                document_octets: (sent + counts.dead_lettered + counts.refused).octets,
                in_flight: in_flight as u64,
                concurrency_limit: limit as u64,
                waiting_octets: waiting_octets as u64,
            }),
            ..ExportCounts::default()
        }
    }

    fn conversations(&self) -> Vec<Conversation> {
        Collector::tcp_conversations(&self.settings.client.hosts)
    }
}

impl Debug for ElasticSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ElasticSink").field("name", &self.settings.name).finish_non_exhaustive()
    }
}

impl Drop for ElasticSink {
    fn drop(&mut self) {
        self.end();
    }
}
