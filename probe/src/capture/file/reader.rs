//! One capture file, of either format, plain or compressed.

use std::collections::BTreeMap;

use flow::Frame;
use flow::words::noun;

use super::decompress::{Stream, decompressed};
use super::format::{Damage, Head};
use super::interfaces::{Interfaces, link_name};
use super::pcap::Pcap;
use super::pcapng::{self, Pcapng};
use super::window::Window;

/// Maximum number of packets that are found before the first of them is lent.
const BURST_FRAMES: usize = 32;

/// Reason why no more packets were lent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Run {
    /// The requested number was lent, or there are new interface names to be learned first.
    Enough,
    /// Another file is due before the next packet.
    AnotherIsDue,
    /// There are no more.
    End,
}

/// A file that is open, at a packet or at its end.
pub(super) struct FileReader {
    window: Window,
    format: Format,
    head: Option<Head>,
    frames: u64,
    /// Frames of link types that are not supported, by interface and number of the link type.
    unsupported: BTreeMap<(u32, u16), u64>,
}

#[derive(Debug)]
enum Format {
    Pcap(Pcap),
    Pcapng(Pcapng),
}

impl FileReader {
    /// Opens a stream and finds out its format, through compression.
    pub(super) fn open(stream: Stream, interfaces: &mut Interfaces) -> Result<Self, Damage> {
        let mut window = Window::new(decompressed(stream)?);
        if !window.need(4)? {
            return Err(match window.octets() {
                _ if window.is_cut() => Damage::CutShort(COMPRESSED),
                [] => Damage::Empty,
                _ => Damage::NotACapture,
            });
        }
        let magic = *window.octets().first_chunk().expect("four octets are there");
        let format = if let Some((order, unit)) = Pcap::recognize(magic) {
            Format::Pcap(Pcap::open(&mut window, order, unit, interfaces)?)
        } else if magic == pcapng::MAGIC {
            Format::Pcapng(Pcapng::open(&mut window)?)
        } else {
            return Err(Damage::NotACapture);
        };
        Ok(Self { window, format, head: None, frames: 0, unsupported: BTreeMap::new() })
    }

    /// Time of the packet that the file is at.
    #[inline]
    pub(super) fn nanos(&self) -> Option<u64> {
        self.head.map(|head| head.nanos)
    }

    /// Lends packets, from the current one on: at most `left`, until another file is due before the
    /// next one, or until more interfaces have names.
    pub(super) fn run(
        &mut self,
        left: &mut usize,
        before: u64,
        interfaces: &mut Interfaces,
        take: &mut impl FnMut(&Frame<'_>),
    ) -> Result<Run, Damage> {
        let named = interfaces.named_count();
        while let Some(head) = self.head {
            if *left == 0 || interfaces.named_count() > named {
                return Ok(Run::Enough);
            }
            if head.nanos >= before {
                return Ok(Run::AnotherIsDue);
            }
            let octets = self.window.octets();
            let (frame, after) = head.frame(octets);
            // Options behind a packet may be longer than the window.
            let mut rest = octets.get(after..).unwrap_or_default();
            let mut burst = [frame; BURST_FRAMES];
            let mut count = 1;
            // Nearly all packets are complete in the window, in a block of the ordinary type.
            loop {
                let vacant = &mut burst[count..BURST_FRAMES.min(*left)];
                let found = match &mut self.format {
                    Format::Pcap(pcap) => pcap.find_whole(&mut rest, before, vacant),
                    Format::Pcapng(pcapng) => pcapng.find_whole(&mut rest, before, vacant),
                };
                self.frames += found as u64;
                count += found;
                if count == 0 {
                    break;
                }
                for frame in &burst[..count] {
                    take(frame);
                }
                *left -= count;
                count = 0;
            }
            let used = (octets.len() - rest.len()).max(after);
            self.window.skip(used as u64);
            self.head = None;
            self.find_next(interfaces)?;
        }
        Ok(Run::End)
    }

    /// Goes to the next packet if the file is at none. `false` at the end.
    pub(super) fn is_at_packet(&mut self, interfaces: &mut Interfaces) -> Result<bool, Damage> {
        if self.head.is_some() { Ok(true) } else { self.find_next(interfaces) }
    }

    /// Finds the next packet. `false` at the end.
    pub(super) fn find_next(&mut self, interfaces: &mut Interfaces) -> Result<bool, Damage> {
        self.head = None;
        self.head = match &mut self.format {
            Format::Pcap(pcap) => pcap.next(&mut self.window)?,
            Format::Pcapng(pcapng) => pcapng.next(&mut self.window, interfaces)?,
        };
        let Some(head) = self.head else {
            let cut = self.window.is_cut();
            return if cut { Err(Damage::CutShort(COMPRESSED)) } else { Ok(false) };
        };
        self.frames += 1;
        if !head.link_type.is_supported() {
            *self.unsupported.entry((head.point.interface, head.link_number)).or_default() += 1;
        }
        Ok(true)
    }

    /// Whether the packet that the file is at has a supported link type.
    pub(super) fn is_supported(&self) -> bool {
        self.head.is_some_and(|head| head.link_type.is_supported())
    }

    /// Whether the file has a packet of a supported link type, from the current one on. Of a
    /// classic file all packets have the same.
    pub(super) fn has_supported(&mut self, interfaces: &mut Interfaces) -> bool {
        while let Some(head) = self.head {
            if head.link_type.is_supported() || matches!(self.format, Format::Pcap(_)) {
                return head.link_type.is_supported();
            }
            self.window.skip(head.after as u64);
            if self.find_next(interfaces).is_err() {
                return false;
            }
        }
        false
    }

    /// Packets found so far.
    pub(super) fn frames(&self) -> u64 {
        self.frames
    }

    /// Octets read so far, after decompression.
    pub(super) fn position(&self) -> u64 {
        self.window.position()
    }

    /// Remarks on the file for messages at its end.
    pub(super) fn remarks(&self, interfaces: &Interfaces) -> Remarks {
        let unsupported_total: u64 = self.unsupported.values().sum();
        let mut remarks = Remarks {
            nothing_supported: self.frames > 0 && unsupported_total == self.frames,
            ..Remarks::default()
        };
        for (&(number, link), frames) in self.unsupported.iter().take(NOTES_MAX) {
            let of_interface = match &self.format {
                Format::Pcap(_) => String::new(),
                Format::Pcapng(_) => format!(" of {}", interfaces.describe(number)),
            };
            let link = link_name(link);
            remarks.notes.push(format!(
                "{frames} {}{of_interface} ignored: link type {link} is not supported",
                noun(*frames, "frame", "frames")
            ));
        }
        if let Some(more) = self.unsupported.len().checked_sub(NOTES_MAX + 1) {
            let more = more + 1;
            let interfaces = noun(more as u64, "interface", "interfaces");
            remarks.notes.push(format!("{more} more {interfaces} of link types not supported"));
        }
        if let Format::Pcapng(pcapng) = &self.format {
            remarks.timeless = pcapng.timeless;
            remarks.clamped = pcapng.clamped;
            remarks.damaged_blocks = pcapng.damaged_blocks;
            remarks.undescribed = pcapng.undescribed;
            remarks.dropped = pcapng.dropped;
        }
        remarks.too_long = match &self.format {
            Format::Pcap(pcap) => pcap.too_long,
            Format::Pcapng(pcapng) => pcapng.too_long,
        };
        remarks
    }
}

/// Maximum number of interfaces with an unsupported link type that are named at the end of a file.
const NOTES_MAX: usize = 10;

/// The place of the cut in a file that is complete except for its compression.
const COMPRESSED: &str = "the compressed data";

/// Remarks on a file for messages at its end.
#[derive(Debug, Default)]
pub(super) struct Remarks {
    /// Messages on frames that were ignored.
    pub(super) notes: Vec<String>,
    /// There are frames, and all are of link types that are not supported.
    pub(super) nothing_supported: bool,
    /// Packets that got the time of the packet before.
    pub(super) timeless: u64,
    /// Packets with a time before 1970 or after 2554.
    pub(super) clamped: u64,
    /// Packet blocks that were skipped because they contradict themselves.
    pub(super) damaged_blocks: u64,
    /// Packets that were skipped because they are too long.
    pub(super) too_long: u64,
    /// Packets of interfaces that the file does not describe.
    pub(super) undescribed: u64,
    /// Packets that the capturing program lost, by its own statistics.
    pub(super) dropped: u64,
}
