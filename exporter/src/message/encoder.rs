//! The interface of an encoder for the exporter of messages.

use std::fmt::Debug;

use element::{ExporterState, Flow};
use flow::Timestamp;

use super::builder::Full;
use crate::content::Message;

/// Turns flow records into messages of one protocol. One message is under construction.
pub(crate) trait MessageEncoder: Debug + Send {
    /// True if the protocol has templates and options.
    const HAS_TEMPLATES: bool = true;

    /// Whether the times of flows are absolute. The time in a header then says when the message
    /// left and nothing about the flows.
    const HAS_ABSOLUTE_TIMES: bool = false;

    /// Adds a flow's Data Record. The encoder knows the base of sysUpTime itself.
    fn add(&mut self, flow: &Flow<'_>, clock: Timestamp) -> Result<(), NotAdded>;

    /// True if the message can have this export time.
    #[inline]
    fn can_reach(&self, _clock: Timestamp) -> bool {
        true
    }

    /// Adds the templates to an empty message. Each options template has its own set.
    fn add_templates(&mut self, _clock: Timestamp) {}

    /// Adds the options records to a message that has no flow records.
    fn add_options(&mut self, _state: &ExporterState<'_>) {}

    /// Adds the template of interface names to an empty message; `false` without such a template.
    fn add_interface_template(&mut self) -> bool {
        false
    }

    /// Adds the name of the interface in `state`.
    fn add_interface(&mut self, _state: &ExporterState<'_>) -> Result<(), Full> {
        Ok(())
    }

    /// Finishes the message; `None` if it is empty. `clock` is its export time.
    fn finish(&mut self, clock: Timestamp) -> Option<Message<'_>>;

    /// True if the message is empty.
    fn is_empty(&self) -> bool;

    /// Begins the next message.
    fn clear(&mut self);

    /// Sets the limit of octets of a message.
    fn set_limit(&mut self, limit: usize);

    /// A new transport session begins.
    fn begin_session(&mut self) {}

    /// Counts of records that were changed to fit the protocol.
    fn inexact(&self) -> Inexact {
        Inexact::default()
    }
}

/// Records with values that the protocol cannot express.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Inexact {
    /// Records with a time that was replaced by the nearest possible one.
    pub(crate) times: u64,
    /// Records with an interface number that was replaced by 0.
    pub(crate) interfaces: u64,
}

/// Reason why a record was not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotAdded {
    /// It has to be in the next message.
    Full,
    /// It can be in no message, for this reason.
    NotExportable(&'static str),
}

impl From<Full> for NotAdded {
    fn from(Full: Full) -> Self {
        Self::Full
    }
}
