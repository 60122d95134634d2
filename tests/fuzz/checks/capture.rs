//! Any octets as a capture file: reading it ends, what it lends is in the file, and neither the
//! number of frames asked for at once nor another file beside it changes what comes.

use std::cell::RefCell;
use std::fs::File;
use std::io::{Seek, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::Arc;

use flow::{Frame, LinkType, Timestamp};
use probe::capture::file::{FileSource, Input, InputReport};
use probe::capture::{PacketSource, Polled};

/// No more is looked at: a compressed file can be a thousand times as long as it is.
const FRAMES_MAX: usize = 100_000;

/// What is believed of a packet's length.
const PACKET_OCTETS_MAX: usize = 256 * 1024;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Captured {
    data: Vec<u8>,
    wire_length: u32,
    time: Timestamp,
    interface: u32,
    link_type: LinkType,
}

/// A capture file.
pub fn check(octets: &[u8]) {
    SCRATCH.with_borrow_mut(|file| {
        file.set_len(0).expect("the file can be emptied");
        file.rewind().expect("a file has a beginning");
        file.write_all(octets).expect("there is room for the file");
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        check_file(octets, Path::new(&path));
    });
}

fn check_file(octets: &[u8], path: &Path) {
    let (frames, report) = read(&[path], 8192);
    if frames.len() >= FRAMES_MAX {
        return;
    }
    assert_eq!((frames.clone(), report), read(&[path], 1), "one at a time, nothing else comes");
    let is_compressed = COMPRESSED.iter().any(|magic| octets.starts_with(magic))
        || matches!(octets, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..]);
    if !is_compressed {
        assert_in_the_file(&frames, octets);
    }
    if let Some(expected) = naive_pcap(octets) {
        assert_eq!(frames, expected);
    }
    // Merged with itself, each frame comes twice.
    let (merged, report_of_both) = read(&[path, path], 8192);
    let doubled: Vec<_> = frames.iter().chain(&frames).collect();
    assert_eq!(sorted(&merged.iter().collect::<Vec<_>>()), sorted(&doubled));
    assert_eq!(report_of_both.files_damaged, 2 * report.files_damaged);
    assert_eq!(report_of_both.blocks_damaged, 2 * report.blocks_damaged);
    assert_eq!(report_of_both.packets_timeless, 2 * report.packets_timeless);
    assert_eq!(report_of_both.packets_time_clamped, 2 * report.packets_time_clamped);
    assert_eq!(report_of_both.packets_too_long, 2 * report.packets_too_long);
}

fn sorted<'a>(frames: &[&'a Captured]) -> Vec<(Timestamp, &'a [u8], u32, u32)> {
    let mut sorted: Vec<_> = frames
        .iter()
        .map(|frame| (frame.time, &frame.data[..], frame.wire_length, frame.interface))
        .collect();
    sorted.sort_unstable();
    sorted
}

fn read(paths: &[&Path], frames_max: usize) -> (Vec<Captured>, InputReport) {
    let files: Vec<_> = paths.iter().map(|path| Input::File(path.to_path_buf())).collect();
    let mut source = FileSource::open(&files, &[], &Arc::default());
    let mut frames = Vec::new();
    let mut polls = 0;
    loop {
        let before = frames.len();
        let polled = source.poll(frames_max, |frame| frames.push(captured(frame)));
        assert!(frames.len() - before <= frames_max, "no more than what was asked for");
        polls += 1;
        assert!(polls <= 3 * frames.len() + 10, "each poll brings something");
        match polled.expect("files do not fail as a whole") {
            Polled::End => break,
            Polled::More if frames.len() >= FRAMES_MAX => break,
            Polled::More => {}
            Polled::Idle => panic!("a file always has its next frame"),
        }
    }
    (frames, source.report())
}

fn captured(frame: &Frame<'_>) -> Captured {
    assert!(frame.data.len() <= PACKET_OCTETS_MAX);
    assert!(frame.data.len() <= frame.wire_length as usize, "no more than the wire had");
    Captured {
        data: frame.data.to_vec(),
        wire_length: frame.wire_length,
        time: frame.time,
        interface: frame.point.interface,
        link_type: frame.link_type,
    }
}

/// Each frame is a piece of the file, behind the one before.
fn assert_in_the_file(frames: &[Captured], octets: &[u8]) {
    let mut rest = octets;
    for frame in frames {
        let length = frame.data.len();
        let at = match length {
            0 => Some(0),
            _ => rest.windows(length).position(|piece| piece == frame.data),
        };
        let at = at.expect("a frame is a piece of the file, behind the one before");
        rest = &rest[at + length..];
    }
}

/// A classic file read without cleverness; what is wrong ends it.
fn naive_pcap(octets: &[u8]) -> Option<Vec<Captured>> {
    let magic = octets.first_chunk::<4>()?;
    let (big, nanoseconds) = match magic {
        [0xa1, 0xb2, 0xc3, 0xd4] => (true, false),
        [0xd4, 0xc3, 0xb2, 0xa1] => (false, false),
        [0xa1, 0xb2, 0x3c, 0x4d] => (true, true),
        [0x4d, 0x3c, 0xb2, 0xa1] => (false, true),
        _ => return None,
    };
    let word = |at: usize| -> Option<u32> {
        let word = *octets.get(at..)?.first_chunk::<4>()?;
        Some(if big { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) })
    };
    let mut frames = Vec::new();
    let Some(link) = word(20) else { return Some(frames) };
    let link_type = LinkType::from_number((link & 0xffff) as u16);
    let mut at = 24;
    while let (Some(seconds), Some(fraction), Some(length), Some(wire_length)) =
        (word(at), word(at + 4), word(at + 8), word(at + 12))
    {
        let begin = at + 16;
        let end = begin + length as usize;
        let Some(data) = octets.get(begin..end) else { break };
        // Padding, and not a packet of no octets from the year 1970.
        if octets[at..begin].iter().all(|&octet| octet == 0) {
            break;
        }
        if data.len() > PACKET_OCTETS_MAX {
            break;
        }
        let unit = if nanoseconds { 1 } else { 1000 };
        let nanos = u64::from(seconds) * 1_000_000_000 + u64::from(fraction) * unit;
        frames.push(Captured {
            data: data.to_vec(),
            wire_length: wire_length.max(length),
            time: Timestamp::from_nanos(nanos),
            interface: 0,
            link_type,
        });
        at = end;
    }
    Some(frames)
}

/// First octets of gzip, zstd, xz, bzip2 and LZ4.
const COMPRESSED: [&[u8]; 5] =
    [b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\0", b"BZh", b"\x04\x22\x4d\x18"];

thread_local! {
    /// A file without a name, in memory where that is possible: a check takes some microseconds.
    static SCRATCH: RefCell<File> = {
        let memory = Path::new("/dev/shm");
        let file =
            if memory.is_dir() { tempfile::tempfile_in(memory) } else { tempfile::tempfile() };
        RefCell::new(file.expect("a file for the check"))
    };
}
