//! Facts about this system, this process and an interface.

use std::io;
use std::thread;

use super::traffic::Traffic;
use crate::capture::offloads::Place;
use crate::capture::packet::Rings;
use crate::capture::xdp::plan::XdpSettings;
use crate::host::interface::{Interface, XdpFeatures, xdp_features};
use crate::host::method::{Method, Wanted};
use crate::host::system::System;
use crate::pipeline::queues::live_memory;
use crate::settings::args::Arguments;
use crate::sys::ethtool::{Ethtool, Offloads, Setting};

/// The input of all findings.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) system: System,
    pub(super) interface: Interface,
    /// Default settings of a run on this interface.
    pub(super) settings: Arguments,
    /// Number of interfaces that share the memory.
    pub(super) interfaces: u64,
    /// Octets that AF_XDP may use for this interface.
    pub(super) memory_max: u64,
    /// Reason why a run would fail at start on any interface.
    pub(super) obstacle: Option<String>,
    /// This and the following are `None` if the kernel or the driver does not tell.
    pub(super) xdp: Option<XdpFeatures>,
    pub(super) offloads: Option<Offloads>,
    pub(super) queues: Option<Setting>,
    pub(super) rx_ring: Option<Setting>,
    pub(super) spreads_udp_by_ports: Option<bool>,
    pub(super) traffic: Option<Traffic>,
}

impl Facts {
    /// Gathers all facts. The interface is not changed. It is one of `interfaces`.
    ///
    /// # Errors
    ///
    /// There is no such interface; in one sentence.
    pub(super) fn gather(name: &str, interfaces: usize) -> Result<Self, String> {
        let settings = Arguments::defaults(name);
        let interface = Interface::find(name).map_err(|problem| problem.to_string())?;
        let mut ethtool = Ethtool::new(&interface.name).ok();
        let mut ask = |question: fn(&mut Ethtool) -> io::Result<Setting>| {
            ethtool.as_mut().and_then(|ethtool| question(ethtool).ok())
        };
        let (queues, rx_ring) = (ask(Ethtool::queues), ask(Ethtool::rx_ring));
        Ok(Self {
            system: System::gather(),
            memory_max: settings.live.umem_max / interfaces as u64,
            interfaces: interfaces as u64,
            settings,
            obstacle: None,
            xdp: xdp_features(interface.index).ok().flatten(),
            offloads: ethtool.as_mut().and_then(|ethtool| ethtool.offloads().ok()),
            queues,
            rx_ring,
            spreads_udp_by_ports: ethtool
                .as_mut()
                .and_then(|ethtool| ethtool.spreads_udp_by_ports().ok()),
            traffic: None,
            interface,
        })
    }

    /// The capture method with default settings.
    pub(super) fn method(&self) -> Method {
        if let Some(because) = self.obstacle.clone() {
            return Method::None { because };
        }
        Method::choose(&self.system, &self.interface, &[], &self.wanted())
    }

    /// Settings of an AF_XDP capture.
    pub(super) fn xdp_settings(&self) -> XdpSettings {
        self.wanted().xdp(&self.interface, self.interface.index)
    }

    /// The place of the capture.
    pub(super) fn place(&self, method: &Method) -> Place {
        match method {
            Method::Xdp if self.xdp.is_some_and(|features| !features.redirects) => Place::Generic,
            Method::Xdp => Place::Driver,
            Method::Packet { .. } | Method::None { .. } => Place::Stack,
        }
    }

    /// The default settings.
    fn wanted(&self) -> Wanted {
        Wanted::new(&self.settings.live, self.memory_max, None)
    }

    /// Octets of memory that a run with the default settings takes, by use.
    pub(super) fn memory(&self, method: &Method) -> Memory {
        let flows = self.settings.max_flows.get();
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let workers = (self.interface.rx_queues as usize).clamp(1, processors);
        let packet = || {
            let room = self.settings.live.packet_ring_max / self.interfaces;
            let rings = Rings::within(room, None, workers).ok()?;
            Some(rings.octets * u64::from(rings.count))
        };
        Memory {
            sockets: match method {
                Method::Xdp => self.xdp_settings().memory(),
                Method::Packet { .. } => packet().unwrap_or_default(),
                Method::None { .. } => 0,
            },
            flows: u64::from(flows) * FLOW_OCTETS,
            rest: REST,
            waiting: live_memory(flows as usize),
        }
    }
}

/// Octets of memory of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Memory {
    /// Sockets of this interface.
    pub(super) sockets: u64,
    pub(super) flows: u64,
    /// The program and all small parts.
    pub(super) rest: u64,
    /// Maximum of waiting records, when outputs are slow.
    pub(super) waiting: u64,
}

/// Octets of a flow in the table.
const FLOW_OCTETS: u64 = 94;

/// Octets of the program itself, measured.
const REST: u64 = 12 << 20;
