//! The place from which traffic is sent: namespace, processor, interface.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use commands::debian::{self, Need};
use nix::sched::{CloneFlags, CpuSet, sched_setaffinity, setns};
use nix::unistd::Pid;
use serde_json::Value;

const NEEDS: [Need; 2] = [
    Need { package: "iproute2", check: &["ip", "-V"] },
    Need { package: "ethtool", check: &["ethtool", "--version"] },
];

/// An interface to which traffic may be sent, seen from the namespace of this thread.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) interface: String,
    pub(super) index: u32,
}

impl Place {
    /// Moves this thread, and all that it starts later, into the namespace and to the processor.
    pub(super) fn enter(interface: &str, netns: Option<&str>, cpu: Option<usize>) -> Result<Self> {
        debian::install(&NEEDS);
        if let Some(netns) = netns {
            enter_namespace(netns)?;
        }
        if let Some(cpu) = cpu {
            let mut set = CpuSet::new();
            set.set(cpu)
                .and_then(|()| sched_setaffinity(Pid::from_raw(0), &set))
                .with_context(|| format!("running on processor {cpu}"))?;
        }
        let link = ip(&["link", "show", "dev", interface])?;
        let index = link[0]["ifindex"].as_u64().and_then(|index| u32::try_from(index).ok());
        let index = index.with_context(|| format!("{interface} has no index"))?;
        for version in ["-4", "-6"] {
            let routes = ip(&[version, "route", "show", "default", "dev", interface])?;
            let is_none = routes.as_array().is_none_or(Vec::is_empty);
            ensure!(is_none, "{interface} has the default route: nothing is sent into it");
        }
        Ok(Self { interface: interface.to_owned(), index })
    }
}

fn enter_namespace(name: &str) -> Result<()> {
    ensure!(!name.contains('/'), "{name} is no name of a network namespace");
    let path = Path::new("/run/netns").join(name);
    let namespace = File::open(&path).with_context(|| path.display().to_string())?;
    setns(namespace, CloneFlags::CLONE_NEWNET)
        .with_context(|| format!("entering network namespace {name}; it takes CAP_SYS_ADMIN"))
}

/// The JSON output of `ip`.
fn ip(arguments: &[&str]) -> Result<Value> {
    let mut command = Command::new("ip");
    let output = command.arg("-json").args(arguments).env("PATH", debian::path()).output();
    let output = output.with_context(|| format!("starting {command:?}"))?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    if output.stdout.trim_ascii().is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&output.stdout).with_context(|| format!("reading {command:?}"))
}
