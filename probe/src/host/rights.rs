//! Capabilities: those that capture needs, and dropping them once everything is open. Also the
//! limit of open files.

use caps::{CapSet, Capability, CapsHashSet};
use log::debug;
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{Gid, Uid, User, setgroups, setresgid, setresuid};

/// Capabilities for an AF_PACKET socket.
pub(crate) const PACKET: [Capability; 1] = [Capability::CAP_NET_RAW];

/// Capabilities for AF_XDP. Its memory also needs `CAP_IPC_LOCK` or a high enough limit.
pub(crate) const XDP: [Capability; 3] =
    [Capability::CAP_NET_RAW, Capability::CAP_NET_ADMIN, Capability::CAP_BPF];

/// Capabilities that `--keep-capabilities` keeps, if the process has them.
const KEPT: [Capability; 4] = [
    Capability::CAP_NET_RAW,
    Capability::CAP_NET_ADMIN,
    Capability::CAP_BPF,
    Capability::CAP_IPC_LOCK,
];

/// How to give this program its capabilities, in words that follow a sentence on a missing one.
pub(crate) fn remedy() -> String {
    let file = std::env::current_exe();
    let file = file.map_or_else(|_unknown| "FILE".to_owned(), |path| path.display().to_string());
    let capabilities = KEPT.map(|one| one.to_string().to_lowercase()).join(",");
    format!(
        "; run it with sudo, or give it the capabilities once: sudo setcap {capabilities}+ep {file}"
    )
}

/// The user to become. Looked up before any capability is dropped.
///
/// # Errors
///
/// There is no such user.
pub(crate) fn user(name: &str) -> Result<User, String> {
    match User::from_name(name) {
        Ok(Some(user)) => Ok(user),
        Ok(None) => Err(format!("--user {name}: there is no such user")),
        Err(error) => Err(format!("--user {name}: cannot look it up: {}", error.desc())),
    }
}

/// Becomes the user, if one is given, and drops all capabilities, or all except those to open an
/// interface again. Must be called before threads start: each thread has its own capabilities.
///
/// # Errors
///
/// The error of the system.
pub(crate) fn give_up(user: Option<&User>, keep: bool) -> Result<(), String> {
    let has = |capability: &Capability| {
        caps::has_cap(None, CapSet::Permitted, *capability).unwrap_or(false)
    };
    let kept: CapsHashSet = KEPT.into_iter().filter(|one| keep && has(one)).collect();
    if let Some(user) = user {
        become_user(user, keep)
            .map_err(|error| format!("cannot become user {}: {}", user.name, error.desc()))?;
    }
    set_capabilities(&kept).map_err(|error| format!("cannot give up capabilities: {error}"))?;
    prctl::set_no_new_privs()
        .map_err(|error| format!("cannot rule out new privileges: {}", error.desc()))
}

/// Drops the remaining capabilities of this thread. Only the main thread opens interfaces again.
///
/// # Errors
///
/// The error of the system.
pub(crate) fn give_up_in_thread() -> Result<(), String> {
    set_capabilities(&CapsHashSet::new())
        .map_err(|error| format!("cannot give up capabilities: {error}"))
}

/// A change of the user clears the effective capabilities, and without keepcaps also the permitted
/// ones.
fn become_user(user: &User, keep: bool) -> nix::Result<()> {
    let (uid, gid): (Uid, Gid) = (user.uid, user.gid);
    prctl::set_keepcaps(keep)?;
    setgroups(&[gid])?;
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)?;
    prctl::set_keepcaps(false)
}

fn set_capabilities(kept: &CapsHashSet) -> Result<(), caps::errors::CapsError> {
    caps::clear(None, CapSet::Ambient)?;
    caps::set(None, CapSet::Effective, kept)?;
    caps::set(None, CapSet::Permitted, kept)?;
    caps::clear(None, CapSet::Inheritable)
}

/// Raises the soft limit of open files to the hard limit: live capture has a socket for each queue
/// of each interface.
pub(crate) fn raise_file_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(problem) = raised {
        debug!("the limit of open files stays: {}", problem.desc());
    }
}
