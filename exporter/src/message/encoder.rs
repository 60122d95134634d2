//! What the exporter of messages needs of an encoder.

use std::fmt::Debug;

use element::ExporterState;
use flow::{Details, FlowRecord, Timestamp};

use super::builder::{Full, Message};

/// Turns flow records into messages of one protocol: one message at a time is under construction.
pub(crate) trait MessageEncoder: Debug + Send {
    /// Whether the protocol has templates and options.
    const HAS_TEMPLATES: bool = true;

    /// Whether the times of flows are absolute. The time in a header then says when the message
    /// left and nothing about the flows.
    const HAS_ABSOLUTE_TIMES: bool = false;

    /// Adds a flow's Data Record.
    fn add(
        &mut self,
        record: &FlowRecord,
        details: Option<&Details>,
        clock: Timestamp,
    ) -> Result<(), NotAdded>;

    /// Whether what was gathered can still leave at that time.
    #[inline]
    fn can_reach(&self, _clock: Timestamp) -> bool {
        true
    }

    /// Adds the templates, each options template in a set of its own, to an empty message.
    fn add_templates(&mut self, _clock: Timestamp) {}

    /// Adds the options records, to a message with nothing but templates in it.
    fn add_options(&mut self, _state: &ExporterState<'_>) {}

    /// Adds the template of interface names to an empty message; `false` without such a template.
    fn add_interface_template(&mut self) -> bool {
        false
    }

    /// Adds the name of the interface that `state` has.
    fn add_interface(&mut self, _state: &ExporterState<'_>) -> Result<(), Full> {
        Ok(())
    }

    /// Finishes the message, if there is anything in it. `clock` is its export time.
    fn finish(&mut self, clock: Timestamp) -> Option<Message<'_>>;

    /// Whether nothing is in the message yet.
    fn is_empty(&self) -> bool;

    /// Begins the next message.
    fn clear(&mut self);

    /// Sets the most octets of later messages.
    fn set_limit(&mut self, limit: usize);

    /// A new transport session begins.
    fn begin_session(&mut self) {}

    /// Records that were added without all that they say.
    fn inexact(&self) -> Inexact {
        Inexact::default()
    }
}

/// Records in messages, by what of them the protocol could not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Inexact {
    /// A time, instead of which the nearest one is there that can be said.
    pub(crate) times: u64,
    /// The number of the interface, instead of which 0 is there.
    pub(crate) interfaces: u64,
}

/// Why a record is not in the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotAdded {
    /// It belongs in the next message.
    Full,
    /// The protocol cannot say it.
    NotExportable,
}

impl From<Full> for NotAdded {
    fn from(Full: Full) -> Self {
        Self::Full
    }
}
