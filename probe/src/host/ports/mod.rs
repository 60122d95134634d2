//! The interfaces from which packets are captured, and their state.

mod budget;
mod card;
mod open;
mod overlap;
mod port;
mod programs;
mod retry;
mod state;
mod tend;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use flow::Dissection;
use log::{info, warn};

pub(crate) use self::budget::Room;
use self::open::{Host, Opened, Opener};
use self::port::Port;
pub(crate) use self::port::PortCounts;
use self::state::{Phase, State};
use crate::capture::live::{LiveSource, SourceCounts};
use crate::capture::packet::Direction;
use crate::capture::xdp::XdpOpener;
use crate::host::interface::changes::{Changes, News};
use crate::host::interface::links::Link;
use crate::host::interface::network::Network;
use crate::host::interface::{FindError, Interface};
use crate::pipeline::live::Attached;
use crate::settings::args::LiveSettings;
use crate::settings::selector::{Selector, tip_of_missing};

/// Maximum number of interfaces at a time.
const PORTS_MAX: usize = 1024;

/// Minimum time between two looks at the interfaces, whatever the kernel reports.
const LOOK_PAUSE: Duration = Duration::from_millis(200);

/// All interfaces that the user selected.
pub(crate) struct Ports {
    opener: Opener,
    /// `--ifindex`.
    numbers: Vec<(String, u32)>,
    ports: Vec<Port>,
    /// Sum of the counts of interfaces whose place was given to another one.
    over: SourceCounts,
    /// Interfaces can be opened later: the capabilities are kept.
    may_open: bool,
    /// The interfaces could not be queried. Logged once.
    is_blind: bool,
    /// More interfaces match than the maximum. Logged once.
    is_full: bool,
    /// Source of the kernel's news of changes; `None` if it cannot be opened.
    changes: Option<Changes>,
    /// News of the kernel that were not handled yet.
    news: News,
    looked: Instant,
    /// Earliest time of the next query whether the host needs an interface.
    asked_until: Instant,
}

impl Ports {
    /// Finds the interfaces. Without a number of workers there is one for each queue, up to the
    /// number of processors.
    ///
    /// # Errors
    ///
    /// An interface does not exist or was given twice; in one sentence.
    pub(crate) fn find(
        settings: &LiveSettings,
        numbers: &[(String, u32)],
        collectors: Vec<IpAddr>,
        workers: Option<usize>,
        (dissection, reads_payload): (Dissection, bool),
    ) -> Result<Self, String> {
        let now = Instant::now();
        let xdp = XdpOpener::new();
        let mut ports = Self {
            opener: Opener {
                settings: settings.clone(),
                collectors,
                workers: 1,
                dissection,
                reads_payload,
                xdp,
            },
            numbers: numbers.to_vec(),
            ports: Vec::new(),
            over: SourceCounts::default(),
            may_open: settings.keep_capabilities || settings.wait,
            is_blind: false,
            is_full: false,
            changes: Changes::open().ok(),
            news: News::default(),
            looked: now,
            asked_until: now,
        };
        let network = Network::look_or_say()?;
        let mut missing = Vec::new();
        for selector in &settings.interface {
            if let Selector::Name(name) = selector {
                missing.extend(ports.find_named(name, &network)?);
            }
        }
        ports.find_matching(network.links(), &Vec::new);
        for selector in settings.interface.iter().filter(|selector| selector.is_pattern()) {
            ports.may_open = true;
            if !ports.ports.iter().any(|port| selector.selects(&port.name)) {
                missing.push(format!("no interface matches {selector}"));
            }
        }
        let nothing_is_there = ports.ports.iter().all(|port| port.state == State::Gone);
        match missing.first().filter(|_| nothing_is_there && !settings.wait) {
            Some(problem) => return Err(format!("{problem}; --wait waits for it")),
            None => missing.iter().for_each(|problem| warn!("{problem}; waiting for it")),
        }
        ports.may_open |= !missing.is_empty();
        ports.opener.workers = workers.unwrap_or_else(|| ports.default_workers(&network));
        Ok(ports)
    }

    /// Adds an interface that was selected by name. Returns the problem if it does not exist yet.
    fn find_named(&mut self, name: &str, network: &Network) -> Result<Option<String>, String> {
        if self.ports.len() >= PORTS_MAX {
            return Err(format!("more than {PORTS_MAX} interfaces are asked for"));
        }
        let number = self.number_of(&[name]);
        match network.interface(name) {
            Ok(interface) => {
                if self.ports.iter().any(|port| port.ifindex == interface.index) {
                    return Err(format!("{name} and {} are the same interface", interface.name));
                }
                let number = number.or_else(|| self.number_of(&[&interface.name]));
                self.ports.push(Port::found(&interface, number, true));
                Ok(None)
            }
            Err(problem @ FindError::NoSuchInterface { .. }) => {
                self.ports.push(Port::awaited(name, number, true));
                Ok(Some(format!("{problem}{}", tip_of_missing(name))))
            }
            Err(problem @ FindError::Unknown { .. }) => Err(problem.to_string()),
        }
    }

    /// Adds the new interfaces that match a pattern. `counts` are the counts of sockets so far, by
    /// interface.
    fn find_matching(&mut self, links: &[Link], counts: &dyn Fn() -> Vec<SourceCounts>) {
        let patterns = || self.opener.settings.interface.iter().filter(|one| one.is_pattern());
        let is_known = |link: &Link| self.ports.iter().any(|port| port.is(link));
        let is_new =
            |link: &&Link| patterns().any(|one| one.selects(&link.name)) && !is_known(link);
        let new: Vec<&Link> = links.iter().filter(is_new).collect();
        for link in new {
            let port = Port::linked(link, self.number_of(&[&link.name]));
            if self.ports.len() < PORTS_MAX {
                self.ports.push(port);
            } else if let Some(place) = self.ports.iter().position(Port::is_over) {
                self.replace(place, port, counts());
            } else if !std::mem::replace(&mut self.is_full, true) {
                warn!("{} is not captured: more than {PORTS_MAX} interfaces match", link.name);
            }
        }
    }

    /// Puts an interface in the place of one that is gone. The counts of that one are kept.
    fn replace(&mut self, place: usize, by: Port, mut counts: Vec<SourceCounts>) {
        let sockets = counts.get_mut(place).map(std::mem::take).unwrap_or_default();
        let gone = self.ports[place].counts(&sockets).source;
        // Queues of different interfaces have no sum.
        self.over += SourceCounts { queues: BTreeMap::new(), ..gone };
        self.ports[place].replace(by, sockets);
    }

    fn number_of(&self, names: &[&str]) -> Option<u32> {
        let given = self.numbers.iter().find(|(name, _)| names.contains(&name.as_str()));
        given.map(|(_, number)| *number)
    }

    /// One for each queue, up to the number of processors. The maximum if more interfaces may come.
    fn default_workers(&self, network: &Network) -> usize {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let there = || self.ports.iter().filter(|port| port.state != State::Gone);
        let queues = there().filter_map(|port| network.interface(&port.name).ok());
        let queues: u32 = queues.map(|interface| interface.rx_queues).sum();
        let most = if self.is_waiting() { processors } else { queues as usize };
        most.clamp(1, processors)
    }

    /// Whether new interfaces may come.
    fn is_waiting(&self) -> bool {
        self.has_patterns() || self.ports.iter().any(|port| port.ifindex == 0)
    }

    fn has_patterns(&self) -> bool {
        self.opener.settings.interface.iter().any(Selector::is_pattern)
    }

    /// Maximum number of workers.
    pub(crate) fn workers(&self) -> usize {
        self.opener.workers
    }

    /// Whether capabilities are kept, so that interfaces can be opened later.
    pub(crate) fn keeps_capabilities(&self) -> bool {
        self.may_open
    }

    /// Opens all of them. Each worker gets the sockets of one list.
    ///
    /// # Errors
    ///
    /// An interface cannot be opened; in one sentence.
    pub(crate) fn open(&mut self) -> Result<Vec<Vec<Attached>>, String> {
        let mut lists: Vec<_> = (0..self.workers()).map(|_| Vec::new()).collect();
        let mut next = 0;
        let (mut failure, mut missing) = (None, Vec::new());
        let host = self.opener.look()?;
        for port in 0..self.ports.len() {
            if self.ports[port].state == State::Gone {
                continue;
            }
            let sockets = match self.open_port(port, &host) {
                Ok(sockets) => sockets,
                // Of the interfaces of a pattern, those that work are captured. One that is down is
                // waited for.
                Err(problem) if !self.ports[port].is_named || self.is_down(port, &host) => {
                    warn!("{problem}");
                    self.may_open |= self.ports[port].is_named;
                    failure.get_or_insert(problem);
                    continue;
                }
                Err(problem) => match self.vanished(port, &host) {
                    Some(problem) => {
                        failure.get_or_insert_with(|| format!("{problem}; --wait waits for it"));
                        missing.push(problem);
                        continue;
                    }
                    None => {
                        // Programs go before sockets do.
                        self.detach();
                        return Err(problem);
                    }
                },
            };
            let Port { name, method, state, .. } = &self.ports[port];
            info!("{name}: {method}");
            state.warn_of(name);
            for attached in sockets {
                lists[next % self.opener.workers].push(attached);
                next += 1;
            }
        }
        if let Some(problem) = failure.filter(|_| next == 0 && !self.opener.settings.wait) {
            return Err(problem);
        }
        missing.iter().for_each(|problem| warn!("{problem}; waiting for it"));
        self.say_overlaps(host.network.links(), None);
        // More workers than sockets are idle, unless sockets come later.
        if !self.is_waiting() && self.ports.iter().all(Port::is_open) {
            lists.retain(|list| !list.is_empty());
        }
        Ok(lists)
    }

    fn is_down(&self, port: usize, host: &Host) -> bool {
        host.network.interface(&self.ports[port].name).is_ok_and(|interface| !interface.is_up())
    }

    /// Why an interface could not be opened, if it has gone since it was looked at. Then it is
    /// waited for, as one that was never there.
    fn vanished(&mut self, port: usize, host: &Host) -> Option<String> {
        let Port { name, number, is_named, .. } = &self.ports[port];
        let is_same = |now: &Interface| {
            host.network.interface(name).is_ok_and(|before| before.index == now.index)
        };
        let missing = match Interface::find(name) {
            Ok(now) if is_same(&now) => return None,
            Ok(_) => format!("interface {name} was made anew"),
            Err(missing @ FindError::NoSuchInterface { .. }) => missing.to_string(),
            Err(FindError::Unknown { .. }) => return None,
        };
        self.ports[port] = Port::awaited(name, *number, *is_named);
        self.may_open = true;
        Some(missing)
    }

    /// Opens an interface. After a failure it is not captured, and why is kept.
    fn open_port(&mut self, port: usize, host: &Host) -> Result<Vec<Attached>, String> {
        let outcome = self.try_open_port(port, host);
        if let Err(problem) = &outcome {
            self.ports[port].phase = Phase::Closed { why: problem.clone(), is_final: false };
        }
        outcome
    }

    fn try_open_port(&mut self, port: usize, host: &Host) -> Result<Vec<Attached>, String> {
        let Port { name, number, kind, .. } = &self.ports[port];
        let interface = host.network.interface(name).map_err(|problem| problem.to_string())?;
        let number = number.unwrap_or(interface.index);
        let (kind, room) = (*kind, self.room(port));
        // It was not captured up to now.
        self.ports[port].card.update(interface.index, false, || 0);
        let Opened { kind, method, xdp, memory, mut sockets } =
            self.opener.open(host, &interface, number, kind, room)?;
        let takes_only_incoming = self.opener.settings.direction == Direction::In;
        let opened = &mut self.ports[port];
        let is_again = opened.kind.is_some();
        opened.ifindex = interface.index;
        opened.number = Some(number);
        opened.kind = Some(kind);
        opened.method = method;
        opened.xdp = xdp;
        opened.memory = memory;
        (opened.mtu, opened.queues) = (interface.mtu, interface.rx_queues);
        match &mut opened.xdp {
            Some(xdp) if is_again => {
                xdp.count_from_attachment();
                opened.card.open_again(interface.index, || xdp.seen());
            }
            None if is_again => {
                // The card counts only incoming packets. If the sockets also take others, all
                // packets until now count as lost, because it is not known how many came in.
                let mut taken = || sockets.iter_mut().map(LiveSource::packets).sum();
                let seen = || if takes_only_incoming { taken() } else { 0 };
                opened.card.open_again(interface.index, seen);
            }
            _ => {
                opened.update_card(true);
                opened.card.begin();
            }
        }
        opened.compare();
        opened.phase = Phase::Open;
        Ok(opened.attach(port, sockets))
    }

    /// The names and numbers of interfaces, for exporters.
    pub(crate) fn named(&self) -> Arc<[exporter::Interface]> {
        let named = |port: &Port| {
            Some(exporter::Interface { number: port.number?, name: port.name.clone() })
        };
        self.ports.iter().filter_map(named).collect()
    }

    /// Ends the capture. Programs are detached before sockets are closed.
    pub(crate) fn detach(&mut self) {
        for port in &mut self.ports {
            port.update_card(port.is_open());
            port.compare();
            port.close_program();
        }
    }

    /// Whether no interface is captured, and none can come.
    pub(crate) fn are_all_gone(&self) -> bool {
        let can_come = |port: &Port| self.may_open && !port.is_final();
        !self.has_patterns() && !self.ports.iter().any(|port| port.is_open() || can_come(port))
    }

    /// The counts of sockets, programs and card of each interface. Interfaces whose place was given
    /// to another one are summed up.
    pub(crate) fn counts(&self, sources: &[SourceCounts]) -> Vec<PortCounts> {
        let none = SourceCounts::default();
        let of = |port: usize| sources.get(port).unwrap_or(&none);
        let over = (self.over != none).then(|| PortCounts::of_those_that_are_over(&self.over));
        let ports = self.ports.iter().enumerate().map(|(index, port)| port.counts(of(index)));
        ports.chain(over).collect()
    }
}
