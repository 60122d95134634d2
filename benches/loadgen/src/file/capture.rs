//! Frames of a capture file, in sequence.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use pcap_parser::traits::PcapNGPacketBlock;
use pcap_parser::{Block, Linktype, PcapBlockOwned, PcapError, create_reader};

/// A frame, valid during a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    /// Time since the epoch of the capture's clock.
    pub(super) time: Duration,
    pub(super) octets: &'a [u8],
    /// Octets of the frame before it was cut at a snap length.
    pub(super) wire_length: usize,
}

/// Octets of the file in memory, which is also the maximum length of a record.
const BUFFER: usize = 1 << 20;

/// Passes each frame of a file to `take`, in the order of the file.
pub(super) fn read(path: &Path, take: &mut dyn FnMut(Frame<'_>) -> Result<()>) -> Result<()> {
    let name = path.display();
    let file = File::open(path).with_context(|| format!("opening {name}"))?;
    each_frame(file, take).with_context(|| format!("sending {name}"))
}

fn each_frame(file: impl Read + Send, take: &mut dyn FnMut(Frame<'_>) -> Result<()>) -> Result<()> {
    let mut reader = create_reader(BUFFER, file).map_err(|error| anyhow!("{error}"))?;
    let mut clock = Clock::default();
    loop {
        let refill = match reader.next() {
            Ok((length, block)) => {
                if let Some(frame) = clock.frame(&block)? {
                    take(frame)?;
                }
                reader.consume(length);
                false
            }
            Err(PcapError::Eof) => return Ok(()),
            Err(PcapError::Incomplete(_)) => true,
            Err(error) => return Err(anyhow!("{error}")),
        };
        if refill {
            reader.refill().map_err(|error| anyhow!("{error}"))?;
        }
    }
}

/// Meaning of times in the file.
#[derive(Debug, Default)]
struct Clock {
    /// Classic pcap: whether fractions are nanoseconds.
    is_nanoseconds: bool,
    /// pcapng: ticks per second, for each interface of the section.
    ticks: Vec<u64>,
    /// Time of the last packet, for packets without a time.
    last: Duration,
}

impl Clock {
    fn frame<'a>(&mut self, block: &'a PcapBlockOwned<'_>) -> Result<Option<Frame<'a>>> {
        let (time, octets, wire_length) = match block {
            PcapBlockOwned::LegacyHeader(header) => {
                ensure_ethernet(header.network)?;
                self.is_nanoseconds = header.is_nanosecond_precision();
                return Ok(None);
            }
            PcapBlockOwned::Legacy(packet) => {
                let nanos = if self.is_nanoseconds { 1 } else { 1000 } * u64::from(packet.ts_usec);
                let time = Duration::from_secs(packet.ts_sec.into()) + Duration::from_nanos(nanos);
                (time, packet.data, packet.origlen)
            }
            PcapBlockOwned::NG(Block::SectionHeader(_)) => {
                self.ticks.clear();
                return Ok(None);
            }
            PcapBlockOwned::NG(Block::InterfaceDescription(interface)) => {
                ensure_ethernet(interface.linktype)?;
                self.ticks.push(interface.ts_resolution().unwrap_or(1_000_000));
                return Ok(None);
            }
            PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
                let ticks = u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low);
                let interface = usize::try_from(packet.if_id)?;
                let second = *self.ticks.get(interface).context("a packet of no interface")?;
                let nanos = u128::from(ticks % second) * 1_000_000_000 / u128::from(second);
                let time = Duration::from_secs(ticks / second)
                    + Duration::from_nanos(u64::try_from(nanos)?);
                (time, packet.packet_data(), packet.origlen)
            }
            PcapBlockOwned::NG(Block::SimplePacket(packet)) => {
                (self.last, packet.packet_data(), packet.origlen)
            }
            PcapBlockOwned::NG(_) => return Ok(None),
        };
        self.last = time;
        Ok(Some(Frame { time, octets, wire_length: usize::try_from(wire_length)? }))
    }
}

fn ensure_ethernet(link: Linktype) -> Result<()> {
    ensure!(link == Linktype::ETHERNET, "frames are not Ethernet's (link type {})", link.0);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    fn check(file: &[u8], expected: &[(u64, usize)]) {
        let mut frames = Vec::new();
        each_frame(file, &mut |frame| {
            assert_eq!(frame.octets, [1, 2, 3]);
            frames.push((u64::try_from(frame.time.as_nanos())?, frame.wire_length));
            Ok(())
        })
        .unwrap();
        assert_eq!(frames, expected);
    }

    #[test]
    fn frames_have_their_times_in_both_formats() {
        for (magic, nanos) in [(0xa1b2_c3d4, 5_000_007_000), (0xa1b2_3c4d, 5_000_000_007)] {
            let mut file = words(&[magic, 0x0004_0002, 0, 0, 262_144, 1]);
            file.extend(words(&[5, 7, 3, 60]));
            file.extend([1, 2, 3]);
            check(&file, &[(nanos, 60)]);
        }
        let mut file = words(&[0x0a0d_0d0a, 28, 0x1a2b_3c4d, 1, u32::MAX, u32::MAX, 28]);
        // Times in units of 10^-9 s.
        file.extend(words(&[1, 32, 1, 0, 0x0001_0009, 9, 0, 32]));
        for low in [7, 9] {
            file.extend(words(&[6, 36, 0, 1, low, 3, 60, 0x0003_0201, 36]));
        }
        check(&file, &[((1 << 32) + 7, 60), ((1 << 32) + 9, 60)]);
    }

    #[test]
    fn frames_of_other_links_are_refused() {
        let file = words(&[0xa1b2_c3d4, 0x0004_0002, 0, 0, 262_144, 101]);
        let error = each_frame(file.as_slice(), &mut |_| Ok(())).unwrap_err();
        assert!(error.to_string().contains("link type 101"), "{error}");
    }
}
