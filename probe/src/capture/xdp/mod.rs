//! AF_XDP capture of an interface, which bypasses the network stack: the program on the interface,
//! the maps of the program, and a socket for each receive queue.
//!
//! The program is on the interface while its link, a file descriptor of this process, is open. So
//! nothing is left behind, however the process ends.

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
use super::offloads::{CapturePlace, warn_of_harmful_offloads};
use crate::sys::mapping::Mapping;
use crate::sys::promiscuous::{Promiscuous, PromiscuousSocket};
use crate::sys::xsk::XskBinding;

const NEEDS_RAW: &str = "promiscuous mode and AF_XDP sockets need the capability CAP_NET_RAW";

const NEEDS_BPF: &str = "XDP programs need the capabilities CAP_BPF and CAP_NET_ADMIN";

/// Path of frames from the driver to a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct XdpMode {
    /// Whether the program runs in the driver. Otherwise the kernel runs it, after it has made a
    /// packet of its own from the frame.
    pub(crate) in_driver: bool,
    /// Whether a frame may be in several buffers.
    pub(crate) segments: bool,
    /// Number of queues with zero copy: the driver writes frames directly into the socket's memory.
    pub(crate) zero_copy: u32,
    pub(crate) queues: u32,
}

/// Counters of the program since it was loaded.
#[derive(Clone, Debug, Default)]
pub(crate) struct XdpCounts {
    /// Counters of each queue that has a socket.
    pub(crate) queues: Vec<QueueCounters>,
    /// Counters of all other queues. The host got their frames.
    pub(crate) others: QueueCounters,
}

/// Opens interfaces. They share a loader, which first reads the types of the whole kernel, and the
/// socket that requests promiscuous mode.
pub(crate) struct XdpOpener {
    loader: Option<EbpfLoader<'static>>,
    promiscuous: Option<PromiscuousSocket>,
}

/// An interface that is captured. On drop, the program is detached. The sockets, which workers own,
/// should be dropped later.
pub(crate) struct XdpCapture {
    link: Option<XdpLink>,
    _ebpf: Ebpf,
    _promiscuous: Promiscuous,
    counters: Mapping,
    mode: XdpMode,
    settings: XdpSettings,
    /// Octets of a buffer of the sockets' memory.
    chunk: u32,
    /// Frames that the host got before all sockets were open: the capture had not begun.
    passed_before: u64,
}

impl XdpOpener {
    pub(crate) fn new() -> Self {
        Self { loader: None, promiscuous: None }
    }

    /// Loads a program, attaches it, and opens a socket for each queue.
    ///
    /// If it fails, nothing is left behind. The error is one sentence.
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
        let place = if attempt.in_driver { CapturePlace::Driver } else { CapturePlace::Generic };
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

    /// Requests promiscuous mode.
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
    /// were open. They are lost if a capture is resumed, but not if it begins.
    pub(crate) fn count_from_attachment(&mut self) {
        self.passed_before = 0;
    }

    /// Whether frames of this MTU fit in the sockets' memory. Otherwise the kernel drops frames
    /// that are too long.
    pub(crate) fn has_room_for(&self, mtu: u32) -> bool {
        self.mode.segments || XdpSettings { mtu, ..self.settings.clone() }.fits_in(self.chunk)
    }

    /// Octets of the memory of all sockets.
    pub(crate) fn memory(&self) -> u64 {
        u64::from(self.settings.queues) * self.settings.sizes(self.chunk).memory()
    }

    /// Frames that the program has seen.
    pub(crate) fn seen(&self) -> u64 {
        let sum =
            |counters: QueueCounters| counters.redirected + counters.passed + counters.refused;
        (0..=QUEUES_MAX).map(|queue| sum(self.queue_counters(queue))).sum()
    }

    /// Frames that the host got after all sockets were open, because their queue has no socket.
    pub(crate) fn passed(&self) -> u64 {
        self.all_passed().saturating_sub(self.passed_before)
    }

    fn all_passed(&self) -> u64 {
        (0..=QUEUES_MAX).map(|queue| self.queue_counters(queue).passed).sum()
    }

    /// Path of frames.
    pub(crate) fn mode(&self) -> XdpMode {
        self.mode
    }

    /// Counters of the program. No system call.
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

    /// Detaches the program from the interface: from now on the host gets the frames. Frames that
    /// were redirected before are still in the sockets.
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

/// Attaches a program in the first mode that works.
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
            // `EEXIST` if a program is there in the other mode.
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

/// The memory of the counters, which can be read after all capabilities were dropped.
fn map_counters(ebpf: &Ebpf) -> io::Result<Mapping> {
    let Some(Map::Array(counters)) = ebpf.map(COUNTERS) else {
        return Err(io::ErrorKind::NotFound.into());
    };
    let length = (QUEUES_MAX as usize + 1) * size_of::<QueueCounters>();
    Mapping::shared(counters.fd().as_fd(), length, 0)
}

/// The system error that is the cause of an error, so that its number can be checked.
fn system_error(error: ProgramError) -> io::Error {
    number(&error).map_or_else(|| io::Error::other(error), io::Error::from_raw_os_error)
}

/// The number of the system error that is the cause of another error.
fn number(error: &(dyn Error + 'static)) -> Option<i32> {
    let system: Option<&io::Error> = error.downcast_ref();
    match system.and_then(io::Error::raw_os_error) {
        Some(number) => Some(number),
        None => number(error.source()?),
    }
}

/// An error and its causes, or only the system error.
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
