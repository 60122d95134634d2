//! The end of a replay.

use flow::MeterCounts;

use crate::capture::CaptureError;
use crate::pipeline::output::{Output, OutputEnd};
use crate::pipeline::worker::Ended;

/// Outcome of a replay.
#[derive(Debug, Default)]
pub(crate) struct ReplayEnd {
    pub(crate) meter: MeterCounts,
    pub(crate) ended: Ended,
    pub(crate) outputs: Vec<OutputEnd>,
    pub(crate) failure: Option<CaptureError>,
}

impl ReplayEnd {
    /// The end of a replay without input. Its outputs got no data.
    pub(crate) fn of_nothing(outputs: Vec<Output<'_>>) -> Self {
        let outputs = outputs.into_iter().map(OutputEnd::of_nothing).collect();
        Self { outputs, ..Self::default() }
    }
}
