//! Facts about this system and this process that do not depend on the interface.

use std::io;

use caps::{CapSet, Capability, CapsHashSet};
use exporter::sentence;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};

use crate::capture::kernel::KernelVersion;
use crate::sys::support::{try_bpf_map, try_packet_socket, try_xdp_socket};

/// The kernel, and the features that this process may use.
#[derive(Clone, Debug)]
pub(crate) struct System {
    pub(crate) kernel: KernelVersion,
    /// Effective capabilities of this thread.
    pub(crate) capabilities: CapsHashSet,
    /// `RLIMIT_MEMLOCK` in octets; `None` if there is no limit.
    pub(crate) lock_limit: Option<u64>,
    pub(crate) packet_sockets: Support,
    pub(crate) xdp_sockets: Support,
    pub(crate) bpf: Support,
}

/// Availability of a feature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Support {
    Yes,
    /// A capability is missing. Nothing else is known.
    Forbidden,
    /// With the error of the system.
    No(String),
}

impl System {
    /// Gathers all facts. Sockets and maps are opened as a test and closed at once. None is bound.
    pub(crate) fn gather() -> Self {
        let limit = getrlimit(Resource::RLIMIT_MEMLOCK).ok();
        Self {
            kernel: KernelVersion::running(),
            capabilities: caps::read(None, CapSet::Effective).unwrap_or_default(),
            lock_limit: limit.and_then(|(soft, _)| (soft != RLIM_INFINITY).then_some(soft)),
            packet_sockets: Support::new(try_packet_socket()),
            xdp_sockets: Support::new(try_xdp_socket()),
            bpf: Support::new(try_bpf_map()),
        }
    }

    /// Octets that this process may lock; `None` if there is no limit.
    pub(crate) fn lockable(&self) -> Option<u64> {
        self.lock_limit.filter(|_| !self.capabilities.contains(&Capability::CAP_IPC_LOCK))
    }

    /// The missing ones of these capabilities, as text; `None` if there is none.
    pub(crate) fn lacks(&self, needed: &[Capability]) -> Option<String> {
        let lacks = |capability: &&Capability| !self.capabilities.contains(*capability);
        let names: Vec<String> = needed.iter().filter(lacks).map(ToString::to_string).collect();
        (!names.is_empty()).then(|| names.join(", "))
    }
}

impl Support {
    fn new(tried: io::Result<()>) -> Self {
        match tried {
            Ok(()) => Self::Yes,
            Err(problem) if problem.kind() == io::ErrorKind::PermissionDenied => Self::Forbidden,
            Err(problem) => Self::No(sentence(&problem)),
        }
    }
}

#[cfg(test)]
impl System {
    /// A kernel with all that capture needs, and a process with the capabilities for AF_XDP.
    pub(crate) fn made_up() -> Self {
        Self {
            kernel: KernelVersion { major: 6, minor: 6 },
            capabilities: CapsHashSet::from(crate::host::rights::XDP),
            lock_limit: None,
            packet_sockets: Support::Yes,
            xdp_sockets: Support::Yes,
            bpf: Support::Yes,
        }
    }
}
