//! Packets of an interface that the host continues to use (`AF_PACKET`).
//!
//! The kernel copies the headers of each packet into a ring, which this process reads without a
//! system call per packet. Super-packets of offloads are split again: frames are counted as on the
//! wire, as the sender's interface would count them.

mod block;
mod filter;
mod rings;
mod settings;
mod trim;

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use exporter::sentence;
use flow::{Dissection, Frame, LinkType, ObservationPoint, each_segment};
use log::{info, warn};

use super::layer::Layer;
use super::{CaptureError, PacketSource, Polled};
use crate::sys::packet_ring::{Outgoing, PacketRing, RingSize};
use block::{Cursor, Unreadable};
use filter::{CAPTURED_OCTETS, PAYLOAD_OCTETS};
pub(crate) use rings::Rings;
pub(crate) use settings::{Direction, PacketSettings};
use trim::Trim;

/// A ring's memory is a multiple of this. Small blocks fill fast: their packets are read early, and
/// they need no large pieces of the kernel's memory.
pub(crate) const BLOCK_OCTETS: usize = 256 << 10;

/// Maximum delay of packets. A block is used up after this time, so a reader may stop for this time
/// multiplied by the number of blocks without loss: 5 s with the default ring.
const BLOCK_TIMEOUT_MS: u32 = 20;

/// Octets of the ring for a frame of minimum length, with the metadata of the kernel.
const FRAME_OCTETS: usize = 160;

/// After this time, no packet from before a change of the filter comes any more, and the last block
/// of a socket whose interface is gone has come. A few times the block's timeout.
const SETTLED: Duration = Duration::from_millis(3 * BLOCK_TIMEOUT_MS as u64);

/// Time between two checks of an idle socket for an interface that is gone.
const CHECK_EVERY: Duration = Duration::from_millis(200);

/// Counts of a socket since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PacketCounts {
    /// Packets that the kernel had for this socket, including those that it dropped. A super-packet
    /// counts once. It is the sum of `drops`, `taken` and the packets in the ring.
    pub(crate) packets: u64,
    /// Packets that the kernel dropped because the ring was full.
    pub(crate) drops: u64,
    /// Times that the ring became full.
    pub(crate) freezes: u64,
    /// Packets that were read from the ring.
    pub(crate) taken: u64,
    /// Packets among them with invalid metadata of the kernel. They are lost.
    pub(crate) unreadable: u64,
    /// Frames that were lent: ordinary packets and segments of super-packets.
    pub(crate) lent: u64,
}

impl PacketCounts {
    /// Packets that are in the ring. They are lost if it is closed now.
    pub(crate) fn left(&self) -> u64 {
        self.packets.saturating_sub(self.drops + self.taken)
    }
}

/// One of the sockets that share an interface's packets.
#[derive(Debug)]
pub(crate) struct PacketSocket {
    name: String,
    number: u32,
    layer: Layer,
    dissection: Dissection,
    ring: PacketRing,
    /// Position in the current block, after its first packet was read.
    cursor: Option<Cursor>,
    /// Whether the last block that was read was full.
    is_busy: bool,
    /// Whether payload is captured too.
    reads_payload: bool,
    /// Whether it pays to cut packets. `None` if the filter also selects a direction.
    trim: Option<Trim>,
    /// Whether a filter is set.
    cuts: bool,
    counts: PacketCounts,
    state: State,
    /// Time of the last check that the interface exists.
    checked: Instant,
    /// Time of the stop.
    stopped: Option<Instant>,
}

/// State of the interface, as far as the socket knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Up,
    Down,
    /// Deleted or moved, since this time. It does not come back to this socket.
    Gone(Instant),
}

impl PacketSocket {
    /// Opens all sockets of an interface. No packet is in two of them, and none is from before.
    ///
    /// # Errors
    ///
    /// The missing requirement, in one sentence.
    pub(crate) fn open_all(settings: &PacketSettings) -> Result<Vec<Self>, CaptureError> {
        let fail = |what, problem| settings.error(what, &problem);
        let spread = "spread over several sockets the packets of";
        let mut sockets = vec![Self::open(settings)?];
        let hardware =
            sockets[0].ring.bound().map_err(|problem| fail("look at", problem))?.hardware;
        let direction = settings.direction.on(hardware);
        if settings.sockets > 1 {
            match sockets[0].ring.create_group(direction.outgoing()) {
                Ok(group) => {
                    for _ in 1..settings.sockets {
                        let socket = Self::open(settings)?;
                        socket.ring.join_group(group).map_err(|problem| fail(spread, problem))?;
                        sockets.push(socket);
                    }
                }
                // Kernels before 6.13 found no group on an interface that is down.
                Err(problem) if problem.raw_os_error() == Some(libc::EINVAL) => {
                    sockets[0].note_error().map_err(|problem| fail("look at", problem))?;
                    if sockets[0].state != State::Down {
                        return Err(fail(spread, problem));
                    }
                    info!("{} is down: one socket takes all of its packets", settings.name);
                }
                Err(problem) => return Err(fail(spread, problem)),
            }
        }
        let alone = sockets.len() == 1;
        for socket in &mut sockets {
            socket
                .begin(direction, alone)
                .map_err(|problem| fail("let through the packets of", problem))?;
        }
        Ok(sockets)
    }

    /// A socket with a filter that drops all packets. A bound socket gets all packets until it is
    /// in a group.
    fn open(settings: &PacketSettings) -> Result<Self, CaptureError> {
        let fail = |what, problem| settings.error(what, &problem);
        let ring = PacketRing::open(ring_size(settings.ring_octets))
            .map_err(|problem| fail("open a packet socket for", problem))?;
        ring.set_filter(&filter::NOTHING)
            .and_then(|()| ring.bind(settings.ifindex))
            .map_err(|problem| fail("bind a packet socket to", problem))?;
        if settings.promiscuous {
            ring.be_promiscuous(settings.ifindex)
                .map_err(|problem| fail("make promiscuous the interface", problem))?;
        }
        let bound = ring.bound().map_err(|problem| fail("look at", problem))?;
        Ok(Self {
            name: settings.name.clone(),
            number: settings.number,
            layer: settings.layer(bound.hardware)?,
            dissection: settings.dissection,
            ring,
            cursor: None,
            is_busy: false,
            reads_payload: settings.reads_payload,
            trim: None,
            cuts: true,
            counts: PacketCounts::default(),
            state: State::Up,
            checked: Instant::now(),
            stopped: None,
        })
    }

    /// Lets packets into the ring.
    fn begin(&mut self, direction: Direction, alone: bool) -> io::Result<()> {
        // This saves the kernel work. If it fails, the filter does the same.
        let is_left_out =
            direction.outgoing() == Outgoing::Ignored && self.ring.ignore_outgoing().is_ok();
        // It is not known whether the group excludes outgoing packets.
        let only_cuts = direction == Direction::Both || is_left_out && alone;
        self.trim = (only_cuts && !self.reads_payload).then(Trim::default);
        let octets = if self.reads_payload { PAYLOAD_OCTETS } else { CAPTURED_OCTETS };
        self.ring.set_filter(&filter::beginnings(direction, octets))
    }

    /// For `poll`: readable when there are packets, or when the interface went down.
    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }

    /// Whether packets come fast, so that the next block is full soon.
    pub(crate) fn is_busy(&self) -> bool {
        self.is_busy
    }

    /// Number of frames of minimum length for which the ring has room.
    pub(crate) fn ring(&self) -> u32 {
        u32::try_from(self.ring.octets() / FRAME_OCTETS).unwrap_or(u32::MAX)
    }

    /// Whether the interface went down and no packet has come since.
    #[cfg(test)]
    fn is_down(&self) -> bool {
        self.state != State::Up
    }

    /// Counts since the socket was opened. A system call.
    pub(crate) fn counts(&mut self) -> PacketCounts {
        // The kernel resets its counters on each read. The call cannot fail for an open socket.
        if let Ok(since) = self.ring.counts() {
            self.counts.packets += u64::from(since.packets);
            self.counts.drops += u64::from(since.drops);
            self.counts.freezes += u64::from(since.freezes);
        }
        self.counts
    }

    /// Lets no more packets in. Those in the ring still come, the last of them within 20 ms. It
    /// needs no capability.
    pub(crate) fn stop(&mut self) {
        if let Err(problem) = self.ring.set_filter(&filter::NOTHING) {
            // Packets that still come are counted. They are lost if no worker takes them.
            warn!("cannot stop capturing on {}: {}", self.name, sentence(&problem));
        }
        self.stopped = Some(Instant::now());
    }

    /// Whether it was stopped and all packets have been taken. A system call.
    pub(crate) fn is_drained(&mut self) -> bool {
        let is_settled = self.stopped.is_some_and(|stopped| stopped.elapsed() >= SETTLED);
        is_settled && self.counts().left() == 0
    }

    /// Called between blocks. Sets or removes the filter that cuts packets, by the recent packets.
    fn adapt_filter(&mut self) {
        let decision = self.trim.as_mut().and_then(Trim::decide);
        // A stopped socket keeps its filter, which drops all packets.
        let Some(cut) = decision.filter(|&cut| cut != self.cuts && self.stopped.is_none()) else {
            return;
        };
        let result = if cut {
            self.ring.set_filter(&filter::beginnings(Direction::Both, CAPTURED_OCTETS))
        } else {
            self.ring.remove_filter()
        };
        // Both are correct; one is only faster.
        if result.is_ok() {
            self.cuts = cut;
        }
    }

    /// Finds out whether the interface went down.
    fn note_error(&mut self) -> io::Result<()> {
        match self.ring.take_error()? {
            Some(problem) if problem.raw_os_error() == Some(libc::ENETDOWN) => {
                self.state = State::Down;
                Ok(())
            }
            Some(problem) => Err(problem),
            None => Ok(()),
        }
    }

    /// Called when there is no packet. Checks whether the interface still exists.
    #[cold]
    fn idle(&mut self) -> Result<Polled, CaptureError> {
        if let State::Gone(since) = self.state {
            return self.after_the_end(since);
        }
        self.note_error().map_err(|problem| self.broken(&problem))?;
        // An interface that is deleted goes down first. The socket is not told that it is deleted.
        // A block that came between the two looks as if the interface were up again.
        if self.state == State::Up && self.checked.elapsed() < CHECK_EVERY {
            return Ok(Polled::Idle);
        }
        self.checked = Instant::now();
        let bound = self.ring.bound().map_err(|problem| self.broken(&problem))?;
        if bound.index.is_some() {
            return Ok(Polled::Idle);
        }
        self.state = State::Gone(self.checked);
        self.after_the_end(self.checked)
    }

    fn broken(&self, problem: &io::Error) -> CaptureError {
        let problem = sentence(problem);
        CaptureError::Failed(format!("cannot continue to capture on {}: {problem}", self.name))
    }

    /// Called when the interface is gone. The block that the kernel was filling still comes.
    fn after_the_end(&mut self, since: Instant) -> Result<Polled, CaptureError> {
        if since.elapsed() < SETTLED && self.counts().left() > 0 {
            return Ok(Polled::Idle);
        }
        let name = &self.name;
        Err(CaptureError::Failed(format!("interface {name} is gone: it was deleted or moved")))
    }
}

impl PacketSource for PacketSocket {
    /// Super-packets are not split over two calls: all segments of the last one are lent.
    ///
    /// # Errors
    ///
    /// The interface is gone. While it is down, there are no packets.
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
                let packet = match packet {
                    Ok(packet) => packet,
                    Err(Unreadable(count)) => {
                        self.counts.unreadable += u64::from(count);
                        continue;
                    }
                };
                if let Some(trim) = &mut self.trim {
                    trim.note(packet.length);
                }
                let frame = Frame {
                    data: packet.data,
                    wire_length: packet.length,
                    time: packet.time,
                    point: ObservationPoint { interface: self.number, direction: packet.direction },
                    link_type,
                };
                lent += match &packet.offload {
                    None => {
                        take(&frame);
                        1
                    }
                    Some(offload) => {
                        u64::from(each_segment(&frame, offload, &self.dissection, &mut take))
                    }
                };
            }
            self.counts.taken += u64::from(before - cursor.left());
            self.cursor = Some(cursor);
            self.counts.lent += lent - lent_before;
            if cursor.left() == 0 {
                self.cursor = None;
                self.ring.release();
                self.is_busy = cursor.is_full();
                self.adapt_filter();
            }
            if self.state == State::Down {
                self.state = State::Up;
            }
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

#[cfg(test)]
pub(crate) mod tests;
