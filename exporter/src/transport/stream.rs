//! Messages over TCP, plain or under TLS (RFC 7011 section 10.4 and 11.1).
//!
//! TCP takes octets long before they arrive, so a message counts as sent only when the peer's
//! kernel has acknowledged its last octet, and under TLS 1.3 when the peer can no longer turn this
//! client away, which takes a second or the end of the session. When a connection breaks, the
//! others have failed. A new connection is a new transport session: templates again, sequence from
//! 0, and nothing is sent twice.
//!
//! A replay waits for its collector. Live, nothing waits but the end, and that not for long:
//! connections are made beside, and what a slow collector does not take is kept up to a limit.

use std::io;
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::{Duration, Instant};

use flow::Conversation;
use flow::number::protocol;
use log::{info, warn};

use super::collector::{
    Collector, Failure, NoAnswer, PAUSE_FIRST, START_PATIENCE, Unreachable, answer_of, keep_trying,
    wait_for,
};
use super::session::{BUFFER, Peer, Session};
use super::tls::{Identity, TlsSettings};
use super::{Transport, TransportCounts};
use crate::ending;
use crate::error::{ExportError, sentence};
use crate::message::Message;
use crate::muted::Muted;

/// Live, the whole end of a session takes no longer.
const END_PATIENCE: Duration = Duration::from_secs(10);

/// Live, so many octets wait for a collector that is slow: half a million flows.
const BACKLOG_MAX: usize = 32 << 20;

/// What to do without a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Replay: wait for a collector that cannot be reached, a minute by default, then give up.
    Wait,
    /// Live: go on, count what is lost, try again now and then.
    GoOn,
}

/// Where a stream goes and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StreamSettings {
    pub(crate) collector: Collector,
    /// With TLS, its settings.
    pub(crate) tls: Option<TlsSettings>,
    /// Longest pause between attempts to connect again.
    pub(crate) reconnect_max: Duration,
    /// A replay waits so long for a collector that cannot be reached, or has gone.
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
    /// Why the last attempt to connect failed, since there was a connection.
    reason: String,
    trouble: Muted,
    counts: TransportCounts,
}

#[derive(Debug)]
enum State {
    Connected(Session),
    /// Another thread connects: names, hosts and handshakes may take long to answer.
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
    /// Connects. Live, a collector that is not there yet is only a warning.
    pub(crate) fn open(
        name: &str,
        settings: StreamSettings,
        patience: Patience,
    ) -> Result<Self, ExportError> {
        // The files of TLS are read now: later the program may not have the right to.
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

    /// The connection is gone, and with it what was under way.
    fn broken(&mut self, error: &io::Error) -> Result<(), ExportError> {
        let State::Connected(session) = &mut self.state else { return Ok(()) };
        self.counts.sent += session.take_acknowledged();
        let lost = session.take_rest();
        self.counts.failed += lost;
        self.counts.errors += 1;
        let records = lost.records.records;
        warn!("{}: connection lost: {}; {records} records with it", self.name, sentence(error));
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
                // The last one is when the time is over.
                *next_attempt = (*next_attempt).min(last_attempt);
                thread::sleep(next_attempt.saturating_duration_since(now).min(ending::LOOK));
            }
            self.seek(ending::LOOK);
        }
        Ok(())
    }

    /// Without a connection: begins an attempt if one is due, and waits a while for what becomes
    /// of it.
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

    /// The same reason is said once.
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

    /// Hands what waits to the connection; in a replay all of it.
    fn flush(&mut self) -> Result<(), ExportError> {
        let State::Connected(session) = &mut self.state else { return Ok(()) };
        let result = session.check_ends().and_then(|()| match self.patience {
            Patience::Wait => session.write_all(None),
            Patience::GoOn => session.write_some(),
        });
        self.counts.sent += session.take_acknowledged();
        result.or_else(|error| self.broken(&error))
    }

    /// After the last message there is nothing that a new connection would be for.
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

    /// Whether a session began since this was last asked; where there is none, one is looked for.
    fn session_began(&mut self) -> bool {
        if self.patience == Patience::GoOn {
            self.seek(Duration::ZERO);
        }
        std::mem::take(&mut self.session_is_new)
    }

    fn is_ready(&self) -> bool {
        matches!(self.state, State::Connected(_))
    }

    /// Also of a collector that is not there yet: the route tells which address is ours. One that
    /// moves to another address later has another conversation.
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

    /// Messages under way count as neither sent nor failed yet.
    fn counts(&self) -> TransportCounts {
        self.counts
    }
}

/// Connects, and waits for what becomes of it as long as the run is not to end.
fn connect_patiently(peer: &Peer) -> Result<Session, Failure> {
    wait_for(&connect_beside(peer), Duration::MAX)?
}

/// Connects in a thread that ends with the attempt.
fn connect_beside(peer: &Peer) -> Receiver<Result<Session, Failure>> {
    let peer = peer.clone();
    answer_of("connect", move || Session::open(&peer))
}
