//! Changes of a case that know its form: sets and templates, samples and their records. The lengths
//! around a change are put right most of the time, so that what lies inside is read.

use crate::case::{Case, OCTETS_MAX, Part};
use crate::choose::Choose;
use crate::random::Random;
use crate::seeds::Seeds;
use crate::sflow;

/// Numbers at which limits and special meanings are.
const WORDS: [u16; 20] = [
    0, 1, 2, 3, 4, 5, 8, 16, 20, 255, 256, 257, 300, 1024, 1025, 1400, 0x7fff, 0x8000, 0xfffe,
    0xffff,
];

/// Lengths of fields.
const LENGTHS: [u16; 14] = [0, 1, 2, 3, 4, 5, 6, 8, 9, 16, 17, 255, 1025, 0xffff];

/// Elements beyond the first 512 that are read, and some with a meaning of their own.
const ELEMENTS: [u16; 26] = [
    1, 2, 7, 8, 10, 11, 12, 21, 22, 27, 28, 34, 48, 50, 82, 94, 96, 148, 160, 210, 231, 239, 302,
    305, 403, 405,
];

/// Changes a case.
pub(crate) fn mutate(case: &mut Case, seeds: &Seeds, random: &mut Random) {
    for _ in 0..=random.below(5) {
        if random.one_in(4) || case.parts.is_empty() {
            sequence(case, seeds, random);
            continue;
        }
        let place = random.index(case.parts.len());
        let id = template_of(&case.parts, random);
        let octets = &mut case.parts[place].octets;
        match (random.below(4), octets.first_chunk::<2>()) {
            (0, _) | (_, None) => plain(octets, random),
            (_, Some([0, 9])) => sets(octets, 20, id, seeds, random),
            (_, Some([0, 10])) => sets(octets, 16, id, seeds, random),
            (_, Some([0, 0])) => sflow::mutate(octets, random),
            _ => plain(octets, random),
        }
        octets.truncate(OCTETS_MAX);
        if !random.one_in(8) {
            correct(octets);
        }
    }
}

/// Datagrams more, fewer, in another order, of other exporters, or at other times.
fn sequence(case: &mut Case, seeds: &Seeds, random: &mut Random) {
    let parts = &mut case.parts;
    let count = parts.len();
    if count == 0 || count < 12 && random.one_in(3) {
        let octets = seeds.datagram(random);
        let exporter = parts.first().map_or(0, |part| part.exporter);
        let place = random.index(count + 1);
        parts.insert(place, Part { exporter, after: 0, octets });
        return;
    }
    let place = random.index(count);
    match random.below(6) {
        0 => parts[place].exporter = random.octet(),
        1 => parts[place].after = random.octet(),
        2 => drop(parts.remove(place)),
        3 => parts.swap(place, random.index(count)),
        4 => {
            let exporter = random.octet();
            parts.iter_mut().for_each(|part| part.exporter = exporter);
        }
        _ if count < 12 => parts.insert(random.index(count + 1), parts[place].clone()),
        _ => case.settings = random.octet(),
    }
}

/// Changes that know nothing.
fn plain(octets: &mut Vec<u8>, random: &mut Random) {
    if octets.is_empty() {
        octets.push(random.octet());
    }
    let at = random.index(octets.len());
    let even = at & !1;
    match random.below(8) {
        0 => octets[at] ^= 1 << random.below(8),
        1 => octets[at] = random.octet(),
        2 => octets[at] = [0, 1, 4, 16, 0x7f, 0xff][random.index(6)],
        3 => octets.truncate(at),
        4 => octets.insert(at, random.octet()),
        5 => drop(octets.remove(at)),
        6 => put16(octets, even, WORDS[random.index(WORDS.len())]),
        _ => octets.extend(std::iter::repeat_n(0, 1 + random.index(8))),
    }
}

/// The id of a Data Set or of a template of any part.
fn template_of(parts: &[Part], random: &mut Random) -> u16 {
    let octets = random.pick(parts).map(|part| &part.octets[..]).unwrap_or_default();
    let header = if octets.starts_with(&[0, 10]) { 16 } else { 20 };
    let all = set_places(octets, header);
    let Some((begin, _)) = random.pick(&all) else { return 256 };
    match get16(octets, *begin) {
        Some(id @ 256..) => id,
        _ => get16(octets, begin + 4).unwrap_or(256),
    }
}

/// Begin and end of each set.
fn set_places(octets: &[u8], header: usize) -> Vec<(usize, usize)> {
    let (mut places, mut begin) = (Vec::new(), header);
    while let Some(length @ 4..) = get16(octets, begin + 2) {
        let end = begin + usize::from(length);
        if end > octets.len() {
            break;
        }
        places.push((begin, end));
        begin = end;
    }
    places
}

fn sets(octets: &mut Vec<u8>, header: usize, id: u16, seeds: &Seeds, random: &mut Random) {
    let places = set_places(octets, header);
    let Some(&(begin, end)) = random.pick(&places) else { return plain(octets, random) };
    let is_templates = get16(octets, begin).is_some_and(|id| id < 4);
    match random.below(9) {
        0 => drop(octets.drain(begin..end)),
        1 => {
            let set = octets[begin..end].to_vec();
            let at = random.pick(&places).map_or(begin, |place| place.0);
            octets.splice(at..at, set);
        }
        2 => {
            // A set of another message.
            let other = seeds.datagram(random);
            let header = if other.starts_with(&[0, 10]) { 16 } else { 20 };
            if let Some((from, to)) = random.pick(&set_places(&other, header)) {
                octets.splice(begin..begin, other[*from..*to].iter().copied());
            }
        }
        3 => put16(octets, begin, if random.one_in(4) { random.index(5) as u16 } else { id }),
        4 => {
            let near = (end - begin).wrapping_add(random.index(9)).wrapping_sub(4);
            put16(octets, begin + 2, near as u16);
        }
        5 => resize_set(octets, (begin, end), random),
        _ if is_templates => template(octets, (begin, end), random),
        _ => {
            for _ in 0..=random.below(4) {
                let at = begin + 4 + random.index(end - begin);
                octets.get_mut(at).into_iter().for_each(|octet| *octet = random.octet());
            }
        }
    }
}

/// Makes a set longer or shorter, and its length right.
fn resize_set(octets: &mut Vec<u8>, (begin, end): (usize, usize), random: &mut Random) {
    let more = 1 + random.index(40);
    let length = if random.one_in(2) {
        let value = if random.one_in(2) { 0 } else { random.octet() };
        octets.splice(end..end, std::iter::repeat_n(value, more));
        end - begin + more
    } else {
        let from = end - more.min(end - begin - 4);
        octets.drain(from..end);
        from - begin
    };
    put16(octets, begin + 2, length as u16);
}

/// Changes a Template Record, and makes the length of its set right.
fn template(octets: &mut Vec<u8>, (begin, end): (usize, usize), random: &mut Random) {
    let is_options = matches!(get16(octets, begin), Some(1 | 3));
    let is_netflow9 = octets.starts_with(&[0, 9]);
    let first = begin + 4 + if is_options { 6 } else { 4 };
    if first + 4 > end {
        return plain(octets, random);
    }
    // Most messages have fields of four octets only.
    let fields = (end - first) / 4;
    let field = first + 4 * random.index(fields);
    let count_at = begin + 6;
    let step = if is_options && is_netflow9 { 4 } else { 1 };
    let mut grown: isize = 0;
    match random.below(8) {
        0 => put16(octets, begin + 4, 255 + random.index(6) as u16),
        1 => put16(octets, count_at, WORDS[random.index(WORDS.len())]),
        2 => put16(octets, field, random.index(512) as u16),
        3 => put16(octets, field, ELEMENTS[random.index(ELEMENTS.len())]),
        4 => put16(octets, field + 2, LENGTHS[random.index(LENGTHS.len())]),
        5 => {
            let copy = octets[field..field + 4].to_vec();
            octets.splice(field..field, copy);
            add16(octets, count_at, step);
            grown = 4;
        }
        6 => {
            octets.drain(field..field + 4);
            add16(octets, count_at, step.wrapping_neg());
            grown = -4;
        }
        _ => {
            // An enterprise number.
            octets[field] ^= 0x80;
            let enterprise = [0, 29_305, 35_632, 9_u32][random.index(4)];
            octets.splice(field + 4..field + 4, enterprise.to_be_bytes());
            grown = 4;
        }
    }
    if grown != 0 {
        let length = (end - begin).saturating_add_signed(grown);
        put16(octets, begin + 2, length as u16);
    }
}

/// Puts the length of a message of IPFIX and the count of NetFlow v5 right.
fn correct(octets: &mut [u8]) {
    let length = octets.len();
    match octets.first_chunk::<2>() {
        Some([0, 10]) => put16(octets, 2, length as u16),
        Some([0, 5]) if length >= 24 => put16(octets, 2, ((length - 24) / 48) as u16),
        _ => {}
    }
}

fn get16(octets: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(octets.get(at..at + 2)?.try_into().ok()?))
}

fn put16(octets: &mut [u8], at: usize, value: u16) {
    if let Some(place) = octets.get_mut(at..at + 2) {
        place.copy_from_slice(&value.to_be_bytes());
    }
}

fn add16(octets: &mut [u8], at: usize, value: u16) {
    let before = get16(octets, at).unwrap_or(0);
    put16(octets, at, before.wrapping_add(value));
}
