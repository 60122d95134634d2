//! How an interface is opened: past the host's stack, or beside it.

use std::net::IpAddr;

use super::Kind;
use crate::capture::live::LiveSource;
use crate::capture::packet::{Direction, PacketSettings, PacketSocket};
use crate::capture::xdp::{XdpCapture, XdpSettings};
use crate::host::interface::{Interface, Reason, towards};
use crate::host::rights;
use crate::settings::args::CaptureMethod;
use crate::settings::args::LiveSettings;

/// A worker may be late by so many frames, or about 4 ms at the highest rates: as long as another
/// process may have its CPU.
const RING_DEFAULT: u32 = 32_768;

/// Fewer are of no use.
const RING_MIN: u32 = 512;

/// Of memory for a frame.
const CHUNK_OCTETS_MAX: u64 = 4096;

/// Frames for a ring: when it is full of frames that wait, a driver that writes into them itself
/// still needs empty ones.
pub(crate) fn frames(ring: u32) -> u32 {
    ring + ring / 4
}

/// What is known of how interfaces are to be opened.
#[derive(Debug)]
pub(super) struct Opener {
    pub(super) settings: LiveSettings,
    /// Addresses that the outputs send to.
    pub(super) collectors: Vec<IpAddr>,
    /// Sockets of `AF_PACKET` for each interface.
    pub(super) workers: usize,
}

/// An open interface.
pub(super) struct Opened {
    pub(super) kind: Kind,
    /// In words, for people.
    pub(super) method: String,
    pub(super) xdp: Option<XdpCapture>,
    pub(super) sockets: Vec<LiveSource>,
}

impl Opener {
    /// Opens an interface, whose packets get `number` as their input interface. One that was open
    /// before stays of its kind: just after it came back the host has not yet set up what it needs
    /// of it.
    pub(super) fn open(
        &self,
        interface: &Interface,
        number: u32,
        before: Option<Kind>,
    ) -> Result<Opened, String> {
        let name = &interface.name;
        let needed = self.needed_by_host(interface);
        match (self.settings.capture, before, needed) {
            (CaptureMethod::Packet, ..) => self.open_packet(interface, number, "as asked for"),
            (CaptureMethod::Auto, Some(Kind::Packet), _) => {
                self.open_packet(interface, number, "as before")
            }
            (CaptureMethod::Auto, ..) if self.settings.direction != Direction::In => {
                self.open_packet(interface, number, "outgoing packets are asked for")
            }
            (CaptureMethod::Auto, _, Some(why)) => {
                self.open_packet(interface, number, &format!("the host needs it: {why}"))
            }
            // What an XDP program takes, no other capture sees.
            (CaptureMethod::Auto, _, None) if interface.xdp.is_some() => Err(format!(
                "cannot capture from {name}: an XDP program is on it, maybe of another flowprobe; \
                 end that first, or see what it leaves over with --capture packet"
            )),
            (CaptureMethod::Auto, _, None) => self
                .open_xdp(interface, number)
                .or_else(|why| self.open_packet(interface, number, &format!("no AF_XDP: {why}"))),
            (CaptureMethod::Afxdp, _, Some(why)) if !self.settings.take_interface => Err(format!(
                "cannot take the packets of {name} from this host, which needs them: {why}; use \
                 --capture packet, or --take-interface to take them all the same"
            )),
            (CaptureMethod::Afxdp, ..) => self.open_xdp(interface, number),
        }
    }

    /// Why the host would miss the packets of an interface, if it would.
    fn needed_by_host(&self, interface: &Interface) -> Option<String> {
        let towards = |&address: &IpAddr| towards(address).ok().flatten();
        let outputs: Vec<u32> = self.collectors.iter().filter_map(towards).collect();
        let reasons = interface.consumable(&outputs).err()?;
        Some(reasons.iter().map(Reason::to_string).collect::<Vec<_>>().join(", "))
    }

    fn open_xdp(&self, interface: &Interface, number: u32) -> Result<Opened, String> {
        let name = &interface.name;
        if let Some(missing) = rights::missing(&rights::XDP) {
            return Err(format!("capturing from {name} by AF_XDP needs {missing}"));
        }
        let queues = interface.rx_queues;
        let memory_max = self.settings.umem_max / self.settings.interface.len() as u64;
        let ring = self.settings.ring.unwrap_or_else(|| ring_that_fits(queues, memory_max));
        let settings = XdpSettings {
            name: name.clone(),
            ifindex: interface.index,
            number,
            mtu: interface.mtu,
            queues,
            ring,
            frames: frames(ring),
            memory_max,
        };
        let (xdp, sockets) = XdpCapture::open(&settings).map_err(|error| error.to_string())?;
        Ok(Opened {
            kind: Kind::Xdp,
            method: format!("AF_XDP, {}, {}", xdp.mode(), counted(sockets.len(), "queue")),
            xdp: Some(xdp),
            sockets: sockets.into_iter().map(Box::new).map(LiveSource::Xdp).collect(),
        })
    }

    fn open_packet(&self, interface: &Interface, number: u32, why: &str) -> Result<Opened, String> {
        let name = &interface.name;
        if let Some(missing) = rights::missing(&rights::PACKET) {
            return Err(format!("capturing from {name} needs {missing}"));
        }
        let settings = PacketSettings {
            name: name.clone(),
            ifindex: interface.index,
            number,
            sockets: u32::try_from(self.workers).unwrap_or(1),
            ring_octets: usize::try_from(self.settings.packet_ring).unwrap_or(usize::MAX),
            direction: self.settings.direction,
            promiscuous: true,
        };
        let sockets = PacketSocket::open_all(&settings).map_err(|error| error.to_string())?;
        let mut method = format!("AF_PACKET, {}: {why}", counted(sockets.len(), "socket"));
        if interface.xdp.is_some() {
            method.push_str("; what the XDP program on it takes is not seen");
        }
        Ok(Opened {
            kind: Kind::Packet,
            method,
            xdp: None,
            sockets: sockets.into_iter().map(LiveSource::Packet).collect(),
        })
    }
}

/// The default ring, or the largest one that there is memory for.
pub(crate) fn ring_that_fits(queues: u32, memory_max: u64) -> u32 {
    let fits =
        |ring: &u32| u64::from(frames(*ring)) * CHUNK_OCTETS_MAX * u64::from(queues) <= memory_max;
    let halves = std::iter::successors(Some(RING_DEFAULT), |ring| Some(ring / 2));
    halves.take_while(|&ring| ring > RING_MIN).find(fits).unwrap_or(RING_MIN)
}

fn counted(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rings_shrink_to_the_memory_that_there_is() {
        for (queues, memory_max, ring) in [
            (1, 1 << 30, 32_768),
            (6, 1 << 30, 32_768),
            (7, 1 << 30, 16_384),
            (13, 1 << 30, 8192),
            (64, 1 << 30, 2048),
            (64, 1 << 20, 512),
        ] {
            assert_eq!(ring_that_fits(queues, memory_max), ring, "{queues} queues");
        }
    }
}
