//! Looks at the heaviest flows in the tables, for the top lists of the page.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, TryRecvError, bounded};

use crate::host::control::{Request, WORKERS_MAX};
use crate::pipeline::table_order::{FlowMatch, FlowOrder, TableAnswer, TableOrder, TableTask};
use crate::report::page::ShownPage;

/// Number of flows that the page gets.
const HEAVIEST: usize = 256;

/// Time between two looks: at least this, and so many times as long as the last look took. A look
/// at a million flows takes 5 s, in small pieces between packets.
const PAUSE: Duration = Duration::from_secs(2);
const PAUSE_FACTOR: u32 = 4;

/// Looks at the tables again and again.
#[derive(Debug)]
pub(crate) struct TableLooks {
    /// The next look begins no earlier.
    next: Instant,
    look: Option<Look>,
}

/// A look that not all workers have answered yet.
#[derive(Debug)]
struct Look {
    begin: Instant,
    answers: Receiver<Option<TableAnswer>>,
    /// `None`: nobody has answered.
    sum: Option<TableAnswer>,
    /// Whether a worker had too much to do.
    is_refused: bool,
}

impl TableLooks {
    pub(crate) fn new() -> Self {
        Self { next: Instant::now(), look: None }
    }

    /// Gives the page what was seen, after the last answer. Returns the next look, if it is time
    /// for it.
    pub(crate) fn go_on(&mut self, page: &ShownPage) -> Option<Request> {
        let now = Instant::now();
        if let Some(look) = &mut self.look {
            if !look.is_over() {
                return None;
            }
            if let (Some(TableAnswer { flows, meant }), false) = (&mut look.sum, look.is_refused) {
                FlowOrder::Octets.keep_first(flows, HEAVIEST);
                page.publish_table(flows, *meant);
            }
            self.next = now + PAUSE.max((now - look.begin) * PAUSE_FACTOR);
            self.look = None;
        }
        (now >= self.next).then(|| self.begin(now))
    }

    fn begin(&mut self, begin: Instant) -> Request {
        let (answer, answers) = bounded(WORKERS_MAX);
        self.look = Some(Look { begin, answers, sum: None, is_refused: false });
        let task = TableTask::Show(FlowOrder::Octets, HEAVIEST);
        let (meant, pieces, is_over) = (FlowMatch::default(), Arc::default(), Arc::default());
        Request::Flows(TableOrder { task, meant, pieces, is_over, answer })
    }
}

impl Look {
    /// Takes answers. Returns whether no more come.
    fn is_over(&mut self) -> bool {
        loop {
            match self.answers.try_recv() {
                Ok(None) => self.is_refused = true,
                Ok(Some(TableAnswer { flows, meant })) => {
                    let sum = self.sum.get_or_insert_default();
                    sum.flows.extend(flows);
                    sum.meant += meant;
                }
                Err(error) => return error == TryRecvError::Disconnected,
            }
        }
    }
}
