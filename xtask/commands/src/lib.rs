//! Commands that tasks of development run, and the Debian packages that bring them.

#![allow(clippy::print_stdout, reason = "tasks talk to who started them")]

pub mod debian;

use std::env;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The top of the workspace.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("this is xtask/commands")
}

/// A command at the top of the workspace, by cargo's own program.
pub fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    // What cargo tells this program of its package would make build scripts that look at it run
    // again.
    let told = ["CARGO_MANIFEST_", "CARGO_PKG_"];
    let names = env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    for name in names.filter(|name| told.iter().any(|prefix| name.starts_with(prefix))) {
        cargo.env_remove(name);
    }
    cargo
}

/// The same command, started with the default action of all signals. Behind nohup(1), or in the
/// background of a script, some are ignored.
pub fn with_default_signals(command: &Command) -> Command {
    let mut all = Command::new("env");
    all.arg("--default-signal").arg(command.get_program()).args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        all.current_dir(folder);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => all.env(name, value),
            None => all.env_remove(name),
        };
    }
    all
}

/// Runs a command to its end.
///
/// # Errors
///
/// When it cannot be started or does not succeed.
pub fn execute(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("starting {command:?}"))?;
    ensure!(status.success(), "{command:?}: {status}");
    Ok(())
}
