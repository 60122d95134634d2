//! IPFIX messages that each have their templates: a consumer needs no earlier message.

use element::{ExporterState, Flow};
use flow::Timestamp;

use super::builder::{Full, Message};
use super::encoder::{MessageEncoder, NotAdded};
use super::ipfix::Encoder;

/// An encoder that begins each message with all templates.
#[derive(Debug)]
pub(crate) struct SelfContained(pub(crate) Encoder);

impl SelfContained {
    fn begin(&mut self, clock: Timestamp) {
        if self.0.is_empty() {
            self.0.add_templates(clock);
            self.0.add_interface_template();
        }
    }
}

impl MessageEncoder for SelfContained {
    const HAS_ABSOLUTE_TIMES: bool = Encoder::HAS_ABSOLUTE_TIMES;

    #[inline]
    fn add(&mut self, flow: &Flow<'_>, clock: Timestamp) -> Result<(), NotAdded> {
        self.begin(clock);
        self.0.add(flow, clock)
    }

    fn add_templates(&mut self, clock: Timestamp) {
        self.begin(clock);
    }

    fn add_options(&mut self, state: &ExporterState<'_>) {
        self.begin(Timestamp::default());
        self.0.add_options(state);
    }

    fn add_interface_template(&mut self) -> bool {
        self.begin(Timestamp::default());
        true
    }

    fn add_interface(&mut self, state: &ExporterState<'_>) -> Result<(), Full> {
        self.begin(Timestamp::default());
        self.0.add_interface(state)
    }

    fn finish(&mut self, clock: Timestamp) -> Option<Message<'_>> {
        self.0.finish(clock)
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn clear(&mut self) {
        self.0.clear();
    }

    fn set_limit(&mut self, limit: usize) {
        self.0.set_limit(limit);
    }

    fn begin_session(&mut self) {
        self.0.begin_session();
    }
}
