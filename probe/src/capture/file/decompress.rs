//! Compressed streams, recognized by their first octets: gzip, zstd, xz, bzip2 and LZ4.

use std::io::{self, BufRead, BufReader, ErrorKind, Read};

use bzip2::bufread::BzDecoder;
use flate2::bufread::GzDecoder;
use lz4_flex::frame::FrameDecoder;
use lzma_rust2::XzReader;

/// A stream of octets that another thread may continue to read.
pub(super) type Stream = Box<dyn Read + Send>;

const LZ4: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];

/// The longest of the magic numbers of compression formats.
const XZ: &[u8] = b"\xfd7zXZ\0";

/// Octets that are read at once from the compressed stream.
const INPUT_OCTETS: usize = 64 * 1024;

/// The most memory that an xz file may need: four times what `xz -9` does.
const XZ_MEMORY_KIB: u32 = 256 * 1024;

/// Returns the decompressed octets of a stream. A stream in no known format is returned unchanged.
pub(super) fn decompressed(stream: Stream) -> io::Result<Stream> {
    let mut input = Input::new(stream);
    // zstd and LZ4 have the same skippable frames: the format follows from the data behind them.
    input.skip_frames()?;
    let magic = input.look(XZ.len())?;
    let form = magic.first_chunk::<4>().copied().unwrap_or_default();
    let is_xz = magic.starts_with(XZ);
    let source = input.octets.get_mut();
    source.waits = is_xz || form == LZ4;
    source.end_is_error = form == LZ4;
    Ok(match form {
        [0x1f, 0x8b, ..] => Members::<GzDecoder<_>>::decode(input)?,
        [b'B', b'Z', b'h', _] => Members::<BzDecoder<_>>::decode(input)?,
        [0x28, 0xb5, 0x2f, 0xfd] => Members::<zstd::Decoder<'_, _>>::decode(input)?,
        LZ4 => Members::<FrameDecoder<_>>::decode(input)?,
        _ if is_xz => Box::new(XzReader::new_mem_limit(input, true, XZ_MEMORY_KIB)),
        _ => Box::new(input),
    })
}

/// Decompresses one member: the output of a compressor for one input.
trait Member: Read + Sized {
    fn new(input: Input) -> io::Result<Self>;
    fn input(&mut self) -> &mut Input;
    fn into_input(self) -> Input;
}

macro_rules! members {
    ($($decoder:ident),*) => {$(
        impl Member for $decoder<Input> {
            fn new(input: Input) -> io::Result<Self> {
                Ok(Self::new(input))
            }

            fn input(&mut self) -> &mut Input {
                self.get_mut()
            }

            fn into_input(self) -> Input {
                self.into_inner()
            }
        }
    )*};
}

members!(GzDecoder, BzDecoder, FrameDecoder);

impl Member for zstd::Decoder<'static, Input> {
    fn new(input: Input) -> io::Result<Self> {
        Ok(Self::with_buffer(input)?.single_frame())
    }

    fn input(&mut self) -> &mut Input {
        self.get_mut()
    }

    fn into_input(self) -> Input {
        self.finish()
    }
}

/// Members one after the other. Zeros after a member are skipped: tapes and disks pad with them.
struct Members<D> {
    /// `None` only while the next member replaces this one, and after that has failed.
    member: Option<D>,
}

impl<D: Member + Send + 'static> Members<D> {
    fn decode(input: Input) -> io::Result<Stream> {
        Ok(Box::new(Self { member: Some(D::new(input)?) }))
    }
}

impl<D: Member> Read for Members<D> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let Some(member) = &mut self.member else { return Ok(0) };
            let count = member.read(buffer)?;
            if count > 0 || buffer.is_empty() || !member.input().has_more()? {
                return Ok(count);
            }
            let ended = self.member.take().map(D::into_input);
            self.member = ended.map(D::new).transpose()?;
        }
    }
}

/// Input of the decoders.
struct Input {
    /// Octets that were looked at but not used yet.
    ahead: Vec<u8>,
    /// Octets to skip that have not come yet.
    pending: u64,
    octets: BufReader<Source>,
}

impl Input {
    fn new(stream: Stream) -> Self {
        let source = Source { stream, waits: false, end_is_error: false };
        let octets = BufReader::with_capacity(INPUT_OCTETS, source);
        Self { ahead: Vec::new(), pending: 0, octets }
    }

    /// Returns the next octets without using them: at least `count`, or all that are left.
    fn look(&mut self, count: usize) -> io::Result<&[u8]> {
        while self.ahead.len() < count {
            let more = match self.octets.fill_buf() {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::InvalidData => break,
                octets => octets?,
            };
            if more.is_empty() {
                break;
            }
            let taken = more.len().min(count - self.ahead.len());
            self.ahead.extend_from_slice(&more[..taken]);
            self.octets.consume(taken);
        }
        Ok(&self.ahead)
    }

    /// Skips the skippable frames of zstd and LZ4 (RFC 8878 section 3.1.2).
    fn skip_frames(&mut self) -> io::Result<()> {
        loop {
            while self.pending > 0 {
                let here = self.fill_buf()?.len();
                if here == 0 {
                    return Err(ErrorKind::UnexpectedEof.into());
                }
                let count = usize::try_from(self.pending).map_or(here, |pending| pending.min(here));
                self.consume(count);
                self.pending -= count as u64;
            }
            let &[0x50..=0x5f, 0x2a, 0x4d, 0x18, a, b, c, d] = self.look(8)? else {
                return Ok(());
            };
            self.pending = 8 + u64::from(u32::from_le_bytes([a, b, c, d]));
        }
    }

    /// Skips zeros and skippable frames. `false` if nothing follows them.
    fn has_more(&mut self) -> io::Result<bool> {
        loop {
            self.skip_frames()?;
            match *self.look(1)? {
                [] => return Ok(false),
                [0, ..] => {
                    let zeros = self.fill_buf()?.iter().take_while(|octet| **octet == 0).count();
                    self.consume(zeros);
                }
                _ => return Ok(true),
            }
        }
    }
}

impl BufRead for Input {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.ahead.is_empty() { self.octets.fill_buf() } else { Ok(&self.ahead) }
    }

    fn consume(&mut self, count: usize) {
        if self.ahead.is_empty() {
            self.octets.consume(count);
        } else {
            self.ahead.drain(..count);
        }
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.ahead.is_empty() {
            return self.octets.read(buffer);
        }
        let count = self.ahead.as_slice().read(buffer)?;
        self.ahead.drain(..count);
        Ok(count)
    }
}

/// The compressed octets.
struct Source {
    stream: Stream,
    /// Waits when a pipe is empty, for a decoder that could not continue after `WouldBlock`.
    waits: bool,
    /// The end of the octets is an error, for a decoder that would take it for the end of a frame.
    end_is_error: bool,
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.stream.read(buffer) {
                Ok(0) if self.end_is_error && !buffer.is_empty() => {
                    return Err(io::Error::new(ErrorKind::InvalidData, "cut short in a frame"));
                }
                Err(error) if self.waits && error.kind() == ErrorKind::WouldBlock => {}
                result => return result,
            }
        }
    }
}
