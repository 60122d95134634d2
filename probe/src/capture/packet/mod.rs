//! Packets of an interface that the host goes on using (`AF_PACKET`).
//!
//! The kernel copies each packet's headers into a ring that this process reads without a system
//! call for each. What offloads have put together is taken apart again: frames are those of the
//! wire, as the sender's interface would count them.

mod block;
mod filter;

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use clap::ValueEnum;
use exporter::sentence;
use flow::{Frame, LinkType, each_segment};

use super::sys::packet_ring::{PacketRing, RingSize};
use super::{CaptureError, PacketSource, Polled};
use block::Cursor;

/// Which packets of an interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Direction {
    /// Those that come in.
    #[default]
    In,
    /// Those that the host sends.
    Out,
    /// All. Of the loopback interface those that come in: each of its packets does both.
    Both,
}

/// What to capture, and how.
#[derive(Clone, Debug)]
pub(crate) struct PacketSettings {
    /// The interface's name, for messages.
    pub(crate) name: String,
    /// The kernel's number of it.
    pub(crate) ifindex: u32,
    /// The number of it that frames carry.
    pub(crate) number: u32,
    /// Sockets that its packets are spread over; at least 1.
    pub(crate) sockets: u32,
    /// Memory of each socket's ring, in whole blocks of [`BLOCK_OCTETS`], at least two. 64 MiB hold
    /// 0.1 million packets of 512 octets and more, 0.3 million of 64 octets.
    pub(crate) ring_octets: usize,
    /// Which packets.
    pub(crate) direction: Direction,
    /// Also those that are for other hosts, as on a mirror port all are.
    pub(crate) promiscuous: bool,
}

/// A ring's memory is a multiple of this. Small blocks fill fast, so that their packets are not
/// old when they come, and need no large pieces of the kernel's memory.
pub(crate) const BLOCK_OCTETS: usize = 256 << 10;

/// Packets come at most so late. A block is used up by that, so a reader that stands still loses
/// nothing for as many times this as there are blocks: 5 s with the default ring.
const BLOCK_TIMEOUT_MS: u32 = 20;

/// Counts of a socket since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PacketCounts {
    /// Packets that the kernel had for this socket, also those that it dropped. Super-packets count
    /// once. It is `drops`, `taken` and what is in the ring.
    pub(crate) packets: u64,
    /// Dropped by the kernel: the ring was full.
    pub(crate) drops: u64,
    /// How often the ring got full.
    pub(crate) freezes: u64,
    /// Packets that were read from the ring.
    pub(crate) taken: u64,
    /// Frames that were lent: the packets that were taken and the segments of super-packets.
    pub(crate) lent: u64,
}

/// One of the sockets that share an interface's packets.
#[derive(Debug)]
pub(crate) struct PacketSocket {
    name: String,
    number: u32,
    layer: Layer,
    ring: PacketRing,
    /// In the current block, once that has begun.
    cursor: Option<Cursor>,
    counts: PacketCounts,
    state: State,
}

/// What the socket knows of its interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Up,
    Down,
    Gone,
}

/// What a packet's data begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layer {
    Ethernet,
    Ip,
}

impl PacketSocket {
    /// Opens all sockets of an interface. None has a packet twice, or one from before.
    ///
    /// # Errors
    ///
    /// What is missing, in one sentence.
    pub(crate) fn open_all(settings: &PacketSettings) -> Result<Vec<Self>, CaptureError> {
        let fail = |what: &str, problem: &io::Error| {
            let (problem, remedy) = (sentence(problem), remedy(problem));
            CaptureError(format!("cannot {what} {}: {problem}{remedy}", settings.name))
        };
        let mut sockets = Vec::new();
        let mut group = None;
        for _ in 0..settings.sockets.max(1) {
            let ring = PacketRing::open(ring_size(settings.ring_octets))
                .map_err(|problem| fail("open a packet socket for", &problem))?;
            // A bound socket gets all packets until it is in the group: none may stay.
            ring.set_filter(&filter::NOTHING)
                .and_then(|()| ring.bind(settings.ifindex))
                .map_err(|problem| fail("bind a packet socket to", &problem))?;
            if settings.sockets > 1 {
                // By hash only. The kernel could also put fragments together before
                // (PACKET_FANOUT_FLAG_DEFRAG), but each of them is a packet to be counted. They
                // stay together without that: the hash of a fragment leaves out the ports.
                match group {
                    Some(group) => ring.join_group(group),
                    None => ring.found_group().map(|founded| group = Some(founded)),
                }
                .map_err(|problem| fail("spread over several sockets the packets of", &problem))?;
            }
            if settings.promiscuous {
                ring.be_promiscuous(settings.ifindex)
                    .map_err(|problem| fail("make promiscuous the interface", &problem))?;
            }
            let bound = ring.bound().map_err(|problem| fail("look at", &problem))?;
            sockets.push(Self {
                name: settings.name.clone(),
                number: settings.number,
                layer: layer(&settings.name, bound.hardware)?,
                ring,
                cursor: None,
                counts: PacketCounts::default(),
                state: State::Up,
            });
        }
        for socket in &sockets {
            socket
                .begin(settings.direction)
                .map_err(|problem| fail("let through the packets of", &problem))?;
        }
        Ok(sockets)
    }

    /// Lets packets into the ring.
    fn begin(&self, direction: Direction) -> io::Result<()> {
        let is_loopback = self.ring.bound()?.hardware == libc::ARPHRD_LOOPBACK;
        let direction = match direction {
            Direction::Both if is_loopback => Direction::In,
            Direction::In | Direction::Out | Direction::Both => direction,
        };
        if direction == Direction::In {
            // Saves the kernel work; where it cannot, the filter alone does it.
            drop(self.ring.ignore_outgoing());
        }
        self.ring.set_filter(&filter::headers(direction))
    }

    /// To wait for packets: readable when there are some, or when the interface went down.
    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }

    /// Whether the interface went down, and no packet has come since.
    #[cfg(test)]
    fn is_down(&self) -> bool {
        self.state != State::Up
    }

    /// Counts up to now. A system call.
    pub(crate) fn counts(&mut self) -> PacketCounts {
        // The kernel begins again with 0 each time. It cannot fail for an open socket.
        if let Ok(since) = self.ring.counts() {
            self.counts.packets += u64::from(since.packets);
            self.counts.drops += u64::from(since.drops);
            self.counts.freezes += u64::from(since.freezes);
        }
        self.counts
    }

    /// Nothing is there. Is the interface?
    #[cold]
    fn idle(&mut self) -> Result<Polled, CaptureError> {
        let fail = |problem: io::Error| {
            let problem = sentence(&problem);
            CaptureError(format!("cannot go on capturing on {}: {problem}", self.name))
        };
        match self.ring.take_error().map_err(fail)? {
            Some(problem) if problem.raw_os_error() == Some(libc::ENETDOWN) => {
                self.state = State::Down;
            }
            Some(problem) => return Err(fail(problem)),
            None => {}
        }
        // One that is deleted goes down first, and of the rest the socket is not told.
        if self.state == State::Down && self.ring.bound().map_err(fail)?.index.is_none() {
            self.state = State::Gone;
        }
        if self.state == State::Gone {
            let name = &self.name;
            return Err(CaptureError(format!("interface {name} is gone: it was deleted or moved")));
        }
        Ok(Polled::Idle)
    }
}

impl PacketSource for PacketSocket {
    /// Super-packets are not cut: of the last one all segments are lent.
    ///
    /// # Errors
    ///
    /// When the interface is gone. While it is down there is nothing.
    fn poll<F>(&mut self, frames_max: usize, mut take: F) -> Result<Polled, CaptureError>
    where
        F: FnMut(&Frame<'_>),
    {
        let link_type = match self.layer {
            Layer::Ethernet => LinkType::Ethernet,
            Layer::Ip => LinkType::RawIp,
        };
        let frames_max = u64::try_from(frames_max).unwrap_or(u64::MAX);
        let mut lent = 0;
        while lent < frames_max {
            let Some(block) = self.ring.block() else {
                return if lent == 0 { self.idle() } else { Ok(Polled::More) };
            };
            let mut cursor = self.cursor.unwrap_or_else(|| Cursor::new(block));
            let (before, lent_before) = (cursor.left(), lent);
            while lent < frames_max
                && let Some(packet) = cursor.next(block, self.layer)
            {
                let frame = Frame {
                    data: packet.data,
                    wire_length: packet.length,
                    time: packet.time,
                    ingress_interface: self.number,
                    link_type,
                };
                lent += match &packet.offload {
                    None => {
                        take(&frame);
                        1
                    }
                    Some(offload) => u64::from(each_segment(&frame, offload, &mut take)),
                };
            }
            self.counts.taken += u64::from(before - cursor.left());
            self.cursor = Some(cursor);
            self.counts.lent += lent - lent_before;
            if cursor.left() == 0 {
                self.cursor = None;
                self.ring.release();
            }
            self.state = State::Up;
        }
        Ok(Polled::More)
    }
}

fn ring_size(octets: usize) -> RingSize {
    let blocks = (octets / BLOCK_OCTETS).max(2);
    RingSize {
        block_octets: u32::try_from(BLOCK_OCTETS).unwrap_or(u32::MAX),
        blocks: u32::try_from(blocks).unwrap_or(u32::MAX),
        block_timeout_ms: BLOCK_TIMEOUT_MS,
    }
}

/// Whether frames of interfaces with this `ARPHRD_` number are understood.
pub(crate) fn is_known(hardware: u16) -> bool {
    known_layer(hardware).is_some()
}

fn layer(name: &str, hardware: u16) -> Result<Layer, CaptureError> {
    known_layer(hardware).ok_or_else(|| {
        CaptureError(format!(
            "cannot capture on {name}: its link layer (ARPHRD {hardware}) is neither Ethernet nor \
             IP"
        ))
    })
}

/// Interfaces without a link layer of their own have IP, which tells its version itself.
fn known_layer(hardware: u16) -> Option<Layer> {
    match hardware {
        libc::ARPHRD_ETHER | libc::ARPHRD_LOOPBACK => Some(Layer::Ethernet),
        libc::ARPHRD_PPP
        | RAW_IP
        | libc::ARPHRD_TUNNEL
        | libc::ARPHRD_TUNNEL6
        | libc::ARPHRD_SIT
        | libc::ARPHRD_IPGRE
        | IP6_GRE
        | libc::ARPHRD_NONE => Some(Layer::Ip),
        _ => None,
    }
}

/// linux/if_arp.h.
const RAW_IP: u16 = 519;
const IP6_GRE: u16 = 823;

/// What to do, after an error at start.
fn remedy(problem: &io::Error) -> &'static str {
    match problem.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => "; it needs the capability CAP_NET_RAW",
        Some(libc::ENOMEM) => "; a smaller ring may fit",
        Some(libc::EINVAL) => "; is the interface up?",
        Some(libc::ENODEV | libc::ENXIO) => "; it was there just before",
        _ => "",
    }
}

#[cfg(test)]
mod tests;
