//! Forms of files, and the search for the end of the last complete piece.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;

/// Form of a file: its pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// JSON documents, one to a line.
    Documents,
    /// IPFIX Messages, back to back (RFC 5655).
    Messages,
}

/// Maximum octets of a document.
const DOCUMENT_MAX: u64 = 64 * 1024;

/// Maximum octets of an IPFIX Message: its length has 16 bits (RFC 7011 section 3.1).
const MESSAGE_MAX: u64 = 64 * 1024;
const VERSION: u16 = 10;
const HEADER_OCTETS: usize = 16;

/// Octets that are read at the end of a file.
const TAIL: u64 = 16 * MESSAGE_MAX;

impl Form {
    pub(super) fn piece(self) -> &'static str {
        match self {
            Self::Documents => "document",
            Self::Messages => "message",
        }
    }

    /// The end of the complete pieces in a file of this length. `None` if other content follows
    /// them: it stays, and new pieces begin on a new line.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or has content that is not a message.
    pub(super) fn whole(self, file: &File, length: u64) -> io::Result<Option<u64>> {
        match self {
            Self::Documents => whole_documents(file, length),
            Self::Messages => whole_messages(file, length).map(Some),
        }
    }
}

fn whole_documents(file: &File, length: u64) -> io::Result<Option<u64>> {
    let begin = length.saturating_sub(DOCUMENT_MAX);
    let tail = read(file, begin, length)?;
    let line = tail.iter().rposition(|&octet| octet == b'\n').map(|end| end + 1);
    let line = if begin == 0 { line.or(Some(0)) } else { line };
    Ok(line.filter(|&line| matches!(tail[line..], [] | [b'{', ..])).map(|line| begin + line as u64))
}

/// Finds the end of a long file without reading all of it: a message begins within the first piece
/// of the tail, and the lengths of messages lead from there to the end.
fn whole_messages(file: &File, length: u64) -> io::Result<u64> {
    let begin = length.saturating_sub(TAIL);
    let tail = read(file, begin, length)?;
    let first = read(file, 0, length.min(MESSAGE_MAX))?;
    let last_start = if begin == 0 { 0 } else { MESSAGE_MAX };
    let whole = (0..=last_start)
        .filter(|_| message_octets(&first).is_ok())
        .find_map(|start| Some(begin + start + walk(&tail[usize::try_from(start).ok()?..])?));
    whole.ok_or_else(|| {
        let problem = "it has something else than IPFIX messages";
        io::Error::new(ErrorKind::InvalidData, problem)
    })
}

/// The end of the last complete message. `None` if there is other content.
fn walk(octets: &[u8]) -> Option<u64> {
    let mut whole = 0;
    while let Some(message) = message_octets(&octets[whole..]).ok()? {
        if message > octets.len() - whole {
            break;
        }
        whole += message;
    }
    Some(whole as u64)
}

/// Content that is not a message.
struct NoMessage;

/// The length of the message that begins here; `None` if its header is incomplete.
fn message_octets(octets: &[u8]) -> Result<Option<usize>, NoMessage> {
    let Some(header) = octets.first_chunk::<HEADER_OCTETS>() else { return Ok(None) };
    let [version, length] = [0, 2].map(|at| u16::from_be_bytes([header[at], header[at + 1]]));
    let is_message = version == VERSION && usize::from(length) >= HEADER_OCTETS;
    if is_message { Ok(Some(length.into())) } else { Err(NoMessage) }
}

fn read(file: &File, begin: u64, end: u64) -> io::Result<Vec<u8>> {
    let mut octets = vec![0; usize::try_from(end - begin).unwrap_or_default()];
    file.read_exact_at(&mut octets, begin)?;
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn whole(form: Form, octets: &[u8]) -> io::Result<Option<u64>> {
        let name = format!("flowprobe-form-{}-{:p}", std::process::id(), octets);
        let path = std::env::temp_dir().join(name);
        File::create(&path).unwrap().write_all(octets).unwrap();
        let file = File::open(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        form.whole(&file, octets.len() as u64)
    }

    #[test]
    fn documents_end_at_the_last_line_end() {
        let long = [b'x'; 70_000];
        let document_behind = [&long[..], b"\n{\"a\""].concat();
        for (octets, end) in [
            (&b""[..], Some(0)),
            (b"{}\n", Some(3)),
            (b"{}\n{\"a\":", Some(3)),
            (b"{\"a\":", Some(0)),
            // This is not ours.
            (b"some text", None),
            (b"{}\nsome text", None),
            (&long, None),
            (&document_behind, Some(70_001)),
        ] {
            assert_eq!(whole(Form::Documents, octets).unwrap(), end);
        }
    }

    #[test]
    fn messages_end_where_their_lengths_say() {
        let message = |octets: u8| [&[0, 10, 0, octets][..], &vec![0; octets.into()][4..]].concat();
        let [one, two] = [message(16), message(40)];
        for (octets, end) in [
            (vec![], 0),
            ([&one[..], &two].concat(), 56),
            ([&one[..], &two[..39]].concat(), 16),
            ([&one[..], &two[..3]].concat(), 16),
        ] {
            assert_eq!(whole(Form::Messages, &octets).unwrap(), Some(end));
        }
        // Many, so that the file is longer than what is looked at.
        let long = [message(250), message(16), message(133)].concat().repeat(10_000);
        let cut = [&long[..], &two[..39]].concat();
        assert!(long.len() as u64 > TAIL);
        for octets in [&long, &cut] {
            assert_eq!(whole(Form::Messages, octets).unwrap(), Some(long.len() as u64));
        }
        assert!(whole(Form::Messages, &[&long[1..], &one].concat()).is_err());
        assert!(whole(Form::Messages, &[&long[..], &[1; 70_000]].concat()).is_err());
        for octets in [&b"{\"a\": 1, \"b\": 2}\n"[..], &message(15)[..], &[0; 16]] {
            assert!(whole(Form::Messages, &[octets, &[0; 16]].concat()).is_err());
        }
    }
}
