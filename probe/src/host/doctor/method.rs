//! How an interface would be captured.

use super::facts::{Facts, Support};
use crate::capture::kernel::KernelVersion;
use crate::capture::offloads::Place;
use crate::capture::packet;
use crate::host::port::{frames, ring_that_fits};

/// How `--capture auto` would capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Method {
    /// Past the host's stack, in the driver where it can.
    Xdp {
        /// `None` where the driver does not say.
        in_driver: Option<bool>,
    },
    /// Copies of what the host gets, and why not the other way.
    Packet { because: String },
    /// Not at all, and why.
    None { because: String },
}

impl Method {
    /// What would be chosen.
    pub(super) fn choose(facts: &Facts) -> Self {
        let hardware = facts.interface.hardware;
        let obstacle = if !facts.rights.net_raw {
            Some("the capability CAP_NET_RAW is missing".to_owned())
        } else if facts.packet_sockets != Support::Yes {
            Some("there are no packet sockets".to_owned())
        } else if !packet::is_known(hardware) {
            Some(format!("its link layer, ARPHRD {hardware}, is not known"))
        } else {
            None
        };
        if let Some(because) = obstacle {
            return Self::None { because };
        }
        if facts.interface.consumable(&[]).is_err() {
            return Self::Packet { because: "the host needs the interface".to_owned() };
        }
        if facts.interface.xdp.is_some() {
            return Self::None { because: "another XDP program is there".to_owned() };
        }
        match xdp_obstacle(facts) {
            Some(because) => Self::Packet { because },
            None => Self::Xdp { in_driver: facts.xdp.map(|features| features.redirects) },
        }
    }

    /// Where frames would be taken.
    pub(super) fn place(&self) -> Place {
        match self {
            Self::Xdp { in_driver: None | Some(true) } => Place::Driver,
            Self::Xdp { in_driver: Some(false) } => Place::Generic,
            Self::Packet { .. } | Self::None { .. } => Place::Stack,
        }
    }
}

/// What is in the way of AF_XDP, on an interface that the host does not need.
fn xdp_obstacle(facts: &Facts) -> Option<String> {
    let rights = facts.rights;
    if facts.kernel < KERNEL_MIN {
        Some(format!("AF_XDP needs Linux {KERNEL_MIN}"))
    } else if !rights.net_admin || !rights.bpf {
        Some(format!("AF_XDP needs {}", missing(facts).join(" and ")))
    } else if facts.xdp_sockets != Support::Yes || facts.bpf != Support::Yes {
        Some("the kernel offers no AF_XDP".to_owned())
    } else if facts.interface.hardware != libc::ARPHRD_ETHER {
        Some("AF_XDP is for Ethernet".to_owned())
    } else if facts.interface.mtu > ONE_CHUNK_MTU_MAX && facts.kernel < KERNEL_MIN_SEGMENTS {
        Some(format!("AF_XDP needs Linux {KERNEL_MIN_SEGMENTS} for this MTU"))
    } else if !facts.interface.is_up() {
        Some("it is down".to_owned())
    } else if needed_octets(facts) > facts.memory_max {
        Some("AF_XDP needs more memory than --umem-max".to_owned())
    } else if lockable_octets(facts).is_some_and(|lockable| lockable < needed_octets(facts)) {
        Some("AF_XDP needs more locked memory".to_owned())
    } else {
        None
    }
}

/// Capabilities that AF_XDP needs and this process has not.
pub(super) fn missing(facts: &Facts) -> Vec<&'static str> {
    let rights = facts.rights;
    [("CAP_NET_RAW", rights.net_raw), ("CAP_NET_ADMIN", rights.net_admin), ("CAP_BPF", rights.bpf)]
        .into_iter()
        .filter_map(|(name, is_there)| (!is_there).then_some(name))
        .collect()
}

/// `None` without a limit.
pub(super) fn lockable_octets(facts: &Facts) -> Option<u64> {
    facts.lockable.filter(|_| !facts.rights.ipc_lock)
}

/// With the rings that are used unless others are asked for.
pub(super) fn needed_octets(facts: &Facts) -> u64 {
    let queues = facts.interface.rx_queues;
    let chunk = if facts.interface.mtu <= SMALL_CHUNK_MTU_MAX { 2048 } else { 4096 };
    let ring = ring_that_fits(queues, facts.memory_max);
    u64::from(queues) * u64::from(frames(ring)) * chunk
}

/// From this version on Linux has all that AF_XDP capture needs.
pub(super) const KERNEL_MIN: KernelVersion = KernelVersion { major: 5, minor: 15 };
/// From here on frames may come in several buffers.
pub(super) const KERNEL_MIN_SEGMENTS: KernelVersion = KernelVersion { major: 6, minor: 6 };

/// A chunk holds 256 octets of the kernel's, an Ethernet header and two VLAN tags besides.
const SMALL_CHUNK_MTU_MAX: u32 = 2048 - 256 - 22;
pub(super) const ONE_CHUNK_MTU_MAX: u32 = 4096 - 256 - 22;
