//! The exit status of a run.

use std::process::ExitCode;

use exporter::ExportError;

use crate::capture::CaptureError;
use crate::report::collected::CollectReport;
use crate::report::totals::Totals;
use crate::settings::config::Config;

/// Something failed or was interrupted.
pub(crate) const FAILED: u8 = 1;

/// Wrong usage.
pub(crate) const USAGE: u8 = 2;

/// Packets or records were lost, or documents are dead letters. There was no other failure.
pub(crate) const LOST: u8 = 3;

/// The exit status of a run that read capture files. `shown` tells that the totals were written.
pub(crate) fn status_of_files(
    config: &Config,
    totals: &Totals,
    failure: Option<&CaptureError>,
    shown: bool,
) -> ExitCode {
    let input_is_sound =
        failure.is_none() && totals.input.files_damaged == 0 && totals.input.blocks_damaged == 0;
    let all_went_well = input_is_sound && shown && !totals.interrupted && no_output_failed(totals);
    if !all_went_well || totals.has_loss() && !config.fail_on_loss {
        return FAILED.into();
    }
    status_of(config, totals)
}

/// The exit status of a run without failures. What other exporters lost, or what is not in their
/// captures, is a loss too if the user asks for it.
pub(crate) fn status_of(config: &Config, totals: &Totals) -> ExitCode {
    let lost = totals.has_loss() || totals.collected.as_ref().is_some_and(CollectReport::has_loss);
    if config.fail_on_loss && lost { LOST.into() } else { ExitCode::SUCCESS }
}

/// Whether no output has failed, except those whose reader has closed its end.
pub(crate) fn no_output_failed(totals: &Totals) -> bool {
    let outputs = totals.outputs.iter().filter(|output| !output.is_removed);
    let mut errors = outputs.filter_map(|output| output.error.as_ref());
    errors.all(ExportError::is_reader_left)
}
