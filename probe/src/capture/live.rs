//! A socket of a live interface, of either kind, and the counts of its kernel side.

use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use flow::Frame;

use super::afxdp::{XdpSocket, XskCounts};
use super::packet::{PacketCounts, PacketSocket};
use super::{CaptureError, PacketSource, Polled};

/// A source of frames for a worker.
pub(crate) enum LiveSource {
    /// `AF_XDP`: frames bypass the network stack of the host.
    Xdp(Box<XdpSocket>),
    /// Copies of what the stack gets.
    Packet(Box<PacketSocket>),
}

/// Frames of `AF_XDP` get the time at which they are taken. This bounds the error.
const XDP_NAP_MAX: Duration = Duration::from_micros(500);

/// Frames of `AF_PACKET` have the time of the kernel.
const PACKET_NAP_MAX: Duration = Duration::from_millis(2);

/// Time between two frames of minimum length at 10 Gbit/s.
const FRAME_10G: Duration = Duration::from_nanos(67);

/// Counters of a socket, or sums of several.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SourceCounts {
    /// Frames lent to a worker.
    pub(crate) lent: u64,
    /// Frames that the kernel counted as lost.
    pub(crate) lost: u64,
    /// Frames among both that an XDP program redirected.
    pub(crate) redirected: u64,
    /// Causes of the loss, by the kernel's counters. They overlap and are never summed.
    pub(crate) causes: BTreeMap<&'static str, u64>,
    /// By receive queue of the card. Only for `AF_XDP`: other sockets are not of a queue.
    pub(crate) queues: BTreeMap<u32, RingCounts>,
}

/// Counters of the ring of a receive queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RingCounts {
    /// Frames lent to a worker.
    pub(crate) lent: u64,
    /// Frames that the kernel counted as lost.
    pub(crate) lost: u64,
}

impl AddAssign for SourceCounts {
    fn add_assign(&mut self, other: Self) {
        self.lent += other.lent;
        self.lost += other.lost;
        self.redirected += other.redirected;
        for (cause, count) in other.causes {
            *self.causes.entry(cause).or_default() += count;
        }
        for (queue, counts) in other.queues {
            let sum = self.queues.entry(queue).or_default();
            sum.lent += counts.lent;
            sum.lost += counts.lost;
        }
    }
}

impl SourceCounts {
    /// The difference from earlier counts.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        let before = |cause: &str| earlier.causes.get(cause).copied().unwrap_or_default();
        Self {
            lent: self.lent - earlier.lent,
            lost: self.lost - earlier.lost,
            redirected: self.redirected - earlier.redirected,
            causes: self
                .causes
                .iter()
                .map(|(cause, count)| (*cause, count - before(cause)))
                .filter(|(_, count)| *count > 0)
                .collect(),
            queues: self
                .queues
                .iter()
                .map(|(queue, now)| {
                    let before = earlier.queues.get(queue).copied().unwrap_or_default();
                    let (lent, lost) = (now.lent - before.lent, now.lost - before.lost);
                    (*queue, RingCounts { lent, lost })
                })
                .collect(),
        }
    }
}

impl LiveSource {
    /// Time for which a thread can leave the ring alone while frames come in bursts: until frames
    /// of minimum length at 10 Gbit/s would fill half of it. A thread that sleeps needs no wake-up
    /// call, which would cost time of the processor that serves the card. `None`: `poll` is better.
    pub(crate) fn nap(&self) -> Option<Duration> {
        let (ring, longest) = match self {
            Self::Xdp(socket) => (socket.ring(), XDP_NAP_MAX),
            Self::Packet(socket) if socket.is_busy() => (socket.ring(), PACKET_NAP_MAX),
            Self::Packet(_) => return None,
        };
        Some(longest.min(FRAME_10G * ring / 2))
    }

    /// Stops the delivery of frames. For `AF_XDP` the program is detached instead.
    pub(crate) fn stop(&mut self) {
        match self {
            Self::Xdp(_) => {}
            Self::Packet(socket) => socket.stop(),
        }
    }

    /// Whether all frames from before the stop have been taken, after a poll that found nothing.
    pub(crate) fn is_drained(&mut self) -> bool {
        match self {
            Self::Xdp(_) => true,
            Self::Packet(socket) => socket.is_drained(),
        }
    }

    /// Counts since it was opened. A system call.
    pub(crate) fn counts(&mut self) -> SourceCounts {
        match self {
            // The kernel has counters for every open socket.
            Self::Xdp(socket) => {
                let mut counts = socket.counts().map(SourceCounts::from).unwrap_or_default();
                let of_queue = RingCounts { lent: counts.lent, lost: counts.lost };
                counts.queues.insert(socket.queue(), of_queue);
                counts
            }
            Self::Packet(socket) => socket.counts().into(),
        }
    }

    /// Packets that the kernel had for a socket of `AF_PACKET` since it was opened, including those
    /// that it dropped. A super-packet counts once. A system call. 0 for `AF_XDP`, whose program
    /// counts.
    pub(crate) fn packets(&mut self) -> u64 {
        match self {
            Self::Xdp(_) => 0,
            Self::Packet(socket) => socket.counts().packets,
        }
    }

    /// Counts of a socket that is about to be closed: frames left in the ring are lost.
    pub(crate) fn last_counts(&mut self) -> SourceCounts {
        let Self::Packet(socket) = self else { return self.counts() };
        let counts = socket.counts();
        let mut last = SourceCounts::from(counts);
        last.lost += counts.left();
        last.causes.extend(causes([("left_in_ring", counts.left())]));
        last
    }
}

impl From<XskCounts> for SourceCounts {
    fn from(counts: XskCounts) -> Self {
        Self {
            lent: counts.lent,
            lost: counts.lost(),
            redirected: counts.lent + counts.lost(),
            causes: causes([
                ("rx_dropped", counts.rx_dropped),
                ("rx_ring_full", counts.rx_ring_full),
                ("fill_ring_empty", counts.rx_fill_ring_empty_descs),
                ("invalid_descriptors", counts.rx_invalid_descs + counts.invalid_descriptors),
                ("too_long", counts.too_long),
            ]),
            queues: BTreeMap::new(),
        }
    }
}

impl From<PacketCounts> for SourceCounts {
    fn from(counts: PacketCounts) -> Self {
        Self {
            lent: counts.lent,
            lost: counts.drops + counts.unreadable,
            redirected: 0,
            causes: causes([
                ("ring_full", counts.drops),
                ("ring_freezes", counts.freezes),
                ("unreadable", counts.unreadable),
            ]),
            queues: BTreeMap::new(),
        }
    }
}

/// The causes whose count is not 0.
fn causes<const COUNT: usize>(causes: [(&'static str, u64); COUNT]) -> BTreeMap<&'static str, u64> {
    causes.into_iter().filter(|(_, count)| *count > 0).collect()
}

impl AsFd for LiveSource {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Xdp(socket) => socket.as_fd(),
            Self::Packet(socket) => socket.as_fd(),
        }
    }
}

impl PacketSource for LiveSource {
    fn poll<F>(&mut self, frames_max: usize, take: F) -> Result<Polled, CaptureError>
    where
        F: FnMut(&Frame<'_>),
    {
        match self {
            Self::Xdp(socket) => socket.poll(frames_max, take),
            Self::Packet(socket) => socket.poll(frames_max, take),
        }
    }
}
