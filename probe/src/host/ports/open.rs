//! How an interface is opened: past the host's stack, or beside it.

use std::net::IpAddr;

use crate::capture::CaptureError;
use crate::capture::live::LiveSource;
use crate::capture::packet::{PacketSettings, PacketSocket};
use crate::capture::xdp::XdpCapture;
use crate::host::interface::{Interface, towards};
use crate::host::memory::{self, Memory};
use crate::host::method::{Kind, Method, Wanted};
use crate::host::system::System;
use crate::settings::args::{CaptureMethod, LiveSettings};

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
    /// Opens an interface, whose packets get `number` as their input interface. `before` is how it
    /// was captured before it went away.
    ///
    /// # Errors
    ///
    /// Why it cannot be captured, in one sentence.
    pub(super) fn open(
        &self,
        interface: &Interface,
        number: u32,
        before: Option<Kind>,
    ) -> Result<Opened, String> {
        let name = &interface.name;
        let outputs = self.outputs();
        let wanted = Wanted::new(&self.settings, before);
        match Method::choose(&System::gather(), interface, &outputs, &wanted) {
            Method::None { because } => Err(format!("cannot capture from {name}: {because}")),
            Method::Packet { because } => self.open_packet(interface, number, &because),
            Method::Xdp => match open_xdp(interface, number, &wanted) {
                Err(CaptureError::Failed(why)) if wanted.capture == CaptureMethod::Auto => {
                    self.open_packet(interface, number, &format!("no AF_XDP: {why}"))
                }
                outcome => outcome.map_err(|error| error.to_string()),
            },
        }
    }

    /// The interfaces that the outputs send over.
    pub(super) fn outputs(&self) -> Vec<u32> {
        let towards = |&address: &IpAddr| towards(address).ok().flatten();
        self.collectors.iter().filter_map(towards).collect()
    }

    fn open_packet(&self, interface: &Interface, number: u32, why: &str) -> Result<Opened, String> {
        let name = &interface.name;
        let settings = PacketSettings {
            name: name.clone(),
            ifindex: interface.index,
            number,
            sockets: u32::try_from(self.workers).unwrap_or(1),
            ring_octets: usize::try_from(self.settings.packet_ring).unwrap_or(usize::MAX),
            direction: self.settings.direction,
            promiscuous: true,
        };
        let octets = self.settings.packet_ring.saturating_mul(self.workers as u64);
        let what = format!("{name}: {} (--packet-ring)", counted(self.workers, "ring"));
        memory::check(&what, octets, Memory::OfKernel)?;
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

fn open_xdp(interface: &Interface, number: u32, wanted: &Wanted) -> Result<Opened, CaptureError> {
    let settings = wanted.xdp(interface, number);
    let what =
        format!("{}: {} (--ring)", interface.name, counted(settings.queues as usize, "ring"));
    memory::check(&what, settings.memory(), Memory::Own).map_err(CaptureError::Failed)?;
    let (xdp, sockets) = XdpCapture::open(&settings)?;
    Ok(Opened {
        kind: Kind::Xdp,
        method: format!("AF_XDP, {}, {}", xdp.mode(), counted(sockets.len(), "queue")),
        xdp: Some(xdp),
        sockets: sockets.into_iter().map(Box::new).map(LiveSource::Xdp).collect(),
    })
}

fn counted(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}
