//! Files of an earlier run, which are kept if this run has nothing to replace them.

use std::path::Path;

use exporter::{Destination, ExportCounts, ExportError, Exporter, MeterReport};
use flow::{Batch, Conversation, Timestamp};
use log::error;

use crate::capture::file::FileSource;
use crate::pipeline::opened::Target;
use crate::pipeline::output::Output;

/// The outputs for these files. Without a packet of a supported link type no file is replaced.
/// `Err`: an input is missing, and an output would replace a file. All outputs get no data then:
/// half of the flows are no replacement for all.
pub(crate) fn outputs<'a>(
    outputs: Vec<Output<'a>>,
    source: &FileSource,
) -> Result<Vec<Output<'a>>, Vec<Output<'a>>> {
    if !source.has_capture() {
        return Err(outputs);
    }
    if !outputs.iter().any(replaces) {
        return Ok(outputs);
    }
    if source.lacks_files() {
        for output in outputs.iter().filter(|output| replaces(output)) {
            error!("output {}: the file is not replaced, because an input is missing", output.name);
        }
        return Err(outputs);
    }
    if !source.has_only_unsupported() {
        return Ok(outputs);
    }
    let keep = |output: Output<'a>| {
        if !replaces(&output) {
            return output;
        }
        Output { exporter: Box::new(Kept(output.exporter)), ..output }
    };
    Ok(outputs.into_iter().map(keep).collect())
}

/// Whether an output replaces a file with content.
fn replaces(output: &Output<'_>) -> bool {
    let is_old = |path: &Path| {
        // What others have opened is not emptied.
        let is_descriptor = path.starts_with("/dev") || path.starts_with("/proc");
        !is_descriptor && path.metadata().is_ok_and(|it| it.is_file() && it.len() > 0)
    };
    let is_file = |destination: &Destination| {
        destination.host().is_none() && destination.files_written().any(is_old)
    };
    output.target.as_ref().and_then(Target::destination).is_some_and(is_file)
}

/// An exporter that writes nothing unless a batch comes.
struct Kept<'a>(Box<dyn Exporter + 'a>);

impl Exporter for Kept<'_> {
    fn export(&mut self, batch: &Batch) -> Result<(), ExportError> {
        self.0.export(batch)
    }

    fn observe(&mut self, _meter: &MeterReport) {}

    fn tick(&mut self, _now: Timestamp) -> Result<(), ExportError> {
        Ok(())
    }

    fn finish(&mut self) -> Result<(), ExportError> {
        Ok(())
    }

    fn counts(&self) -> ExportCounts {
        self.0.counts()
    }

    fn conversations(&self) -> Vec<Conversation> {
        self.0.conversations()
    }
}
