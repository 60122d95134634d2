//! The run of `flowprobe collect`: the flows of other exporters.

use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::Instant;

use log::error;

use crate::capture::file::{FileSource, Input};
use crate::pipeline::collect::{self, CollectEnd};
use crate::pipeline::kept;
use crate::pipeline::opened::{open_outputs, outputs};
use crate::pipeline::replay::Watch;
use crate::pipeline::stages;
use crate::report::logger::Progress;
use crate::report::top::TopFlows;
use crate::report::totals::Totals;
use crate::run::{Sides, show};
use crate::settings::config::Config;
use crate::status::status_of_files;

/// Collects from capture files. Output files are opened only after an input has turned out to be a
/// capture.
///
/// # Errors
///
/// A resource could not be opened; in one sentence.
pub(crate) fn collect(
    config: &Config,
    files: &[Input],
    Sides { start, places, stats, args, stop }: Sides<'_>,
) -> Result<ExitCode, String> {
    let (begin, quiet) = (Instant::now(), args.quiet);
    let opened = open_outputs(config)?;
    drop(start);
    let mut top = config.outputs.is_empty().then(|| TopFlows::new(config.top.clone()));
    let mut source = FileSource::open(files, &config.ifindex, stop);
    let mut progress = Progress::new(quiet);
    let mut no_page = None;
    let outputs = outputs(opened, &mut top, &mut no_page);
    let stages = stages::configured(config, places);
    let stage_counts = stages.counts.clone();
    let end = match kept::outputs(outputs, &source) {
        Err(outputs) => CollectEnd::of_nothing(outputs),
        Ok(outputs) => {
            let watch = Watch {
                progress: &mut |source| {
                    let (done, size) = source.progress();
                    progress.update(done, size);
                },
                wanted: &|totals| {
                    stats.print(false, totals);
                },
                second: None,
            };
            collect::collect(config, &mut source, stages, outputs, stop, watch)
        }
    };
    drop(progress);
    source.finish();
    if let Some(failure) = &end.failure {
        error!("{failure}");
    }
    let mut totals = Totals {
        input: source.report(),
        collected: Some(end.report),
        exporters: end.exporters,
        outputs: end.outputs,
        elapsed: begin.elapsed(),
        interrupted: stop.load(Ordering::Relaxed),
        ..Totals::default()
    };
    stage_counts.put(&mut totals);
    let shown = show(stats, quiet, top.as_ref(), &totals);
    Ok(status_of_files(config, &totals, end.failure.as_ref(), shown))
}
