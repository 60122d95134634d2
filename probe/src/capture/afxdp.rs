//! Frames of one receive queue that bypass the network stack of the kernel.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use exporter::sentence;
use flow::{Frame, LinkType, ObservationPoint, Timestamp};

use super::{CaptureError, PacketSource, Polled};
use crate::sys::xsk::{Buffer, Xsk, XskBinding, XskSizes, XskStep};

/// Maximum length of a frame that is put together from several buffers, in octets. A longer frame
/// is cut. The longest IP packet with its link layer fits.
const ASSEMBLED_MAX: usize = 65_536 + 64;

/// Time between two checks of an idle socket for an interface that is gone.
const CHECK_EVERY: Duration = Duration::from_millis(200);

/// Attempts to get a resource that another program has just released: the kernel needs a moment.
const BUSY_TRIES: u32 = 20;

const BUSY_WAIT: Duration = Duration::from_millis(50);

/// A queue of an interface, and the settings to receive from it.
#[derive(Clone, Debug)]
pub(crate) struct XdpQueue {
    /// Name of the interface, for messages.
    pub(crate) interface: String,
    /// `interface` of flow keys.
    pub(crate) number: u32,
    pub(crate) sizes: XskSizes,
    pub(crate) binding: XskBinding,
}

/// An `AF_XDP` socket of one receive queue, with memory of its own.
#[derive(Debug)]
pub(crate) struct XdpSocket {
    queue: XdpQueue,
    xsk: Xsk,
    is_zero_copy: bool,
    assembly: Assembly,
    counts: Counts,
    checked: Instant,
}

/// Counters of the frames that were redirected to a socket.
///
/// Lost frames are those that the kernel dropped and those for which the ring was full. The other
/// counts of the kernel are causes: an empty fill ring is also in `rx_dropped`. They are never
/// summed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct XskCounts {
    /// Frames lent, of one or more buffers.
    pub(crate) lent: u64,
    /// Frames among them that were cut because they are longer than 64 KiB.
    pub(crate) too_long: u64,
    /// Buffers whose descriptor points outside of the memory of frames.
    pub(crate) invalid_descriptors: u64,
    /// Frames dropped: no empty buffer, or too long for one buffer of a socket that takes only one.
    pub(crate) rx_dropped: u64,
    /// Frames dropped because the receive ring was full.
    pub(crate) rx_ring_full: u64,
    /// Entries of the fill ring that the kernel could not use.
    pub(crate) rx_invalid_descs: u64,
    /// Times that the kernel found the fill ring empty.
    pub(crate) rx_fill_ring_empty_descs: u64,
}

impl XskCounts {
    /// Frames that were redirected to the socket and did not get here.
    pub(crate) fn lost(&self) -> u64 {
        self.rx_dropped + self.rx_ring_full + self.invalid_descriptors
    }
}

/// Counters of this process.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    lent: u64,
    too_long: u64,
}

impl XdpSocket {
    /// Opens a socket, gives its memory to the kernel, and binds it to its queue.
    pub(crate) fn open(queue: XdpQueue) -> Result<Self, CaptureError> {
        let fail = |error| queue.error(error);
        let xsk =
            Xsk::new(&queue.sizes).map_err(|(step, error)| fail(queue.cause(step, &error)))?;
        let bound = retry_while_busy(|| xsk.bind(&queue.binding));
        bound.map_err(|error| queue.binding_error(&error))?;
        let is_zero_copy = xsk.is_zero_copy().map_err(|error| {
            fail(format!("cannot read the options of the socket: {}", sentence(&error)))
        })?;
        let assembly = Assembly::default();
        let counts = Counts::default();
        Ok(Self { queue, xsk, is_zero_copy, assembly, counts, checked: Instant::now() })
    }

    /// Number of the receive queue.
    pub(crate) fn queue(&self) -> u32 {
        self.queue.binding.queue
    }

    /// Entries of the receive ring.
    pub(crate) fn ring(&self) -> u32 {
        self.queue.sizes.ring
    }

    /// Whether the driver writes frames directly into the memory of the socket (zero copy).
    pub(crate) fn is_zero_copy(&self) -> bool {
        self.is_zero_copy
    }

    /// Counts since the socket was opened. A system call.
    pub(crate) fn counts(&self) -> Result<XskCounts, CaptureError> {
        let kernel = self.xsk.statistics().map_err(|error| {
            self.queue
                .error(format!("cannot read the counters of the socket: {}", sentence(&error)))
        })?;
        let Counts { lent, too_long } = self.counts;
        Ok(XskCounts {
            lent,
            too_long,
            invalid_descriptors: self.xsk.invalid_descriptors(),
            rx_dropped: kernel.rx_dropped,
            rx_ring_full: kernel.rx_ring_full,
            rx_invalid_descs: kernel.rx_invalid_descs,
            rx_fill_ring_empty_descs: kernel.rx_fill_ring_empty_descs,
        })
    }

    /// Called when no frame has come. Tells the kernel of empty buffers if it waits for them, and
    /// regularly checks whether the interface still exists.
    #[cold]
    fn idle(&mut self) -> Result<Polled, CaptureError> {
        self.xsk.refill();
        if !self.xsk.needs_wakeup() && self.checked.elapsed() < CHECK_EVERY {
            return Ok(Polled::Idle);
        }
        self.checked = Instant::now();
        match self.xsk.wake() {
            Err(error) if error.raw_os_error() == Some(libc::ENXIO) => {
                Err(self.queue.error("the interface is gone".to_owned()))
            }
            // Down, or busy: this is temporary.
            Ok(()) | Err(_) => Ok(Polled::Idle),
        }
    }
}

impl AsFd for XdpSocket {
    /// Readable when there are frames.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.xsk.as_fd()
    }
}

impl PacketSource for XdpSocket {
    /// All frames of a call have the same time: that of the call.
    #[inline]
    fn poll<F>(&mut self, frames_max: usize, mut take: F) -> Result<Polled, CaptureError>
    where
        F: FnMut(&Frame<'_>),
    {
        let available = self.xsk.available();
        if available == 0 {
            return self.idle();
        }
        let Self { queue, xsk, assembly, counts, .. } = self;
        let time = now();
        let mut lend = |data: &[u8], wire_length: u32| {
            counts.lent += 1;
            let link_type = LinkType::Ethernet;
            take(&Frame {
                data,
                wire_length,
                time,
                point: ObservationPoint::ingress(queue.number),
                link_type,
            });
        };
        let buffers = available.min(u32::try_from(frames_max).unwrap_or(u32::MAX));
        xsk.receive(buffers, |buffer| {
            if buffer.continues || assembly.is_begun() {
                let Some(too_long) = assembly.add(buffer) else { return };
                counts.too_long += u64::from(too_long);
                lend(&assembly.octets, assembly.length);
                assembly.clear();
            } else {
                lend(buffer.data, u32::try_from(buffer.data.len()).unwrap_or(u32::MAX));
            }
        });
        Ok(Polled::More)
    }
}

/// A frame that comes in several buffers: the part received so far.
#[derive(Debug, Default)]
struct Assembly {
    octets: Vec<u8>,
    /// Length of the whole frame, even if `octets` is cut.
    length: u32,
}

impl Assembly {
    fn is_begun(&self) -> bool {
        self.length > 0
    }

    /// Adds a buffer. After the last one, returns whether the frame was too long.
    fn add(&mut self, buffer: Buffer<'_>) -> Option<bool> {
        if self.octets.capacity() == 0 {
            self.octets.reserve_exact(ASSEMBLED_MAX);
        }
        let room = ASSEMBLED_MAX - self.octets.len();
        self.octets.extend_from_slice(buffer.data.get(..room).unwrap_or(buffer.data));
        let length = u32::try_from(buffer.data.len()).unwrap_or(u32::MAX);
        self.length = self.length.saturating_add(length);
        (!buffer.continues).then_some(self.length as usize > ASSEMBLED_MAX)
    }

    fn clear(&mut self) {
        self.octets.clear();
        self.length = 0;
    }
}

impl XdpQueue {
    fn error(&self, cause: String) -> CaptureError {
        let Self { interface, binding, .. } = self;
        CaptureError::Failed(format!(
            "receiving from queue {} of {interface}: {cause}",
            binding.queue
        ))
    }

    fn cause(&self, step: XskStep, error: &io::Error) -> String {
        let memory = mebibytes(self.sizes.memory());
        let words = sentence(error);
        match (step, error.raw_os_error()) {
            (XskStep::Socket, Some(libc::EAFNOSUPPORT)) => {
                "this kernel has no AF_XDP; use --capture packet".to_owned()
            }
            (XskStep::Socket, Some(libc::EPERM)) => {
                "opening the AF_XDP socket needs the capability CAP_NET_RAW".to_owned()
            }
            (XskStep::Socket, _) => format!("opening the AF_XDP socket: {words}"),
            (XskStep::Memory, Some(libc::ENOBUFS)) => format!(
                "{memory} of memory cannot be locked for its frames, which the limit of locked \
                 memory forbids; raise it (LimitMEMLOCK of systemd, ulimit -l), give the \
                 capability CAP_IPC_LOCK, or ask for smaller rings"
            ),
            (XskStep::Memory, _) => {
                format!("cannot get {memory} of memory for its frames: {words}")
            }
            (XskStep::Rings, _) => format!("rings of {}: {words}", self.sizes.ring),
        }
    }

    fn binding_error(&self, error: &io::Error) -> CaptureError {
        let words = sentence(error);
        self.error(match error.raw_os_error() {
            Some(libc::EBUSY) => {
                let Self { interface, binding, .. } = self;
                return CaptureError::Busy(format!(
                    "receiving from queue {} of {interface}: another AF_XDP socket is bound to it, \
                     maybe of another flowprobe; end that first",
                    binding.queue
                ));
            }
            Some(libc::EINVAL) => {
                format!("binding the socket: {words}; there may be no queue of this number")
            }
            Some(libc::ENETDOWN) => "the interface is down; set it up first".to_owned(),
            _ => format!("binding the socket: {words}"),
        })
    }
}

/// Tries again for a second while another program, which may be ending, still has the resource.
pub(super) fn retry_while_busy<T>(mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    for _ in 1..BUSY_TRIES {
        match attempt() {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => thread::sleep(BUSY_WAIT),
            outcome => return outcome,
        }
    }
    attempt()
}

/// For messages.
pub(crate) fn mebibytes(octets: u64) -> String {
    format!("{} MiB", octets.div_ceil(1 << 20))
}

#[inline]
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_of_a_frame_are_put_together() {
        let mut assembly = Assembly::default();
        for (lengths, whole, is_too_long) in [
            (&[3840, 3840, 1334][..], 9014, false),
            (&[60_000, 5_600], ASSEMBLED_MAX, false),
            (&[60_000, 5_601], ASSEMBLED_MAX + 1, true),
            (&[60_000, 60_000, 1], 120_001, true),
            (&[100, 20], 120, false),
        ] {
            let octets: Vec<u8> =
                (0..whole).map(|index| u8::try_from(index % 251).unwrap()).collect();
            let mut rest = octets.as_slice();
            let mut ended = None;
            for (index, length) in lengths.iter().enumerate() {
                assert_eq!((ended, assembly.is_begun()), (None, index > 0));
                let (data, after) = rest.split_at(*length);
                rest = after;
                ended = assembly.add(Buffer { data, continues: index + 1 < lengths.len() });
            }
            assert_eq!(ended, Some(is_too_long));
            assert_eq!(assembly.length as usize, whole);
            assert_eq!(assembly.octets, octets[..whole.min(ASSEMBLED_MAX)]);
            assembly.clear();
        }
        assert_eq!(assembly.octets.capacity(), ASSEMBLED_MAX);
    }

    #[test]
    fn what_is_busy_is_tried_again_and_nothing_else_is() {
        let mut tries = 0;
        let outcome = retry_while_busy(|| {
            tries += 1;
            if tries < 3 { Err(io::Error::from_raw_os_error(libc::EBUSY)) } else { Ok(tries) }
        });
        assert_eq!(outcome.unwrap(), 3);
        let mut tries = 0;
        let outcome: io::Result<()> = retry_while_busy(|| {
            tries += 1;
            Err(io::Error::from_raw_os_error(libc::EPERM))
        });
        assert_eq!((outcome.unwrap_err().raw_os_error(), tries), (Some(libc::EPERM), 1));
    }
}
