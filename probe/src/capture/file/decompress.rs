//! Compressed streams, recognized by their first octets: gzip, zstd, xz, bzip2 and LZ4.

use std::io::{self, BufRead, BufReader, Cursor, ErrorKind, Read};

use bzip2::bufread::BzDecoder;
use flate2::bufread::GzDecoder;
use lz4_flex::frame::FrameDecoder;
use lzma_rust2::XzReader;

/// A stream of octets that another thread may read on.
pub(super) type Stream = Box<dyn Read + Send>;

/// What decoders read from.
type Input = BufReader<Whole>;

const LZ4: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];

/// Octets that tell one form of compression from another.
const MAGIC_OCTETS: u64 = 6;

/// Read at once from the compressed stream.
const INPUT_OCTETS: usize = 64 * 1024;

/// The most memory that an xz file may need: four times what `xz -9` does.
const XZ_MEMORY_KIB: u32 = 256 * 1024;

/// Gives the decompressed octets of a stream; a stream in no known form is given as it is.
pub(super) fn decompressed(mut stream: Stream) -> io::Result<Stream> {
    let mut magic = begin(&mut stream)?;
    // zstd and LZ4 have the same skippable frames: what comes behind decides.
    while let [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] = *magic {
        let mut rest = Cursor::new(magic.split_off(4)).chain(stream);
        let mut length = [0; 4];
        rest.read_exact(&mut length)?;
        let length = u64::from(u32::from_le_bytes(length));
        io::copy(&mut rest.by_ref().take(length), &mut io::sink())?;
        stream = Box::new(rest);
        magic = begin(&mut stream)?;
    }
    let form = magic.first_chunk::<4>().copied().unwrap_or_default();
    let is_xz = *magic == *b"\xfd7zXZ\0";
    let is_lz4 = form == LZ4;
    let octets = Cursor::new(magic).chain(stream);
    let whole = Whole { octets, waits: is_xz || is_lz4, end_is_error: is_lz4 };
    let input = |whole| BufReader::with_capacity(INPUT_OCTETS, whole);
    Ok(match form {
        [0x1f, 0x8b, ..] => Members::<GzDecoder<_>>::decode(input(whole)),
        [b'B', b'Z', b'h', _] => Members::<BzDecoder<_>>::decode(input(whole)),
        [0x28, 0xb5, 0x2f, 0xfd] => Box::new(zstd::Decoder::with_buffer(input(whole))?),
        LZ4 => Members::<FrameDecoder<_>>::decode(input(whole)),
        _ if is_xz => Box::new(XzReader::new_mem_limit(input(whole), true, XZ_MEMORY_KIB)),
        _ => Box::new(whole),
    })
}

/// The first octets of a stream.
fn begin(stream: &mut Stream) -> io::Result<Vec<u8>> {
    let mut magic = Vec::new();
    stream.take(MAGIC_OCTETS).read_to_end(&mut magic)?;
    Ok(magic)
}

/// Decompresses one member: what a compressor writes for one input.
trait Member: Read {
    fn new(input: Input) -> Self;
    fn input(&mut self) -> &mut Input;
    fn into_input(self) -> Input;
}

macro_rules! members {
    ($($decoder:ident),*) => {$(
        impl Member for $decoder<Input> {
            fn new(input: Input) -> Self {
                Self::new(input)
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

/// Members one behind the other. Zeros behind a member are skipped: tapes and disks pad with them.
struct Members<D> {
    /// None only while one member takes the place of another.
    member: Option<D>,
}

impl<D: Member + Send + 'static> Members<D> {
    fn decode(input: Input) -> Stream {
        Box::new(Self { member: Some(D::new(input)) })
    }
}

impl<D: Member> Read for Members<D> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let member = self.member.as_mut().expect("there is always a member");
            let count = member.read(buffer)?;
            if count > 0 || buffer.is_empty() || !has_more(member.input())? {
                return Ok(count);
            }
            self.member = self.member.take().map(|ended| D::new(ended.into_input()));
        }
    }
}

/// Skips zeros. `false` if nothing is behind them.
fn has_more(input: &mut impl BufRead) -> io::Result<bool> {
    loop {
        let octets = match input.fill_buf() {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == ErrorKind::InvalidData => return Ok(false),
            octets => octets?,
        };
        let zeros = octets.iter().take_while(|octet| **octet == 0).count();
        if octets.is_empty() || zeros < octets.len() {
            let more = !octets.is_empty();
            input.consume(zeros);
            return Ok(more);
        }
        input.consume(zeros);
    }
}

/// The compressed octets, those that were looked at included.
struct Whole {
    octets: io::Chain<Cursor<Vec<u8>>, Stream>,
    /// Waits where a pipe has nothing now, for a decoder that could not go on from there.
    waits: bool,
    /// The end of the octets is an error, for a decoder that takes it for the end of a frame.
    end_is_error: bool,
}

impl Read for Whole {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.octets.read(buffer) {
                Ok(0) if self.end_is_error && !buffer.is_empty() => {
                    return Err(io::Error::new(ErrorKind::InvalidData, "cut short in a frame"));
                }
                Err(error) if self.waits && error.kind() == ErrorKind::WouldBlock => {}
                result => return result,
            }
        }
    }
}
