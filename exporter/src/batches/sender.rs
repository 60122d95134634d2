//! A thread that sends batches and handles the answers of the service.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::batch::Batch;
use super::client::{Answer, Client, Outcome};
use super::counts::Outcomes;
use super::dead_letter::DeadLetters;
use super::delivery::{Delivery, Verdict};
use super::hosts::HostIndex;
use super::parcel::{Failures, Origin, Parcel, Piece};
use crate::content::Content;
use crate::error::sentence;

/// Shared parts of the sending threads.
#[derive(Clone)]
pub(super) struct Sender {
    pub(super) delivery: Arc<Delivery>,
    pub(super) client: Arc<dyn Client>,
    pub(super) dead_letters: Option<Arc<Mutex<DeadLetters>>>,
    /// Documents are refused if the service fails at them for this time, and accepts others.
    pub(super) patience: Duration,
}

/// Next step for a piece.
enum Next {
    Done,
    /// Send it, or its unresolved documents, again.
    Again(Piece),
    /// The same, not before this time.
    Later(Piece, Instant),
    /// Send it in two halves.
    Split(Piece),
}

impl Sender {
    /// Sends parcels until there is no more work.
    pub(super) fn run(&self) {
        while let Some(mut parcel) = self.delivery.next() {
            self.deliver(&mut parcel);
            self.delivery.give_back(parcel);
        }
    }

    /// Sends a parcel until each document is resolved, or no request is permitted.
    fn deliver(&self, parcel: &mut Parcel) {
        let Parcel { pieces, origin, is_whole, due, .. } = parcel;
        *due = None;
        while let Some(piece) = pieces.pop() {
            let Some((host, is_in_doubt)) = self.delivery.permit() else {
                pieces.push(piece);
                break;
            };
            let asked =
                if is_in_doubt { self.client.ask(host) } else { self.client.ask_first(host) };
            if let Err(answer) = asked {
                self.stop_if_told(&answer);
                let (verdict, reason) = of_question(answer);
                self.delivery.requested(host, verdict, 0);
                self.delivery.complain(&self.of_host(host, &reason));
                pieces.push(piece);
                continue;
            }
            if piece.is_retry {
                self.delivery.retry(piece.batch.len());
            }
            let begin = Instant::now();
            let (answer, octets) = self.client.send(host, &piece.batch);
            self.stop_if_told(&answer);
            let denial = answer.denial().map(|reason| self.of_host(host, reason));
            *is_whole &= !matches!(answer, Answer::Items(_) | Answer::TooLarge);
            let (verdict, next, reason) = self.judge(answer, piece, *origin, begin);
            if let Some(reason) = denial {
                self.delivery.denied(begin, &reason);
            }
            self.delivery.requested(host, verdict, octets);
            if let Some(reason) = reason {
                self.delivery.complain(&self.of_host(host, &reason));
            }
            match next {
                Next::Done => {}
                Next::Again(piece) => pieces.push(piece),
                Next::Later(piece, time) => {
                    pieces.push(piece);
                    *due = Some(time);
                    break;
                }
                Next::Split(Piece { batch, .. }) if batch.len() > 1 => {
                    let (first, second) = batch.halves();
                    let half = |batch| Piece { is_retry: true, ..Piece::new(batch) };
                    pieces.extend([half(second), half(first)]);
                }
                Next::Split(Piece { batch, .. }) => {
                    self.refuse(&batch, 0, *origin, "request_too_large", "HTTP status 413");
                }
            }
        }
    }

    fn of_host(&self, host: HostIndex, reason: &str) -> String {
        format!("{}: {reason}", self.client.base(host))
    }

    /// Ends the run of the output if the service can accept nothing.
    fn stop_if_told(&self, answer: &Answer) {
        if let Answer::Stop(reason) = answer {
            self.delivery.refused_by_service(reason);
        }
    }

    /// Interprets an answer: result for the host, next step for the piece, and the problem to log.
    fn judge(
        &self,
        answer: Answer,
        piece: Piece,
        origin: Origin,
        begin: Instant,
    ) -> (Verdict, Next, Option<String>) {
        let again = |piece: Piece| Next::Again(Piece { is_retry: true, ..piece });
        match answer {
            Answer::Items(outcomes) => {
                let judged = self.resolve(&outcomes, &piece, origin, begin);
                self.delivery.recycle_batch(piece.batch);
                judged
            }
            Answer::TooLarge => (Verdict::TooLarge, Next::Split(piece), None),
            // A server that refuses a large body may close the connection before its answer
            // arrives.
            Answer::Cut(reason) => {
                let piece = Piece { cuts: piece.cuts + 1, ..piece };
                let is_too_large = piece.cuts >= CUTS && piece.batch.len() > 1;
                let next = if is_too_large { Next::Split(piece) } else { again(piece) };
                (Verdict::Failed(None), next, Some(reason))
            }
            Answer::Busy(reason, asked) => (Verdict::Failed(asked), again(piece), Some(reason)),
            Answer::Failed(reason)
            | Answer::Blocked(reason)
            | Answer::Denied(reason)
            | Answer::Stop(reason) => (Verdict::Failed(None), again(piece), Some(reason)),
        }
    }

    /// Counts the outcome of each document. Documents to be sent again become the next piece.
    fn resolve(
        &self,
        outcomes: &[Outcome],
        piece: &Piece,
        origin: Origin,
        begin: Instant,
    ) -> (Verdict, Next, Option<String>) {
        let batch = &piece.batch;
        let (mut accepted, mut duplicate) = (Content::default(), Content::default());
        let (mut blocked, mut overloaded, mut failed) = (None, None, None);
        let before = self.delivery.accepted();
        let is_sent = |outcome: &Outcome| matches!(outcome, Outcome::Accepted | Outcome::Duplicate);
        let sent = outcomes.iter().filter(|outcome| is_sent(outcome)).count() as u64;
        let is_hopeless = piece
            .failures
            .is_some_and(|failures| failures.are_of_documents(before + sent, self.patience));
        let is_left = |outcome: &Outcome| match outcome {
            Outcome::Retry(_) | Outcome::Blocked(_) | Outcome::Denied(_) => true,
            Outcome::Failed { .. } => !is_hopeless,
            Outcome::Accepted | Outcome::Duplicate | Outcome::Refused { .. } => false,
        };
        for (index, outcome) in outcomes.iter().enumerate() {
            match outcome {
                Outcome::Accepted => accepted += batch.content(index),
                Outcome::Duplicate => duplicate += batch.content(index),
                Outcome::Refused { kind, reason } => {
                    self.refuse(batch, index, origin, kind, reason);
                }
                Outcome::Failed { kind, reason } if !is_left(outcome) => {
                    self.refuse(batch, index, origin, kind, reason);
                }
                Outcome::Failed { kind, reason } => failed = Some(format!("{kind}: {reason}")),
                Outcome::Retry(reason) => overloaded = Some(reason.clone()),
                Outcome::Blocked(reason) | Outcome::Denied(reason) => {
                    blocked = Some(reason.clone());
                }
            }
        }
        self.delivery.resolve(origin, Outcomes { accepted, duplicate, ..Outcomes::default() });
        let good = Verdict::Good(begin.elapsed());
        let batch = batch.only(|index| is_left(&outcomes[index]));
        if batch.is_empty() {
            return (good, Next::Done, None);
        }
        let mut left = Piece { is_retry: true, ..Piece::new(batch) };
        // It is no news that some documents wait while others are accepted.
        let news = |reason: String| Some(reason).filter(|_| sent == 0);
        if let Some(reason) = blocked {
            return (Verdict::Failed(None), Next::Again(left), Some(reason));
        }
        let Some(reason) = failed else {
            let verdict = if sent > 0 { Verdict::PartlyOverloaded } else { Verdict::Overloaded };
            return (verdict, Next::Again(left), overloaded.and_then(news));
        };
        let now = Instant::now();
        let first = Failures { count: 0, since: now, accepted: before };
        let failures = piece.failures.unwrap_or(first);
        let failures = Failures { count: failures.count + 1, ..failures };
        left.failures = Some(failures);
        let verdict = match piece.failures {
            _ if sent > 0 => good,
            None => Verdict::Overloaded,
            Some(_) => Verdict::Unclear,
        };
        (verdict, Next::Later(left, failures.next_try(now, self.patience)), news(reason))
    }

    /// Keeps a document that the service refuses permanently, if there is a dead letter file.
    fn refuse(&self, batch: &Batch, index: usize, origin: Origin, kind: &str, reason: &str) {
        let kept = self.dead_letters.as_ref().map(|file| {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            file.keep(kind, reason, &self.client.letter(batch.entry(index)))
        });
        let content = batch.content(index);
        let fate = match &kept {
            Some(Ok(())) => "and is in the dead letter file".to_owned(),
            Some(Err(problem)) => format!("and could not be kept: {}", sentence(problem)),
            None => "and is lost".to_owned(),
        };
        self.delivery
            .tell_refusal(kind, &format!("a document was refused {fate}: {kind}: {reason}"));
        let outcomes = match kept {
            Some(Ok(())) => Outcomes { dead_lettered: content, ..Outcomes::default() },
            _ => Outcomes { refused: content, ..Outcomes::default() },
        };
        self.delivery.resolve(origin, outcomes);
    }
}

/// Consecutive broken connections before a batch is halved.
const CUTS: u32 = 2;

/// Interprets an unsuccessful check of a host.
fn of_question(answer: Answer) -> (Verdict, String) {
    match answer {
        Answer::Busy(reason, asked) => (Verdict::Failed(asked), reason),
        Answer::Cut(reason)
        | Answer::Failed(reason)
        | Answer::Blocked(reason)
        | Answer::Denied(reason)
        | Answer::Stop(reason) => (Verdict::Failed(None), reason),
        Answer::Items(_) | Answer::TooLarge => (Verdict::Failed(None), String::new()),
    }
}
