//! Settings of names in payload.

use clap::Args;
use payload::reader::Kinds;

use super::values;
use crate::pipeline::payload::PayloadSettings;

/// Names to look for in payload.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Payload")]
pub(crate) struct PayloadArguments {
    /// Names in payload: some of dns (questions), tls (server names, JA3, JA4), quic (the same),
    /// http (hosts). Names are personal data
    #[arg(long, value_name = "PROTOCOLS", value_parser = kinds)]
    payload: Option<Kinds>,

    /// Memory for names and unfinished openings of all workers
    #[arg(long, value_name = "SIZE", default_value = "64M", value_parser = values::size)]
    payload_memory: u64,
}

impl PayloadArguments {
    /// `None` if payload is not read.
    pub(super) fn settings(&self) -> Option<PayloadSettings> {
        self.payload.map(|kinds| PayloadSettings { kinds, memory: self.payload_memory })
    }
}

fn kinds(text: &str) -> Result<Kinds, String> {
    let mut kinds = Kinds::default();
    for word in text.split(',') {
        *match word {
            "dns" => &mut kinds.dns,
            "tls" => &mut kinds.tls,
            "quic" => &mut kinds.quic,
            "http" => &mut kinds.http,
            _ => return Err(format!("{word:?} is none of dns, tls, quic, http")),
        } = true;
    }
    Ok(kinds)
}
