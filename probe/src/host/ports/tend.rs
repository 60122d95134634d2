//! Reactions to changes of interfaces.

use std::time::{Duration, Instant};

use log::{info, warn};

use super::retry::Attempt;
use super::state::{Phase, State};
use super::{LOOK_PAUSE, Ports};
use crate::capture::live::SourceCounts;
use crate::host::interface::Interface;
use crate::host::interface::changes::News;
use crate::host::interface::links::{Link, links};
use crate::host::interface::sysfs::Sysfs;
use crate::pipeline::live::Attached;
use crate::settings::args::CaptureMethod;

/// The query whether the host needs an interface takes long if there are many routes. It may take
/// at most one part in this number of the time.
const ASKING_SHARE: u32 = 20;

/// A new interface is opened when it is up, or after this time.
const BEING_MADE: Duration = Duration::from_secs(2);

/// How to capture an interface that the host needs.
fn remedy(is_packet_allowed: bool) -> &'static str {
    if is_packet_allowed {
        "start again to capture it by AF_PACKET, or use --keep-capabilities"
    } else {
        "--capture afxdp forbids AF_PACKET: start again with --capture auto or --capture packet"
    }
}

impl Ports {
    /// Whether something has changed, so that it is time for a look.
    pub(crate) fn have_news(&mut self) -> bool {
        if let Some(changes) = &self.changes {
            changes.hear(&mut self.news);
        }
        let is_drained = || {
            let mut waiting = self.ports.iter().filter(|port| port.is_waiting_for_sockets);
            waiting.any(|port| port.is_drained())
        };
        self.looked.elapsed() >= LOOK_PAUSE && (self.news.links || is_drained())
    }

    /// Looks at each interface, logs changes, and opens and closes interfaces as needed. Returns
    /// new sockets for workers. `counts` are the counts of sockets so far, by interface.
    pub(crate) fn look(&mut self, counts: &dyn Fn() -> Vec<SourceCounts>) -> Vec<Attached> {
        self.looked = Instant::now();
        self.news.links = false;
        let links = match links() {
            Ok(links) => links,
            Err(problem) => {
                if !std::mem::replace(&mut self.is_blind, true) {
                    warn!("{problem}; their last known state is used");
                }
                return Vec::new();
            }
        };
        self.is_blind = false;
        self.find_matching(&links, counts);
        let may_ask = Instant::now() >= self.asked_until;
        let news = may_ask.then(|| std::mem::take(&mut self.news));
        let mut arrivals = Vec::new();
        for port in 0..self.ports.len() {
            self.ports[port].follow(&links);
            arrivals.extend(self.tend(port, &links, news.as_ref(), counts));
        }
        arrivals
    }

    /// Reacts to the state of an interface. Without news there is no query whether the host needs
    /// it.
    fn tend(
        &mut self,
        port: usize,
        links: &[Link],
        news: Option<&News>,
        counts: &dyn Fn() -> Vec<SourceCounts>,
    ) -> Vec<Attached> {
        let one = &mut self.ports[port];
        one.is_waiting_for_sockets = false;
        let index = one.ifindex;
        let link = links.iter().find(|link| link.index == index);
        let (Some(link), false) = (link, one.state == State::Gone) else { return Vec::new() };
        if one.is_open() && one.has_lost_sockets() {
            one.close("its sockets failed".to_owned());
        }
        if !one.is_open() {
            return self.open_again(port, links, counts);
        }
        if one.xdp.is_none() {
            return Vec::new();
        }
        let is_unsure = self.changes.is_none();
        let may_be_needed = news.is_some_and(|news| {
            is_unsure
                || news.is_incomplete
                || news.touched.contains(&index)
                || link.is_part_of_another(links)
        });
        let mut arrivals = Vec::new();
        if may_be_needed {
            let begin = Instant::now();
            arrivals = self.leave_to_host(port);
            self.asked_until = Instant::now() + begin.elapsed() * ASKING_SHARE;
        }
        self.fit(port, link);
        arrivals
    }

    /// Opens an interface that appeared, came back or had to be closed, if that is permitted.
    fn open_again(
        &mut self,
        port: usize,
        links: &[Link],
        counts: &dyn Fn() -> Vec<SourceCounts>,
    ) -> Vec<Attached> {
        let one = &mut self.ports[port];
        // A new interface is set up soon after its creation. AF_XDP needs it to be up.
        let is_being_made = one.state == State::Down && one.appeared.elapsed() < BEING_MADE;
        if one.is_final() || is_being_made {
            return Vec::new();
        }
        one.is_waiting_for_sockets = !one.is_drained();
        if one.is_waiting_for_sockets {
            return Vec::new();
        }
        let Some(attempt) = one.retry.begin() else { return Vec::new() };
        let (name, is) = (one.name.clone(), one.is_what());
        let failure = if self.may_open {
            if let Some(sockets) = counts().get(port) {
                self.ports[port].settle(sockets);
            }
            match self.opener.look().and_then(|host| self.open_port(port, &host)) {
                Ok(sockets) => {
                    info!("{name} {is}: {}", self.ports[port].method);
                    self.ports[port].state.warn_of(&name);
                    self.say_overlaps(links, Some(port));
                    return sockets;
                }
                Err(problem) => format!("{name} {is}: {problem}; trying again"),
            }
        } else {
            let why = "it may not be opened again without --keep-capabilities".to_owned();
            self.ports[port].phase = Phase::Closed { why, is_final: false };
            format!("{name} {is}, but may not be opened: see --keep-capabilities")
        };
        if attempt == Attempt::First {
            warn!("{failure}");
        }
        Vec::new()
    }

    /// If the host needs the interface now, gives the packets back to the host. Captures copies of
    /// them if that is permitted. Detaching needs no capability.
    fn leave_to_host(&mut self, port: usize) -> Vec<Attached> {
        let settings = &self.opener.settings;
        let name = self.ports[port].name.clone();
        let Ok(interface) = Interface::find(&name) else { return Vec::new() };
        let Some(why) = interface.needed(&self.opener.outputs()) else { return Vec::new() };
        if settings.take_interface && settings.capture == CaptureMethod::Afxdp {
            return Vec::new();
        }
        let is_packet_allowed = settings.capture == CaptureMethod::Auto;
        self.ports[port].close(format!("the host needs it: {why}"));
        warn!("{name} is the host's now ({why}): AF_XDP no longer takes its packets");
        if is_packet_allowed && self.may_open {
            return match self.opener.look().and_then(|host| self.open_port(port, &host)) {
                Ok(sockets) => {
                    info!("{name}: {}", self.ports[port].method);
                    sockets
                }
                Err(problem) => {
                    warn!("{name} is not captured: {problem}; trying again");
                    Vec::new()
                }
            };
        }
        let why = format!("the host needs it: {why}");
        self.ports[port].phase = Phase::Closed { why, is_final: true };
        warn!("{name} is not captured any more; {}", remedy(is_packet_allowed));
        Vec::new()
    }

    /// Closes the sockets of AF_XDP, to open them again, if the interface has more queues or a
    /// larger MTU. Without the capability to do so, the additional packets are lost, and counted.
    fn fit(&mut self, port: usize, link: &Link) {
        let may_open = self.may_open;
        let one = &mut self.ports[port];
        let Some(xdp) = &one.xdp else { return };
        let (has, has_room) = (xdp.mode().queues, xdp.has_room_for(link.mtu));
        let queues = Sysfs::of(&link.name, link.index).and_then(|sysfs| sysfs.rx_queues());
        let queues_before = one.queues;
        one.queues = queues.unwrap_or(queues_before);
        let mtu_before = std::mem::replace(&mut one.mtu, link.mtu);
        one.compare();
        let (name, queues) = (one.name.clone(), one.queues);
        let problem = if link.mtu != mtu_before && !has_room {
            let lost = format!("frames of more than {mtu_before} octets may be lost");
            Some((format!("an MTU of {}", link.mtu), lost))
        } else if queues > has && queues != queues_before {
            Some((format!("{queues} receive queues"), format!("packets of all but {has} are lost")))
        } else {
            None
        };
        match problem {
            Some((what, _)) if may_open => {
                info!("{name} has {what} now: it is opened again");
                one.close(format!("it is opened again for {what}"));
                one.is_waiting_for_sockets = true;
            }
            Some((what, lost)) => {
                warn!("{name} has {what} now: {lost}; start again, or use --keep-capabilities");
            }
            None => {}
        }
    }
}
