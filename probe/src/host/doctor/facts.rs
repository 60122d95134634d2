//! What is known of this system, this process and an interface.

use std::io;

use crate::capture::offloads::Place;
use crate::capture::packet::Direction;
use crate::capture::xdp::plan::XdpSettings;
use crate::host::interface::{Interface, XdpFeatures, xdp_features};
use crate::host::method::{Method, Wanted};
use crate::host::system::System;
use crate::settings::args::CaptureMethod;
use crate::sys::ethtool::{Ethtool, Offloads, Setting};

/// All that findings are made from.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) system: System,
    pub(super) interface: Interface,
    /// Octets that AF_XDP may use for this interface.
    pub(super) memory_max: u64,
    /// `None` where the kernel or the driver does not say, here and below.
    pub(super) xdp: Option<XdpFeatures>,
    pub(super) offloads: Option<Offloads>,
    pub(super) queues: Option<Setting>,
    pub(super) rx_ring: Option<Setting>,
    pub(super) spreads_udp_by_ports: Option<bool>,
}

impl Facts {
    /// Looks at everything. The interface is only asked; it is one of `interfaces`.
    ///
    /// # Errors
    ///
    /// There is no such interface, in a sentence.
    pub(super) fn gather(name: &str, interfaces: usize) -> Result<Self, String> {
        let interface = Interface::find(name).map_err(|problem| problem.to_string())?;
        let mut ethtool = Ethtool::new(&interface.name).ok();
        let mut ask = |question: fn(&mut Ethtool) -> io::Result<Setting>| {
            ethtool.as_mut().and_then(|ethtool| question(ethtool).ok())
        };
        let (queues, rx_ring) = (ask(Ethtool::queues), ask(Ethtool::rx_ring));
        Ok(Self {
            system: System::gather(),
            memory_max: UMEM_MAX_DEFAULT / interfaces as u64,
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

    /// How the interface would be captured with default settings.
    pub(super) fn method(&self) -> Method {
        Method::choose(&self.system, &self.interface, &[], &self.wanted())
    }

    /// How AF_XDP would be set up.
    pub(super) fn xdp_settings(&self) -> XdpSettings {
        self.wanted().xdp(&self.interface, self.interface.index)
    }

    /// Where frames would be taken.
    pub(super) fn place(&self, method: &Method) -> Place {
        match method {
            Method::Xdp if self.xdp.is_some_and(|features| !features.redirects) => Place::Generic,
            Method::Xdp => Place::Driver,
            Method::Packet { .. } | Method::None { .. } => Place::Stack,
        }
    }

    /// The default settings.
    fn wanted(&self) -> Wanted {
        Wanted {
            capture: CaptureMethod::Auto,
            take_interface: false,
            direction: Direction::In,
            ring: None,
            memory_max: self.memory_max,
            before: None,
        }
    }
}

/// Of `--umem-max`.
const UMEM_MAX_DEFAULT: u64 = 1 << 30;
