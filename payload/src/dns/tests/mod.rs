mod oracle;

use super::*;

/// A message with this header behind its id, and this content.
fn message(flags: u16, counts: [u16; 4], content: &[u8]) -> Vec<u8> {
    let mut octets = vec![0x12, 0x34];
    octets.extend(flags.to_be_bytes());
    counts.iter().for_each(|count| octets.extend(count.to_be_bytes()));
    octets.extend(content);
    octets
}

fn question(name: &[u8], kind: u16) -> Vec<u8> {
    let mut content = name.to_vec();
    content.extend(kind.to_be_bytes());
    content.extend([0, 1]);
    message(0x0100, [1, 0, 0, 0], &content)
}

fn name_of(wire: &[u8]) -> Result<String, Flaw> {
    let question = question(wire, 1);
    Message::read(&question).map(|message| message.question.unwrap().name.to_string())
}

#[test]
fn a_question_has_name_type_and_class() {
    let octets = question(b"\x03WWW\x07example\x03com\0", 28);
    let message = Message::read(&octets).unwrap();
    let question = message.question.unwrap();
    assert_eq!(question.name.as_str(), "www.example.com");
    assert_eq!(question.kind.to_string(), "AAAA");
    assert_eq!(question.class.to_string(), "IN");
    assert_eq!((message.id, message.is_response()), (0x1234, false));
    assert_eq!(message.opcode().to_string(), "QUERY");
    assert_eq!(message.flags().names().collect::<Vec<_>>(), ["RD"]);
    assert_eq!(message.response_code().to_string(), "NOERROR");
}

#[test]
fn names_are_written_so_that_each_octet_can_be_told() {
    assert_eq!(name_of(b"\0").unwrap(), ".");
    assert_eq!(name_of(b"\x03a.b\x01\\\0").unwrap(), "a\\.b.\\\\");
    assert_eq!(name_of(b"\x03\0\xff \x01~\0").unwrap(), "\\000\\255\\032.~");
}

#[test]
fn names_are_bounded() {
    let labels = |count: usize, last: usize| {
        let mut wire = [&[63][..], &[b'a'; 63]].concat().repeat(count);
        wire.push(u8::try_from(last).unwrap());
        wire.extend(vec![b'b'; last]);
        wire.push(0);
        wire
    };
    // 3 * 64 + 62 + 1 = 255 octets.
    assert_eq!(name_of(&labels(3, 61)).unwrap().len(), 253);
    assert_eq!(name_of(&labels(3, 62)), Err(Flaw::Malformed));
    assert_eq!(name_of(b"\x40a\0"), Err(Flaw::Malformed));
    assert_eq!(name_of(b"\x80a\0"), Err(Flaw::Malformed));
    assert_eq!(name_of(&labels(3, 61)[..100]).unwrap_err(), Flaw::Incomplete);
}

#[test]
fn pointers_lead_back_only() {
    // To itself, forward, into the header (a name of two labels there would be one).
    assert_eq!(name_of(b"\xc0\x0c"), Err(Flaw::Malformed));
    assert_eq!(name_of(b"\xc0\x20"), Err(Flaw::Malformed));
    assert_eq!(name_of(b"\x01a\xc0\x0c"), Err(Flaw::Malformed));
    assert_eq!(name_of(b"\x01a\xc0\x0e"), Err(Flaw::Malformed));
    // The fifth octet of the header is 0: the root.
    assert_eq!(name_of(b"\x01a\xc0\x06").unwrap(), "a");
}

/// A chain of pointers, each to the one before, behind a name.
#[test]
fn pointers_are_counted() {
    let with = |count: u8| {
        let mut content = b"\x01a\0".to_vec();
        let mut records = 0;
        let mut target = 12;
        let mut at = 12 + 3 + 4;
        content.extend([0, 1, 0, 1]);
        for _ in 0..count {
            content.extend([0xc0, target]);
            (target, at) = (at, at + 2);
            records += 1;
        }
        let octets = message(0x8180, [1, 0, 0, 0], &content);
        assert_eq!(records, count);
        read_name(&octets, usize::from(target)).map(|(name, _)| name.to_string())
    };
    assert_eq!(with(32).unwrap(), "a");
    assert_eq!(with(33), Err(Flaw::Malformed));
}

fn record(kind: u16, ttl: u32, data: &[u8]) -> Vec<u8> {
    let mut octets = vec![0xc0, 12];
    octets.extend(kind.to_be_bytes());
    octets.extend([0, 1]);
    octets.extend(ttl.to_be_bytes());
    octets.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
    octets.extend(data);
    octets
}

#[test]
fn answers_are_read_with_addresses_and_names_but_no_text() {
    let mut content = b"\x03www\x07example\x03com\0\0\x01\0\x01".to_vec();
    let records = [
        record(5, 60, b"\x03cdn\xc0\x10"),
        record(1, 61, &[192, 0, 2, 1]),
        record(28, 62, &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
        record(15, 63, b"\0\x0a\x02mx\xc0\x10"),
        record(33, 64, b"\0\x01\0\x02\x01\xbb\x03srv\xc0\x10"),
        record(16, 65, b"\x06secret"),
    ];
    records.iter().for_each(|record| content.extend(record));
    // OPT with the upper bits of the response code 16, BADVERS.
    content.extend([0, 0, 41, 4, 0xd0, 1, 0, 0, 0, 0, 0]);
    let octets = message(0x8580, [1, 6, 0, 1], &content);
    let message = Message::read(&octets).unwrap();
    assert!(message.is_response());
    assert_eq!(message.flags().names().collect::<Vec<_>>(), ["AA", "RD", "RA"]);
    assert_eq!(message.response_code().to_string(), "BADVERS");
    let answers: Vec<_> = message
        .answers()
        .map(|answer| {
            assert_eq!(answer.name.as_str(), "www.example.com");
            let data = match answer.data {
                Data::Address(address) => address.to_string(),
                Data::Name(name) => name.to_string(),
                Data::Unread => String::new(),
            };
            (answer.kind.to_string(), answer.ttl, data)
        })
        .collect();
    let expected = [
        ("CNAME", 60, "cdn.example.com"),
        ("A", 61, "192.0.2.1"),
        ("AAAA", 62, "2001:db8::1"),
        ("MX", 63, "mx.example.com"),
        ("SRV", 64, "srv.example.com"),
        ("TXT", 65, ""),
    ];
    assert_eq!(answers, expected.map(|(kind, ttl, data)| (kind.into(), ttl, data.into())));
    // Cut anywhere: fewer answers, never others.
    for length in 0..octets.len() {
        let Ok(cut) = Message::read(&octets[..length]) else { continue };
        let count = cut.answers().count();
        assert!(cut.answers().eq(message.answers().take(count)), "{length}");
    }
}

#[test]
fn names_end_with_their_record() {
    let answers = |kind: u16, data: &[u8]| {
        let mut content = b"\x01a\0\0\x01\0\x01".to_vec();
        content.extend(record(kind, 0, data));
        content.extend(record(1, 0, &[192, 0, 2, 1]));
        let octets = message(0x8180, [1, 2, 0, 0], &content);
        Message::read(&octets).unwrap().answers().count()
    };
    assert_eq!(answers(5, b"\x01b\0"), 2);
    assert_eq!(answers(33, b"\0\0\0\0\0\0\xc0\x0c"), 2);
    // The name would be that of the next record, or go into it.
    for (kind, data) in [(5, &b""[..]), (2, b"\xc0"), (12, b"\x01b"), (15, b"\0"), (33, b"\0\0")] {
        assert_eq!(answers(kind, data), 0, "{kind}");
    }
}

#[test]
fn sixteen_records_are_looked_at() {
    let mut content = b"\x01a\0\0\x01\0\x01".to_vec();
    (0..40).for_each(|_| content.extend(record(1, 0, &[192, 0, 2, 1])));
    content.extend([0, 0, 41, 4, 0xd0, 1, 0, 0, 0, 0, 0]);
    let octets = message(0x8180, [1, 40, 0, 1], &content);
    let message = Message::read(&octets).unwrap();
    assert_eq!((message.answers().count(), message.answers_count), (16, 40));
    assert_eq!(message.response_code(), ResponseCode(0));
}

#[test]
fn a_segment_has_the_length_of_its_message() {
    let plain = question(b"\x01a\0", 1);
    let length = u16::try_from(plain.len()).unwrap();
    let framed = |length: u16| [&length.to_be_bytes(), &plain[..]].concat();
    let name = |segment: &[u8]| {
        Message::read_framed(segment).map(|message| message.question.unwrap().name.to_string())
    };
    assert_eq!(name(&framed(length)).unwrap(), "a");
    // The rest of the message is in other segments.
    assert_eq!(name(&framed(length + 100)).unwrap(), "a");
    assert_eq!(name(&framed(length - 1)), Err(Flaw::Malformed));
    assert_eq!(name(&framed(11)), Err(Flaw::Malformed));
    assert_eq!(name(&[0]), Err(Flaw::Incomplete));
}

#[test]
fn of_a_part_of_a_message_the_question_is_read_only() {
    let mut content = b"\x01a\0\0\x01\0\x01".to_vec();
    (0..2).for_each(|_| content.extend(record(1, 0, &[192, 0, 2, 1])));
    let whole = message(0x8180, [1, 2, 0, 0], &content);
    let framed = [&u16::try_from(whole.len()).unwrap().to_be_bytes(), &whole[..]].concat();
    let read = |octets: usize| Message::read_framed(&framed[..octets]).unwrap();
    let all = read(framed.len());
    assert_eq!((all.answers().count(), all.has_all_records()), (2, true));
    // One record is there.
    let part = read(framed.len() - 1);
    assert_eq!((part.answers().count(), part.has_all_records()), (0, false));
    assert_eq!((part.question, part.answers_count), (all.question, 2));
    // A datagram that was cut.
    let cut = Message::read(&whole[..whole.len() - 1]).unwrap();
    assert_eq!((cut.answers().count(), cut.has_all_records()), (1, false));
}

#[test]
fn a_message_may_have_no_question() {
    let octets = message(0x8005, [0, 0, 0, 0], &[]);
    let message = Message::read(&octets).unwrap();
    assert_eq!(message.question, None);
    assert_eq!(message.response_code().to_string(), "REFUSED");
    assert_eq!(Message::read(&octets[..11]).unwrap_err(), Flaw::Incomplete);
}

#[test]
fn numbers_without_a_name_are_numbers() {
    let kinds = [(1, "A"), (33, "SRV"), (54, "TYPE54"), (65, "HTTPS"), (68, "BRID")];
    for (number, name) in kinds.into_iter().chain([(255, "ANY"), (65_280, "TYPE65280")]) {
        assert_eq!(Kind(number).to_string(), name);
    }
    assert_eq!(Kind(0).to_string(), "TYPE0");
    assert_eq!(Class(2).to_string(), "CLASS2");
    assert_eq!(Opcode(3).to_string(), "OPCODE3");
    assert_eq!(ResponseCode(4000).to_string(), "RCODE4000");
}
