//! `--check-config`: says whether settings are right, and opens nothing but files that are read.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::Path;

use exporter::sentence;
use log::warn;

use crate::host::rights;
use crate::places::Places;
use crate::settings::args::Arguments;
use crate::settings::config::{Config, Source};

/// What would hinder a run with these settings, each in one sentence: files that cannot be read, a
/// user or the folder of the control socket that is not there. No file is made, no packet is sent,
/// and no interface is looked for.
pub(crate) fn mistakes(config: &Config, args: &Arguments) -> Vec<String> {
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
        mistakes.extend(args.service.control.as_deref().and_then(missing_folder));
    }
    mistakes
}

/// Says that the folder of the control socket is missing. A folder of `/run` is made with its
/// service, so that only a run by hand needs it before: that is a warning.
fn missing_folder(socket: &Path) -> Option<String> {
    let folder = socket.parent().filter(|folder| !folder.as_os_str().is_empty())?;
    let problem = match folder.metadata() {
        Ok(found) if found.is_dir() => return None,
        Ok(_) => io::Error::from(ErrorKind::NotADirectory),
        Err(problem) => problem,
    };
    let (socket, name) = (socket.display(), folder.display());
    let words = format!("--control {socket}: the folder {name}: {}", sentence(&problem));
    if folder.parent() == Some(Path::new("/run")) {
        warn!("{words}; a service with this RuntimeDirectory makes it, a run by hand does not");
        return None;
    }
    Some(words)
}
