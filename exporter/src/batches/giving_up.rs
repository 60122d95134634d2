//! Reasons for which an output gives up while documents wait, and how long a replay waits.

use std::time::{Duration, Instant};

use log::warn;

use super::delivery::Delivery;
use super::state::{Phase, State};
use crate::content::Content;
use crate::ending;

impl Delivery {
    /// For senders: the service can accept nothing, for a reason that does not pass by itself.
    /// Before the first accepted document the output gives up. Later, documents wait.
    pub(super) fn refused_by_service(&self, reason: &str) {
        let mut state = self.state();
        if state.counts.sent() == Content::default() {
            state.stop_for(reason);
            self.changed.notify_all();
        } else {
            drop(state);
            self.complain(reason);
        }
    }

    /// For senders: the service denied a request that began then to the user. If that goes on, a
    /// replay gives up. A live run goes on, because somebody may give the right.
    pub(super) fn denied(&self, begin: Instant, reason: &str) {
        let mut state = self.state();
        if self.gives_up && state.denials.add(begin, Instant::now()) {
            state.stop_for(reason);
            self.changed.notify_all();
        }
    }

    /// Says in a replay that it waits for the service, which accepted nothing for `idle`, and how
    /// long it goes on: until nothing was accepted for `patience`.
    pub(super) fn say_wait(&self, idle: Duration, patience: Duration) {
        let may_say = self.gives_up && !ending::is_requested();
        if may_say && self.state().is_wait_news(idle) {
            let (Self { name, unit, .. }, left) = (self, patience.saturating_sub(idle));
            warn!(
                "{name}: the run waits for up to {} s more until {unit} are accepted; Ctrl-C ends \
                 the wait after 15 s, a second one at once",
                left.as_secs()
            );
        }
    }

    /// The reason why the output has to give up.
    pub(super) fn stop_reason(&self) -> Option<String> {
        self.state().stop_reason.clone()
    }
}

impl State {
    /// The output gives up for this reason, unless it has for another one.
    fn stop_for(&mut self, reason: &str) {
        self.stop_reason.get_or_insert_with(|| reason.to_owned());
        self.phase = Phase::Stopped;
    }
}
