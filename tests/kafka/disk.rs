//! A small disk in memory, for programs that are started with it.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::support::{self, Killed};

/// A file system in memory. Only programs that its [`Disk::command`] starts see it; it is gone when
/// it is dropped and these have ended.
#[derive(Debug)]
pub struct Disk {
    /// Has the mount namespace with the file system.
    holder: Killed,
    folder: TempDir,
}

impl Disk {
    /// Makes one of so many megabytes, or says why not.
    pub fn new(megabytes: u32) -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            support::skip_without("root, who can mount a small disk");
            return None;
        }
        let folder = support::scratch();
        let script =
            format!("mount -t tmpfs -o size={megabytes}m tmpfs \"$0\" && echo && exec cat");
        // It ends when the other end of its input is closed.
        let holder = Command::new("unshare")
            .args(["--mount", "sh", "-c", &script])
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare can be started");
        let mut holder = Killed(holder);
        let mut said = [0];
        let output = holder.0.stdout.as_mut().expect("it is a pipe");
        output.read_exact(&mut said).expect("the disk is mounted");
        Some(Self { holder, folder })
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The same command, for a program that sees it.
    pub fn command(&self, inner: &Command) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--mount", "--target", &self.holder.0.id().to_string(), "--"]);
        command.arg(inner.get_program()).args(inner.get_args());
        command
    }

    /// Gives it this size.
    pub fn resize(&self, megabytes: u32) {
        let mut mount = self.command(&Command::new("mount"));
        mount.args(["-o", &format!("remount,size={megabytes}m")]).arg(self.folder());
        assert!(mount.status().expect("mount runs").success());
    }
}
