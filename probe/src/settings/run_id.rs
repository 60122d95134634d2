//! The name of a run in the IDs of documents.

use std::fmt::Debug;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha1::{Digest, Sha1};

use crate::capture::file::Input;

/// Octets that are read at the beginning and at the end of a file.
const END_OCTETS: u64 = 1 << 20;

/// Octets of the hash that are used.
const HASH_OCTETS: usize = 12;

/// A name that no other run has.
pub(super) fn random() -> String {
    // Each `RandomState` has different keys.
    let octets: Vec<u8> = [0; 2]
        .iter()
        .flat_map(|_| RandomState::new().hash_one("flowprobe").to_le_bytes())
        .take(HASH_OCTETS)
        .collect();
    URL_SAFE_NO_PAD.encode(octets)
}

/// A name that is the same for each replay of the same files with the same settings: a hash of the
/// version of the program, the settings, and of each file the size, the first and the last MiB. For
/// a pipe the name is random, because its content is not known.
pub(super) fn of_replay(inputs: &[Input], settings: &impl Debug) -> String {
    let mut hash = Sha1::new();
    hash.update(env!("CARGO_PKG_VERSION"));
    hash.update(format!("{settings:?}"));
    for input in inputs {
        let Input::File(path) = input else { return random() };
        if input.is_pipe() || hash_file(path, &mut hash).is_err() {
            return random();
        }
    }
    URL_SAFE_NO_PAD.encode(&hash.finalize()[..HASH_OCTETS])
}

fn hash_file(path: &Path, hash: &mut Sha1) -> io::Result<()> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    hash.update(size.to_le_bytes());
    let mut octets = Vec::new();
    file.by_ref().take(END_OCTETS).read_to_end(&mut octets)?;
    hash.update(&octets);
    octets.clear();
    file.seek(SeekFrom::Start(size.saturating_sub(END_OCTETS)))?;
    file.take(END_OCTETS).read_to_end(&mut octets)?;
    hash.update(&octets);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_names_differ() {
        assert_ne!(random(), random());
        assert_eq!(random().len(), 16);
    }

    #[test]
    fn same_files_and_settings_have_the_same_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let other = folder.path().join("b");
        let name =
            |path: &Path, settings: &str| of_replay(&[Input::File(path.to_owned())], &settings);
        std::fs::write(&path, vec![1; 3_000_000]).unwrap();
        std::fs::write(&other, vec![1; 3_000_000]).unwrap();
        assert_eq!(name(&path, "x"), name(&other, "x"));
        assert_ne!(name(&path, "x"), name(&path, "y"));
        for at in [0, 2_999_999] {
            let mut octets = vec![1; 3_000_000];
            octets[at] = 2;
            std::fs::write(&other, octets).unwrap();
            assert_ne!(name(&path, "x"), name(&other, "x"), "{at}");
        }
        std::fs::write(&other, vec![1; 2_999_999]).unwrap();
        assert_ne!(name(&path, "x"), name(&other, "x"));
        assert_ne!(of_replay(&[Input::Stdin], &""), of_replay(&[Input::Stdin], &""));
    }
}
