//! Changes of a datagram of sFlow.

use crate::choose::Choose;
use crate::random::Random;

/// Numbers at which limits and special meanings are.
const NUMBERS: [u32; 18] =
    [0, 1, 2, 3, 4, 5, 8, 11, 12, 13, 14, 60, 1000, 1001, 1003, 0x3fff_ffff, 0x8000_0001, u32::MAX];

/// Begin, begin of the content, and end of a sample or of a record of one.
type Place = (usize, usize, usize);

/// Changes it. Counts and lengths around the change are put right.
pub(crate) fn mutate(octets: &mut Vec<u8>, random: &mut Random) {
    let address = if get32(octets, 4) == Some(2) { 16 } else { 4 };
    let count_at = 8 + address + 12;
    let samples = places(octets, count_at + 4, octets.len());
    let sample = random.pick(&samples).copied();
    let Some((_, content, end)) = sample.filter(|_| !random.one_in(5)) else {
        let words = octets.len() / 4;
        if words > 0 {
            put32(octets, 4 * random.index(words), NUMBERS[random.index(NUMBERS.len())]);
        }
        return;
    };
    if random.one_in(3) {
        change(octets, (count_at, &samples), random);
        return;
    }
    // The records of a flow sample, of one in expanded form, of counters, of a discarded packet.
    let head = match get32(octets, content - 8) {
        Some(1) => 28,
        Some(2) => 8,
        Some(3) => 40,
        Some(4) => 12,
        _ => 28,
    };
    let records = places(octets, content + head + 4, end);
    if records.is_empty() || random.one_in(4) {
        let words = (end - content) / 4;
        if words > 0 {
            let at = content + 4 * random.index(words);
            put32(octets, at, NUMBERS[random.index(NUMBERS.len())]);
        }
        return;
    }
    let before = octets.len();
    change(octets, (content + head, &records), random);
    let grown = octets.len().wrapping_sub(before);
    let length = get32(octets, content - 4).unwrap_or(0) as usize;
    put32(octets, content - 4, length.wrapping_add(grown) as u32);
}

/// Changes one of these, which this number counts.
fn change(octets: &mut Vec<u8>, (count_at, all): (usize, &[Place]), random: &mut Random) {
    let Some(&(begin, content, end)) = random.pick(all) else { return };
    match random.below(6) {
        0 => {
            octets.drain(begin..end);
            add32(octets, count_at, u32::MAX);
        }
        1 => {
            let copy = octets[begin..end].to_vec();
            octets.splice(begin..begin, copy);
            add32(octets, count_at, 1);
        }
        2 => put32(octets, begin, NUMBERS[random.index(NUMBERS.len())]),
        3 => {
            let from = content + 4 * random.index((end - content) / 4 + 1);
            octets.drain(from..end);
            put32(octets, begin + 4, (from - content) as u32);
        }
        4 => add32(octets, begin + 4, random.index(9) as u32),
        _ => {
            for _ in 0..=random.below(4) {
                let at = content + random.index((end - content).max(1));
                octets.get_mut(at).into_iter().for_each(|octet| *octet = random.octet());
            }
        }
    }
}

/// Samples or records between two places: each has a format, a length, and its content.
fn places(octets: &[u8], mut begin: usize, end: usize) -> Vec<Place> {
    let mut places = Vec::new();
    while let Some(length) = get32(octets, begin + 4) {
        let content = begin + 8;
        let behind = content.saturating_add((length as usize).saturating_add(3) & !3);
        if behind > end {
            break;
        }
        places.push((begin, content, behind));
        begin = behind;
    }
    places
}

fn get32(octets: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(octets.get(at..at + 4)?.try_into().ok()?))
}

fn put32(octets: &mut [u8], at: usize, value: u32) {
    if let Some(place) = octets.get_mut(at..at + 4) {
        place.copy_from_slice(&value.to_be_bytes());
    }
}

fn add32(octets: &mut [u8], at: usize, value: u32) {
    let before = get32(octets, at).unwrap_or(0);
    put32(octets, at, before.wrapping_add(value));
}
