//! The end of a run that read capture files.

use collect::ExporterReport;
use flow::MeterCounts;

use crate::capture::CaptureError;
use crate::pipeline::output::{Output, OutputEnd};
use crate::pipeline::worker::Ended;
use crate::report::collected::CollectReport;
use crate::report::workers::WorkerCounts;

/// Outcome of a run: of a replay, or of collecting datagrams.
#[derive(Debug, Default)]
pub(crate) struct FilesEnd {
    pub(crate) meter: MeterCounts,
    pub(crate) ended: Ended,
    /// What each worker did. Empty for collecting, which one thread does.
    pub(crate) workers: Vec<WorkerCounts>,
    /// Only of collecting.
    pub(crate) collected: Option<CollectReport>,
    pub(crate) exporters: Vec<ExporterReport>,
    pub(crate) outputs: Vec<OutputEnd>,
    pub(crate) failure: Option<CaptureError>,
}

impl FilesEnd {
    /// The end of a replay without input. Its outputs got no data.
    pub(crate) fn of_nothing(outputs: Vec<Output<'_>>) -> Self {
        let outputs = outputs.into_iter().map(OutputEnd::of_nothing).collect();
        Self { outputs, ..Self::default() }
    }
}
