//! Writes the dashboards in deploy/.

use std::fs;

use anyhow::{Context, Result};
use commands::root;

/// It has no options.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {}

pub(crate) fn run(_options: &Options) -> Result<()> {
    for (path, content) in ::dashboards::files() {
        let path = root().join(path);
        fs::write(&path, content).with_context(|| format!("writing {}", path.display()))?;
        println!("{}", path.display());
    }
    Ok(())
}
