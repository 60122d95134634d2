//! simple-dns reads the same messages, made ones and damaged ones.

#![expect(clippy::wildcard_enum_match_arm, reason = "enums of another crate have many values")]

use simple_dns::rdata::RData;
use simple_dns::{Packet, SimpleDnsError};

use super::*;
use crate::tests::Random;

/// Labels of names. Five long ones are too many for a name.
const LABELS: [&[u8]; 8] =
    [b"www", b"Example", b"com", b"a.b", b"\\", b"\xff\0 ", b"_x", &[b'l'; 63]];

/// Makes a message. Its names begin at `places`, to which later ones may point.
struct Maker<'a> {
    random: &'a mut Random,
    octets: Vec<u8>,
    places: Vec<u16>,
}

impl Maker<'_> {
    fn number(&mut self, number: u16) {
        self.octets.extend(number.to_be_bytes());
    }

    fn name(&mut self) {
        let before = self.places.len();
        for _ in 0..self.random.below(6) {
            // Seldom into the name itself, which goes round in a circle.
            let known = if self.random.one_in(40) { self.places.len() } else { before };
            if known > 0 && self.random.one_in(3) {
                let target = self.random.of(&self.places[..known]);
                return self.number(0xc000 | target);
            }
            self.places.push(u16::try_from(self.octets.len()).unwrap());
            let label = self.random.of(&LABELS);
            self.octets.push(u8::try_from(label.len()).unwrap());
            self.octets.extend(label);
        }
        self.octets.push(0);
    }

    fn question(&mut self) {
        self.name();
        let kind = self.random.of(&[1, 28, 16, 255, 0, 65_280]);
        let class = self.random.of(&[1, 1, 3, 255, 0x8001, 7]);
        self.number(kind);
        self.number(class);
    }

    fn record(&mut self) {
        self.name();
        let kind = self.random.of(&[1, 28, 2, 5, 12, 15, 33, 16]);
        let class = self.random.of(&[1, 1, 0x8001, 4]);
        self.number(kind);
        self.number(class);
        self.octets.extend([0, 0, 1, self.random.octet()]);
        let length_at = self.octets.len();
        self.number(0);
        match kind {
            // As in an update (RFC 2136 section 2.4).
            _ if self.random.one_in(12) => {}
            1 => self.octets.extend([192, 0, 2, 1]),
            28 => self.octets.extend([0x20; 16]),
            16 => self.octets.extend(b"\x06secret"),
            _ => {
                let before = [&[][..], &[0, 10], &[0, 1, 0, 2, 0, 53]];
                let index = usize::from(kind == 15) + 2 * usize::from(kind == 33);
                self.octets.extend(before[index]);
                self.name();
            }
        }
        let length = u16::try_from(self.octets.len() - length_at - 2).unwrap();
        self.octets[length_at..length_at + 2].copy_from_slice(&length.to_be_bytes());
    }
}

fn made(random: &mut Random) -> Vec<u8> {
    let questions = u16::from(!random.one_in(10)) + u16::from(random.one_in(20));
    let answers = u16::try_from(random.below(20)).unwrap();
    let reserved = if random.one_in(8) { 0x40 } else { 0 };
    let flags = [random.octet(), random.octet() & !0x40 | reserved];
    let mut maker = Maker { random, octets: vec![0x12, 0x34], places: Vec::new() };
    maker.octets.extend(flags);
    [questions, answers, 0, 0].into_iter().for_each(|count| maker.number(count));
    (0..questions).for_each(|_| maker.question());
    (0..answers).for_each(|_| maker.record());
    maker.octets
}

/// A name as flowprobe writes it.
fn written(name: &simple_dns::Name<'_>) -> String {
    let labels = name.as_bytes().map(|label| {
        let octets = label.iter().map(|octet| match octet.to_ascii_lowercase() {
            b'.' => "\\.".to_owned(),
            b'\\' => "\\\\".to_owned(),
            plain @ 0x21..=0x7e => char::from(plain).to_string(),
            other => format!("\\{other:03}"),
        });
        octets.collect::<String>()
    });
    let name = labels.collect::<Vec<_>>().join(".");
    if name.is_empty() { ".".to_owned() } else { name }
}

/// Where the pointers of the first name lead.
#[derive(Default)]
struct Pointers {
    into_header: bool,
    /// Into the labels just before it, or too many. flowprobe refuses both: by RFC 1035 section
    /// 4.1.4 a pointer leads to a prior name.
    odd: bool,
}

fn pointers(octets: &[u8]) -> Pointers {
    let mut pointers = Pointers::default();
    let (mut at, mut begin, mut count) = (12, 12, 0);
    while let Some([length, low]) = octets.get(at..at + 2) {
        match length {
            1..64 => at += 1 + usize::from(*length),
            0xc0.. if !pointers.odd => {
                let target = usize::from(u16::from_be_bytes([length & 0x3f, *low]));
                count += 1;
                pointers.into_header |= target < 12;
                pointers.odd |= target >= begin || count > 32;
                (at, begin) = (target, target);
            }
            _ => break,
        }
    }
    pointers
}

/// How often both read a question, both read an answer, and one of them refused.
#[derive(Debug, Default)]
struct Counts {
    questions: usize,
    answers: usize,
    refused_by_both: usize,
    unknown_number: usize,
    odd_pointers: usize,
    short: usize,
}

/// The same message for simple-dns, which refuses a header whose reserved bit is set.
fn without_reserved(octets: &[u8]) -> Vec<u8> {
    let mut octets = octets.to_vec();
    octets.iter_mut().skip(3).take(1).for_each(|flags| *flags &= !0x40);
    octets
}

fn compare_questions(octets: &[u8], counts: &mut Counts) {
    if pointers(octets).into_header {
        // The header is another one below.
        return;
    }
    // flowprobe reads no more than one question before it has a name. simple-dns reads all.
    let mut head = without_reserved(octets);
    if let Some(numbers) = head.get_mut(4..12) {
        let questions = u8::from(numbers[..2] != [0, 0]);
        numbers.copy_from_slice(&[0, questions, 0, 0, 0, 0, 0, 0]);
    }
    let ours = Message::read(octets).map(|message| message.question);
    match (Packet::parse(&head), ours) {
        (Ok(theirs), Ok(ours)) => {
            let theirs = theirs.questions.first().map(|question| {
                let class = u16::from(question.qclass);
                (written(&question.qname), u16::from(question.qtype), class)
            });
            counts.questions += usize::from(ours.is_some());
            // It takes the first bit of the class as that of multicast DNS.
            let ours = ours.map(|it| (it.name.to_string(), it.kind.0, it.class.0 & 0x7fff));
            assert_eq!(ours, theirs, "{octets:x?}");
        }
        // It knows fewer types and classes. It looks at them behind the name.
        (Err(SimpleDnsError::InvalidQType(kind)), Ok(Some(ours))) => {
            counts.unknown_number += 1;
            assert_eq!(ours.kind.0, kind, "{octets:x?}");
        }
        (Err(SimpleDnsError::InvalidClass(class)), Ok(Some(ours))) => {
            counts.unknown_number += 1;
            assert_eq!(ours.class.0 & 0x7fff, class, "{octets:x?}");
        }
        (
            Ok(_) | Err(SimpleDnsError::InvalidQType(_) | SimpleDnsError::InvalidClass(_)),
            Err(_),
        ) => {
            counts.odd_pointers += 1;
            assert!(pointers(octets).odd, "{octets:x?}");
        }
        (Err(_), Err(_)) => counts.refused_by_both += 1,
        (Err(theirs), Ok(ours)) => panic!("{theirs:?} {ours:?} {octets:x?}"),
    }
}

/// What is compared of the content of a record. `None` if simple-dns has none.
fn content(data: &RData<'_>) -> Option<String> {
    Some(match data {
        RData::A(data) => Ipv4Addr::from(data.address).to_string(),
        RData::AAAA(data) => Ipv6Addr::from(data.address).to_string(),
        RData::NS(name) => written(&name.0),
        RData::CNAME(name) => written(&name.0),
        RData::PTR(name) => written(&name.0),
        RData::MX(data) => written(&data.exchange),
        RData::SRV(data) => written(&data.target),
        RData::Empty(_) => return None,
        _ => String::new(),
    })
}

/// Compares answers of a message which both read. Returns how many ours has too few.
fn compare_answers(octets: &[u8], counts: &mut Counts) {
    // It refuses those with the reserved bit. To clear it changes names that are in the header.
    let (Ok(ours), Ok(theirs)) = (Message::read(octets), Packet::parse(octets)) else { return };
    // Behind a second question nothing is looked for.
    let looked_at = if theirs.questions.len() > 1 { 0 } else { RECORDS_MAX };
    let mut answers = ours.answers();
    for theirs in theirs.answers.iter().take(looked_at) {
        let Some(ours) = answers.next() else {
            // A record without content ends the answers, and so does an odd pointer.
            counts.short += usize::from(content(&theirs.rdata).is_some());
            return;
        };
        counts.answers += 1;
        let data = match ours.data {
            Data::Address(address) => address.to_string(),
            Data::Name(name) => name.to_string(),
            Data::Unread => String::new(),
        };
        assert_eq!(ours.name.to_string(), written(&theirs.name), "{octets:x?}");
        assert_eq!(data, content(&theirs.rdata).unwrap_or_default(), "{octets:x?}");
        assert_eq!(ours.kind.0, u16::from(theirs.rdata.type_code()), "{octets:x?}");
        assert_eq!(ours.ttl, theirs.ttl, "{octets:x?}");
        // The class of OPT is a size.
        if ours.kind.0 != 41 {
            assert_eq!(ours.class.0 & 0x7fff, u16::from(theirs.class), "{octets:x?}");
        }
    }
    assert_eq!(answers.next(), None, "{octets:x?}");
}

#[test]
fn another_reader_finds_the_same_names() {
    let mut random = Random::new(22);
    let (mut plain, mut damaged) = (Counts::default(), Counts::default());
    for _ in 0..20_000 {
        let mut octets = made(&mut random);
        compare_questions(&octets, &mut plain);
        compare_answers(&octets, &mut plain);
        for _ in 0..4 {
            random.damage(&mut octets);
            compare_questions(&octets, &mut damaged);
            compare_answers(&octets, &mut damaged);
        }
    }
    assert_eq!((plain.odd_pointers, plain.short), (0, 0), "{plain:?}");
    assert!(plain.questions > 5000 && plain.answers > 20_000, "{plain:?}");
    assert!(damaged.questions > 10_000 && damaged.answers > 10_000, "{damaged:?}");
    assert!(damaged.refused_by_both > 1000 && damaged.unknown_number > 1000, "{damaged:?}");
    assert!(damaged.short * 1000 < damaged.answers, "{damaged:?}");
}
