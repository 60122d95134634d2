//! Settings of a capture.

use std::io;

use exporter::sentence;
use flow::Dissection;

use super::CaptureError;
use crate::capture::layer::Layer;
use crate::sys::packet_ring::Outgoing;

/// Packets of an interface to be captured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Incoming packets.
    #[default]
    In,
    /// Packets that the host sends.
    Out,
    /// All packets. On the loopback interface only incoming ones: each packet is both.
    Both,
}

impl Direction {
    /// The direction for interfaces with this `ARPHRD_` number.
    pub(super) fn on(self, hardware: u16) -> Self {
        match self {
            Self::Both if hardware == libc::ARPHRD_LOOPBACK => Self::In,
            Self::In | Self::Out | Self::Both => self,
        }
    }

    pub(super) fn outgoing(self) -> Outgoing {
        match self {
            Self::In => Outgoing::Ignored,
            Self::Out | Self::Both => Outgoing::Taken,
        }
    }
}

/// Settings of the capture of an interface.
#[derive(Clone, Debug)]
pub(crate) struct PacketSettings {
    /// The interface's name, for messages.
    pub(crate) name: String,
    /// The interface index of the kernel.
    pub(crate) ifindex: u32,
    /// The interface number in frames.
    pub(crate) number: u32,
    /// Number of sockets that share the packets; at least 1.
    pub(crate) sockets: u32,
    /// Memory of each socket's ring, in whole blocks of [`super::BLOCK_OCTETS`], at least two.
    /// 64 MiB hold 0.1 million packets of 512 octets and more, 0.4 million of 64 octets.
    pub(crate) ring_octets: usize,
    /// Packets to be captured.
    pub(crate) direction: Direction,
    /// Whether packets for other hosts are captured too. On a mirror port, all are for other hosts.
    pub(crate) promiscuous: bool,
    /// Whether payload is captured too. Otherwise only headers are.
    pub(crate) reads_payload: bool,
    /// Method to find the headers of super-packets.
    pub(crate) dissection: Dissection,
}

impl PacketSettings {
    /// First layer of packets on an interface of this `ARPHRD_` number.
    pub(super) fn layer(&self, hardware: u16) -> Result<Layer, CaptureError> {
        Layer::of(hardware).ok_or_else(|| {
            CaptureError::Failed(format!(
                "cannot capture on {}: its link layer (ARPHRD {hardware}) is neither Ethernet nor \
                 IP",
                self.name
            ))
        })
    }

    pub(super) fn error(&self, what: &str, problem: &io::Error) -> CaptureError {
        let (problem, remedy) = (sentence(problem), remedy(problem));
        CaptureError::Failed(format!("cannot {what} {}: {problem}{remedy}", self.name))
    }
}

/// Advice after an error at start.
fn remedy(problem: &io::Error) -> &'static str {
    match problem.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => "; it needs the capability CAP_NET_RAW",
        Some(libc::ENOMEM) => "; a smaller ring may fit",
        Some(libc::EINVAL) => "; is the interface up?",
        Some(libc::ENODEV | libc::ENXIO) => "; it existed just before",
        _ => "",
    }
}
