//! One capture file, of either format, plain or compressed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use exporter::sentence;
use flow::{Frame, LinkType, Timestamp};

use super::interfaces::{Interfaces, link_name};
use super::pcap::Pcap;
use super::pcapng::{self, Pcapng};
use super::window::Window;

/// The longest packet that is believed: what libpcap takes.
pub(super) const PACKET_OCTETS_MAX: u32 = 256 * 1024;

/// Packets that are found one after the other before the first of them is lent.
const BURST_FRAMES: usize = 32;

/// Why a file, or the rest of it, cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Damage {
    #[error("not a capture file (pcap or pcapng; plain, gzip or zstd)")]
    NotACapture,
    #[error("an empty file")]
    Empty,
    #[error("cut short in {0}")]
    CutShort(&'static str),
    #[error("a packet claims {0} octets, at most {PACKET_OCTETS_MAX} are possible")]
    TooLong(u32),
    #[error("a block of {0} octets contradicts itself")]
    Contradictory(u32),
    #[error("{}", sentence(.0))]
    Unreadable(#[from] io::Error),
}

/// Byte order of a file or section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

impl Order {
    /// The 32-bit number at an offset that is known to be there.
    #[inline]
    pub(super) fn u32(self, octets: &[u8], at: usize) -> u32 {
        let number = *octets[at..].first_chunk().expect("the caller made sure of it");
        match self {
            Self::Little => u32::from_le_bytes(number),
            Self::Big => u32::from_be_bytes(number),
        }
    }

    /// 32-bit numbers side by side.
    #[inline]
    pub(super) fn words<const OCTETS: usize, const WORDS: usize>(
        self,
        octets: &[u8; OCTETS],
    ) -> [u32; WORDS] {
        const { assert!(OCTETS == 4 * WORDS) };
        let (words, _) = octets.as_chunks();
        std::array::from_fn(|index| match self {
            Self::Little => u32::from_le_bytes(words[index]),
            Self::Big => u32::from_be_bytes(words[index]),
        })
    }

    /// The 16-bit number at an offset that is known to be there.
    #[inline]
    pub(super) fn u16(self, octets: &[u8], at: usize) -> u16 {
        let number = *octets[at..].first_chunk().expect("the caller made sure of it");
        match self {
            Self::Little => u16::from_le_bytes(number),
            Self::Big => u16::from_be_bytes(number),
        }
    }
}

/// A packet that was found; its data is at the beginning of the window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    /// Nanoseconds since the epoch.
    pub(super) nanos: u64,
    /// Octets of data.
    pub(super) captured: usize,
    /// Octets from the beginning of the data to the next packet or block.
    pub(super) after: usize,
    pub(super) wire_length: u32,
    pub(super) interface: u32,
    pub(super) link_type: LinkType,
    /// The link type as the file has it, for messages.
    pub(super) link_number: u16,
}

impl Head {
    /// The packet, and how far it is from its data to what comes next.
    #[inline]
    fn frame<'a>(&self, octets: &'a [u8]) -> (Frame<'a>, usize) {
        let frame = Frame {
            data: &octets[..self.captured],
            wire_length: self.wire_length,
            time: Timestamp::from_nanos(self.nanos),
            ingress_interface: self.interface,
            link_type: self.link_type,
        };
        (frame, self.after)
    }
}

/// Why no more packets were lent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Run {
    /// As many as were asked for, or names to be learned first.
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
    pub(super) fn open(stream: Box<dyn Read + Send>) -> Result<Self, Damage> {
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
            Format::Pcap(Pcap::open(&mut window, order, unit)?)
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

    /// Lends packets, from the one that the file is at on: at most as many as are left to lend,
    /// until another file is due before the next one, or until more interfaces have names.
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
            let (frame, length) = head.frame(octets);
            let mut rest = &octets[length..];
            let mut burst = [frame; BURST_FRAMES];
            let mut count = 1;
            // Nearly all packets are whole in the window, in a block of the ordinary kind.
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
            let used = octets.len() - rest.len();
            self.window.advance(used);
            self.find_next(interfaces)?;
        }
        Ok(Run::End)
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
            *self.unsupported.entry((head.interface, head.link_number)).or_default() += 1;
        }
        Ok(true)
    }

    /// Packets found so far.
    pub(super) fn frames(&self) -> u64 {
        self.frames
    }

    /// How far the file was read, in octets after decompression.
    pub(super) fn position(&self) -> u64 {
        self.window.position()
    }

    /// What is to be said of the file at its end.
    pub(super) fn remarks(&self, interfaces: &Interfaces) -> Remarks {
        let unsupported_total: u64 = self.unsupported.values().sum();
        let mut remarks = Remarks {
            nothing_supported: self.frames > 0 && unsupported_total == self.frames,
            ..Remarks::default()
        };
        for (&(number, link), frames) in &self.unsupported {
            let of_interface = match &self.format {
                Format::Pcap(_) => String::new(),
                Format::Pcapng(_) => format!(" of {}", interfaces.describe(number)),
            };
            let link = link_name(link);
            remarks.notes.push(format!(
                "{frames} frames{of_interface} ignored: link type {link} is not supported"
            ));
        }
        if let Format::Pcapng(pcapng) = &self.format {
            remarks.timeless = pcapng.timeless;
            remarks.damaged_blocks = pcapng.damaged_blocks;
            remarks.undescribed = pcapng.undescribed;
        }
        remarks
    }
}

/// Where a file is cut that ends in good order but for its compression.
const COMPRESSED: &str = "the compressed data";

/// What is to be said of a file at its end.
#[derive(Debug, Default)]
pub(super) struct Remarks {
    /// Frames that were left out, in words.
    pub(super) notes: Vec<String>,
    /// There are frames, and all are of link types that are not supported.
    pub(super) nothing_supported: bool,
    /// Packets that took the time of the packet before.
    pub(super) timeless: u64,
    /// Blocks that contradict themselves and were skipped.
    pub(super) damaged_blocks: u64,
    /// Packets of interfaces that the file does not describe.
    pub(super) undescribed: u64,
}

/// Looks through gzip and zstd, by their first octets.
fn decompressed(mut stream: Box<dyn Read + Send>) -> io::Result<Box<dyn Read + Send>> {
    let mut magic = Vec::with_capacity(4);
    stream.by_ref().take(4).read_to_end(&mut magic)?;
    let whole = Cursor::new(magic.clone()).chain(stream);
    Ok(match *magic {
        [0x1f, 0x8b, ..] => Box::new(flate2::read::MultiGzDecoder::new(whole)),
        [0x28, 0xb5, 0x2f, 0xfd] => Box::new(zstd::Decoder::new(whole)?),
        _ => Box::new(whole),
    })
}

/// Opens a file so that what was read of it is counted.
pub(super) fn open_counted(path: &Path, read: &Arc<AtomicU64>) -> io::Result<Box<dyn Read + Send>> {
    Ok(Box::new(Counted { inner: File::open(path)?, read: Arc::clone(read) }))
}

/// Counts what is read.
struct Counted<R> {
    inner: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}
