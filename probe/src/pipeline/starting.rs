//! Outputs before they start, and those that run as other threads know them.

use std::convert::Infallible;

use crossbeam_channel::Receiver;
use exporter::Exporter;
use flow::Conversation;

use crate::host::signals;
use crate::pipeline::opened::Target;
use crate::pipeline::output::{Label, Output};

/// An output that is to start.
pub(crate) struct Starting<'a> {
    pub(super) label: Label,
    pub(super) target: Option<Target>,
    pub(super) opening: Opening<'a>,
    pub(super) conversations: Vec<Conversation>,
}

/// The exporter of an output that is to start, and the requests to reopen files that came before
/// it was opened.
pub(super) enum Opening<'a> {
    Open(Box<dyn Exporter + 'a>, usize),
    /// It is opened when others have ended that write to the same place.
    Later(Box<dyn FnOnce() -> (Box<dyn Exporter>, usize) + Send>),
}

/// An output of settings that runs, for a thread that prepares other settings.
#[derive(Clone)]
pub(crate) struct Known {
    pub(crate) target: Target,
    pub(crate) conversations: Vec<Conversation>,
    /// Disconnected when it has ended.
    pub(crate) ended: Receiver<Infallible>,
    /// It was removed before.
    pub(crate) is_leaving: bool,
}

impl<'a> Starting<'a> {
    /// An output that is open.
    pub(crate) fn of(output: Output<'a>) -> Self {
        let (label, conversations) = (output.label(), output.exporter.conversations());
        let Output { exporter, target, reopenings, .. } = output;
        Self { label, target, opening: Opening::Open(exporter, reopenings), conversations }
    }

    /// An output that is opened when these have ended.
    pub(crate) fn after(
        target: Target,
        others: Vec<Known>,
        open: impl FnOnce() -> Box<dyn Exporter> + Send + 'static,
    ) -> Self {
        let label = (target.name(), matches!(target, Target::Records(_)));
        let conversations = others.iter().flat_map(|it| it.conversations.clone()).collect();
        let open = move || {
            // Nothing is ever sent: the end is an error.
            others.iter().for_each(|other| _ = other.ended.recv());
            let reopenings = signals::reopenings();
            (open(), reopenings)
        };
        Self { label, target: Some(target), opening: Opening::Later(Box::new(open)), conversations }
    }
}
