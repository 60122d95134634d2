//! What is known of this system, this process and an interface.

use std::fs;
use std::io;

use exporter::sentence;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};

use crate::capture::kernel::KernelVersion;
use crate::host::interface::{Interface, XdpFeatures, xdp_features};
use crate::sys::ethtool::{Ethtool, Offloads, Setting};
use crate::sys::support::{try_bpf_map, try_packet_socket, try_xdp_socket};

/// All that findings are made from.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) kernel: KernelVersion,
    pub(super) rights: Rights,
    /// Octets that this process may lock; `None` is any number.
    pub(super) lockable: Option<u64>,
    /// Octets that AF_XDP may use for this interface.
    pub(super) memory_max: u64,
    pub(super) packet_sockets: Support,
    pub(super) xdp_sockets: Support,
    pub(super) bpf: Support,
    pub(super) interface: Interface,
    /// `None` where the kernel or the driver does not say, here and below.
    pub(super) xdp: Option<XdpFeatures>,
    pub(super) offloads: Option<Offloads>,
    pub(super) queues: Option<Setting>,
    pub(super) rx_ring: Option<Setting>,
    pub(super) spreads_udp_by_ports: Option<bool>,
}

/// Capabilities of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rights {
    /// `CAP_NET_RAW`.
    pub(super) net_raw: bool,
    /// `CAP_NET_ADMIN`.
    pub(super) net_admin: bool,
    /// `CAP_BPF`. `CAP_SYS_ADMIN` includes it for the kernel, but is not asked for at start.
    pub(super) bpf: bool,
    /// `CAP_IPC_LOCK`.
    pub(super) ipc_lock: bool,
}

/// Whether something can be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Support {
    Yes,
    /// A right is missing: beyond that nothing is known.
    Forbidden,
    /// In the system's words.
    No(String),
}

impl Facts {
    /// Looks at everything. The interface is only asked; it is one of so many.
    ///
    /// # Errors
    ///
    /// There is no such interface, in a sentence.
    pub(super) fn gather(name: &str, interfaces: usize) -> Result<Self, String> {
        let interface = Interface::find(name)?;
        let mut ethtool = Ethtool::new(&interface.name).ok();
        let mut ask = |question: fn(&mut Ethtool) -> io::Result<Setting>| {
            ethtool.as_mut().and_then(|ethtool| question(ethtool).ok())
        };
        let (queues, rx_ring) = (ask(Ethtool::queues), ask(Ethtool::rx_ring));
        Ok(Self {
            kernel: KernelVersion::running(),
            rights: Rights::of_this_thread(),
            lockable: getrlimit(Resource::RLIMIT_MEMLOCK)
                .ok()
                .and_then(|(soft, _)| (soft != RLIM_INFINITY).then_some(soft)),
            memory_max: UMEM_MAX_DEFAULT / interfaces as u64,
            packet_sockets: Support::new(try_packet_socket()),
            xdp_sockets: Support::new(try_xdp_socket()),
            bpf: Support::new(try_bpf_map()),
            xdp: xdp_features(interface.index).ok().flatten(),
            offloads: ethtool.as_mut().and_then(|ethtool| ethtool.offloads().ok()),
            queues,
            rx_ring,
            spreads_udp_by_ports: ethtool
                .as_mut()
                .and_then(|ethtool| ethtool.spreads_udp_by_ports().ok()),
            interface,
        })
    }
}

impl Rights {
    fn of_this_thread() -> Self {
        let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
        Self::new(line.and_then(|line| u64::from_str_radix(line.trim(), 16).ok()).unwrap_or(0))
    }

    /// From a set of capabilities, a bit for each (linux/capability.h).
    pub(super) fn new(bits: u64) -> Self {
        let has = |number: u32| bits & (1 << number) != 0;
        Self { net_raw: has(13), net_admin: has(12), bpf: has(39), ipc_lock: has(14) }
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

/// Of `--umem-max`.
const UMEM_MAX_DEFAULT: u64 = 1 << 30;
