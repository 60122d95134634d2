//! Pieces of ClientHellos of several conversations, shuffled, twice, overlapping, and lost: what is
//! found is the name of the conversation, or nothing.

use super::*;
use crate::tests::Random;
use crate::tls::tests::browser_to;

/// What is delivered of a stream: where a piece begins, and its octets.
type Piece = (usize, Vec<u8>);

/// Conversations of a round.
const CONVERSATIONS: u64 = 3;

fn host(conversation: u64) -> String {
    format!("name{conversation}.example")
}

/// A hello that needs several segments, as a key for the time of quantum computers makes it.
fn message(random: &mut Random, conversation: u64) -> Vec<u8> {
    let length = random.below(1800);
    let key = (0..length).map(|_| random.octet()).collect();
    browser_to(host(conversation).as_bytes()).with(0x0033, key).message()
}

/// The stream in this many pieces at most, whose ends overlap. The first has four octets at least.
fn pieces(random: &mut Random, stream: &[u8], count: usize) -> Vec<Piece> {
    let mut cuts: Vec<_> = (1..count).map(|_| 4 + random.below(stream.len() - 4)).collect();
    cuts.extend([0, stream.len()]);
    cuts.sort_unstable();
    cuts.dedup();
    let mut wider = |from: usize, to: usize| {
        let is_wider = random.one_in(3);
        let by = if is_wider { random.below(40) } else { 0 };
        (from.saturating_sub(by), (to + by).min(stream.len()))
    };
    let ranges = cuts.windows(2).map(|ends| wider(ends[0], ends[1]));
    ranges.map(|(from, to)| (from, stream[from..to].to_vec())).collect()
}

/// Whether no octet of a stream is missing.
fn is_whole(length: usize, pieces: &[Piece]) -> bool {
    let mut there = vec![false; length];
    pieces.iter().for_each(|(from, octets)| there[*from..*from + octets.len()].fill(true));
    !there.contains(&false)
}

/// Loses one piece in some rounds, and doubles some.
fn disturb<T: Clone>(random: &mut Random, pieces: &mut Vec<T>, first_that_may_be_lost: usize) {
    if random.one_in(3) && pieces.len() > first_that_may_be_lost {
        let at = first_that_may_be_lost + random.below(pieces.len() - first_that_may_be_lost);
        pieces.remove(at);
    }
    let again: Vec<_> = pieces.iter().filter(|_| random.one_in(4)).cloned().collect();
    pieces.extend(again);
}

/// What the rounds had.
#[derive(Debug, Default)]
struct Rounds {
    found: usize,
    absent: usize,
}

/// Reads segments and checks each name. Returns the conversations whose name was found.
fn names_of(reader: &mut Reader<u64>, segments: &[(u64, Segment<'_, u64>)]) -> Vec<u64> {
    let mut found = Vec::new();
    for (conversation, segment) in segments {
        if let Some(result) = reader.read(segment) {
            assert_eq!(name(Some(result)), Some(host(*conversation)));
            found.push(*conversation);
        }
    }
    found
}

#[test]
fn shuffled_segments_give_the_name_of_their_conversation_or_none() {
    let mut random = Random::new(1);
    let (mut ordered, mut any_order) = (Rounds::default(), Rounds::default());
    for round in 0..4000 {
        // The segment with the beginning tells that it is TLS. What came before it is not kept.
        let is_first_first = round % 2 == 0;
        let mut delivered = Vec::new();
        let mut expected = Vec::new();
        for conversation in 0..CONVERSATIONS {
            let octets = 50 + random.below(1 << 12);
            let stream = records(&message(&mut random, conversation), octets);
            let count = 1 + random.below(12);
            let mut parts = pieces(&mut random, &stream, count);
            let first = parts[0].clone();
            disturb(&mut random, &mut parts, usize::from(is_first_first));
            if is_whole(stream.len(), &parts) {
                expected.push(conversation);
            }
            let sequence = u32::MAX - u32::try_from(random.below(4000)).unwrap();
            let parts = parts.into_iter().map(|part| (conversation, sequence, part));
            delivered.extend(parts);
            if is_first_first {
                delivered.push((conversation, sequence, first));
            }
        }
        random.shuffle(&mut delivered);
        if is_first_first {
            delivered.sort_by_key(|(.., (from, _))| *from > 0);
        }
        let segments: Vec<_> = delivered
            .iter()
            .map(|(conversation, sequence, (from, octets))| {
                let sequence = sequence.wrapping_add(u32::try_from(*from).unwrap());
                (*conversation, tcp(*conversation, sequence, octets, 0))
            })
            .collect();
        let found = names_of(&mut reader(), &segments);
        let rounds = if is_first_first { &mut ordered } else { &mut any_order };
        for conversation in 0..CONVERSATIONS {
            let (is_found, is_expected) =
                (found.contains(&conversation), expected.contains(&conversation));
            assert!(is_expected || !is_found, "{round}: a piece is missing");
            assert!(is_found || !is_expected || !is_first_first, "{round}: all is there");
            rounds.found += usize::from(is_found);
            rounds.absent += usize::from(!is_found);
        }
    }
    assert!(ordered.found > 2000 && ordered.absent > 500, "{ordered:?}");
    assert!(any_order.found > 500 && any_order.absent > 500, "{any_order:?}");
}

#[test]
fn shuffled_frames_give_the_name_of_their_connection_or_none() {
    let mut random = Random::new(2);
    let mut rounds = Rounds::default();
    for round in 0..1000 {
        let mut delivered = Vec::new();
        let mut expected = Vec::new();
        for conversation in 0..CONVERSATIONS {
            let stream = message(&mut random, conversation);
            let count = 2 + random.below(12);
            let mut parts = pieces(&mut random, &stream, count);
            random.shuffle(&mut parts);
            let in_one = parts.len().div_ceil(4).max(1 + random.below(4));
            let mut datagrams: Vec<_> = parts.chunks(in_one).map(<[Piece]>::to_vec).collect();
            disturb(&mut random, &mut datagrams, 0);
            datagrams.truncate(10);
            if is_whole(stream.len(), &datagrams.concat()) {
                expected.push(conversation);
            }
            delivered.extend(datagrams.into_iter().map(|parts| (conversation, parts)));
        }
        random.shuffle(&mut delivered);
        let datagrams: Vec<_> = delivered
            .iter()
            .map(|(conversation, parts)| {
                (*conversation, datagram(&mut random, *conversation, parts))
            })
            .collect();
        let segments: Vec<_> = datagrams
            .iter()
            .map(|(conversation, octets)| {
                let segment = Segment { conversation: *conversation, ..udp((4000, 443), octets) };
                (*conversation, segment)
            })
            .collect();
        let found = names_of(&mut reader(), &segments);
        for conversation in 0..CONVERSATIONS {
            let is_found = found.contains(&conversation);
            assert_eq!(is_found, expected.contains(&conversation), "{round}");
            rounds.found += usize::from(is_found);
            rounds.absent += usize::from(!is_found);
        }
    }
    assert!(rounds.found > 1500 && rounds.absent > 300, "{rounds:?}");
}

/// The pieces as CRYPTO frames, in one Initial packet or in two.
fn datagram(random: &mut Random, conversation: u64, parts: &[Piece]) -> Vec<u8> {
    let id = [b"chosen".as_slice(), &conversation.to_be_bytes()].concat();
    let mut frames: Vec<_> =
        parts.iter().map(|(from, octets)| crypto(u16::try_from(*from).unwrap(), octets)).collect();
    // A ping and padding between them.
    let at = random.below(frames.len() + 1);
    frames.insert(at, vec![1, 0, 0]);
    let (first, second) = frames.split_at(random.below(frames.len() + 1));
    let packets = [first.concat(), second.concat()].map(|mut packet| {
        packet.resize(packet.len().max(600), 0);
        initial(&packet, &id, &id)
    });
    packets.concat()
}
