//! Capture files as a source. Several files are merged by packet time; each keeps its own order.
//!
//! A file is open only while it is due: from the time of its first packet on. So a run can have
//! many rotated captures, and the two directions of a TAP are merged in order.

mod decompress;
mod format;
mod inputs;
mod interfaces;
mod pcap;
mod pcapng;
mod pipe;
mod place;
mod reader;
mod window;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use exporter::Interface;
use flow::Frame;
use flow::words::{counted, noun};
use log::{error, warn};

use self::format::{Damage, PACKET_OCTETS_MAX};
pub use self::inputs::Input;
use self::interfaces::Interfaces;
pub(crate) use self::interfaces::link_name;
use self::pipe::PipeState;
pub(crate) use self::place::FilePlace;
use self::reader::{FileReader, Run};
use super::{CaptureError, PacketSource, Polled};

/// Nanoseconds of a second.
const NANOS: u64 = 1_000_000_000;

/// Order of files: the time of the next packet, then the position on the command line.
type Due = (u64, usize);

/// Capture files, merged.
pub struct FileSource {
    files: Vec<Input>,
    interfaces: Interfaces,
    /// The file from which frames are read.
    current: Option<Open>,
    /// The other files that are not at their end.
    later: BinaryHeap<Reverse<Waiting>>,
    /// The first of those that is due.
    next_due: Due,
    named_before: usize,
    /// At least one file is a capture, even if it has no packets.
    has_capture: bool,
    /// At least one file could not be opened, such as one that does not exist.
    lacks_files: bool,
    /// Files that begin with a packet of an unsupported link type. `None`: a file does not.
    unsupported: Option<Vec<usize>>,
    report: InputReport,
    state: PipeState,
    size: Option<u64>,
    /// The end of the current second of packet time, in nanoseconds since the epoch. Without a pipe
    /// it is `u64::MAX`: records do not have to leave each second.
    second_end: u64,
}

struct Open {
    index: usize,
    reader: FileReader,
}

impl Open {
    #[inline]
    fn due(&self) -> Due {
        (self.reader.nanos().unwrap_or(0), self.index)
    }
}

/// A file that is not due yet: open in the meantime, or not opened again yet.
struct Waiting {
    due: Due,
    reader: Option<FileReader>,
}

/// Problems of the input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InputReport {
    /// Files that could not be read, or not to their end.
    pub files_damaged: u64,
    /// Packet blocks of pcapng files that were skipped because they contradict themselves.
    pub blocks_damaged: u64,
    /// Packets of more than 262,144 octets, which were skipped.
    pub packets_too_long: u64,
    /// Packets without a time, which got the time of the packet before.
    pub packets_timeless: u64,
    /// Packets with a time before 1970 or after 2554, which got the nearest time between those.
    pub packets_time_clamped: u64,
    /// Packets that the capturing program lost, by the statistics in pcapng files.
    pub packets_dropped: u64,
    /// Interfaces beyond 65,536, which have number 0, and names of interfaces beyond 4,096, which
    /// are not exported.
    pub interfaces_over_limit: u64,
}

impl FileSource {
    /// Finds out when each file is due. A file that cannot be read is reported and left out.
    pub fn open(files: &[Input], ifindex: &[(String, u32)], stop: &Arc<AtomicBool>) -> Self {
        let mut source = Self {
            files: files.to_vec(),
            interfaces: Interfaces::new(ifindex),
            current: None,
            later: BinaryHeap::new(),
            next_due: (u64::MAX, usize::MAX),
            named_before: 0,
            has_capture: false,
            lacks_files: false,
            unsupported: Some(Vec::new()),
            report: InputReport::default(),
            state: PipeState { stop: Arc::clone(stop), ..PipeState::default() },
            size: files.iter().map(Input::size).sum(),
            second_end: if files.iter().any(Input::is_pipe) { 0 } else { u64::MAX },
        };
        let only = files.len() == 1;
        for (index, file) in files.iter().enumerate() {
            if let Some(open) = source.open_file(index) {
                let due = open.due();
                source.unsupported = match source.unsupported.take() {
                    Some(_) if open.reader.is_supported() => None,
                    Some(before) => Some([before, vec![index]].concat()),
                    None => None,
                };
                let keep = only || file.is_pipe();
                source.later.push(Reverse(Waiting { due, reader: keep.then_some(open.reader) }));
            }
        }
        // This first look at the files does not count as progress.
        if !only {
            source.state.read.store(0, Ordering::Relaxed);
        }
        source.go_on();
        source.state.opened.store(true, Ordering::Relaxed);
        source
    }

    /// Whether there is anything to replay: at least one file could be opened and is a capture.
    pub fn has_capture(&self) -> bool {
        self.has_capture
    }

    /// Whether at least one file could not be opened, such as one that does not exist.
    pub fn lacks_files(&self) -> bool {
        self.lacks_files
    }

    /// Whether there are packets, and all have unsupported link types. Files are read for it, as
    /// far as they begin with such packets. What a pipe has is not known.
    pub fn has_only_unsupported(&self) -> bool {
        let unsupported = self.unsupported.as_deref().unwrap_or_default();
        let mut files = unsupported.iter().map(|index| &self.files[*index]);
        !unsupported.is_empty() && !files.any(|file| self.may_have_supported(file))
    }

    fn may_have_supported(&self, file: &Input) -> bool {
        if file.is_pipe() {
            return true;
        }
        let state = PipeState { stop: Arc::clone(&self.state.stop), ..PipeState::default() };
        let mut interfaces = Interfaces::new(&[]);
        let stream = file.open(&state).map_err(Damage::from);
        let reader = stream.and_then(|stream| FileReader::open(stream, &mut interfaces));
        reader.is_ok_and(|mut reader| {
            let is_at_packet = reader.find_next(&mut interfaces);
            is_at_packet.is_ok_and(|found| found && reader.has_supported(&mut interfaces))
        })
    }

    /// Octets read so far, and the total, if it is known.
    pub fn progress(&self) -> (u64, Option<u64>) {
        (self.state.read.load(Ordering::Relaxed), self.size)
    }

    /// Whether there are more interfaces with names than at the last
    /// [`FileSource::new_interfaces`].
    pub fn has_new_interfaces(&self) -> bool {
        self.interfaces.named_count() != self.named_before
    }

    /// The interfaces with names, if there are more than at the last call.
    pub fn new_interfaces(&mut self) -> Option<Arc<[Interface]>> {
        let count = self.interfaces.named_count();
        if count == self.named_before {
            return None;
        }
        self.named_before = count;
        Some(self.interfaces.named())
    }

    /// Problems of the input so far.
    pub fn report(&self) -> InputReport {
        InputReport { interfaces_over_limit: self.interfaces.over_limit(), ..self.report }
    }

    /// Warns of problems that are known only at the end.
    pub fn finish(&self) {
        for name in self.interfaces.unused_overrides() {
            warn!("--ifindex {name}: no interface of this name or position in the input");
        }
    }

    /// Number of frames to lend: one, if it is the first of a second, so that flows that have ended
    /// by its time can leave. Only the times of packets decide this.
    fn begin_second(&mut self, frames_max: usize) -> usize {
        let nanos = self.current.as_ref().map_or(0, |open| open.due().0);
        if nanos < self.second_end {
            return frames_max;
        }
        self.second_end = (nanos / NANOS + 1).saturating_mul(NANOS).min(u64::MAX - 1);
        frames_max.min(1)
    }

    /// Leaves the current file, because another one is due or because it is at its end.
    fn leave(&mut self, why: Result<Run, Damage>) {
        let Some(open) = self.current.take() else { return };
        match why {
            Err(_) if self.is_interrupted(open.index) => {}
            Ok(Run::Enough | Run::AnotherIsDue) => {
                let due = open.due();
                self.later.push(Reverse(Waiting { due, reader: Some(open.reader) }));
            }
            Ok(Run::End) => self.close(&open, None),
            Err(damage) => self.close(&open, Some(damage)),
        }
        self.go_on();
    }

    /// Takes the next file that is due.
    fn go_on(&mut self) {
        while self.current.is_none() {
            let Some(Reverse(Waiting { due: (_, index), reader })) = self.later.pop() else {
                break;
            };
            self.current = match reader {
                Some(reader) => Some(Open { index, reader }),
                None => self.open_file(index),
            };
        }
        self.next_due = self.later.peek().map_or((u64::MAX, usize::MAX), |Reverse(file)| file.due);
    }

    /// Opens a file and goes to its first packet.
    fn open_file(&mut self, index: usize) -> Option<Open> {
        let stream = self.files[index].open(&self.state);
        let reader = stream
            .map_err(Damage::from)
            .and_then(|stream| FileReader::open(stream, &mut self.interfaces));
        let mut reader = match reader {
            Ok(reader) => reader,
            Err(_) if self.is_interrupted(index) => return None,
            Err(damage) => {
                self.report.files_damaged += 1;
                self.lacks_files |= matches!(damage, Damage::Unreadable(_));
                error!("cannot read {}: {damage}", self.files[index].name());
                return None;
            }
        };
        self.has_capture = true;
        let found = reader.find_next(&mut self.interfaces);
        let open = Open { index, reader };
        match found {
            Ok(true) => return Some(open),
            Ok(false) => self.close(&open, None),
            Err(_) if self.is_interrupted(index) => {}
            Err(damage) => self.close(&open, Some(damage)),
        }
        None
    }

    /// A pipe ends when it is interrupted: this is no damage.
    fn is_interrupted(&self, index: usize) -> bool {
        self.state.stop.load(Ordering::Relaxed) && self.files[index].is_pipe()
    }

    #[cold]
    fn close(&mut self, open: &Open, damage: Option<Damage>) {
        let name = self.files[open.index].name();
        let reader = &open.reader;
        let remarks = reader.remarks(&self.interfaces);
        for note in &remarks.notes {
            warn!("{name}: {note}");
        }
        if remarks.damaged_blocks > 0 {
            let skipped = counted(
                remarks.damaged_blocks,
                "damaged block was skipped: it claims more octets than it has",
                "damaged blocks were skipped: they claim more octets than they have",
            );
            error!("{name}: {skipped}");
        }
        if remarks.too_long > 0 {
            let packets = counted(remarks.too_long, "packet", "packets");
            let were = noun(remarks.too_long, "was", "were");
            warn!("{name}: {packets} of more than {PACKET_OCTETS_MAX} octets {were} skipped");
        }
        if remarks.undescribed > 0 {
            let packets = counted(
                remarks.undescribed,
                "packet is of an interface",
                "packets are of interfaces",
            );
            error!("{name}: {packets} that the file does not describe");
        }
        if let Some(damage) = &damage {
            let before = match reader.frames() {
                1 => "the packet before is counted".to_owned(),
                frames => format!("the {frames} packets before are counted"),
            };
            error!("{name}: {damage}, at octet {}; {before}", reader.position());
        } else if remarks.nothing_supported {
            error!("{name}: nothing in it can be read");
        }
        let damaged = damage.is_some() || remarks.nothing_supported || remarks.undescribed > 0;
        self.report.files_damaged += u64::from(damaged);
        self.report.blocks_damaged += remarks.damaged_blocks;
        self.report.packets_too_long += remarks.too_long;
        self.report.packets_timeless += remarks.timeless;
        self.report.packets_time_clamped += remarks.clamped;
        self.report.packets_dropped = self.report.packets_dropped.saturating_add(remarks.dropped);
    }
}

impl PacketSource for FileSource {
    fn poll<F>(&mut self, frames_max: usize, mut take: F) -> Result<Polled, CaptureError>
    where
        F: FnMut(&Frame<'_>),
    {
        let mut left = frames_max;
        let named = self.interfaces.named_count();
        if self.second_end != u64::MAX
            && let Some(open) = &mut self.current
        {
            match open.reader.is_at_packet(&mut self.interfaces) {
                Ok(_) => {}
                Err(damage) if damage.is_silence() => return Ok(Polled::Idle),
                Err(damage) => self.leave(Err(damage)),
            }
            if self.interfaces.named_count() == named {
                left = self.begin_second(frames_max);
            }
        }
        // Names must be known before the packets that need them.
        while left > 0 && self.interfaces.named_count() == named {
            let Some(open) = &mut self.current else { return Ok(Polled::End) };
            // Of two packets with the same time, the packet of the file that was named first comes
            // first.
            let (due, file) = self.next_due;
            let before = due.saturating_add(u64::from(open.index < file)).min(self.second_end);
            match open.reader.run(&mut left, before, &mut self.interfaces, &mut take) {
                Ok(Run::Enough) => {}
                Ok(Run::AnotherIsDue) if open.due().0 >= self.second_end => break,
                Err(damage) if damage.is_silence() => return Ok(Polled::Idle),
                why => self.leave(why),
            }
        }
        Ok(Polled::More)
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.due == other.due
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.due.cmp(&other.due)
    }
}
