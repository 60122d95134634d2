//! Files that are not as the spool left them.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::{Spool, SpoolError, WhenFull};
use super::{PLENTY, batch, directory_in_memory, number, open, push};

const BATCHES: u64 = 12;
const OCTETS: usize = 40_000;

/// A spool with batches in it; its file and that file's octets.
fn spool_file(directory: &Path) -> (PathBuf, Vec<u8>) {
    push(&mut open(directory), 0..BATCHES, OCTETS);
    let file = directory.join("spool.redb");
    let octets = fs::read(&file).unwrap();
    (file, octets)
}

/// Opens and empties a spool. Any batch that comes out must be whole.
fn read_all(directory: &Path) -> Result<u64, SpoolError> {
    let mut spool = Spool::open(directory, PLENTY, WhenFull::DropOldest)?;
    let mut whole = 0;
    // A batch that is damaged is an error, and the next is tried.
    for _ in 0..=BATCHES {
        match spool.take() {
            Ok(Some(taken)) => {
                assert_eq!(taken.batch, batch(number(&taken), OCTETS));
                whole += 1;
                // Removal may meet more damage than reading.
                drop(spool.remove(&[taken.key]));
            }
            Ok(None) => break,
            Err(SpoolError::BatchDamaged { lost, of_earlier_run, .. }) => {
                assert_eq!((lost.batches, lost.records.records, of_earlier_run), (1, 1, true));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(whole)
}

#[test]
fn a_file_of_something_else_is_refused_with_its_name_and_the_remedy() {
    let directory = directory_in_memory();
    let (file, whole) = spool_file(directory.path());
    let other = tempfile::tempdir().unwrap();
    let other = redb::Database::create(other.path().join("other")).map(|database| {
        drop(database);
        fs::read(other.path().join("other")).unwrap()
    });
    let garbage: Vec<u8> = (0..100_000_u64).map(|value| (value * value % 253) as u8).collect();
    let cases = [
        Vec::new(),
        b"text".to_vec(),
        garbage,
        vec![0; 1 << 20],
        whole[..1].to_vec(),
        whole[..4096].to_vec(),
        whole[..whole.len() / 2].to_vec(),
        other.unwrap(),
    ];
    for (number, content) in cases.iter().enumerate() {
        fs::write(&file, content).unwrap();
        let error = read_all(directory.path()).unwrap_err();
        assert!(matches!(error, SpoolError::Damaged { .. }), "{number}: {error}");
        let text = error.to_string();
        assert!(text.contains(file.to_str().unwrap()), "{text}");
        assert!(text.contains("move it away"), "{text}");
        // redb tidies up what it can open, be it of another program.
        let is_of_redb = number == cases.len() - 1;
        assert!(is_of_redb || fs::read(&file).unwrap() == *content, "{number}: it is changed");
    }
    fs::remove_file(&file).unwrap();
    assert_eq!(read_all(directory.path()), Ok(0), "the remedy helps");
}

#[test]
fn damage_in_the_file_is_never_a_panic_nor_a_wrong_batch() {
    let directory = directory_in_memory();
    let (file, whole) = spool_file(directory.path());
    let mut state = 7_u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize % below
    };
    let (mut refused, mut partly, mut unharmed) = (0, 0, 0);
    for _ in 0..150 {
        let mut damaged = whole.clone();
        // A page or an octet, anywhere or in the parts that are not batches.
        let place = if random(2) == 0 { random(whole.len()) } else { random(8) * 4096 };
        let length = if random(2) == 0 { 4096 } else { 1 };
        for octet in damaged.iter_mut().skip(place).take(length) {
            *octet ^= 1 + random(255) as u8;
        }
        fs::write(&file, &damaged).unwrap();
        match read_all(directory.path()) {
            Ok(BATCHES) => unharmed += 1,
            Ok(_) => partly += 1,
            Err(error) => {
                assert!(matches!(error, SpoolError::Damaged { .. }), "{error}");
                refused += 1;
            }
        }
    }
    assert!(refused > 0 && partly > 0 && unharmed > 0, "{refused} {partly} {unharmed}");
}

#[test]
fn a_creation_that_was_cut_is_made_again() {
    let directory = directory_in_memory();
    fs::write(directory.path().join("spool.redb.new"), [0; 8192]).unwrap();
    assert_eq!(read_all(directory.path()), Ok(0));
}

#[test]
fn counts_that_were_changed_on_the_disk_are_not_believed() {
    let directory = directory_in_memory();
    let mark = 0x0102_0304_0506;
    push(&mut open(directory.path()), [mark], 0);
    let file = directory.path().join("spool.redb");
    let mut octets = fs::read(&file).unwrap();
    let mark = mark.to_le_bytes();
    let places: Vec<_> = (0..octets.len()).filter(|at| octets[*at..].starts_with(&mark)).collect();
    assert!(!places.is_empty());
    for place in places {
        octets[place] ^= 1;
    }
    fs::write(&file, &octets).unwrap();
    let error = read_all(directory.path()).unwrap_err();
    assert!(matches!(error, SpoolError::Damaged { .. }), "{error}");
}
