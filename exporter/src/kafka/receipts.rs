//! Outcomes of messages that were given to the library.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{DeliveryResult, ProducerContext};

/// Batches that can be with the library at a time.
pub(super) const SLOTS: usize = 64;

/// Outcomes by slot: each batch that is under way has one.
#[derive(Debug)]
pub(super) struct Receipts {
    slots: [Slot; SLOTS],
    /// The latest problem with the brokers as a whole.
    trouble: Mutex<Option<Trouble>>,
}

/// A problem with the brokers.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    pub(super) code: RDKafkaErrorCode,
    pub(super) reason: String,
}

#[derive(Debug, Default)]
struct Slot {
    state: Mutex<UnderWay>,
    changed: Condvar,
}

/// Messages of a batch that are under way.
#[derive(Debug, Default)]
struct UnderWay {
    is_taken: bool,
    left: usize,
    failed: Vec<Failure>,
}

/// The index of a message in its batch, and the reason.
pub(super) type Failure = (usize, RDKafkaErrorCode);

/// A message under way: its slot and its index.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket {
    pub(super) slot: usize,
    pub(super) index: usize,
}

impl Ticket {
    /// As the number that the library gives back with the outcome.
    pub(super) fn number(self) -> usize {
        self.index * SLOTS + self.slot
    }

    fn of(number: usize) -> Self {
        Self { slot: number % SLOTS, index: number / SLOTS }
    }
}

impl Default for Receipts {
    fn default() -> Self {
        Self { slots: std::array::from_fn(|_| Slot::default()), trouble: Mutex::default() }
    }
}

impl Receipts {
    /// Takes a slot for this number of messages. `None` if all are in use.
    pub(super) fn begin(&self, messages: usize) -> Option<usize> {
        self.slots.iter().position(|slot| {
            let mut state = slot.lock();
            let is_free = !state.is_taken;
            if is_free {
                *state = UnderWay { is_taken: true, left: messages, failed: Vec::new() };
            }
            is_free
        })
    }

    /// Notes the outcome of a message.
    pub(super) fn note(&self, ticket: Ticket, error: Option<RDKafkaErrorCode>) {
        let slot = &self.slots[ticket.slot];
        let mut state = slot.lock();
        state.failed.extend(error.map(|error| (ticket.index, error)));
        state.left -= 1;
        if state.left == 0 {
            slot.changed.notify_one();
        }
    }

    /// Waits until each message of a slot has an outcome, for at most `longest`. Then the slot is
    /// free, and the result has the messages that failed.
    pub(super) fn wait(&self, slot: usize, longest: Duration) -> Option<Vec<Failure>> {
        let slot = &self.slots[slot];
        let state = slot.lock();
        let waited = slot.changed.wait_timeout_while(state, longest, |state| state.left > 0);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if state.left > 0 {
            return None;
        }
        state.is_taken = false;
        Some(std::mem::take(&mut state.failed))
    }

    /// The latest problem with the brokers since the last one was taken.
    pub(super) fn take_trouble(&self) -> Option<Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, UnderWay> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the library tells.
#[derive(Clone, Debug)]
pub(super) struct Listener(pub(super) std::sync::Arc<Receipts>);

impl ClientContext for Listener {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, text: &str) {
        // Problems that concern documents are logged where these wait.
        log::debug!("librdkafka: {facility}: {text}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
        let mut trouble = self.0.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        // That all brokers are down says less than why the last one is.
        if trouble.is_none() || code != RDKafkaErrorCode::AllBrokersDown {
            *trouble = Some(Trouble { code, reason: reason.to_owned() });
        }
    }
}

impl ProducerContext for Listener {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        let error = result.as_ref().err();
        let code = error.map(|(error, _)| code_of(error));
        self.0.note(Ticket::of(number), code);
    }
}

/// The code of an error.
pub(super) fn code_of(error: &KafkaError) -> RDKafkaErrorCode {
    error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batch_is_done_when_each_message_has_an_outcome() {
        let receipts = Receipts::default();
        let slots = [3, 1].map(|messages| receipts.begin(messages).unwrap());
        assert_ne!(slots[0], slots[1]);
        let note = |slot, index, error| receipts.note(Ticket { slot, index }, error);
        note(slots[0], 2, None);
        note(slots[0], 0, Some(RDKafkaErrorCode::MessageTimedOut));
        assert_eq!(receipts.wait(slots[0], Duration::ZERO), None);
        note(slots[1], 0, None);
        assert_eq!(receipts.wait(slots[1], Duration::ZERO), Some(Vec::new()));
        note(slots[0], 1, None);
        let failed = receipts.wait(slots[0], Duration::ZERO);
        assert_eq!(failed, Some(vec![(0, RDKafkaErrorCode::MessageTimedOut)]));
        // Both are free again.
        assert_eq!([1, 1].map(|messages| receipts.begin(messages).unwrap()), [0, 1]);
    }

    #[test]
    fn number_of_a_message_has_its_slot_and_its_index() {
        for (slot, index) in [(0, 0), (63, 0), (0, 1), (17, 123_456)] {
            let ticket = Ticket::of(Ticket { slot, index }.number());
            assert_eq!((ticket.slot, ticket.index), (slot, index));
        }
    }
}
