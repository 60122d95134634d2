//! Opening of an interface, by AF_XDP or by AF_PACKET.

use std::net::IpAddr;

use flow::Dissection;
use flow::words::counted;
use log::info;

use super::budget::Room;
use crate::capture::CaptureError;
use crate::capture::live::LiveSource;
use crate::capture::offloads::{CapturePlace, warn_of_harmful_offloads};
use crate::capture::packet::{PacketSettings, PacketSocket, Rings};
use crate::capture::xdp::{XdpCapture, XdpOpener};
use crate::host::interface::network::Network;
use crate::host::interface::{Interface, towards};
use crate::host::memory::{self, MemoryOwner};
use crate::host::method::{Kind, Method, Wanted};
use crate::host::rights;
use crate::host::system::System;
use crate::settings::args::{CaptureMethod, LiveSettings};

/// Settings and state to open interfaces.
pub(super) struct Opener {
    pub(super) settings: LiveSettings,
    /// Addresses to which the outputs send.
    pub(super) collectors: Vec<IpAddr>,
    /// Sockets of `AF_PACKET` for each interface.
    pub(super) workers: usize,
    /// Method to find the headers of super-packets.
    pub(super) dissection: Dissection,
    /// Whether payload is captured too.
    pub(super) reads_payload: bool,
    pub(super) xdp: XdpOpener,
}

/// The host at the time when interfaces are opened. One query is enough for all of them.
pub(super) struct Host {
    system: System,
    pub(super) network: Network,
    /// The interfaces over which the outputs send.
    outputs: Vec<u32>,
}

/// An open interface.
pub(super) struct Opened {
    pub(super) kind: Kind,
    /// As text for users.
    pub(super) method: String,
    pub(super) xdp: Option<XdpCapture>,
    /// Octets of the sockets' rings.
    pub(super) memory: u64,
    pub(super) sockets: Vec<LiveSource>,
}

impl Opener {
    /// Queries the host.
    ///
    /// # Errors
    ///
    /// The interfaces cannot be queried; in one sentence.
    pub(super) fn look(&self) -> Result<Host, String> {
        Ok(Host {
            system: System::gather(),
            network: Network::look_or_say()?,
            outputs: self.outputs(),
        })
    }

    /// Opens an interface, within the room for its sockets. Its packets get `number` as their input
    /// interface. `before` is its capture method before it went away.
    ///
    /// # Errors
    ///
    /// The interface cannot be captured; in one sentence.
    pub(super) fn open(
        &mut self,
        host: &Host,
        interface: &Interface,
        number: u32,
        before: Option<Kind>,
        room: Room,
    ) -> Result<Opened, String> {
        let name = &interface.name;
        let wanted = Wanted::new(&self.settings, room.xdp, before);
        match Method::choose(&host.system, interface, &host.outputs, &wanted) {
            Method::None { because } => {
                let remedy = remedy(&host.system, &because);
                Err(format!("cannot capture from {name}: {because}{remedy}"))
            }
            Method::Packet { because } => {
                self.open_packet(interface, number, room.packet, &because)
            }
            Method::Xdp => match self.open_xdp(interface, number, &wanted) {
                Err(CaptureError::Failed(why)) if wanted.capture == CaptureMethod::Auto => {
                    let why = format!("no AF_XDP: {why}");
                    self.open_packet(interface, number, room.packet, &why)
                }
                outcome => outcome.map_err(|error| error.to_string()),
            },
        }
    }

    /// The interfaces over which the outputs send.
    pub(super) fn outputs(&self) -> Vec<u32> {
        let towards = |&address: &IpAddr| towards(address).ok().flatten();
        self.collectors.iter().filter_map(towards).collect()
    }

    fn open_packet(
        &self,
        interface: &Interface,
        number: u32,
        room: u64,
        why: &str,
    ) -> Result<Opened, String> {
        let name = &interface.name;
        let rings = Rings::within(room, self.settings.packet_ring, self.workers)
            .map_err(|problem| format!("cannot capture from {name}: {problem}"))?;
        let settings = PacketSettings {
            name: name.clone(),
            ifindex: interface.index,
            number,
            sockets: rings.count,
            ring_octets: usize::try_from(rings.octets).unwrap_or(usize::MAX),
            direction: self.settings.direction,
            promiscuous: true,
            reads_payload: self.reads_payload,
            dissection: self.dissection,
        };
        let octets = rings.octets.saturating_mul(rings.count.into());
        let what =
            format!("{name}: {} (--packet-ring)", counted(rings.count.into(), "ring", "rings"));
        memory::check(&what, octets, MemoryOwner::OfKernel)?;
        let sockets = PacketSocket::open_all(&settings).map_err(|error| error.to_string())?;
        warn_of_harmful_offloads(name, CapturePlace::Stack);
        let mut method =
            format!("AF_PACKET, {}: {why}", counted(sockets.len() as u64, "socket", "sockets"));
        if interface.xdp.is_some() {
            method.push_str("; packets that the XDP program on it takes are not seen");
        }
        Ok(Opened {
            kind: Kind::Packet,
            method,
            xdp: None,
            memory: rings.octets * sockets.len() as u64,
            sockets: sockets.into_iter().map(Box::new).map(LiveSource::Packet).collect(),
        })
    }

    fn open_xdp(
        &mut self,
        interface: &Interface,
        number: u32,
        wanted: &Wanted,
    ) -> Result<Opened, CaptureError> {
        let settings = wanted.xdp(interface, number);
        let rings = counted(settings.queues.into(), "ring", "rings");
        let what = format!("{}: {rings} (--ring)", interface.name);
        memory::check(&what, settings.memory(), MemoryOwner::Own).map_err(CaptureError::Failed)?;
        let (xdp, sockets) = self.xdp.open(&settings)?;
        let link_local = interface.link_local();
        if !link_local.is_empty() {
            let name = &interface.name;
            let addresses: Vec<String> = link_local.iter().map(ToString::to_string).collect();
            info!(
                "{name} has only link-local addresses ({}): the host is not reached by them while \
                 AF_XDP takes the packets; if it has to be, use --capture packet",
                addresses.join(", ")
            );
        }
        Ok(Opened {
            kind: Kind::Xdp,
            method: method_of(&xdp),
            memory: xdp.memory(),
            xdp: Some(xdp),
            sockets: sockets.into_iter().map(Box::new).map(LiveSource::Xdp).collect(),
        })
    }
}

/// What to do if there is no capture because a capability is missing. Empty for other reasons.
fn remedy(system: &System, because: &str) -> String {
    let missing = system.lacks(&rights::XDP).unwrap_or_default();
    let mut missing = missing.split(", ").filter(|name| !name.is_empty());
    if missing.any(|name| because.contains(name)) { rights::remedy() } else { String::new() }
}

/// Description of an AF_XDP capture.
fn method_of(xdp: &XdpCapture) -> String {
    let mode = xdp.mode();
    format!("AF_XDP, {mode}, {}", counted(mode.queues.into(), "queue", "queues"))
}
