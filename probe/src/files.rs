//! The run with capture files as input: a replay of packets, or the datagrams of other exporters.

use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::Instant;

use log::error;

use crate::capture::file::{FileSource, Input};
use crate::pipeline::files_end::FilesEnd;
use crate::pipeline::files_run::Watch;
use crate::pipeline::kept;
use crate::pipeline::opened::{open_outputs, outputs};
use crate::pipeline::worker::new_tables;
use crate::pipeline::{collect, replay, stages};
use crate::report::collected::CollectReport;
use crate::report::logger::Progress;
use crate::report::page::ShownPage;
use crate::report::top::TopFlows;
use crate::report::totals::Totals;
use crate::run::{Sides, open_page, show};
use crate::settings::config::{Config, Source};
use crate::status::status_of_files;

/// Output files are opened only after an input has turned out to be a capture.
///
/// # Errors
///
/// A resource could not be opened; in one sentence.
pub(crate) fn read_files(
    config: &Config,
    files: &[Input],
    Sides { start, places, stats, args, stop }: Sides<'_>,
) -> Result<ExitCode, String> {
    let (begin, quiet) = (Instant::now(), args.quiet);
    let collects = matches!(config.source, Source::Datagrams(_));
    let tables = match collects {
        true => Vec::new(),
        false => new_tables(config, replay::workers(config))?,
    };
    let opened = open_outputs(config)?;
    drop(start);
    let page = open_page(config)?.map(|page| page.show(false)).transpose()?;
    let mut recorder = page.as_ref().map(ShownPage::recorder);
    let mut top = config.outputs.is_empty().then(|| TopFlows::new(config.top.clone()));
    let mut source = FileSource::open(files, &config.ifindex, stop);
    let mut progress = Progress::new(quiet);
    let outputs = outputs(opened, &mut top, &mut recorder);
    let publish = |totals: &Totals| page.iter().for_each(|page| page.publish(totals));
    let stages = stages::of_replay(config, places);
    let stage_counts = stages.counts.clone();
    // Files of an earlier run are kept if there is no data to replace them.
    let end = match kept::outputs(outputs, &source) {
        Err(outputs) => FilesEnd {
            collected: collects.then(CollectReport::default),
            ..FilesEnd::of_nothing(outputs)
        },
        Ok(outputs) => {
            let watch = Watch {
                progress: &mut |source| {
                    let (done, size) = source.progress();
                    progress.update(done, size);
                },
                wanted: &|totals| {
                    stats.print(false, totals);
                },
                second: page.is_some().then_some(&publish),
            };
            if collects {
                collect::collect(config, &mut source, stages, outputs, stop, watch)
            } else {
                replay::replay(config, &mut source, stages, outputs, tables, stop, watch)
            }
        }
    };
    drop(progress);
    source.finish();
    if let Some(failure) = &end.failure {
        error!("{failure}");
    }
    let mut totals = Totals {
        meter: end.meter,
        input: source.report(),
        ended: end.ended,
        workers: end.workers,
        collected: end.collected,
        exporters: end.exporters,
        outputs: end.outputs,
        elapsed: begin.elapsed(),
        interrupted: stop.load(Ordering::Relaxed),
        ..Totals::default()
    };
    stage_counts.put(&mut totals);
    // Why no file could be read has been said. Text about nothing would hide it.
    let is_said = !source.has_capture() && totals.input.files_damaged > 0 && !totals.interrupted;
    let shown = is_said && stats.is_text() || show(stats, quiet, top.as_ref(), &totals);
    if let Some(page) = &page {
        page.publish(&totals);
        page.stay(stop);
    }
    Ok(status_of_files(config, &totals, end.failure.as_ref(), shown))
}
