//! The interfaces that packets are taken from: how each is opened, and what becomes of it.

use std::net::IpAddr;
use std::sync::Arc;
use std::thread;

use log::{info, warn};
use pnet_datalink::NetworkInterface;

use crate::args::CaptureMethod;
use crate::capture::live::{LiveSource, SourceCounts};
use crate::capture::packet::{Direction, PacketSettings, PacketSocket};
use crate::capture::xdp::{XdpCapture, XdpSettings};
use crate::config::LiveSettings;
use crate::interface::{Interface, Reason, towards};
use crate::live::Attached;
use crate::rights;

/// An interface that was asked for.
pub(crate) struct Port {
    name: String,
    /// In flow keys.
    number: u32,
    /// The kernel's number of the interface that is open.
    ifindex: u32,
    state: State,
    return_was_noticed: bool,
    /// In words, for the statistics.
    method: String,
    /// The program before the sockets, where there is one.
    xdp: Option<XdpCapture>,
    /// Counted by programs that are gone.
    before: Programs,
}

/// What an interface is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Up,
    Down,
    Gone,
}

/// All interfaces that were asked for.
pub(crate) struct Ports {
    settings: LiveSettings,
    /// Numbers that the user gave.
    numbers: Vec<(String, u32)>,
    /// Interfaces that the outputs send over.
    outputs: Vec<u32>,
    ports: Vec<Port>,
}

/// Sockets of an interface, for workers in turn.
type Sockets = Vec<LiveSource>;

/// A worker may be late by so many frames: 16 ms at a million a second.
const RING_DEFAULT: u32 = 16_384;

/// Too few to be of use; the kernel would take less.
const RING_MIN: u32 = 512;

/// Of memory for a frame.
const CHUNK_OCTETS_MAX: u64 = 4096;

/// Frames of memory for a queue, with the default ring.
pub(crate) const FRAMES_DEFAULT: u32 = frames(RING_DEFAULT);

/// Frames for a ring: when it is full of frames that wait, a driver that writes into them itself
/// still needs empty ones.
const fn frames(ring: u32) -> u32 {
    ring + ring / 4
}

impl Ports {
    /// Opens all interfaces. Each worker is to have the sockets of one list; without a number of
    /// workers there is one for each queue, up to the number of processors.
    ///
    /// # Errors
    ///
    /// What cannot be opened, and why, in one sentence.
    pub(crate) fn open(
        settings: &LiveSettings,
        numbers: &[(String, u32)],
        collectors: &[IpAddr],
        workers: Option<usize>,
    ) -> Result<(Self, Vec<Vec<Attached>>), String> {
        let mut ports = Self {
            settings: settings.clone(),
            numbers: numbers.to_vec(),
            outputs: collectors
                .iter()
                .filter_map(|&address| towards(address).ok().flatten())
                .collect(),
            ports: Vec::new(),
        };
        let interfaces = settings.interfaces.iter().map(|name| Interface::find(name));
        let interfaces = interfaces.collect::<Result<Vec<_>, _>>()?;
        let queues: u32 = interfaces.iter().map(|interface| interface.rx_queues).sum();
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let count = workers.unwrap_or_else(|| (queues as usize).min(processors));
        let mut lists: Vec<Vec<Attached>> = (0..count).map(|_| Vec::new()).collect();
        let mut next = 0;
        for interface in interfaces {
            let port = ports.ports.len();
            let (opened, sockets) = ports.open_port(&interface, count)?;
            info!("{}: {}", opened.name, opened.method);
            ports.ports.push(opened);
            for source in sockets {
                lists[next % count].push(Attached { port, source });
                next += 1;
            }
        }
        // More workers than sockets have nothing to do.
        lists.retain(|list| !list.is_empty());
        Ok((ports, lists))
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
            port.close_program();
        }
    }

    /// Whether none is left, and none can come back.
    pub(crate) fn are_all_gone(&self) -> bool {
        !self.settings.keep_capabilities && self.ports.iter().all(|port| port.state == State::Gone)
    }

    /// Looks at each interface, and says what has changed. Sockets of one that came back are for
    /// workers, in turn.
    pub(crate) fn look(&mut self, workers: usize) -> Vec<Attached> {
        let mut arrivals = Vec::new();
        let there = pnet_datalink::interfaces();
        for index in 0..self.ports.len() {
            let now = self.ports[index].look(&there);
            let before = std::mem::replace(&mut self.ports[index].state, now);
            let name = self.ports[index].name.clone();
            match (before, now) {
                (State::Up, State::Down) => warn!("{name} is down"),
                (State::Down, State::Up) => info!("{name} is up again"),
                (State::Up | State::Down, State::Gone) => {
                    self.ports[index].close_program();
                    warn!("{name} is gone");
                }
                (State::Gone, State::Up | State::Down) if self.settings.keep_capabilities => {
                    match self.open_again(index, workers) {
                        Ok(sockets) => arrivals.extend(
                            sockets.into_iter().map(|source| Attached { port: index, source }),
                        ),
                        Err(problem) => {
                            self.ports[index].state = State::Gone;
                            warn!("{name} is back: {problem}; trying again");
                        }
                    }
                }
                (State::Gone, State::Up | State::Down) => {
                    // Said once: it counts as gone from here on.
                    if !std::mem::replace(&mut self.ports[index].return_was_noticed, true) {
                        warn!("{name} is back, but may not be opened: see --keep-capabilities");
                    }
                    self.ports[index].state = State::Gone;
                }
                (State::Up, State::Up)
                | (State::Down, State::Down)
                | (State::Gone, State::Gone) => {}
            }
        }
        arrivals
    }

    /// Each interface with what its sockets and programs counted.
    pub(crate) fn counts(&self, sources: &[SourceCounts]) -> Vec<PortCounts> {
        let of = |(port, source): (&Port, &SourceCounts)| {
            let mut source = source.clone();
            port.complete(&mut source);
            PortCounts { name: port.name.clone(), method: port.method.clone(), source }
        };
        self.ports.iter().zip(sources).map(of).collect()
    }

    fn open_again(&mut self, index: usize, workers: usize) -> Result<Sockets, String> {
        let interface = Interface::find(&self.ports[index].name)?;
        let (port, sockets) = self.open_port(&interface, workers)?;
        info!("{} is back: {}", port.name, port.method);
        let before = self.ports[index].before;
        self.ports[index] = Port { before, ..port };
        Ok(sockets)
    }

    fn open_port(&self, interface: &Interface, workers: usize) -> Result<(Port, Sockets), String> {
        let consumable = interface.consumable(&self.outputs);
        let reasons = |reasons: &[Reason]| {
            reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        };
        match (self.settings.method, consumable) {
            (CaptureMethod::Packet, _) => self.open_packet(interface, workers, "as asked for"),
            (CaptureMethod::Auto, _) if self.settings.direction != Direction::In => {
                self.open_packet(interface, workers, "outgoing packets are asked for")
            }
            (CaptureMethod::Auto, Err(why)) => self.open_packet(
                interface,
                workers,
                &format!("the host needs it: {}", reasons(&why)),
            ),
            (CaptureMethod::Auto, Ok(())) => match self.open_xdp(interface) {
                Ok(opened) => Ok(opened),
                Err(why) => self.open_packet(interface, workers, &format!("no AF_XDP: {why}")),
            },
            (CaptureMethod::Afxdp, Err(why)) if !self.settings.take_interface => Err(format!(
                "cannot take the packets of {} from this host, which needs them: {}; use \
                 --capture packet, or --take-interface to take them all the same",
                interface.name,
                reasons(&why)
            )),
            (CaptureMethod::Afxdp, _) => self.open_xdp(interface),
        }
    }

    fn open_xdp(&self, interface: &Interface) -> Result<(Port, Sockets), String> {
        let name = &interface.name;
        if let Some(missing) = rights::missing(&rights::XDP) {
            return Err(format!("capturing from {name} by AF_XDP needs {missing}"));
        }
        let queues = interface.rx_queues;
        let memory_max = self.settings.umem_max / self.settings.interfaces.len() as u64;
        let ring = self.settings.ring.unwrap_or_else(|| {
            let fits = |ring: &u32| {
                u64::from(frames(*ring)) * CHUNK_OCTETS_MAX * u64::from(queues) <= memory_max
            };
            let halves = std::iter::successors(Some(RING_DEFAULT), |ring| Some(ring / 2));
            halves.take_while(|&ring| ring > RING_MIN).find(fits).unwrap_or(RING_MIN)
        });
        let settings = XdpSettings {
            name: name.clone(),
            ifindex: interface.index,
            number: self.number(interface),
            mtu: interface.mtu,
            queues,
            ring,
            frames: frames(ring),
            memory_max,
        };
        let (xdp, sockets) = XdpCapture::open(&settings).map_err(|error| error.to_string())?;
        let method = format!("AF_XDP, {}, {} queues", xdp.mode(), sockets.len());
        let port = self.port(interface, method, Some(xdp));
        Ok((port, sockets.into_iter().map(Box::new).map(LiveSource::Xdp).collect()))
    }

    fn open_packet(
        &self,
        interface: &Interface,
        workers: usize,
        why: &str,
    ) -> Result<(Port, Sockets), String> {
        let name = &interface.name;
        if let Some(missing) = rights::missing(&rights::PACKET) {
            return Err(format!("capturing from {name} needs {missing}"));
        }
        let settings = PacketSettings {
            name: name.clone(),
            ifindex: interface.index,
            number: self.number(interface),
            sockets: u32::try_from(workers).unwrap_or(1),
            ring_octets: usize::try_from(self.settings.packet_ring).unwrap_or(usize::MAX),
            direction: self.settings.direction,
            promiscuous: true,
        };
        let sockets = PacketSocket::open_all(&settings).map_err(|error| error.to_string())?;
        let method = format!("AF_PACKET, {} sockets: {why}", sockets.len());
        let port = self.port(interface, method, None);
        Ok((port, sockets.into_iter().map(LiveSource::Packet).collect()))
    }

    fn port(&self, interface: &Interface, method: String, xdp: Option<XdpCapture>) -> Port {
        Port {
            name: interface.name.clone(),
            number: self.number(interface),
            ifindex: interface.index,
            state: if interface.is_up() { State::Up } else { State::Down },
            return_was_noticed: false,
            method,
            xdp,
            before: Programs::default(),
        }
    }

    fn number(&self, interface: &Interface) -> u32 {
        let given = self.numbers.iter().find(|(name, _)| *name == interface.name);
        given.map_or(interface.index, |(_, number)| *number)
    }
}

impl Port {
    /// What the interface is doing now. Another of the same name is not the one that was open.
    fn look(&self, there: &[NetworkInterface]) -> State {
        let same = |interface: &&NetworkInterface| {
            interface.name == self.name
                && (self.state == State::Gone || interface.index == self.ifindex)
        };
        match there.iter().find(same) {
            Some(interface) if interface.is_up() => State::Up,
            Some(_) => State::Down,
            None => State::Gone,
        }
    }

    fn close_program(&mut self) {
        if let Some(mut xdp) = self.xdp.take() {
            // What it counts from here on is none of ours.
            xdp.detach();
            self.before.add(&xdp);
        }
    }

    /// Adds what only the programs know. What they redirected and no socket has seen was refused by
    /// the kernel on the way; while a program runs it may just be on the way.
    fn complete(&self, source: &mut SourceCounts) {
        let mut programs = self.before;
        if let Some(xdp) = &self.xdp {
            programs.add(xdp);
        }
        let mut refused = programs.refused;
        if self.xdp.is_none() {
            refused += programs.redirected.saturating_sub(source.lent + source.lost);
        }
        source.lost += refused;
        for (cause, count) in [("redirects_refused", refused), ("passed_to_host", programs.passed)]
        {
            if count > 0 {
                source.causes.insert(cause, count);
            }
        }
    }
}

/// Counted by the XDP programs that an interface had one after the other.
#[derive(Clone, Copy, Debug, Default)]
struct Programs {
    redirected: u64,
    passed: u64,
    refused: u64,
}

impl Programs {
    fn add(&mut self, xdp: &XdpCapture) {
        let counts = xdp.counts();
        for queue in counts.queues.iter().chain([&counts.others]) {
            self.redirected += queue.redirected;
            self.passed += queue.passed;
            self.refused += queue.refused;
        }
    }
}

/// An interface in the statistics.
#[derive(Clone, Debug)]
pub(crate) struct PortCounts {
    pub(crate) name: String,
    pub(crate) method: String,
    pub(crate) source: SourceCounts,
}
