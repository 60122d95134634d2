//! Files and standard output.

use std::sync::Arc;

use super::setting::Settings;
use super::{EVENTS, GEO, NAMES, ODID, OPTIONS, Output, Request, Setting, TargetForm};
use crate::error::ExportError;
use crate::json::DocumentExporter;
use crate::patience::Patience;
use crate::transport::{FileSettings, FileTransport, Form, Rotation, Start, Transport};

pub(super) const IPFIX_FILE: Output = Output {
    scheme: "ipfix-file",
    meaning: "IPFIX in a file (RFC 5655)",
    settings: &[&ODID, &NAMES, &ROTATE],
    writes_documents: false,
    target: TargetForm::Path(|request, path| {
        let file = open(request, path, Form::Messages)?;
        let encoder = request.ipfix(file.message_limit());
        Ok(request.messages(encoder, file, None))
    }),
    sampling_interval_max: u32::MAX,
};

pub(super) const JSON: Output = Output {
    scheme: "json",
    meaning: "a document for each flow, as Elastic's NetFlow integration writes it",
    settings: &[&ODID, &EVENTS, &OPTIONS, &GEO, &ROTATE],
    writes_documents: true,
    target: TargetForm::Path(|request, path| {
        let documents = request.documents("default".to_owned());
        Ok(Box::new(DocumentExporter::new(documents, open(request, path, Form::Documents)?)))
    }),
    sampling_interval_max: u32::MAX,
};

const ROTATE: Setting = Setting::rotation(
    "rotate",
    "begin a new file after 1h, or 100MB; PATH has its UTC time (strftime)",
);

/// Checks the path of a file against its settings.
pub(super) fn check(path: &str, settings: &Settings) -> Result<(), String> {
    FileSettings::check(path, rotation(settings))
}

pub(super) fn rotation(settings: &Settings) -> Option<Rotation> {
    settings.given::<String>(&ROTATE)?.parse().ok()
}

/// Opens the file. A replay begins a new file; a live run appends to it.
fn open(request: &Request<'_>, path: &str, form: Form) -> Result<FileTransport, ExportError> {
    let start = match request.context.patience {
        Patience::Wait => Start::Anew,
        Patience::GoOn => Start::Append,
    };
    let rotation = rotation(request.settings);
    let in_use = Arc::clone(&request.context.files);
    let settings = FileSettings { path: path.to_owned(), start, form, rotation, in_use };
    FileTransport::open(&settings, request.context.uptime_start)
}
