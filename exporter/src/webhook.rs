//! A webhook: a request for each document, on its own thread.

use std::fmt::{self, Debug};
use std::str::FromStr;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use flow::Conversation;
use ureq::Agent;
use ureq::http::Uri;

use crate::content::Content;
use crate::ending;
use crate::error::{ExportError, sentence};
use crate::exporter::{ExportCounts, Exporter};
use crate::http::{self, words};
use crate::json::DocumentExporter;
use crate::muted::Muted;
use crate::output::{Context, without_secrets};
use crate::patience::Patience;
use crate::sink::{DocumentSink, Subject};
use crate::tls::TlsSettings;
use crate::transport::{Collector, Host};

/// Maximum waiting documents.
const QUEUE: usize = 1000;

/// Attempts for a document, and the first pause between them, which doubles.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);

/// Timeout of a request.
const REQUEST: Duration = Duration::from_secs(10);

/// Maximum wait at the end of a live run.
const END: Duration = Duration::from_secs(10);

/// The URL of a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    uri: Uri,
}

impl FromStr for Webhook {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        let uri: Uri =
            url.parse().map_err(|_error| format!("{} is no URL", without_secrets(url)))?;
        if uri.host().is_none_or(str::is_empty) {
            return Err(format!("{}: a host is needed", without_secrets(url)));
        }
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err("a webhook takes no user and password in its URL".to_owned());
        }
        Ok(Self { uri })
    }
}

impl Webhook {
    /// Host and port, for messages. The path may be secret.
    pub fn name(&self) -> String {
        let scheme = self.uri.scheme_str().unwrap_or_default();
        format!("{scheme}://{}", self.uri.authority().map_or("", |authority| authority.as_str()))
    }

    /// Opens it. Connections are made with the first document.
    ///
    /// # Errors
    ///
    /// The trusted authorities cannot be read.
    pub fn open(&self, context: &Context) -> Result<Box<dyn Exporter>, ExportError> {
        let is_tls = self.uri.scheme_str() == Some("https");
        let tls = is_tls.then(|| TlsSettings::default().config()).transpose();
        let tls = tls.map_err(|error| {
            ExportError::NotOpened(format!("{}: {}", self.name(), sentence(&error)))
        })?;
        let host = Host {
            name: self.uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned(),
            port: self.uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 }),
        };
        let sink = WebhookSink {
            patience: context.patience,
            sender: Sender {
                uri: self.uri.clone(),
                name: self.name(),
                agent: http::agent(http::config(REQUEST), tls),
                counts: Arc::default(),
            },
            host,
            running: None,
            given: Content::default(),
            dropped: Content::default(),
            ended: false,
        };
        let documents = context.documents("default".to_owned(), 1);
        Ok(Box::new(DocumentExporter::new(documents, sink)))
    }
}

/// The queue of the thread, and the thread.
type Running = (SyncSender<(Content, Vec<u8>)>, JoinHandle<()>);

/// Passes documents to the thread.
struct WebhookSink {
    patience: Patience,
    sender: Sender,
    host: Host,
    running: Option<Running>,
    /// Given to the thread.
    given: Content,
    /// Lost: no room in the queue, or no time.
    dropped: Content,
    /// True if the thread was not awaited. What it had not sent is lost.
    ended: bool,
}

/// The part of the thread.
#[derive(Clone)]
struct Sender {
    uri: Uri,
    name: String,
    agent: Agent,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    sent: Content,
    failed: Content,
    retried: u64,
    errors: u64,
}

impl Sender {
    fn run(&self, documents: &Receiver<(Content, Vec<u8>)>) {
        let mut trouble = Muted::default();
        for (content, document) in documents {
            match self.send(&document) {
                Ok(()) => self.count(|counts| counts.sent += content),
                Err(problem) => {
                    self.count(|counts| counts.failed += content);
                    trouble.warn(format_args!("an alert to {} was lost: {problem}", self.name));
                }
            }
        }
    }

    fn send(&self, document: &[u8]) -> Result<(), String> {
        let mut problem = String::new();
        for attempt in 0..TRIES {
            if attempt > 0 {
                self.count(|counts| counts.retried += 1);
                if !ending::pause(PAUSE * (1 << (attempt - 1))) {
                    break;
                }
            }
            let request =
                self.agent.post(&self.uri).content_type("application/json").send(document);
            match request {
                Ok(answer) if answer.status().is_success() => return Ok(()),
                Ok(answer) => problem = format!("answer {}", answer.status()),
                Err(error) => problem = words(&error),
            }
            self.count(|counts| counts.errors += 1);
        }
        Err(problem)
    }

    fn count(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl WebhookSink {
    fn queue(&mut self) -> Result<&SyncSender<(Content, Vec<u8>)>, ExportError> {
        if self.running.is_none() {
            let (queue, documents) = sync_channel(QUEUE);
            let sender = self.sender.clone();
            let thread = thread::Builder::new().name("webhook".to_owned());
            let thread = thread.spawn(move || sender.run(&documents)).map_err(|error| {
                let problem = format!("cannot start a thread: {}", sentence(&error));
                ExportError::GaveUp(format!("{}: {problem}", self.sender.name))
            })?;
            self.running = Some((queue, thread));
        }
        Ok(&self.running.as_ref().expect("it runs").0)
    }

    /// Waits for the thread. In a live run it has this time.
    fn end(&mut self, time: Duration) -> Result<(), ExportError> {
        let Some((queue, thread)) = self.running.take() else { return Ok(()) };
        drop(queue);
        let begin = Instant::now();
        while !thread.is_finished() {
            let is_late = match self.patience {
                Patience::GoOn => begin.elapsed() > time,
                Patience::Wait => !ending::may_wait_for_peer(begin.elapsed()),
            };
            if is_late || ending::is_hurried() {
                self.ended = true;
                let name = &self.sender.name;
                return Err(ExportError::GaveUp(format!("{name}: alerts were not sent in time")));
            }
            thread::sleep(ending::LOOK);
        }
        Ok(())
    }
}

impl DocumentSink for WebhookSink {
    fn put(
        &mut self,
        content: Content,
        _subject: Subject<'_>,
        put: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), ExportError> {
        let mut document = Vec::new();
        put(&mut document);
        let content = Content { octets: document.len() as u64, ..content };
        let waits = self.patience == Patience::Wait;
        let mut item = (content, document);
        loop {
            match self.queue()?.try_send(item) {
                Ok(()) => {
                    self.given += content;
                    return Ok(());
                }
                Err(TrySendError::Full(back)) if waits && !ending::is_requested() => {
                    item = back;
                    thread::sleep(ending::LOOK);
                }
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                    self.dropped += content;
                    return Ok(());
                }
            }
        }
    }

    fn flush(&mut self) -> Result<(), ExportError> {
        Ok(())
    }

    fn finish(&mut self) -> Result<(), ExportError> {
        self.end(END)
    }

    fn counts(&self) -> ExportCounts {
        let counts = *self.sender.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = if self.ended { self.given - counts.sent } else { counts.failed };
        ExportCounts {
            events_sent: counts.sent.events,
            events_failed: failed.events + self.dropped.events,
            retried: counts.retried,
            messages: counts.sent.messages,
            octets: counts.sent.octets,
            errors: counts.errors,
            ..ExportCounts::default()
        }
    }

    fn conversations(&self) -> Vec<Conversation> {
        Collector::tcp_conversations(std::slice::from_ref(&self.host))
    }
}

impl Debug for WebhookSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookSink").field("name", &self.sender.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use flow::{Event, EventKind, Timestamp};

    use super::*;

    /// Documents that wait when the time is over are lost, and so is the one under way.
    #[test]
    fn alerts_that_were_not_sent_in_time_are_counted() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = silent.local_addr().unwrap();
        let uri: Uri = format!("http://{address}/").parse().unwrap();
        let mut sink = WebhookSink {
            patience: Patience::GoOn,
            sender: Sender {
                uri,
                name: "hook".to_owned(),
                agent: Agent::new_with_defaults(),
                counts: Arc::default(),
            },
            host: Host { name: "127.0.0.1".to_owned(), port: address.port() },
            running: None,
            given: Content::default(),
            dropped: Content::default(),
            ended: false,
        };
        let (kind, time) = (EventKind::Alert, Timestamp::default());
        let event = Event { kind, time, fields: Vec::new() };
        for _ in 0..3 {
            sink.put(Content::event(), Subject::Event(&event), |out| out.push(b'x')).unwrap();
        }
        assert_eq!(sink.counts().events_failed, 0);
        assert!(sink.end(Duration::from_millis(100)).is_err());
        assert_eq!((sink.counts().events_sent, sink.counts().events_failed), (0, 3));
    }
}
