//! Debian packages that a task needs.

use std::env;
use std::ffi::OsString;
use std::process::{Command, Stdio};

use crate::execute;

/// A package, and a command that succeeds if it is installed.
#[derive(Clone, Copy, Debug)]
pub struct Need {
    /// Its name.
    pub package: &'static str,
    /// The command and its arguments.
    pub check: &'static [&'static str],
}

/// Installs what is missing, or says that it is: then parts are skipped.
pub fn install(needs: &[Need]) {
    let missing = needs.iter().filter(|need| !succeeds(need.check));
    let packages: Vec<_> = missing.map(|need| need.package).collect();
    if packages.is_empty() {
        return;
    }
    let names = packages.join(" ");
    if !succeeds(&["apt-get", "--version"]) {
        println!("not installed: {names}; what needs them is skipped");
        return;
    }
    if !is_root() {
        println!("not installed: {names}; what needs them is skipped");
        println!("to have them: sudo apt-get install {names}");
        return;
    }
    println!("installing {names}");
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        execute(command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    let install = ["install", "--yes", "--quiet", "--no-install-recommends"];
    let result =
        apt(&["update", "--quiet"]).and_then(|()| apt(&[&install, &packages[..]].concat()));
    if let Err(error) = result {
        println!("not installed: {names}; what needs them is skipped: {error:#}");
    }
}

/// Where commands are looked for: also where only root looks by itself.
pub fn path() -> OsString {
    let mut path = env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin:/sbin");
    path
}

fn succeeds(command: &[&str]) -> bool {
    let mut process = Command::new(command[0]);
    process.args(&command[1..]).env("PATH", path());
    process.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    process.status().is_ok_and(|status| status.success())
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
