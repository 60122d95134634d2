//! The receiving end of the queues between threads.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};

use crate::pipeline::dropped::DroppedOnWay;
use crate::pipeline::queue::{QueueItem, QueueSender};

/// Time that an output sleeps before it waits at an empty queue behind the stages. An output is
/// faster than stages, so it would wait for each batch. Waiting means to yield a few times, then to
/// park. That takes CPU time from the stages, which would also have to wake the output each time.
/// The queue has room for all batches of this time.
const EMPTY_PAUSE: Duration = Duration::from_micros(100);

/// The receiving end of one queue, or of a queue for each worker. It takes a block of the first
/// worker, then the same block of the second worker, and so on.
pub(crate) struct Merge {
    receivers: Vec<Receiver<QueueItem>>,
    turn: usize,
    /// The thread of the stages sends what arrives here.
    is_behind_stages: bool,
    pub(crate) dropped: DroppedOnWay,
    /// The most messages that each queue takes.
    room: usize,
}

impl Merge {
    /// A merge without queues. Data that `before` dropped does not arrive here either.
    pub(super) fn new(mut before: DroppedOnWay) -> Self {
        before.queues.push(Arc::default());
        Self { receivers: Vec::new(), turn: 0, is_behind_stages: false, dropped: before, room: 0 }
    }

    /// As [`Merge::new`], for an output behind the thread of the stages.
    pub(super) fn behind_stages(before: DroppedOnWay) -> Self {
        Self { is_behind_stages: true, ..Self::new(before) }
    }

    /// Adds a queue with room for this number of batches.
    pub(super) fn add(&mut self, batches: usize) -> QueueSender {
        let (sender, receiver) = bounded(batches);
        self.receivers.push(receiver);
        self.room = batches;
        let dropped = self.dropped.queues.last().expect("a merge has a tally of its own");
        QueueSender { sender, dropped: Arc::clone(dropped), offered: None }
    }

    /// Messages that wait in the queue from the stages, and the most that it takes. `None` if this
    /// takes from the queues of the workers.
    pub(crate) fn waiting(&self) -> Option<(usize, usize)> {
        let waiting = self.receivers.first().map_or(0, Receiver::len);
        self.is_behind_stages.then_some((waiting, self.room))
    }

    /// The next delivery. Waits for it, until the deadline if there is one.
    ///
    /// # Errors
    ///
    /// `Timeout` at the deadline, `Disconnected` when all queues are closed and empty.
    pub(crate) fn receive(
        &mut self,
        deadline: Option<Instant>,
    ) -> Result<QueueItem, RecvTimeoutError> {
        while let Some(receiver) = self.receivers.get(self.turn) {
            if self.is_behind_stages && receiver.is_empty() {
                thread::sleep(EMPTY_PAUSE);
            }
            let received = match deadline {
                Some(deadline) => receiver.recv_deadline(deadline),
                None => receiver.recv().map_err(RecvTimeoutError::from),
            };
            match received {
                Ok(QueueItem::BlockEnd) => self.turn = (self.turn + 1) % self.receivers.len(),
                Err(RecvTimeoutError::Disconnected) => {
                    self.receivers.remove(self.turn);
                    self.turn = if self.turn == self.receivers.len() { 0 } else { self.turn };
                }
                Ok(_) | Err(RecvTimeoutError::Timeout) => return received,
            }
        }
        Err(RecvTimeoutError::Disconnected)
    }
}
