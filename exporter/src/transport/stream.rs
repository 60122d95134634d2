//! Messages over TCP, plain or under TLS (RFC 7011 section 10.4 and 11.1).
//!
//! The kernel accepts octets long before they arrive. So a message counts as sent when the peer's
//! kernel has acknowledged its last octet. Under TLS 1.3 the time in which the peer can refuse the
//! certificate must also be over: one second, or the end of the session. When a connection breaks,
//! all other messages have failed. A new connection is a new transport session: it gets templates,
//! and its sequence begins at 0. No message is sent twice.
//!
//! A replay waits for its collector. A live run waits only at its end, for a short time: another
//! thread makes connections, and octets for a slow collector are kept up to a limit.

use std::io;
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::{Duration, Instant};

use flow::Conversation;
use flow::number::protocol;
use log::{info, warn};

use super::answer::{NoAnswer, answer_of, wait_for};
use super::attempts::{Failure, PAUSE_FIRST, keep_trying};
use super::collector::{Collector, START_PATIENCE, Unreachable};
use super::session::{BUFFER, Peer, Session};
use super::wire::Identity;
use super::{Transport, TransportCounts};
use crate::content::Message;
use crate::ending;
use crate::error::{ExportError, sentence};
use crate::muted::Muted;
use crate::patience::Patience;
use crate::tls::TlsSettings;
use flow::words::noun;

/// Maximum time for the end of a session in a live run.
const END_PATIENCE: Duration = Duration::from_secs(10);

/// Maximum waiting octets for a slow collector in a live run: half a million flows.
const BACKLOG_MAX: usize = 32 << 20;

/// Settings of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StreamSettings {
    pub(crate) collector: Collector,
    /// Settings of TLS, if it is used.
    pub(crate) tls: Option<TlsSettings>,
    /// Maximum pause between attempts to connect.
    pub(crate) reconnect_max: Duration,
    /// Time that a replay waits for an unreachable or lost collector.
    pub(crate) wait: Duration,
}

#[derive(Debug)]
pub(crate) struct StreamTransport {
    name: String,
    peer: Peer,
    reconnect_max: Duration,
    wait: Duration,
    patience: Patience,
    state: State,
    session_is_new: bool,
    had_session: bool,
    /// Reason of the last failed attempt since the last connection.
    reason: String,
    trouble: Muted,
    counts: TransportCounts,
}

#[derive(Debug)]
enum State {
    Connected(Session),
    /// Another thread connects: lookups, connections and handshakes may take long.
    Connecting {
        attempt: Receiver<Result<Session, Failure>>,
        pause: Duration,
    },
    Down {
        next_attempt: Instant,
        pause: Duration,
    },
}

impl StreamTransport {
    /// Connects. In a live run, a failure is only logged.
    pub(crate) fn open(
        name: &str,
        settings: StreamSettings,
        patience: Patience,
    ) -> Result<Self, ExportError> {
        // Reads the files of TLS now: later the program may have no right to.
        let host = &settings.collector.host.name;
        let tls = settings.tls.as_ref().map(|tls| Identity::new(tls, host)).transpose();
        let tls = tls.map_err(|error| {
            ExportError::NotOpened(format!("cannot connect to {name}: {}", sentence(&error)))
        })?;
        let peer = Peer { collector: settings.collector, tls };
        let now = Instant::now();
        let mut transport = Self {
            name: name.to_owned(),
            peer,
            reconnect_max: settings.reconnect_max,
            wait: settings.wait,
            patience,
            state: State::Down { next_attempt: now, pause: PAUSE_FIRST / 2 },
            session_is_new: true,
            had_session: false,
            reason: String::new(),
            trouble: Muted::default(),
            counts: TransportCounts::default(),
        };
        match patience {
            Patience::Wait => {
                let session = keep_trying(&format!("connect to {name}"), settings.wait, || {
                    connect_patiently(&transport.peer)
                })?;
                transport.begin(session);
            }
            Patience::GoOn => {
                transport.seek(START_PATIENCE);
                if matches!(transport.state, State::Connecting { .. }) {
                    warn!("{name}: no connection yet; flows are lost until there is one");
                }
            }
        }
        Ok(transport)
    }

    /// Handles a broken connection. Messages that are not acknowledged are lost.
    fn broken(&mut self, error: &io::Error) -> Result<(), ExportError> {
        let State::Connected(session) = &mut self.state else { return Ok(()) };
        self.counts.sent += session.take_acknowledged();
        let lost = session.take_rest();
        self.counts.failed += lost;
        self.counts.errors += 1;
        let records = lost.records.records;
        let are = noun(records, "record is", "records are");
        warn!("{}: connection lost: {}; {records} {are} lost", self.name, sentence(error));
        let begin = Instant::now();
        self.state = State::Down { next_attempt: begin + PAUSE_FIRST, pause: PAUSE_FIRST };
        if self.patience == Patience::GoOn {
            return Ok(());
        }
        let last_attempt = begin + self.wait;
        while !matches!(self.state, State::Connected(_)) {
            let now = Instant::now();
            if now >= last_attempt || !ending::may_wait_for_peer(begin.elapsed()) {
                let seconds = begin.elapsed().as_secs();
                return Err(ExportError::GaveUp(format!(
                    "{}: the connection was lost and did not come back in {seconds} s",
                    self.name
                )));
            }
            if let State::Down { next_attempt, .. } = &mut self.state {
                // The last attempt is at the end of the waiting time.
                *next_attempt = (*next_attempt).min(last_attempt);
                thread::sleep(next_attempt.saturating_duration_since(now).min(ending::LOOK));
            }
            self.seek(ending::LOOK);
        }
        Ok(())
    }

    /// Without a connection: begins an attempt if it is due, and waits for its result.
    fn seek(&mut self, wait: Duration) {
        if let State::Down { next_attempt, pause } = self.state
            && Instant::now() >= next_attempt
        {
            self.state = State::Connecting { attempt: connect_beside(&self.peer), pause };
        }
        let State::Connecting { attempt, pause } = &self.state else { return };
        let pause = *pause;
        match wait_for(attempt, wait) {
            Ok(Ok(session)) => self.begin(session),
            Ok(Err(Failure::ForNow(Unreachable(reason)) | Failure::ForGood(reason))) => {
                self.failed(&reason, pause);
            }
            Err(NoAnswer::Late | NoAnswer::Interrupted) => {}
            Err(reason @ NoAnswer::NoThread) => self.failed(&reason.to_string(), pause),
        }
    }

    fn begin(&mut self, session: Session) {
        let at =
            session.stream().peer_addr().map_or_else(|_| String::new(), |at| format!(" to {at}"));
        if self.had_session {
            info!("{}: connected again{at}", self.name);
            self.counts.reconnects += 1;
        } else if !self.reason.is_empty() {
            info!("{}: connected{at}", self.name);
        }
        self.state = State::Connected(session);
        self.session_is_new = true;
        self.had_session = true;
        self.reason.clear();
    }

    /// Logs a failure, unless its reason is the same as before.
    fn failed(&mut self, reason: &str, pause: Duration) {
        if self.reason != reason {
            warn!("cannot connect to {}: {reason}; trying again", self.name);
            reason.clone_into(&mut self.reason);
        }
        let pause = (pause * 2).min(self.reconnect_max);
        self.state = State::Down { next_attempt: Instant::now() + pause, pause };
    }
}

impl Transport for StreamTransport {
    fn send(&mut self, message: Message<'_>) -> Result<(), ExportError> {
        let State::Connected(session) = &mut self.state else {
            self.counts.failed += message.content();
            return Ok(());
        };
        if session.backlog() + message.octets.len() > BACKLOG_MAX {
            self.counts.failed += message.content();
            self.counts.errors += 1;
            self.trouble.warn(format_args!("{}: too slow, messages are lost", self.name));
        } else {
            session.push(message);
        }
        if session.backlog() < BUFFER { Ok(()) } else { self.flush() }
    }

    /// Writes waiting octets; in a replay all of them.
    fn flush(&mut self) -> Result<(), ExportError> {
        let State::Connected(session) = &mut self.state else { return Ok(()) };
        let result = session.check_ends().and_then(|()| match self.patience {
            Patience::Wait => session.write_all(None),
            Patience::GoOn => session.write_some(),
        });
        self.counts.sent += session.take_acknowledged();
        result.or_else(|error| self.broken(&error))
    }

    /// Does not reconnect after a failure: no more messages follow.
    fn finish(&mut self) -> Result<(), ExportError> {
        if let State::Connected(session) = &mut self.state {
            let until = match self.patience {
                Patience::Wait => None,
                Patience::GoOn => Some(Instant::now() + END_PATIENCE),
            };
            let has_backlog = session.backlog() > 0;
            let result = if has_backlog { session.check_ends() } else { Ok(()) }
                .and_then(|()| session.write_all(until))
                .and_then(|()| session.close(until));
            self.counts.errors += u64::from(result.is_err());
            self.counts.sent += session.take_acknowledged();
            let lost = session.take_rest();
            self.counts.failed += lost;
            if lost.messages > 0 {
                let why =
                    result.err().as_ref().map_or_else(|| "not acknowledged".to_owned(), sentence);
                let lost = format!("{}: the end was lost: {why}", self.name);
                return Err(ExportError::GaveUp(lost));
            }
        }
        Ok(())
    }

    /// True if a session began since the last call. A live run without a session tries to begin
    /// one.
    fn session_began(&mut self) -> bool {
        if self.patience == Patience::GoOn {
            self.seek(Duration::ZERO);
        }
        std::mem::take(&mut self.session_is_new)
    }

    fn is_ready(&self) -> bool {
        matches!(self.state, State::Connected(_))
    }

    /// Includes a collector that is not reachable yet: the route determines the local address. The
    /// conversation changes if the collector gets another address.
    fn conversations(&self) -> Vec<Conversation> {
        let conversation = || {
            let collector = &self.peer.collector;
            let remote = match &self.state {
                State::Connected(session) => session.stream().peer_addr().ok()?,
                State::Connecting { .. } | State::Down { .. } => {
                    *collector.addresses_at_start().first()?
                }
            };
            let local = collector.local_address(remote).ok()?;
            Some(Conversation { protocol: protocol::TCP, local, remote })
        };
        conversation().into_iter().collect()
    }

    /// Messages in flight are neither sent nor failed yet.
    fn counts(&self) -> TransportCounts {
        self.counts
    }
}

/// Connects, and waits for the result until the run has to end.
fn connect_patiently(peer: &Peer) -> Result<Session, Failure> {
    wait_for(&connect_beside(peer), Duration::MAX)?
}

/// Connects in a thread that ends with the attempt.
fn connect_beside(peer: &Peer) -> Receiver<Result<Session, Failure>> {
    let peer = peer.clone();
    answer_of("connect", move || Session::open(&peer))
}
