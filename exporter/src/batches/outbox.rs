//! The batches of an output: collects documents, and starts and ends the threads that send them.

use std::fmt::{self, Debug};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use log::{error, info};

use super::batch::Batch;
use super::client::Client;
use super::counts::{DeliveryState, content};
use super::dead_letter::DeadLetters;
use super::delivery::{Delivery, DeliverySettings};
use super::sender::Sender;
use super::settings::OutboxSettings;
use super::spooler::Spooler;
use crate::content::Content;
use crate::ending;
use crate::error::{ExportError, sentence};
use crate::exporter::ExportCounts;
use crate::patience::Patience;
use crate::spool::Spool;
use flow::words::noun;

/// Time that a live run waits at its end.
const END: Duration = Duration::from_secs(10);

/// With a spool, a live run ends if the service accepts no document for this time.
const SPOOL_END: Duration = Duration::from_secs(2);

/// Time that a live run waits for the spool to make room.
const DISK: Duration = Duration::from_secs(2);

/// Room for one more document beyond a full batch.
const SPARE: usize = 16 * 1024;

/// The owner of the spool, before and after its thread has started.
enum SpoolThread {
    Idle(Box<Spooler>),
    Running(JoinHandle<Box<Spooler>>),
}

/// Collects documents in batches, which threads send. Counts the outcome of each.
pub(crate) struct Outbox {
    settings: OutboxSettings,
    batch: Batch,
    sender: Sender,
    threads: Vec<JoinHandle<()>>,
    spooler: Option<SpoolThread>,
}

impl Outbox {
    /// Opens the files. Connections are made with the first batch.
    pub(crate) fn open(
        settings: OutboxSettings,
        client: Arc<dyn Client>,
    ) -> Result<Self, ExportError> {
        let not_opened = |problem| ExportError::NotOpened(format!("{}: {problem}", settings.name));
        let dead_letters = settings.dead_letters.as_ref().map(|path| {
            DeadLetters::open(path, &settings.in_use)
                .map_err(|error| format!("cannot open {}: {}", path.display(), sentence(&error)))
        });
        let dead_letters = dead_letters.transpose().map_err(not_opened)?;
        let spool = settings.spool.as_ref().map(|spool| {
            Spool::open(&spool.directory, spool.octets_max, spool.when_full)
                .map_err(|error| not_opened(error.to_string()))
        });
        let spool = spool.transpose()?;
        let delivery = Arc::new(Delivery::new(DeliverySettings {
            name: settings.name.clone(),
            unit: settings.unit,
            hosts: settings.hosts,
            connections: settings.connections,
            memory_max: settings.memory_octets,
            spool: spool.as_ref().map(Spool::stats),
            spills: settings.patience == Patience::GoOn,
            gives_up: settings.patience == Patience::Wait,
        }));
        let spooler = spool.map(|spool| Spooler::new(&settings, spool, Arc::clone(&delivery)));
        let sender = Sender {
            delivery,
            client,
            dead_letters: dead_letters.map(|file| Arc::new(Mutex::new(file))),
            patience: settings.give_up,
        };
        let batch = Batch::with_capacity(settings.batch_octets + SPARE);
        Ok(Self {
            settings,
            batch,
            sender,
            threads: Vec::new(),
            spooler: spooler.map(Box::new).map(SpoolThread::Idle),
        })
    }

    /// Takes a document. `put` appends its octets. `content` has its records and events.
    ///
    /// # Errors
    ///
    /// The output has given up; every document is counted by then.
    #[inline]
    pub(crate) fn put(
        &mut self,
        content: Content,
        put: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), ExportError> {
        self.batch.put(content, put);
        if self.batch.octets() < self.settings.batch_octets { Ok(()) } else { self.submit() }
    }

    /// Submits the batch. If there is no room, waits, or drops the oldest batch.
    ///
    /// # Errors
    ///
    /// As [`Outbox::put`].
    pub(crate) fn submit(&mut self) -> Result<(), ExportError> {
        self.hand_over(true)
    }

    /// Submits the batch. `goes_on` if more documents may come.
    fn hand_over(&mut self, goes_on: bool) -> Result<(), ExportError> {
        if self.sender.delivery.stop_reason().is_some() {
            return Err(self.give_up(goes_on));
        }
        if self.batch.is_empty() {
            return self.start_for_earlier_runs();
        }
        if let Err(error) = self.start() {
            self.end();
            return Err(error);
        }
        let empty = self.sender.delivery.empty_batch(self.settings.batch_octets + SPARE);
        let mut batch = std::mem::replace(&mut self.batch, empty);
        batch.trim();
        let delivery = Arc::clone(&self.sender.delivery);
        let begin = Instant::now();
        while let Err(refused) = delivery.offer(batch) {
            batch = refused;
            if self.settings.patience == Patience::GoOn {
                // Records wait in the output's queue in this time.
                let waits = begin.elapsed() < DISK && !ending::is_hurried();
                if waits && delivery.makes_room() {
                    delivery.wait(ending::LOOK);
                } else {
                    delivery.drop_oldest();
                }
                continue;
            }
            let idle = delivery.wait(Duration::from_millis(100));
            let is_late = idle > self.settings.give_up || !ending::may_wait_for_peer(idle);
            if is_late || delivery.stop_reason().is_some() {
                self.batch = batch;
                return Err(self.give_up(goes_on));
            }
            delivery.say_wait(idle, self.settings.give_up);
        }
        Ok(())
    }

    /// Starts the threads if the spool has batches of an earlier run.
    fn start_for_earlier_runs(&mut self) -> Result<(), ExportError> {
        match &self.spooler {
            Some(SpoolThread::Idle(spooler)) if !spooler.is_empty() => self.start(),
            _ => Ok(()),
        }
    }

    /// Starts the threads. Privileges are dropped before.
    fn start(&mut self) -> Result<(), ExportError> {
        let name = &self.settings.name;
        let failed = |error: io::Error| {
            ExportError::GaveUp(format!("{name}: cannot start a thread: {}", sentence(&error)))
        };
        while self.threads.len() < self.settings.connections as usize {
            let sender = self.sender.clone();
            let thread = thread::Builder::new().name(self.settings.thread.to_owned());
            self.threads.push(thread.spawn(move || sender.run()).map_err(failed)?);
        }
        if let Some(SpoolThread::Idle(_)) = self.spooler
            && let Some(SpoolThread::Idle(spooler)) = self.spooler.take()
        {
            let thread = thread::Builder::new();
            let thread = thread.name(format!("{}-spool", self.settings.thread));
            let thread = thread.spawn(move || Box::new(spooler.run())).map_err(failed)?;
            self.spooler = Some(SpoolThread::Running(thread));
        }
        Ok(())
    }

    /// Ends the output, because nothing was accepted in time, or because nothing ever will be. Says
    /// what becomes of documents.
    fn give_up(&mut self, goes_on: bool) -> ExportError {
        self.end();
        let DeliveryState { counts, spool, .. } = self.sender.delivery.report();
        let unsent = counts.this_run.outcomes.unsent.messages;
        let spooled = spool.map_or(0, |spool| content(spool.held.total()).messages);
        let OutboxSettings { name, unit, .. } = &self.settings;
        let were = if unsent == 1 { "was" } else { "were" };
        let lost = format!("{} {were} not accepted", counted(unsent, unit));
        let mut words = match self.sender.delivery.stop_reason() {
            Some(reason) if unsent > 0 => format!("{reason}; {lost}"),
            Some(reason) => reason,
            None if unsent > 0 => format!("{lost} in time"),
            None => format!("no {} was accepted in time", unit.trim_end_matches('s')),
        };
        if spooled > 0 {
            words += &format!("; {}", self.in_spool(spooled));
        }
        if goes_on {
            words += "; later records are lost";
        }
        ExportError::GaveUp(format!("{name}: {words}"))
    }

    fn in_spool(&self, documents: u64) -> String {
        let stay = if documents == 1 { "stays" } else { "stay" };
        format!("{} {stay} in the spool for the next run", counted(documents, self.settings.unit))
    }

    /// Ends all threads. Unresolved documents go to the spool, or they are lost and counted.
    fn end(&mut self) {
        self.sender.delivery.stop();
        self.sender.client.shutdown();
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
        let batch = std::mem::take(&mut self.batch);
        if !batch.is_empty() {
            self.sender.delivery.add(batch);
        }
        let left = self.sender.delivery.take_left();
        let spooler = match self.spooler.take() {
            Some(SpoolThread::Running(thread)) => thread.join().ok(),
            Some(SpoolThread::Idle(spooler)) => Some(spooler),
            None => None,
        };
        match spooler {
            Some(mut spooler) => spooler.keep(&left),
            None => left.iter().for_each(|parcel| self.sender.delivery.lose(parcel)),
        }
    }

    /// Opens the dead letter file again by its name.
    pub(crate) fn reopen(&self) {
        if let (Some(path), Some(file)) = (&self.settings.dead_letters, &self.sender.dead_letters) {
            let opened = file.lock().unwrap_or_else(PoisonError::into_inner).open_again();
            if let Err(problem) = opened {
                let (path, problem) = (path.display(), sentence(&problem));
                error!("cannot open {path} again, the old file stays open: {problem}");
            }
        }
    }

    /// Sends all documents, and waits until none is in flight.
    ///
    /// # Errors
    ///
    /// As [`Outbox::put`].
    pub(crate) fn finish(&mut self) -> Result<(), ExportError> {
        self.hand_over(false)?;
        let end = match self.settings.patience {
            Patience::GoOn => Some(Instant::now() + END),
            Patience::Wait => None,
        };
        let patience = match (self.settings.patience, &self.settings.spool) {
            (Patience::GoOn, Some(_)) => SPOOL_END,
            _ => self.settings.give_up,
        };
        let is_resolved = self.sender.delivery.drain(end, patience);
        self.end();
        let DeliveryState { counts, spool, .. } = self.sender.delivery.report();
        let is_stopped = self.sender.delivery.stop_reason().is_some();
        let is_lost = counts.this_run.outcomes.unsent.messages > 0;
        // What a live run leaves in the spool is for the next run. A replay should have waited.
        let is_late = self.settings.patience == Patience::Wait && !is_resolved;
        if is_stopped || is_lost || is_late {
            return Err(self.give_up(false));
        }
        if let Some(spool) = spool.filter(|spool| spool.held.total().batches > 0) {
            let left = self.in_spool(content(spool.held.total()).messages);
            info!("{}: {left}", self.settings.name);
        }
        Ok(())
    }

    /// Outcomes of the documents so far.
    pub(crate) fn counts(&self) -> ExportCounts {
        let mut counts = ExportCounts::from(self.sender.delivery.report());
        if let Some(delivery) = &mut counts.delivery {
            delivery.in_memory += self.batch.len() as u64;
        }
        counts
    }
}

impl Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox").field("name", &self.settings.name).finish_non_exhaustive()
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.end();
    }
}

/// A number of documents or messages.
fn counted(number: u64, unit: &str) -> String {
    format!("{number} {}", noun(number, unit.trim_end_matches('s'), unit))
}
