//! The traces. They are generated from a seed, so they are always the same.
//!
//! A trace is a capture file, with its counts in a small file beside it. Both are written once and
//! used again. Checksums of IP headers are correct. Checksums of TCP and UDP are 0, because they
//! are not checked.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::frames::{FRAME_MAX, Flow, Kind, Piece};
use sample::random::Random;

/// Properties of a trace.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recipe {
    pub(super) name: &'static str,
    /// Description for the report.
    pub(super) what: &'static str,
    pub(super) packets: u64,
    pub(super) flows: u32,
    pub(super) choice: Choice,
    pub(super) kind: Kind,
    /// Packets per second of the trace clock.
    pub(super) rate: u64,
}

/// Choice of the flow of the next packet.
#[derive(Clone, Copy, Debug)]
pub(super) enum Choice {
    /// Any flow with the same probability.
    Uniform,
    /// The n-th flow with a probability proportional to n^-0.8.
    Zipf,
    /// A new flow.
    Next,
}

/// A file and its counts.
#[derive(Clone, Debug)]
pub(super) struct Trace {
    pub(super) path: PathBuf,
    pub(super) sums: Sums,
}

/// Counts that a meter should find.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) packets: u64,
    /// Octets of IP packets.
    pub(super) octets: u64,
    /// Octets of frames from the IP header on, including the padding of short ones.
    pub(super) padded_octets: u64,
    pub(super) flows: u64,
    /// Packets that are not the first fragment of their datagram.
    pub(super) later_fragments: u64,
    /// Octets of the IP headers of those packets.
    pub(super) later_headers: u64,
}

/// Version of the contents. After a change, old files are written again.
const VERSION: u64 = 2;

/// 2023-11-14T22:13:20Z
pub(super) const BEGIN_SECONDS: u32 = 1_700_000_000;

impl Recipe {
    /// The trace, or only its first packets. Uses existing files.
    pub(super) fn make(&self, folder: &Path, packets: u64) -> Result<Trace> {
        let packets = packets.min(self.packets);
        let path = folder.join(format!("{}-{packets}.pcap", self.name));
        cached(&path, |path| self.write(path, packets))
    }

    fn write(&self, path: &Path, packets: u64) -> io::Result<Sums> {
        let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
        put_header(&mut out)?;
        let (zipf, mut random) = (Zipf::new(self.flows), Random::named(self.name));
        let mut seen = vec![0_u64; self.flows.div_ceil(64) as usize];
        let mut sums = Sums::default();
        let mut frame = [0; FRAME_MAX];
        // The other fragment of a datagram comes next.
        let mut rest = None;
        while sums.packets < packets {
            let (flow, piece) = rest.take().unwrap_or_else(|| {
                let number = self.choose(&zipf, &mut random, sums.packets);
                (Flow::new(number, self.kind), self.kind.piece(&mut random))
            });
            let (word, bit) = ((flow.number / 64) as usize, 1 << (flow.number % 64));
            let is_first = seen[word] & bit == 0;
            seen[word] |= bit;
            let written = flow.write(piece, is_first, &mut frame);
            if let Piece::FirstFragment = written.piece {
                rest = Some((flow, Piece::LaterFragment));
            }
            put_packet(&mut out, sums.packets * 1_000_000 / self.rate, written.frame)?;
            sums.packets += 1;
            sums.octets += u64::from(written.octets);
            sums.padded_octets += u64::from(written.padded_octets);
            sums.flows += u64::from(is_first);
            if let Piece::LaterFragment = written.piece {
                sums.later_fragments += 1;
                sums.later_headers += 20;
            }
        }
        // Data that is not on the disk yet would disturb the measurement.
        out.into_inner()?.sync_all()?;
        Ok(sums)
    }

    fn choose(&self, zipf: &Zipf, random: &mut Random, packet: u64) -> u32 {
        match self.choice {
            Choice::Uniform => random.below(self.flows),
            Choice::Zipf => zipf.next(random),
            Choice::Next => u32::try_from(packet).expect("fewer packets than flows can be"),
        }
    }
}

/// The trace in a file, which is written if it is not there.
pub(super) fn cached(path: &Path, write: impl FnOnce(&Path) -> io::Result<Sums>) -> Result<Trace> {
    let beside = path.with_extension("sums");
    if path.is_file()
        && let Some(sums) = fs::read_to_string(&beside).ok().and_then(|text| Sums::read(&text))
    {
        return Ok(Trace { path: path.to_owned(), sums });
    }
    println!("writing {}", path.display());
    let part = path.with_extension("part");
    let sums = write(&part).with_context(|| {
        format!("writing the trace {}: is there room on the disk?", part.display())
    })?;
    // Sums of before are not those of a new trace, so it would be written again.
    fs::rename(&part, path).with_context(|| format!("renaming {}", part.display()))?;
    fs::write(&beside, sums.text()).with_context(|| format!("writing {}", beside.display()))?;
    Ok(Trace { path: path.to_owned(), sums })
}

/// Writes the header of a capture file.
pub(super) fn put_header(out: &mut impl Write) -> io::Result<()> {
    // Magic of microseconds, version 2.4, no zone, snap length, Ethernet.
    for word in [0xa1b2_c3d4_u32, 4 << 16 | 2, 0, 0, 1 << 18, 1] {
        out.write_all(&word.to_le_bytes())?;
    }
    Ok(())
}

/// Writes a frame, so many microseconds behind the beginning.
pub(super) fn put_packet(out: &mut impl Write, micros: u64, frame: &[u8]) -> io::Result<()> {
    let length = u32::try_from(frame.len()).expect("frames are short");
    let seconds = BEGIN_SECONDS + u32::try_from(micros / 1_000_000).expect("before 2106");
    for word in [seconds, low(micros), length, length] {
        out.write_all(&word.to_le_bytes())?;
    }
    out.write_all(frame)
}

impl Trace {
    /// Reads the file, so that it is in the page cache.
    pub(super) fn warm(&self) -> Result<()> {
        let read = File::open(&self.path).and_then(|mut file| io::copy(&mut file, &mut io::sink()));
        read.with_context(|| format!("reading {}", self.path.display()))?;
        Ok(())
    }
}

impl Sums {
    fn numbers(self) -> [u64; 7] {
        let Self { packets, octets, padded_octets, flows, later_fragments, later_headers } = self;
        [VERSION, packets, octets, padded_octets, flows, later_fragments, later_headers]
    }

    fn text(self) -> String {
        self.numbers().map(|number| number.to_string()).join(" ")
    }

    fn read(text: &str) -> Option<Self> {
        let numbers: Option<Vec<u64>> =
            text.split_whitespace().map(|word| word.parse().ok()).collect();
        let numbers = <[u64; 7]>::try_from(numbers?).ok()?;
        let [VERSION, packets, octets, padded_octets, flows, later_fragments, later_headers] =
            numbers
        else {
            return None;
        };
        Some(Self { packets, octets, padded_octets, flows, later_fragments, later_headers })
    }
}

/// The microseconds within a second.
fn low(micros: u64) -> u32 {
    u32::try_from(micros % 1_000_000).expect("less than a million")
}

/// A choice of one of `count` items. The n-th has a probability proportional to n^-0.8.
///
/// Inversion of the continuous distribution: the number is x^5 (5 = 1 / (1 - 0.8)) for an x that is
/// uniform from 1 to the fifth root of the count. It uses only sums and products, so that it is the
/// same on all machines.
#[derive(Debug)]
struct Zipf {
    count: u32,
    root: f64,
}

impl Zipf {
    fn new(count: u32) -> Self {
        let (mut low, mut high) = (1.0, 128.0);
        for _ in 0..64 {
            let middle: f64 = (low + high) / 2.0;
            if fifth_power(middle) < count.into() { low = middle } else { high = middle }
        }
        Self { count, root: low }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from 1 to the count"
    )]
    fn next(&self, random: &mut Random) -> u32 {
        let uniform = f64::from(random.u32()) / f64::from(u32::MAX);
        let x = 1.0 + uniform * (self.root - 1.0);
        (fifth_power(x) as u32).clamp(1, self.count) - 1
    }
}

fn fifth_power(x: f64) -> f64 {
    x * x * x * x * x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zipf_favours_the_first_as_it_should() {
        let (zipf, mut random) = (Zipf::new(1_000_000), Random::named("zipf"));
        let mut counts = [0_u32; 2];
        for _ in 0..1_000_000 {
            // Each group with ten times as many items is chosen 10^0.2 times as often.
            match zipf.next(&mut random) {
                0..1000 => counts[0] += 1,
                1000..31_623 => counts[1] += 1,
                _ => {}
            }
        }
        // (1000^0.2 - 1) / (10^1.2 - 1), and (10^0.9 - 1000^0.2) / (10^1.2 - 1).
        assert!((195_000..205_000).contains(&counts[0]), "{counts:?}");
        assert!((264_000..274_000).contains(&counts[1]), "{counts:?}");
    }
}
