//! The interfaces that packets are taken from, and what becomes of them.

mod open;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use log::{info, warn};

use self::open::{Opened, Opener};
pub(crate) use self::open::{frames, ring_that_fits};
use crate::capture::live::SourceCounts;
use crate::capture::xdp::XdpCapture;
use crate::host::interface::Interface;
use crate::host::interface::links::{Link, links};
use crate::host::interface::nic::NicCounters;
use crate::pipeline::live::Attached;
use crate::settings::args::LiveSettings;

/// All interfaces that were asked for.
pub(crate) struct Ports {
    opener: Opener,
    ports: Vec<Port>,
    /// The interfaces could not be looked at; said once.
    is_blind: bool,
}

/// An interface that was asked for.
struct Port {
    name: String,
    /// In flow keys.
    number: u32,
    /// The kernel's number of the one that is open.
    ifindex: u32,
    state: State,
    kind: Option<Kind>,
    /// In words, for the statistics.
    method: String,
    /// The program before the sockets, where there is one.
    xdp: Option<XdpCapture>,
    /// Counted by programs that are gone.
    before: Programs,
    card: Card,
    retry: Retry,
}

/// How packets are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Xdp,
    Packet,
}

/// What an interface is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Up,
    NoCarrier,
    Down,
    Gone,
}

/// When an interface that came back is tried again.
#[derive(Clone, Copy, Debug)]
struct Retry {
    next: Instant,
    pause: Duration,
}

const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(60);

impl Ports {
    /// Finds the interfaces. Without a number of workers there is one for each queue, up to the
    /// number of processors.
    ///
    /// # Errors
    ///
    /// Which one is not there, or is there twice, in one sentence.
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
        Ok(Self { opener, ports, is_blind: false })
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
        !can_come_back && self.ports.iter().all(|port| port.state == State::Gone)
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
        }
        arrivals
    }

    /// Opens an interface that came back, if that is allowed.
    fn came_back(&mut self, port: usize, state: State) -> Vec<Attached> {
        let may_open = self.opener.settings.keep_capabilities;
        let Port { name, retry, .. } = &self.ports[port];
        let (name, retry) = (name.clone(), *retry);
        if Instant::now() < retry.next {
            return Vec::new();
        }
        let first = retry.pause == RETRY_FIRST;
        let pause = (retry.pause * 2).min(RETRY_MAX);
        self.ports[port].retry = Retry { next: Instant::now() + retry.pause, pause };
        if !may_open {
            if first {
                warn!("{name} is back, but may not be opened: see --keep-capabilities");
            }
            return Vec::new();
        }
        match self.open_port(port) {
            Ok(sockets) => {
                self.ports[port].state = state;
                info!("{name} is back: {}", self.ports[port].method);
                sockets
            }
            Err(problem) => {
                if first {
                    warn!("{name} is back: {problem}; trying again");
                }
                Vec::new()
            }
        }
    }

    /// Each interface with what its sockets, its programs and its card counted.
    pub(crate) fn counts(&self, sources: &[SourceCounts]) -> Vec<PortCounts> {
        let of = |(port, source): (&Port, &SourceCounts)| PortCounts {
            name: port.name.clone(),
            method: port.method.clone(),
            source: port.complete(source.clone()),
        };
        self.ports.iter().zip(sources).map(of).collect()
    }
}

impl Port {
    fn new(interface: &Interface, number: u32) -> Self {
        Self {
            name: interface.name.clone(),
            number,
            ifindex: interface.index,
            state: State::of(interface.is_up(), interface.is_running()),
            kind: None,
            method: String::new(),
            xdp: None,
            before: Programs::default(),
            card: Card::default(),
            retry: Retry { next: Instant::now(), pause: RETRY_FIRST },
        }
    }

    /// What the interface is doing now. It is known by its number; one that is gone can come back
    /// by its name only.
    fn find_in(&mut self, links: &[Link]) -> State {
        let is_it = |link: &&Link| match self.state {
            State::Gone => link.name == self.name,
            State::Up | State::NoCarrier | State::Down => link.index == self.ifindex,
        };
        let Some(link) = links.iter().find(is_it) else { return State::Gone };
        if link.name != self.name {
            info!("{} is now {}", self.name, link.name);
            self.name = link.name.clone();
        }
        State::of(link.is_up(), link.is_running())
    }

    fn change(&mut self, now: State) {
        if now == self.state {
            return;
        }
        self.state = now;
        let name = &self.name;
        match now {
            State::Up => info!("{name} is up again"),
            State::NoCarrier | State::Down => now.warn_of(name),
            State::Gone => {
                warn!("{name} is gone");
                self.retry = Retry { next: Instant::now(), pause: RETRY_FIRST };
                self.close_program();
            }
        }
    }

    fn close_program(&mut self) {
        if let Some(mut xdp) = self.xdp.take() {
            // What it counts from here on is none of ours.
            xdp.detach();
            self.before.add(&xdp);
        }
    }

    /// Adds what only programs and the card know. What was redirected and no socket has seen was
    /// refused by the kernel on the way; while a program runs it may just be on the way.
    fn complete(&self, mut source: SourceCounts) -> SourceCounts {
        let mut programs = self.before;
        if let Some(xdp) = &self.xdp {
            programs.add(xdp);
        }
        let mut refused = programs.refused;
        if self.xdp.is_none() {
            refused += programs.redirected.saturating_sub(source.lent + source.lost);
        }
        source.lost += refused;
        let programs = [("redirects_refused", refused), ("passed_to_host", programs.passed)];
        let card = self.card.causes.iter().map(|(cause, count)| (*cause, *count));
        source.causes.extend(programs.into_iter().chain(card).filter(|(_, count)| *count > 0));
        source
    }
}

impl State {
    /// Of what keeps packets from coming.
    fn warn_of(self, name: &str) {
        match self {
            Self::NoCarrier => warn!("{name} has no carrier"),
            Self::Down => warn!("{name} is down"),
            Self::Up | Self::Gone => {}
        }
    }

    fn of(up: bool, running: bool) -> Self {
        match (up, running) {
            (true, true) => Self::Up,
            (true, false) => Self::NoCarrier,
            (false, _) => Self::Down,
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

/// What the network card counted while the interface was open. Drivers begin again with 0 at will,
/// so differences are added up, a second apart.
#[derive(Clone, Debug, Default)]
struct Card {
    last: Option<NicCounters>,
    causes: BTreeMap<&'static str, u64>,
}

impl Card {
    fn begin(&mut self, ifindex: u32) {
        self.last = NicCounters::read(ifindex).ok();
    }

    /// A card that does not tell, or is gone, has counted nothing.
    fn update(&mut self, ifindex: u32) {
        let Ok(now) = NicCounters::read(ifindex) else { return };
        if let Some(last) = &self.last {
            for (cause, count) in now.since(last) {
                *self.causes.entry(cause).or_default() += count;
            }
        }
        self.last = Some(now);
    }
}

/// An interface in the statistics.
#[derive(Clone, Debug)]
pub(crate) struct PortCounts {
    pub(crate) name: String,
    pub(crate) method: String,
    pub(crate) source: SourceCounts,
}
