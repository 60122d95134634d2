//! An interface that was asked for, and what becomes of it.

use log::{info, warn};

use super::card::Card;
use super::programs::Programs;
use super::retry::Retry;
use super::state::State;
use crate::capture::live::SourceCounts;
use crate::capture::xdp::XdpCapture;
use crate::host::interface::Interface;
use crate::host::interface::links::Link;
use crate::host::method::Kind;

/// An interface that was asked for.
pub(super) struct Port {
    pub(super) name: String,
    /// In flow keys.
    pub(super) number: u32,
    /// The kernel's number of the one that is open.
    pub(super) ifindex: u32,
    pub(super) state: State,
    pub(super) kind: Option<Kind>,
    /// In words, for the statistics.
    pub(super) method: String,
    /// The XDP program that redirects to the sockets, where there is one.
    pub(super) xdp: Option<XdpCapture>,
    /// Counted by programs that are gone.
    pub(super) before: Programs,
    pub(super) card: Card,
    pub(super) retry: Retry,
}

/// An interface in the statistics.
#[derive(Clone, Debug)]
pub(crate) struct PortCounts {
    pub(crate) name: String,
    pub(crate) method: String,
    pub(crate) source: SourceCounts,
}

impl Port {
    pub(super) fn new(interface: &Interface, number: u32) -> Self {
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
            retry: Retry::new(),
        }
    }

    /// What the interface is doing now. It is known by its number; one that is gone can come back
    /// by its name only.
    pub(super) fn find_in(&mut self, links: &[Link]) -> State {
        let is_it = |link: &&Link| match self.state {
            State::Gone => link.name == self.name,
            State::Up | State::NoCarrier | State::Down | State::LeftToHost => {
                link.index == self.ifindex
            }
        };
        let Some(link) = links.iter().find(is_it) else { return State::Gone };
        if link.name != self.name {
            info!("{} is now {}", self.name, link.name);
            self.name = link.name.clone();
        }
        State::of(link.is_up(), link.is_running())
    }

    pub(super) fn change(&mut self, now: State) {
        if now == self.state || self.state == State::LeftToHost && now != State::Gone {
            return;
        }
        self.state = now;
        let name = &self.name;
        match now {
            State::Up => info!("{name} is up again"),
            State::LeftToHost => {}
            State::NoCarrier | State::Down => now.warn_of(name),
            State::Gone => {
                warn!("{name} is gone");
                self.retry = Retry::new();
                self.close_program();
            }
        }
    }

    pub(super) fn close_program(&mut self) {
        if let Some(mut xdp) = self.xdp.take() {
            // Packets that it counts from here on do not belong to this run.
            xdp.detach();
            self.before.add(&xdp);
        }
    }

    /// The interface with what its sockets, its programs and its card counted.
    pub(super) fn counts(&self, sockets: &SourceCounts) -> PortCounts {
        PortCounts {
            name: self.name.clone(),
            method: self.method.clone(),
            source: self.complete(sockets.clone()),
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
        let card = self.card.causes();
        source.causes.extend(programs.into_iter().chain(card).filter(|(_, count)| *count > 0));
        source
    }
}
