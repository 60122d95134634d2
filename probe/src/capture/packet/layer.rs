//! What the packets of an interface begin with.

use super::CaptureError;

/// What a packet's data begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layer {
    Ethernet,
    Ip,
}

/// Whether frames of interfaces with this `ARPHRD_` number are understood.
pub(crate) fn is_known(hardware: u16) -> bool {
    known_layer(hardware).is_some()
}

/// What they begin with, or an error that names the interface.
pub(super) fn layer(name: &str, hardware: u16) -> Result<Layer, CaptureError> {
    known_layer(hardware).ok_or_else(|| {
        CaptureError(format!(
            "cannot capture on {name}: its link layer (ARPHRD {hardware}) is neither Ethernet nor \
             IP"
        ))
    })
}

/// Interfaces without a link layer of their own have IP, which tells its version itself.
fn known_layer(hardware: u16) -> Option<Layer> {
    match hardware {
        libc::ARPHRD_ETHER | libc::ARPHRD_LOOPBACK => Some(Layer::Ethernet),
        libc::ARPHRD_PPP
        | RAW_IP
        | libc::ARPHRD_TUNNEL
        | libc::ARPHRD_TUNNEL6
        | libc::ARPHRD_SIT
        | libc::ARPHRD_IPGRE
        | IP6_GRE
        | libc::ARPHRD_NONE => Some(Layer::Ip),
        _ => None,
    }
}

/// linux/if_arp.h.
const RAW_IP: u16 = 519;
const IP6_GRE: u16 = 823;
