//! What a file consists of, and where the last whole piece of it ends.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;

/// What a file consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// JSON documents, one to a line.
    Documents,
    /// IPFIX Messages, one behind the other (RFC 5655).
    Messages,
}

/// No document is longer.
const DOCUMENT_MAX: u64 = 64 * 1024;

/// Version and length of an IPFIX Message (RFC 7011 section 3.1).
const MESSAGE_BEGIN: usize = 4;
const VERSION: u16 = 10;
const HEADER_OCTETS: u16 = 16;

impl Form {
    pub(super) fn piece(self) -> &'static str {
        match self {
            Self::Documents => "document",
            Self::Messages => "message",
        }
    }

    /// Where the whole pieces of a file of this length end. `None` if something else is behind
    /// them that is to stay: then pieces begin on a new line.
    ///
    /// # Errors
    ///
    /// It cannot be read, or has something else than messages.
    pub(super) fn whole(self, file: &File, length: u64) -> io::Result<Option<u64>> {
        match self {
            Self::Documents => whole_documents(file, length),
            Self::Messages => whole_messages(file, length).map(Some),
        }
    }
}

fn whole_documents(file: &File, length: u64) -> io::Result<Option<u64>> {
    let begin = length.saturating_sub(DOCUMENT_MAX);
    let mut tail = vec![0; usize::try_from(length - begin).unwrap_or_default()];
    file.read_exact_at(&mut tail, begin)?;
    let line = tail.iter().rposition(|&octet| octet == b'\n').map(|end| end + 1);
    let line = if begin == 0 { line.or(Some(0)) } else { line };
    Ok(line.filter(|&line| matches!(tail[line..], [] | [b'{', ..])).map(|line| begin + line as u64))
}

fn whole_messages(file: &File, length: u64) -> io::Result<u64> {
    let mut whole = 0;
    while whole + u64::from(HEADER_OCTETS) <= length {
        let mut begin = [0; MESSAGE_BEGIN];
        file.read_exact_at(&mut begin, whole)?;
        let [version, octets] = [0, 2].map(|at| u16::from_be_bytes([begin[at], begin[at + 1]]));
        if version != VERSION || octets < HEADER_OCTETS {
            let problem = "it has something else than IPFIX messages";
            return Err(io::Error::new(ErrorKind::InvalidData, problem));
        }
        if whole + u64::from(octets) > length {
            break;
        }
        whole += u64::from(octets);
    }
    Ok(whole)
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
        for octets in [&b"{\"a\": 1, \"b\": 2}\n"[..], &message(15)[..], &[0; 16]] {
            assert!(whole(Form::Messages, &[octets, &[0; 16]].concat()).is_err());
        }
    }
}
