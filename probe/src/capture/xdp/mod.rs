//! An interface whose frames go past the kernel's stack: the program on it, the maps that belong to
//! the program, and a socket for each receive queue.
//!
//! The program is on the interface for as long as a link is open, which is a file of this process:
//! however it ends, nothing is left behind.

pub(crate) mod plan;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod veth;

use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicU64, Ordering};

use aya::maps::{Map, XskMap};
use aya::programs::xdp::XdpLink;
use aya::programs::{ProgramError, Xdp};
use aya::{Ebpf, EbpfLoader};
use exporter::sentence;
use log::{debug, info};
use probe_ebpf::{COUNTERS, QUEUES_MAX, QueueCounters, REDIRECT_OBJECT, SOCKETS};

use self::plan::{Attempt, XdpSettings};
use super::CaptureError;
use super::afxdp::{XdpQueue, XdpSocket, retry_while_busy};
use super::kernel::KernelVersion;
use super::offloads::{Place, warn_of_harmful_offloads};
use crate::sys::mapping::Mapping;
use crate::sys::promiscuous::{Promiscuous, PromiscuousSocket};
use crate::sys::xsk::XskBinding;

const NEEDS_RAW: &str = "promiscuous mode and AF_XDP sockets need the capability CAP_NET_RAW";

const NEEDS_BPF: &str = "XDP programs need the capabilities CAP_BPF and CAP_NET_ADMIN";

/// How frames get from the driver to a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct XdpMode {
    /// Whether the program runs in the driver; otherwise the kernel runs it, after it has made a
    /// packet of its own of the frame.
    pub(crate) in_driver: bool,
    /// Whether frames may come in several buffers.
    pub(crate) segments: bool,
    /// Queues whose driver writes frames where they are read.
    pub(crate) zero_copy: u32,
    pub(crate) queues: u32,
}

/// What the program counted, since it was loaded.
#[derive(Clone, Debug, Default)]
pub(crate) struct XdpCounts {
    /// Counters of each queue that has a socket.
    pub(crate) queues: Vec<QueueCounters>,
    /// Counters of all other queues: the host got their frames.
    pub(crate) others: QueueCounters,
}

/// Opens interfaces. They share a loader, which reads the types of the whole kernel at first,
/// and the socket that asks for promiscuous mode.
pub(crate) struct XdpOpener {
    loader: Option<EbpfLoader<'static>>,
    promiscuous: Option<PromiscuousSocket>,
}

/// An interface that is captured from. When it goes, the program is detached; the sockets, which
/// others own, should go after it.
pub(crate) struct XdpCapture {
    link: Option<XdpLink>,
    _ebpf: Ebpf,
    _promiscuous: Promiscuous,
    counters: Mapping,
    mode: XdpMode,
    settings: XdpSettings,
    /// Octets that a buffer of the sockets' memory has room for.
    chunk: u32,
    /// Frames that the host got before all sockets were there: capture had not begun.
    passed_before: u64,
}

impl XdpOpener {
    pub(crate) fn new() -> Self {
        Self { loader: None, promiscuous: None }
    }

    /// Loads a program, attaches it, and opens a socket for each queue.
    ///
    /// Nothing stays behind if it fails. The error is one sentence.
    pub(crate) fn open(
        &mut self,
        settings: &XdpSettings,
    ) -> Result<(XdpCapture, Vec<XdpSocket>), CaptureError> {
        let error = |cause: String| {
            CaptureError::Failed(format!("capturing from {}: {cause}", settings.name))
        };
        let kernel = KernelVersion::running();
        let plan = settings.plan(kernel).map_err(error)?;
        let loader = self.loader.get_or_insert_with(|| {
            let mut loader = EbpfLoader::new();
            loader.btf(None);
            loader
        });
        let mut ebpf = loader.load(REDIRECT_OBJECT).map_err(|cause| {
            error(match number(&cause) {
                Some(libc::EPERM) => NEEDS_BPF.to_owned(),
                _ => format!("making the maps of the XDP program: {}", chain(&cause)),
            })
        })?;
        let counters = map_counters(&ebpf)
            .map_err(|cause| error(format!("mapping its counters: {}", sentence(&cause))))?;
        let promiscuous = self.promiscuous(settings.ifindex).map_err(|cause| {
            error(match cause.raw_os_error() {
                Some(libc::EPERM) => NEEDS_RAW.to_owned(),
                _ => format!("turning on promiscuous mode: {}", sentence(&cause)),
            })
        })?;
        let (link, attempt) = attach(&mut ebpf, settings, &plan.attempts)?;
        let sockets = open_sockets(settings, plan.chunk, attempt)?;
        let map = ebpf.map_mut(SOCKETS).ok_or_else(|| error(format!("no map {SOCKETS}")))?;
        let put = |cause| error(format!("putting a socket into its map: {}", chain(&cause)));
        let mut map = XskMap::try_from(map).map_err(put)?;
        for socket in &sockets {
            map.set(socket.queue(), socket.as_fd().as_raw_fd(), 0).map_err(put)?;
        }
        let zero_copy = sockets.iter().filter(|socket| socket.is_zero_copy()).count();
        let mode = XdpMode {
            in_driver: attempt.in_driver,
            segments: attempt.segments,
            zero_copy: u32::try_from(zero_copy).unwrap_or(u32::MAX),
            queues: settings.queues,
        };
        let place = if attempt.in_driver { Place::Driver } else { Place::Generic };
        warn_of_harmful_offloads(&settings.name, place);
        let mut capture = XdpCapture {
            link: Some(link),
            _ebpf: ebpf,
            _promiscuous: promiscuous,
            counters,
            mode,
            settings: settings.clone(),
            chunk: plan.chunk,
            passed_before: 0,
        };
        capture.passed_before = capture.all_passed();
        Ok((capture, sockets))
    }

    /// Asks for promiscuous mode.
    fn promiscuous(&mut self, ifindex: u32) -> io::Result<Promiscuous> {
        let socket = match &self.promiscuous {
            Some(socket) => socket,
            None => self.promiscuous.insert(PromiscuousSocket::open()?),
        };
        socket.join(ifindex)
    }
}

impl XdpCapture {
    /// Also counts frames that the host got after the program was attached and before all sockets
    /// were there: those are lost where capture goes on, but not where it begins.
    pub(crate) fn count_from_attachment(&mut self) {
        self.passed_before = 0;
    }

    /// Whether frames of this MTU have room in the sockets' memory. Of longer ones the kernel drops
    /// those that have not.
    pub(crate) fn has_room_for(&self, mtu: u32) -> bool {
        self.mode.segments || XdpSettings { mtu, ..self.settings.clone() }.fits_in(self.chunk)
    }

    /// Octets of memory of all sockets.
    pub(crate) fn memory(&self) -> u64 {
        u64::from(self.settings.queues) * self.settings.sizes(self.chunk).memory()
    }

    /// Frames that the program has seen.
    pub(crate) fn seen(&self) -> u64 {
        let sum =
            |counters: QueueCounters| counters.redirected + counters.passed + counters.refused;
        (0..=QUEUES_MAX).map(|queue| sum(self.queue_counters(queue))).sum()
    }

    /// Frames that the host got since all sockets were there: their queue has none.
    pub(crate) fn passed(&self) -> u64 {
        self.all_passed().saturating_sub(self.passed_before)
    }

    fn all_passed(&self) -> u64 {
        (0..=QUEUES_MAX).map(|queue| self.queue_counters(queue).passed).sum()
    }

    /// How frames come.
    pub(crate) fn mode(&self) -> XdpMode {
        self.mode
    }

    /// What the program counted: no system call.
    pub(crate) fn counts(&self) -> XdpCounts {
        let queues = self.mode.queues;
        let mut counts = XdpCounts {
            queues: (0..queues).map(|queue| self.queue_counters(queue)).collect(),
            others: QueueCounters::default(),
        };
        for queue in queues..=QUEUES_MAX {
            let other = self.queue_counters(queue);
            counts.others.redirected += other.redirected;
            counts.others.passed += other.passed;
            counts.others.refused += other.refused;
        }
        counts
    }

    fn queue_counters(&self, queue: u32) -> QueueCounters {
        const WORDS: usize = size_of::<QueueCounters>() / 8;
        let words = self.counters.words(queue as usize * size_of::<QueueCounters>(), WORDS);
        let read = |word: &AtomicU64| word.load(Ordering::Relaxed);
        let mut counters = QueueCounters::default();
        counters.redirected = read(&words[0]);
        counters.passed = read(&words[1]);
        counters.refused = read(&words[2]);
        counters
    }

    /// Takes the program off the interface: from here on the host gets the frames. What was
    /// redirected before is still in the sockets.
    pub(crate) fn detach(&mut self) {
        drop(self.link.take());
    }
}

impl Drop for XdpCapture {
    fn drop(&mut self) {
        self.detach();
    }
}

impl Display for XdpMode {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(if self.in_driver { "driver mode, " } else { "generic mode, " })?;
        match self.zero_copy {
            0 => f.write_str("copying")?,
            queues if queues == self.queues => f.write_str("zero copy")?,
            queues => write!(f, "zero copy on {queues} of {} queues", self.queues)?,
        }
        f.write_str(if self.segments { ", frames of several buffers" } else { "" })
    }
}

fn open_sockets(
    settings: &XdpSettings,
    chunk: u32,
    attempt: Attempt,
) -> Result<Vec<XdpSocket>, CaptureError> {
    let open = |queue| {
        XdpSocket::open(XdpQueue {
            interface: settings.name.clone(),
            number: settings.number,
            sizes: settings.sizes(chunk),
            binding: XskBinding {
                ifindex: settings.ifindex,
                queue,
                copies: !attempt.in_driver,
                segments: attempt.segments,
            },
        })
    };
    (0..settings.queues).map(open).collect()
}

/// Attaches a program in the first way that works.
fn attach(
    ebpf: &mut Ebpf,
    settings: &XdpSettings,
    attempts: &[Attempt],
) -> Result<(XdpLink, Attempt), CaptureError> {
    let named = |cause: &str| format!("capturing from {}: {cause}", settings.name);
    let mut failure = String::new();
    for attempt in attempts {
        match retry_while_busy(|| attach_once(ebpf, settings.ifindex, *attempt)) {
            Ok(link) => return Ok((link, *attempt)),
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => {
                return Err(CaptureError::Failed(named(NEEDS_BPF)));
            }
            // The second when a program is there in the other mode.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EBUSY | libc::EEXIST)) => {
                return Err(CaptureError::Busy(named(&format!(
                    "another XDP program is on the interface, maybe of another flowprobe; end what \
                     put it there (ip link show dev {} names it)",
                    settings.name
                ))));
            }
            Err(error) => {
                let words = sentence(&error);
                failure = format!("attaching the XDP program {attempt}: {words}");
                info!("{failure} interface={}", settings.name);
            }
        }
    }
    Err(CaptureError::Failed(named(&failure)))
}

fn attach_once(ebpf: &mut Ebpf, ifindex: u32, attempt: Attempt) -> io::Result<XdpLink> {
    let program = ebpf.program_mut(attempt.program()).ok_or(io::ErrorKind::NotFound)?;
    let program: &mut Xdp = program.try_into().map_err(io::Error::other)?;
    match program.load() {
        Ok(()) | Err(ProgramError::AlreadyLoaded) => (),
        Err(ProgramError::LoadError { io_error, verifier_log }) => {
            debug!("the kernel says of the program {}: {verifier_log}", attempt.program());
            return Err(io_error);
        }
        Err(error) => return Err(system_error(error)),
    }
    let mode = if attempt.in_driver {
        aya::programs::XdpMode::Driver
    } else {
        aya::programs::XdpMode::Skb
    };
    let link = program.attach_to_if_index(ifindex, mode).map_err(system_error)?;
    program.take_link(link).map_err(system_error)
}

/// The memory of the counters, which can be read when all rights are gone.
fn map_counters(ebpf: &Ebpf) -> io::Result<Mapping> {
    let Some(Map::Array(counters)) = ebpf.map(COUNTERS) else {
        return Err(io::ErrorKind::NotFound.into());
    };
    let length = (QUEUES_MAX as usize + 1) * size_of::<QueueCounters>();
    Mapping::shared(counters.fd().as_fd(), length, 0)
}

/// What the system said, of an error that came of it; so that its number can be looked at.
fn system_error(error: ProgramError) -> io::Error {
    number(&error).map_or_else(|| io::Error::other(error), io::Error::from_raw_os_error)
}

/// The number of the system's error that is the cause of another.
fn number(error: &(dyn Error + 'static)) -> Option<i32> {
    let system: Option<&io::Error> = error.downcast_ref();
    match system.and_then(io::Error::raw_os_error) {
        Some(number) => Some(number),
        None => number(error.source()?),
    }
}

/// An error and its causes, or what the system said.
fn chain(error: &(dyn Error + 'static)) -> String {
    if let Some(number) = number(error) {
        return sentence(&io::Error::from_raw_os_error(number));
    }
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
