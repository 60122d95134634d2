//! Choice of the capture method of an interface. The run and `doctor` use this one function of
//! facts.

use super::interface::Interface;
use super::rights;
use super::system::{Support, System};
use crate::capture::afxdp::mebibytes;
use crate::capture::layer::Layer;
use crate::capture::packet::Direction;
use crate::capture::xdp::plan::{XdpSettings, frames, ring_that_fits};
use crate::settings::args::{CaptureMethod, LiveSettings};

/// Requirements of the user for an interface.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) capture: CaptureMethod,
    /// Capture by AF_XDP even if the host needs the interface.
    pub(crate) take_interface: bool,
    pub(crate) direction: Direction,
    /// Frames of each AF_XDP ring. `None`: the maximum that fits in the memory.
    pub(crate) ring: Option<u32>,
    /// Octets that AF_XDP may use for this interface.
    pub(crate) memory_max: u64,
    /// Method before the interface went away.
    pub(crate) before: Option<Kind>,
}

/// Kind of the capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Xdp,
    Packet,
}

/// The chosen method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// AF_XDP: the host's network stack gets no packets.
    Xdp,
    /// AF_PACKET, with the reason against AF_XDP.
    Packet { because: String },
    /// No capture, with the reason.
    None { because: String },
}

impl Method {
    /// Chooses by facts alone. `outputs` are the interfaces over which the outputs send.
    ///
    /// An interface that was captured by AF_PACKET keeps this method. Just after it came back, the
    /// host has not configured it yet, so it may seem unused.
    pub(crate) fn choose(
        system: &System,
        interface: &Interface,
        outputs: &[u32],
        wanted: &Wanted,
    ) -> Self {
        if let Some(because) = capture_obstacle(system, interface) {
            return Self::None { because };
        }
        let packet = |because: &str| Self::Packet { because: because.to_owned() };
        let needed = interface.needed(outputs);
        match (wanted.capture, needed) {
            (CaptureMethod::Packet, _) => packet("as asked for"),
            (CaptureMethod::Auto, _) if wanted.before == Some(Kind::Packet) => packet("as before"),
            (CaptureMethod::Auto, _) if wanted.direction != Direction::In => {
                packet("outgoing packets are asked for")
            }
            (CaptureMethod::Auto, Some(why)) => packet(&format!("the host needs it: {why}")),
            // No other capture sees packets that an XDP program takes.
            (CaptureMethod::Auto, None) if interface.xdp.is_some() => Self::None {
                because: "an XDP program is on it, maybe of another flowprobe; end that first, or \
                          see what it leaves over with --capture packet"
                    .to_owned(),
            },
            (CaptureMethod::Auto, None) => xdp_obstacle(system, interface, wanted)
                .map_or(Self::Xdp, |why| packet(&format!("no AF_XDP: {why}"))),
            (CaptureMethod::Afxdp, Some(why)) if !wanted.take_interface => Self::None {
                because: format!(
                    "the host needs it: {why}; use --capture packet, or --take-interface to take \
                     its packets all the same"
                ),
            },
            (CaptureMethod::Afxdp, _) => xdp_obstacle(system, interface, wanted)
                .map_or(Self::Xdp, |because| Self::None { because }),
        }
    }
}

impl Wanted {
    pub(crate) fn new(settings: &LiveSettings, memory_max: u64, before: Option<Kind>) -> Self {
        Self {
            capture: settings.capture,
            take_interface: settings.take_interface,
            direction: settings.direction,
            ring: settings.ring,
            memory_max,
            before,
        }
    }

    /// Settings of an AF_XDP capture. Frames carry `number` as their interface.
    pub(crate) fn xdp(&self, interface: &Interface, number: u32) -> XdpSettings {
        let (queues, memory_max) = (interface.rx_queues, self.memory_max);
        let ring = self.ring.unwrap_or_else(|| ring_that_fits(queues, memory_max));
        XdpSettings {
            name: interface.name.clone(),
            ifindex: interface.index,
            number,
            mtu: interface.mtu,
            queues,
            ring,
            frames: frames(ring),
            memory_max,
        }
    }
}

/// Reason why the interface cannot be captured at all.
fn capture_obstacle(system: &System, interface: &Interface) -> Option<String> {
    if let Some(missing) = system.lacks(&rights::PACKET) {
        return Some(format!("the capability {missing} is missing"));
    }
    match &system.packet_sockets {
        Support::Yes => {}
        Support::Forbidden => return Some("packet sockets are forbidden here".to_owned()),
        Support::No(why) => return Some(format!("the kernel has no packet sockets: {why}")),
    }
    let hardware = interface.hardware;
    Layer::of(hardware)
        .is_none()
        .then(|| format!("its link layer (ARPHRD {hardware}) is neither Ethernet nor IP"))
}

/// Reason why AF_XDP does not work on an interface that it may take.
fn xdp_obstacle(system: &System, interface: &Interface, wanted: &Wanted) -> Option<String> {
    let settings = wanted.xdp(interface, interface.index);
    if let Err(why) = settings.plan(system.kernel) {
        Some(why)
    } else if let Some(missing) = system.lacks(&rights::XDP) {
        Some(format!("AF_XDP needs {missing}"))
    } else if [&system.xdp_sockets, &system.bpf].contains(&&Support::Forbidden) {
        Some("AF_XDP is forbidden here".to_owned())
    } else if system.xdp_sockets != Support::Yes || system.bpf != Support::Yes {
        Some("the kernel has no AF_XDP".to_owned())
    } else if Layer::of(interface.hardware) != Some(Layer::Ethernet) {
        Some("AF_XDP needs Ethernet".to_owned())
    } else if !interface.is_up() {
        Some("AF_XDP needs an interface that is up".to_owned())
    } else {
        let needed = settings.memory();
        let most = system.lockable().filter(|most| *most < needed)?;
        Some(format!(
            "AF_XDP needs {} of locked memory, and the limit is {} MiB; raise it (LimitMEMLOCK \
             of systemd, ulimit -l), give the capability CAP_IPC_LOCK, or ask for smaller rings",
            mebibytes(needed),
            most >> 20
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A system that supports everything, and no special requirements.
    fn facts() -> (System, Interface, Wanted) {
        let wanted = Wanted {
            capture: CaptureMethod::Auto,
            take_interface: false,
            direction: Direction::In,
            ring: None,
            memory_max: 1 << 30,
            before: None,
        };
        (System::made_up(), Interface::made_up("eth1"), wanted)
    }

    #[test]
    fn settings_decide_where_facts_leave_a_choice() {
        type Change = fn(&mut Interface, &mut Wanted);
        let needed = |interface: &mut Interface, _: &mut Wanted| {
            interface.addresses.push("192.0.2.1".parse().unwrap());
        };
        let afxdp = |_: &mut Interface, wanted: &mut Wanted| {
            wanted.capture = CaptureMethod::Afxdp;
        };
        let cases: [(&[Change], &str); 9] = [
            (&[], "AF_XDP"),
            (&[|_, wanted| wanted.capture = CaptureMethod::Packet], "AF_PACKET: as asked for"),
            (&[|_, wanted| wanted.before = Some(Kind::Packet)], "AF_PACKET: as before"),
            (&[|_, wanted| wanted.before = Some(Kind::Xdp)], "AF_XDP"),
            (
                &[|_, wanted| wanted.direction = Direction::Both],
                "AF_PACKET: outgoing packets are asked for",
            ),
            (&[needed], "AF_PACKET: the host needs it: it has the address 192.0.2.1"),
            (&[afxdp, needed, |_, wanted| wanted.take_interface = true], "AF_XDP"),
            (
                &[afxdp, needed],
                "the host needs it: it has the address 192.0.2.1; use --capture packet, or \
                 --take-interface to take its packets all the same",
            ),
            // A tunnel has packets, but no Ethernet frames.
            (
                &[afxdp, |interface, _| interface.hardware = libc::ARPHRD_IPGRE],
                "AF_XDP needs Ethernet",
            ),
        ];
        for (changes, expected) in cases {
            let (system, mut interface, mut wanted) = facts();
            changes.iter().for_each(|change| change(&mut interface, &mut wanted));
            let chosen = match Method::choose(&system, &interface, &[], &wanted) {
                Method::Xdp => "AF_XDP".to_owned(),
                Method::Packet { because } => format!("AF_PACKET: {because}"),
                Method::None { because } => because,
            };
            assert_eq!(chosen, expected);
        }
    }

    #[test]
    fn an_interface_that_outputs_send_over_is_left_to_the_host() {
        let (system, interface, wanted) = facts();
        let because = "the host needs it: an output sends over it".to_owned();
        let chosen = Method::choose(&system, &interface, &[interface.index], &wanted);
        assert_eq!(chosen, Method::Packet { because });
    }
}
