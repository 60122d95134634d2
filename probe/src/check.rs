//! `--check-config`: says whether settings are right, and opens nothing but files that are read.

use std::fs::File;

use exporter::sentence;

use crate::host::rights;
use crate::places::Places;
use crate::settings::config::{Config, Source};

/// What would hinder a run with these settings, each in one sentence: files that cannot be read,
/// a user that is not there. No file is made, no packet is sent, and no interface is looked for.
pub(crate) fn mistakes(config: &Config) -> Vec<String> {
    let mut mistakes = Vec::new();
    for output in &config.outputs {
        for path in output.files_read() {
            if let Err(problem) = File::open(path) {
                let name = output.as_str().split('?').next().unwrap_or_default();
                let path = path.display();
                mistakes.push(format!("output {name}: {path}: {}", sentence(&problem)));
            }
        }
    }
    mistakes.extend(Places::open(&config.places).err().into_iter().flatten());
    let live = match &config.source {
        Source::Live(live) => Some(live),
        Source::Listen(listen) => Some(&listen.live),
        Source::Files(_) | Source::Datagrams(_) => None,
    };
    if let Some(live) = live {
        mistakes.extend(live.user.as_deref().and_then(|name| rights::user(name).err()));
    }
    mistakes
}
