//! A selected interface and its state.

use std::time::Instant;

use log::{info, warn};

use super::card::Card;
use super::programs::Programs;
use super::retry::Retry;
use super::state::{Phase, State};
use crate::capture::lease::Lease;
use crate::capture::live::{LiveSource, SourceCounts};
use crate::capture::xdp::XdpCapture;
use crate::host::interface::Interface;
use crate::host::interface::links::Link;
use crate::host::method::Kind;
use crate::pipeline::live::Attached;

/// A selected interface.
pub(super) struct Port {
    pub(super) name: String,
    /// The number in flow keys. `None` until the interface exists for the first time.
    pub(super) number: Option<u32>,
    /// The interface index of the kernel. 0 until the interface exists for the first time.
    pub(super) ifindex: u32,
    /// It was selected by its name, not by a pattern.
    pub(super) is_named: bool,
    pub(super) state: State,
    pub(super) phase: Phase,
    pub(super) kind: Option<Kind>,
    /// As text for the statistics.
    pub(super) method: String,
    /// The XDP program that redirects to the sockets, if there is one.
    pub(super) xdp: Option<XdpCapture>,
    /// The values when sockets were opened, or at the last look.
    pub(super) mtu: u32,
    pub(super) queues: u32,
    /// Octets of the rings of its sockets.
    pub(super) memory: u64,
    /// Lease of the open sockets, and their number.
    lease: Lease,
    sockets: usize,
    /// Leases of sockets that workers have been asked to close.
    ended: Vec<Lease>,
    /// It will be opened after those are closed.
    pub(super) is_waiting_for_sockets: bool,
    /// Counts of programs that have been detached.
    before: Programs,
    /// Frames that those programs redirected and that no socket has seen.
    vanished: u64,
    pub(super) card: Card,
    pub(super) retry: Retry,
    /// Time when it appeared.
    pub(super) appeared: Instant,
    /// Counts of the sockets of the interface that had this place before.
    base: SourceCounts,
}

/// An interface in the statistics.
#[derive(Clone, Debug)]
pub(crate) struct PortCounts {
    pub(crate) name: String,
    /// Its number in flow records. `None` if it has none yet, or if these are several.
    pub(crate) number: Option<u32>,
    pub(crate) method: String,
    pub(crate) source: SourceCounts,
    pub(crate) is_captured: bool,
    /// It exists and should be captured, but is not.
    pub(crate) is_missed: bool,
}

impl PortCounts {
    /// The sum of interfaces that are gone.
    pub(super) fn of_those_that_are_over(source: &SourceCounts) -> Self {
        Self {
            name: "others".to_owned(),
            number: None,
            method: "not captured: they are gone".to_owned(),
            source: source.clone(),
            is_captured: false,
            is_missed: false,
        }
    }
}

impl Port {
    /// An interface that does not exist yet. Its packets get `number`, or else the interface index.
    pub(super) fn awaited(name: &str, number: Option<u32>, is_named: bool) -> Self {
        Self {
            name: name.to_owned(),
            number,
            ifindex: 0,
            is_named,
            state: State::Gone,
            phase: Phase::Closed { why: "it is not there yet".to_owned(), is_final: false },
            kind: None,
            method: String::new(),
            xdp: None,
            mtu: 0,
            queues: 0,
            memory: 0,
            lease: Lease::default(),
            sockets: 0,
            ended: Vec::new(),
            is_waiting_for_sockets: false,
            before: Programs::default(),
            vanished: 0,
            card: Card::default(),
            retry: Retry::new(),
            appeared: Instant::now(),
            base: SourceCounts::default(),
        }
    }

    /// An interface that exists.
    pub(super) fn found(interface: &Interface, number: Option<u32>, is_named: bool) -> Self {
        let state = State::of(interface.is_up(), interface.is_running());
        let awaited = Self::awaited(&interface.name, number, is_named);
        Self { ifindex: interface.index, state, ..awaited }
    }

    /// An interface that matches a pattern.
    pub(super) fn linked(link: &Link, number: Option<u32>) -> Self {
        let state = State::of(link.is_up(), link.is_running());
        Self { ifindex: link.index, state, ..Self::awaited(&link.name, number, false) }
    }

    /// Whether it is this interface. An interface that is gone is known by its name.
    pub(super) fn is(&self, link: &Link) -> bool {
        self.name == link.name || self.ifindex == link.index && self.state != State::Gone
    }

    /// Starts again with a new interface in the place of one that is gone. `sockets` are the counts
    /// of the old one's sockets.
    pub(super) fn replace(&mut self, by: Self, sockets: SourceCounts) {
        *self = Self { base: sockets, ..by };
    }

    pub(super) fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    pub(super) fn is_final(&self) -> bool {
        matches!(self.phase, Phase::Closed { is_final: true, .. })
    }

    /// Whether its place may be given to another one.
    pub(super) fn is_over(&self) -> bool {
        self.state == State::Gone && !self.is_named && self.is_drained()
    }

    /// The first words of messages on an interface that is about to be opened.
    pub(super) fn is_what(&self) -> &'static str {
        if self.was_open() { "is back" } else { "is there" }
    }

    /// The sockets for workers, each with a clone of the lease.
    pub(super) fn attach(&mut self, port: usize, sockets: Vec<LiveSource>) -> Vec<Attached> {
        self.sockets += sockets.len();
        sockets.into_iter().map(|source| Attached::new(port, source, &self.lease)).collect()
    }

    /// Whether workers closed sockets without a request, because they failed.
    pub(super) fn has_lost_sockets(&self) -> bool {
        self.lease.sockets() < self.sockets
    }

    /// Whether it was captured at any time.
    fn was_open(&self) -> bool {
        self.kind.is_some()
    }

    /// Updates the interface from the list of all links. It is known by its index. If it is gone,
    /// it can come back only by its name.
    pub(super) fn follow(&mut self, links: &[Link]) {
        let by_number = |link: &&Link| link.index == self.ifindex && self.state != State::Gone;
        let found = links.iter().find(by_number);
        if found.is_none() && self.state != State::Gone {
            self.change(State::Gone);
        }
        let found = found.or_else(|| links.iter().find(|link| link.name == self.name));
        let Some(link) = found else { return };
        if link.name != self.name {
            info!("{} is now {}", self.name, link.name);
            self.name = link.name.clone();
        }
        self.ifindex = link.index;
        self.update_card(self.is_open());
        self.change(State::of(link.is_up(), link.is_running()));
    }

    fn change(&mut self, now: State) {
        if now == self.state {
            return;
        }
        let before = std::mem::replace(&mut self.state, now);
        let name = &self.name;
        match now {
            // The opening of the interface logs its outcome.
            _ if before == State::Gone => {
                self.retry = Retry::new();
                self.appeared = Instant::now();
            }
            State::Up => info!("{name} is up again"),
            State::NoCarrier | State::Down => now.warn_of(name),
            State::Gone => {
                warn!("{name} is gone");
                self.close("it is gone".to_owned());
            }
        }
    }

    /// Detaches the program and asks workers to close the sockets.
    pub(super) fn close(&mut self, why: String) {
        if let Some(xdp) = &mut self.xdp {
            xdp.detach();
            self.update_card(true);
            self.card.close();
        }
        // Without a program, only sockets of AF_PACKET capture, until they are closed.
        let was_captured = self.xdp.is_none();
        self.close_program();
        self.update_card(was_captured);
        self.end_sockets();
        self.memory = 0;
        self.phase = Phase::Closed { why, is_final: false };
        self.retry = Retry::new();
    }

    /// Adds the counts of the card since the last time.
    pub(super) fn update_card(&mut self, was_captured: bool) {
        let seen = || self.xdp.as_ref().map_or(0, XdpCapture::seen);
        self.card.update(self.ifindex, was_captured, seen);
    }

    /// Compares the packets that the program has seen with those that the card has received.
    pub(super) fn compare(&mut self) {
        if let Some(xdp) = &self.xdp {
            self.card.compare(self.queues <= xdp.mode().queues);
        }
    }

    /// Asks workers to close the sockets, after they have emptied the rings.
    fn end_sockets(&mut self) {
        let lease = std::mem::take(&mut self.lease);
        lease.end();
        self.ended.retain(|lease| lease.sockets() > 0);
        self.ended.push(lease);
        self.sockets = 0;
    }

    /// Whether all sockets that were to be closed are closed.
    pub(super) fn is_drained(&self) -> bool {
        self.ended.iter().all(|lease| lease.sockets() == 0)
    }

    pub(super) fn close_program(&mut self) {
        if let Some(mut xdp) = self.xdp.take() {
            // Packets that it counts later do not belong to this run.
            xdp.detach();
            self.before.add(&xdp);
        }
    }

    /// Fixes the counts of programs that have been detached, before there is another one.
    pub(super) fn settle(&mut self, sockets: &SourceCounts) {
        self.vanished = self.vanished_until_now(&sockets.since(&self.base));
    }

    /// Frames that were redirected and that no socket has seen: the kernel refused them on the way.
    /// While a program runs, or rings are not empty, such frames may still be on the way.
    fn vanished_until_now(&self, sockets: &SourceCounts) -> u64 {
        if self.xdp.is_none() && self.is_drained() {
            self.before.redirected.saturating_sub(sockets.redirected)
        } else {
            self.vanished
        }
    }

    /// The counts of sockets, programs and card.
    pub(super) fn counts(&self, sockets: &SourceCounts) -> PortCounts {
        let method = match &self.phase {
            Phase::Open => self.method.clone(),
            Phase::Closed { why, .. } => format!("not captured: {why}"),
        };
        let is_captured = self.is_open();
        PortCounts {
            name: self.name.clone(),
            number: self.number,
            method,
            source: self.complete(sockets.since(&self.base)),
            is_captured,
            is_missed: !is_captured
                && self.state != State::Gone
                && (self.is_named || self.was_open()),
        }
    }

    /// Adds the counts of the programs and the card.
    fn complete(&self, mut source: SourceCounts) -> SourceCounts {
        let mut programs = self.before;
        if let Some(xdp) = &self.xdp {
            programs.add(xdp);
        }
        let refused = programs.refused + self.vanished_until_now(&source);
        let not_captured = self.card.not_captured();
        source.lost += refused + programs.passed + not_captured;
        let here = [
            ("redirects_refused", refused),
            ("passed_to_host", programs.passed),
            ("not_captured", not_captured),
        ];
        let card = self.card.causes();
        source.causes.extend(here.into_iter().chain(card).filter(|(_, count)| *count > 0));
        source
    }
}
