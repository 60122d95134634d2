//! The interfaces that packets are taken from, and what becomes of them.

mod card;
mod open;
mod port;
mod programs;
mod retry;
mod state;

use std::net::IpAddr;
use std::sync::Arc;
use std::thread;

use log::{info, warn};

use self::open::{Opened, Opener};
use self::port::Port;
pub(crate) use self::port::PortCounts;
use self::retry::Attempt;
use self::state::State;
use crate::capture::live::SourceCounts;
use crate::host::interface::Interface;
use crate::host::interface::changes::Changes;
use crate::host::interface::links::links;
use crate::pipeline::live::Attached;
use crate::settings::args::{CaptureMethod, LiveSettings};

/// All interfaces that were asked for.
pub(crate) struct Ports {
    opener: Opener,
    ports: Vec<Port>,
    /// The interfaces could not be looked at; said once.
    is_blind: bool,
    /// New addresses and routes; `None` where the kernel does not tell.
    changes: Option<Changes>,
}

impl Ports {
    /// Finds the interfaces. Without a number of workers there is one for each queue, up to the
    /// number of processors.
    ///
    /// # Errors
    ///
    /// One sentence: which interface does not exist, or was given twice.
    pub(crate) fn find(
        settings: &LiveSettings,
        numbers: &[(String, u32)],
        collectors: Vec<IpAddr>,
        workers: Option<usize>,
    ) -> Result<Self, String> {
        let mut ports: Vec<Port> = Vec::new();
        let mut queues = 0;
        for given in &settings.interface {
            let interface = Interface::find(given)?;
            if ports.iter().any(|port| port.ifindex == interface.index) {
                return Err(format!("{given} and {} are the same interface", interface.name));
            }
            let number = numbers.iter().find(|(name, _)| name == given || *name == interface.name);
            let number = number.map_or(interface.index, |(_, number)| *number);
            queues += interface.rx_queues as usize;
            ports.push(Port::new(&interface, number));
        }
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let workers = workers.unwrap_or_else(|| queues.clamp(1, processors));
        let opener = Opener { settings: settings.clone(), collectors, workers };
        Ok(Self { opener, ports, is_blind: false, changes: Changes::open().ok() })
    }

    /// How many workers there are to be at the most.
    pub(crate) fn workers(&self) -> usize {
        self.opener.workers
    }

    /// Opens all of them. Each worker is to have the sockets of one list.
    ///
    /// # Errors
    ///
    /// What cannot be opened, and why, in one sentence.
    pub(crate) fn open(&mut self) -> Result<Vec<Vec<Attached>>, String> {
        let mut lists: Vec<_> = (0..self.workers()).map(|_| Vec::new()).collect();
        let mut next = 0;
        for port in 0..self.ports.len() {
            // Programs go before sockets do, also when the next one fails.
            let sockets = self.open_port(port).inspect_err(|_| self.detach())?;
            let Port { name, method, state, .. } = &self.ports[port];
            info!("{name}: {method}");
            state.warn_of(name);
            for attached in sockets {
                lists[next % self.opener.workers].push(attached);
                next += 1;
            }
        }
        // More workers than sockets have nothing to do.
        lists.retain(|list| !list.is_empty());
        Ok(lists)
    }

    fn open_port(&mut self, port: usize) -> Result<Vec<Attached>, String> {
        let Port { name, number, kind, .. } = &self.ports[port];
        let interface = Interface::find(name)?;
        let Opened { kind, method, xdp, sockets } = self.opener.open(&interface, *number, *kind)?;
        let opened = &mut self.ports[port];
        opened.ifindex = interface.index;
        opened.kind = Some(kind);
        opened.method = method;
        opened.xdp = xdp;
        opened.card.begin(interface.index);
        Ok(sockets.into_iter().map(|source| Attached { port, source }).collect())
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.ports.len()
    }

    /// Their names and numbers, for exporters.
    pub(crate) fn named(&self) -> Arc<[exporter::Interface]> {
        let named =
            |port: &Port| exporter::Interface { number: port.number, name: port.name.clone() };
        self.ports.iter().map(named).collect()
    }

    /// No more packets come: programs go before sockets do.
    pub(crate) fn detach(&mut self) {
        for port in &mut self.ports {
            port.card.update(port.ifindex);
            port.close_program();
        }
    }

    /// Whether none is left, and none can come back.
    pub(crate) fn are_all_gone(&self) -> bool {
        let can_come_back = self.opener.settings.keep_capabilities;
        self.ports.iter().all(|port| match port.state {
            State::Up | State::NoCarrier | State::Down => false,
            State::Gone => !can_come_back,
            State::LeftToHost => true,
        })
    }

    /// Looks at each interface, and says what has changed. Sockets of one that came back are for
    /// workers.
    pub(crate) fn look(&mut self) -> Vec<Attached> {
        let links = match links() {
            Ok(links) => links,
            Err(problem) => {
                if !std::mem::replace(&mut self.is_blind, true) {
                    warn!("{problem}; the interfaces are taken to be as they were");
                }
                return Vec::new();
            }
        };
        self.is_blind = false;
        let touched = self.changes.as_mut().and_then(Changes::take);
        let mut arrivals = Vec::new();
        for port in 0..self.ports.len() {
            let ifindex = self.ports[port].ifindex;
            self.ports[port].card.update(ifindex);
            let now = self.ports[port].find_in(&links);
            if self.ports[port].state == State::Gone {
                if now != State::Gone {
                    arrivals.extend(self.came_back(port, now));
                }
            } else {
                self.ports[port].change(now);
            }
            let is_touched = touched.as_ref().is_none_or(|touched| touched.contains(&ifindex))
                || links
                    .iter()
                    .any(|link| link.index == ifindex && link.is_part_of_another(&links));
            if is_touched && self.ports[port].xdp.is_some() {
                arrivals.extend(self.leave_to_host(port));
            }
        }
        arrivals
    }

    /// Opens an interface that came back, if that is allowed.
    fn came_back(&mut self, port: usize, state: State) -> Vec<Attached> {
        let name = self.ports[port].name.clone();
        let Some(attempt) = self.ports[port].retry.begin() else { return Vec::new() };
        let failure = if self.opener.settings.keep_capabilities {
            match self.open_port(port) {
                Ok(sockets) => {
                    self.ports[port].state = state;
                    info!("{name} is back: {}", self.ports[port].method);
                    return sockets;
                }
                Err(problem) => format!("{name} is back: {problem}; trying again"),
            }
        } else {
            format!("{name} is back, but may not be opened: see --keep-capabilities")
        };
        if attempt == Attempt::First {
            warn!("{failure}");
        }
        Vec::new()
    }

    /// If the host needs the interface now, its packets go to the host again. Copies of them are
    /// captured if that is allowed. Detaching needs no right.
    fn leave_to_host(&mut self, port: usize) -> Vec<Attached> {
        let settings = &self.opener.settings;
        let name = self.ports[port].name.clone();
        let Ok(interface) = Interface::find(&name) else { return Vec::new() };
        let Some(why) = interface.needed(&self.opener.outputs()) else { return Vec::new() };
        if settings.take_interface && settings.capture == CaptureMethod::Afxdp {
            return Vec::new();
        }
        let may_open = settings.keep_capabilities && settings.capture == CaptureMethod::Auto;
        self.ports[port].close_program();
        warn!("{name} is the host's now ({why}): AF_XDP no longer takes its packets");
        if may_open {
            match self.open_port(port) {
                Ok(sockets) => {
                    info!("{name}: {}", self.ports[port].method);
                    return sockets;
                }
                Err(problem) => warn!("{problem}"),
            }
        }
        self.ports[port].state = State::LeftToHost;
        warn!(
            "{name} is not captured any more; start again to capture it by AF_PACKET, or use \
             --keep-capabilities"
        );
        Vec::new()
    }

    /// Each interface with what its sockets, its programs and its card counted.
    pub(crate) fn counts(&self, sources: &[SourceCounts]) -> Vec<PortCounts> {
        self.ports.iter().zip(sources).map(|(port, sockets)| port.counts(sockets)).collect()
    }
}
