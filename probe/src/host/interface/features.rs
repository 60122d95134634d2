//! XDP features of a driver, as it reports them (generic netlink, the family `netdev`).

use std::io;

use super::netlink::{Netlink, Question, attribute, field};

/// XDP features that a driver reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct XdpFeatures {
    /// It runs programs and supports `XDP_REDIRECT`.
    pub(crate) redirects: bool,
    /// It writes frames directly into the memory of an AF_XDP socket (zero copy).
    pub(crate) zero_copy: bool,
    /// It supports frames of several buffers.
    pub(crate) segments: bool,
}

/// Asks for the features of an interface. `None` if the kernel does not know them (before 6.3).
///
/// # Errors
///
/// The error of the kernel.
pub(crate) fn xdp_features(index: u32) -> io::Result<Option<XdpFeatures>> {
    let mut netlink = Netlink::open_generic()?;
    let mut body = message(GET_FAMILY);
    body.extend(attribute(FAMILY_NAME, b"netdev\0"));
    let mut family = None;
    let asked = netlink.ask(Question { kind: CONTROL, all: false, body: &body }, |answer| {
        let value = answer.attributes(HEADER_OCTETS).find(FAMILY_ID);
        family = value.and_then(|value| field(value, 0)).map(u16::from_ne_bytes);
    });
    match asked {
        Err(problem) if problem.raw_os_error() == Some(libc::ENOENT) => return Ok(None),
        asked => asked?,
    }
    let Some(kind) = family else { return Ok(None) };
    let mut body = message(GET_DEVICE);
    body.extend(attribute(DEVICE_INDEX, &index.to_ne_bytes()));
    let mut features = None;
    netlink.ask(Question { kind, all: false, body: &body }, |answer| {
        let value = answer.attributes(HEADER_OCTETS).find(DEVICE_FEATURES);
        features = value.and_then(|value| field(value, 0)).map(u64::from_ne_bytes);
    })?;
    Ok(features.map(XdpFeatures::new))
}

impl XdpFeatures {
    fn new(bits: u64) -> Self {
        let has = |all: u64| bits & all == all;
        Self {
            redirects: has(BASIC | REDIRECT),
            zero_copy: has(BASIC | REDIRECT | ZERO_COPY),
            segments: has(BASIC | REDIRECT | SEGMENTS),
        }
    }
}

/// The fixed part of a message: command, version, reserved (`struct genlmsghdr`).
fn message(command: u8) -> Vec<u8> {
    vec![command, 1, 0, 0]
}

const HEADER_OCTETS: usize = 4;

/// linux/genetlink.h.
const CONTROL: u16 = 0x10;
const GET_FAMILY: u8 = 3;
const FAMILY_ID: u16 = 1;
const FAMILY_NAME: u16 = 2;

/// linux/netdev.h.
const GET_DEVICE: u8 = 1;
const DEVICE_INDEX: u16 = 1;
const DEVICE_FEATURES: u16 = 3;
const BASIC: u64 = 1;
const REDIRECT: u64 = 2;
const ZERO_COPY: u64 = 8;
const SEGMENTS: u64 = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_asked_for_and_read() {
        // The loopback interface has none. A kernel that does not know them returns no error.
        let lo = nix::net::if_::if_nametoindex("lo").unwrap();
        assert!(matches!(xdp_features(lo), Ok(None | Some(_))), "{:?}", xdp_features(lo));
        let veth = XdpFeatures::new(BASIC | REDIRECT | 4 | SEGMENTS);
        assert_eq!(veth, XdpFeatures { redirects: true, zero_copy: false, segments: true });
        assert_eq!(XdpFeatures::new(ZERO_COPY), XdpFeatures::default());
    }
}
