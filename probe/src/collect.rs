//! The run of `flowprobe collect`: the flows of other exporters.

use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::Instant;

use log::error;

use crate::capture::file::{FileSource, Input};
use crate::pipeline::collect::{self, CollectEnd};
use crate::pipeline::opened::{open_outputs, outputs};
use crate::pipeline::replay::Watch;
use crate::pipeline::stages;
use crate::report::logger::Progress;
use crate::report::top::TopFlows;
use crate::report::totals::Totals;
use crate::run::{FAILED, LOST, Sides, no_output_failed, show};
use crate::settings::config::Config;

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
    let end = if source.has_capture() {
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
    } else {
        CollectEnd::of_nothing(outputs)
    };
    drop(progress);
    source.finish();
    if let Some(failure) = &end.failure {
        error!("{failure}");
    }
    let mut totals = Totals {
        input: source.report(),
        collected: Some(end.report),
        outputs: end.outputs,
        elapsed: begin.elapsed(),
        interrupted: stop.load(Ordering::Relaxed),
        ..Totals::default()
    };
    stage_counts.put(&mut totals);
    let shown = show(stats, quiet, top.as_ref(), &totals);
    let input_is_sound = end.failure.is_none()
        && totals.input.files_damaged == 0
        && totals.input.blocks_damaged == 0;
    let all_went_well = input_is_sound && shown && !totals.interrupted && no_output_failed(&totals);
    if !all_went_well || totals.has_loss() && !config.fail_on_loss {
        return Ok(FAILED.into());
    }
    // What was lost before the capture is no failure of this run.
    let has_loss = totals.has_loss() || end.report.has_loss();
    Ok(if config.fail_on_loss && has_loss { LOST.into() } else { ExitCode::SUCCESS })
}
