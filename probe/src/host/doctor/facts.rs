//! Facts about this system, this process and an interface.

use std::io;
use std::thread;

use flow::TableSettings;

use super::traffic::Traffic;
use crate::capture::offloads::CapturePlace;
use crate::capture::packet::Rings;
use crate::capture::xdp::plan::XdpSettings;
use crate::host::interface::{Interface, XdpFeatures, xdp_features};
use crate::host::memory::{self, MemoryOwner};
use crate::host::method::{Method, Wanted};
use crate::host::ports::Room;
use crate::host::system::System;
use crate::pipeline::queues::live_memory;
use crate::pipeline::worker;
use crate::settings::args::Arguments;
use crate::sys::ethtool::{Ethtool, HashedPackets, Offloads, ReceiveHash, Setting};

/// The input of all findings.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) system: System,
    pub(super) interface: Interface,
    /// Default settings of a run on this interface.
    pub(super) settings: Arguments,
    pub(super) share: Share,
    /// Why the system does not give the memory that a run takes; `None` if it does.
    pub(super) shortage: Option<String>,
    /// Reason why a run would fail at start on any interface.
    pub(super) obstacle: Option<String>,
    /// This and the following are `None` if the kernel or the driver does not tell.
    pub(super) xdp: Option<XdpFeatures>,
    pub(super) offloads: Option<Offloads>,
    pub(super) queues: Option<Setting>,
    pub(super) rx_ring: Option<Setting>,
    pub(super) hash: Option<ReceiveHash>,
    /// Fields that are hashed, in the order of [`HashedPackets::ALL`].
    pub(super) hash_fields: [Option<u64>; HashedPackets::ALL.len()],
    pub(super) traffic: Option<Traffic>,
}

impl Facts {
    /// Gathers all facts, as if it were the only interface. The interface is not changed.
    ///
    /// # Errors
    ///
    /// There is no such interface; in one sentence.
    pub(super) fn gather(name: &str) -> Result<Self, String> {
        let settings = Arguments::defaults(name);
        let interface = Interface::find(name).map_err(|problem| problem.to_string())?;
        let mut ethtool = Ethtool::new(&interface.name).ok();
        let mut ask = |question: fn(&mut Ethtool) -> io::Result<Setting>| {
            ethtool.as_mut().and_then(|ethtool| question(ethtool).ok())
        };
        let (queues, rx_ring) = (ask(Ethtool::queues), ask(Ethtool::rx_ring));
        Ok(Self {
            system: System::gather(),
            share: Share::whole(&settings, interface.rx_queues),
            shortage: None,
            settings,
            obstacle: None,
            xdp: xdp_features(interface.index).ok().flatten(),
            offloads: ethtool.as_mut().and_then(|ethtool| ethtool.offloads().ok()),
            queues,
            rx_ring,
            hash: ethtool.as_mut().and_then(|ethtool| ethtool.receive_hash().ok()),
            hash_fields: HashedPackets::ALL.map(|packets| {
                ethtool.as_mut().and_then(|ethtool| ethtool.hash_fields(packets).ok())
            }),
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
    pub(super) fn place(&self, method: &Method) -> CapturePlace {
        match method {
            Method::Xdp if self.xdp.is_some_and(|features| !features.redirects) => {
                CapturePlace::Generic
            }
            Method::Xdp => CapturePlace::Driver,
            Method::Packet { .. } | Method::None { .. } => CapturePlace::Stack,
        }
    }

    /// The default settings.
    fn wanted(&self) -> Wanted {
        Wanted::new(&self.settings.live, self.share.room.xdp, None)
    }

    /// Octets of memory that a run with the default settings takes, by use.
    pub(super) fn memory(&self, method: &Method) -> Memory {
        let flows = self.settings.max_flows.get();
        let sockets = self.sockets(method);
        Memory {
            sockets: sockets.xdp + sockets.packet,
            flows: TableSettings::octets_for(flows),
            rest: REST,
            waiting: live_memory(flows as usize),
        }
    }

    /// Octets of the sockets of this interface.
    fn sockets(&self, method: &Method) -> Room {
        let packet = || {
            let rings = Rings::within(self.share.room.packet, None, self.share.workers).ok()?;
            Some(rings.octets * u64::from(rings.count))
        };
        match method {
            Method::Xdp => Room { xdp: self.xdp_settings().memory(), packet: 0 },
            Method::Packet { .. } => Room { xdp: 0, packet: packet().unwrap_or_default() },
            Method::None { .. } => Room::default(),
        }
    }

    /// Octets that a run asks for its workers, with their tables.
    pub(super) fn workers_memory(&self) -> u64 {
        worker::octets_for(self.settings.max_flows.get(), self.share.workers)
    }

    /// Compares the memory of a run with what the system leaves, by the checks of the run. Without
    /// memory for flows, a run fails on any interface.
    fn check_memory(&mut self) {
        let flows = self.workers_memory();
        let Room { xdp, packet } = self.sockets(&self.method());
        let (xdp, packet) = (xdp + self.share.before.xdp, packet + self.share.before.packet);
        self.shortage = memory::check("flows (--max-flows)", flows, MemoryOwner::Own).err();
        if let Some(shortage) = &self.shortage {
            self.obstacle.get_or_insert_with(|| shortage.clone());
            return;
        }
        let what = "sockets and flows";
        let checks = memory::check(what, flows + xdp, MemoryOwner::Own)
            .and_then(|()| memory::check(what, flows + xdp + packet, MemoryOwner::OfKernel));
        self.shortage = checks.err();
    }
}

/// Part of an interface in the memory of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    /// Number of all interfaces.
    pub(super) interfaces: usize,
    /// It is the last of them.
    pub(super) is_last: bool,
    pub(super) room: Room,
    /// Octets of the sockets of the interfaces before it.
    pub(super) before: Room,
    /// Workers of the run.
    pub(super) workers: usize,
}

impl Share {
    /// The share of the only interface.
    pub(super) fn whole(settings: &Arguments, queues: u32) -> Self {
        Self {
            interfaces: 1,
            is_last: true,
            room: Room::part(&settings.live, Room::default(), 1),
            before: Room::default(),
            workers: workers(queues as usize),
        }
    }
}

/// Shares the memory as a run does that opens these interfaces in this order, and compares it with
/// what the system leaves. With patterns, the run expects more interfaces.
pub(super) fn share(all: &mut [Facts], has_patterns: bool) {
    let interfaces = all.len();
    let queues = all.iter().map(|facts| facts.interface.rx_queues as usize).sum();
    let workers = workers(if has_patterns { usize::MAX } else { queues });
    let mut before = Room::default();
    for (index, facts) in all.iter_mut().enumerate() {
        let parts = (interfaces - index + usize::from(has_patterns)) as u64;
        let room = Room::part(&facts.settings.live, before, parts);
        let is_last = index + 1 == interfaces;
        facts.share = Share { interfaces, is_last, room, before, workers };
        facts.check_memory();
        let sockets = facts.sockets(&facts.method());
        before.xdp += sockets.xdp;
        before.packet += sockets.packet;
    }
}

/// Number of workers for this number of queues.
fn workers(queues: usize) -> usize {
    queues.clamp(1, thread::available_parallelism().map_or(1, usize::from))
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

/// Octets of the program itself, measured.
const REST: u64 = 12 << 20;
