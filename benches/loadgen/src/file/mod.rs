//! Sends capture files frame by frame through packet sockets of the kernel, at the times of the
//! capture, at a rate, or as fast as possible.

mod capture;

use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, MultiHeaders, SockFlag, SockType, bind, sendmmsg, socket,
};

use super::place::Place;
use super::{Outcome, number, sys};

/// Selection of files and timing of frames.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Capture files of Ethernet frames (pcap, pcapng), sent one after the other
    #[arg(required = true)]
    pub(super) paths: Vec<PathBuf>,

    /// Frames per second [default: as many as possible]
    #[arg(long, value_parser = number, conflicts_with = "gaps")]
    rate: Option<u32>,

    /// Keep the time between frames as in the capture
    #[arg(long)]
    gaps: bool,

    /// Number of times to send all files
    #[arg(long, value_parser = number, default_value = "1")]
    repeat: u32,

    /// Bypass the queueing discipline. On a virtual pair, the queue then depends on the sender's
    /// processor and not on the flow
    #[arg(long)]
    bypass_queueing: bool,
}

/// Frames per system call.
const BATCH: usize = 64;

/// Delay of the kernel when it wakes a thread.
const WAKE_UP: Duration = Duration::from_micros(100);

pub(super) fn send(place: &Place, options: &Options) -> Result<Outcome> {
    let socket = open(place, options.bypass_queueing)?;
    let mut sender = Sender::new(&socket);
    let mut schedule = Schedule::new(options);
    let begin = Instant::now();
    for _ in 0..options.repeat {
        for path in &options.paths {
            schedule.start_file();
            capture::read(path, &mut |frame| {
                if let Some(due) = schedule.due(frame.time) {
                    sender.wait_until(due)?;
                }
                sender.put(frame.octets, frame.wire_length)
            })?;
        }
    }
    sender.flush()?;
    Ok(Outcome { elapsed: begin.elapsed(), ..sender.outcome })
}

/// A socket that sends to the interface and receives nothing.
fn open(place: &Place, bypass_queueing: bool) -> Result<OwnedFd> {
    let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None)
        .context("opening a packet socket; it takes CAP_NET_RAW")?;
    let mut addresses = getifaddrs().context("listing the interfaces")?;
    let address = addresses.find_map(|interface| {
        let is_it = interface.interface_name == place.interface;
        interface.address.filter(|_| is_it)?.as_link_addr().copied()
    });
    let address = address.with_context(|| format!("{} has no link address", place.interface))?;
    ensure!(
        address.hatype() == nix::libc::ARPHRD_ETHER,
        "{} is no Ethernet interface",
        place.interface
    );
    bind(socket.as_raw_fd(), &address)
        .with_context(|| format!("binding to {}", place.interface))?;
    if bypass_queueing {
        sys::bypass_queueing(socket.as_fd()).context("going around the queueing discipline")?;
    }
    Ok(socket)
}

/// Timing of frames.
#[derive(Debug)]
struct Schedule {
    pace: Pace,
    begin: Instant,
    /// Time of the first frame of the current file.
    first: Option<Duration>,
    count: u64,
}

#[derive(Clone, Copy, Debug)]
enum Pace {
    AtOnce,
    Rate(u32),
    Gaps,
}

impl Schedule {
    fn new(options: &Options) -> Self {
        let pace = match options.rate {
            Some(rate) => Pace::Rate(rate),
            None if options.gaps => Pace::Gaps,
            None => Pace::AtOnce,
        };
        Self { pace, begin: Instant::now(), first: None, count: 0 }
    }

    /// Starts a file. Its times are relative to its first frame.
    fn start_file(&mut self) {
        if matches!(self.pace, Pace::Gaps) {
            self.begin = Instant::now();
            self.first = None;
        }
    }

    fn due(&mut self, time: Duration) -> Option<Instant> {
        let after = match self.pace {
            Pace::AtOnce => return None,
            Pace::Rate(rate) => {
                let due = u128::from(self.count) * 1_000_000_000 / u128::from(rate);
                self.count += 1;
                Duration::from_nanos(u64::try_from(due).expect("centuries"))
            }
            // A frame with a time before that of the first frame is due at once.
            Pace::Gaps => time.saturating_sub(*self.first.get_or_insert(time)),
        };
        Some(self.begin + after)
    }
}

/// Frames to be sent to a socket, in batches.
struct Sender<'a> {
    socket: &'a OwnedFd,
    headers: MultiHeaders<LinkAddr>,
    octets: Vec<u8>,
    /// End of each frame in `octets`.
    ends: Vec<usize>,
    outcome: Outcome,
}

impl<'a> Sender<'a> {
    fn new(socket: &'a OwnedFd) -> Self {
        Self {
            socket,
            headers: MultiHeaders::preallocate(BATCH, None),
            octets: Vec::new(),
            ends: Vec::with_capacity(BATCH),
            outcome: Outcome::default(),
        }
    }

    /// Waits. Queued frames are sent before this thread waits.
    fn wait_until(&mut self, due: Instant) -> Result<()> {
        loop {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            self.flush()?;
            if left > WAKE_UP {
                thread::sleep(left.saturating_sub(WAKE_UP));
            } else {
                std::hint::spin_loop();
            }
        }
    }

    /// Adds a frame. Octets that a snap length has cut off are replaced by zeros.
    fn put(&mut self, frame: &[u8], wire_length: usize) -> Result<()> {
        let begin = self.octets.len();
        self.octets.extend(frame);
        self.octets.resize(begin + wire_length.max(frame.len()), 0);
        self.ends.push(self.octets.len());
        if self.ends.len() == BATCH { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        let mut frames = Vec::with_capacity(BATCH);
        let mut begin = 0;
        for &end in &self.ends {
            frames.push([IoSlice::new(&self.octets[begin..end])]);
            begin = end;
        }
        let mut rest = frames.as_slice();
        while let Some([first]) = rest.first() {
            let addresses = [None; BATCH];
            let flags = MsgFlags::empty();
            let fd = self.socket.as_raw_fd();
            let sent = sendmmsg(fd, &mut self.headers, rest, &addresses[..rest.len()], [], flags);
            match sent.map(Iterator::count) {
                Ok(count) => {
                    let (sent, later) = rest.split_at(count);
                    self.outcome.sent += count as u64;
                    self.outcome.octets +=
                        sent.iter().map(|[frame]| frame.len() as u64).sum::<u64>();
                    rest = later;
                    continue;
                }
                // The kernel reports a failure only for the first frame. If a later frame of a call
                // failed, the next call tries it again and reports it.
                Err(Errno::ENOBUFS | Errno::EAGAIN) => self.outcome.queue_full += 1,
                Err(Errno::EMSGSIZE | Errno::EINVAL) => self.outcome.not_sendable += 1,
                Err(error) => bail!("sending a frame of {} octets: {error}", first.len()),
            }
            rest = &rest[1..];
        }
        self.octets.clear();
        self.ends.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(rate: Option<u32>, gaps: bool) -> Options {
        Options { paths: Vec::new(), rate, gaps, repeat: 1, bypass_queueing: false }
    }

    #[test]
    fn frames_are_due_at_a_rate_or_when_they_were_captured() {
        let times = [100, 103, 101, 107].map(Duration::from_millis);
        let check = |options: Options, expected: Option<[u64; 4]>| {
            let mut schedule = Schedule::new(&options);
            let begin = schedule.begin;
            let due = times.map(|time| schedule.due(time));
            let expected = expected.map(|expected| expected.map(Duration::from_millis));
            assert_eq!(due, [0, 1, 2, 3].map(|i| expected.map(|expected| begin + expected[i])));
        };
        check(options(None, false), None);
        check(options(Some(500), false), Some([0, 2, 4, 6]));
        check(options(None, true), Some([0, 3, 1, 7]));
    }
}
