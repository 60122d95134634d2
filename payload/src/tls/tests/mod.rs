mod oracle;

use super::*;
use crate::flaw::Flaw;

/// A ClientHello to be made.
#[derive(Clone)]
pub(crate) struct Made {
    version: u16,
    ciphers: Vec<u16>,
    extensions: Vec<(u16, Vec<u8>)>,
}

/// A list of numbers behind its length in two octets.
fn list(numbers: &[u16]) -> Vec<u8> {
    vector(&numbers.iter().flat_map(|number| number.to_be_bytes()).collect::<Vec<_>>())
}

fn vector(octets: &[u8]) -> Vec<u8> {
    [&u16::try_from(octets.len()).unwrap().to_be_bytes(), octets].concat()
}

fn server_name(name: &[u8]) -> (u16, Vec<u8>) {
    (0, vector(&[&[0][..], &vector(name)].concat()))
}

fn protocols(names: &[&[u8]]) -> (u16, Vec<u8>) {
    let length = |name: &[u8]| u8::try_from(name.len()).unwrap();
    (
        16,
        vector(
            &names.iter().flat_map(|name| [&[length(name)], *name].concat()).collect::<Vec<_>>(),
        ),
    )
}

/// The values of a browser, whose fingerprint is published.
pub(crate) fn browser() -> Made {
    browser_to(b"WWW.example.com.")
}

/// The same, which asks for another host.
pub(crate) fn browser_to(host: &[u8]) -> Made {
    let signatures = [0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601];
    let plain = |kind| (kind, vec![]);
    Made {
        version: 0x0303,
        ciphers: vec![
            0x1a1a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013,
            0xc014, 0x009c, 0x009d, 0x002f, 0x0035,
        ],
        extensions: vec![
            plain(0x2a2a),
            server_name(host),
            plain(0x0017),
            plain(0xff01),
            (10, list(&[0x3a3a, 29, 23, 24])),
            (11, vec![1, 0]),
            plain(0x0023),
            protocols(&[b"h2", b"http/1.1"]),
            plain(0x0005),
            (13, list(&signatures)),
            plain(0x0012),
            plain(0x0033),
            plain(0x002d),
            (43, [&[6], &list(&[0x4a4a, 0x0304, 0x0303])[2..]].concat()),
            plain(0x001b),
            plain(0x4469),
            plain(0x5a5a),
            plain(0x0015),
        ],
    }
}

impl Made {
    /// With one more extension, behind the others.
    pub(crate) fn with(mut self, kind: u16, content: Vec<u8>) -> Self {
        self.extensions.push((kind, content));
        self
    }

    fn body(&self) -> Vec<u8> {
        let extensions: Vec<u8> = self
            .extensions
            .iter()
            .flat_map(|(kind, content)| [&kind.to_be_bytes(), &vector(content)[..]].concat())
            .collect();
        let mut body = self.version.to_be_bytes().to_vec();
        body.extend([9; 32]);
        body.push(0);
        body.extend(list(&self.ciphers));
        body.extend([1, 0]);
        if !self.extensions.is_empty() {
            body.extend(vector(&extensions));
        }
        body
    }

    pub(crate) fn message(&self) -> Vec<u8> {
        let body = self.body();
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        [&[1], &length[1..], &body].concat()
    }

    fn stream(&self) -> Vec<u8> {
        records(&self.message(), 1 << 14)
    }
}

/// A handshake in records of so many octets.
pub(crate) fn records(message: &[u8], octets: usize) -> Vec<u8> {
    message.chunks(octets).flat_map(|part| [&[22, 3, 1], &vector(part)[..]].concat()).collect()
}

fn read(stream: &[u8]) -> Result<ClientHello, Flaw> {
    stream_hello(stream, &mut Records::default())
}

fn ja4(made: &Made) -> String {
    read(&made.stream()).unwrap().ja4.unwrap().to_string()
}

#[test]
fn a_browser_has_its_name_and_its_fingerprints() {
    let hello = read(&browser().stream()).unwrap();
    assert_eq!(hello.server_name.unwrap().as_str(), "www.example.com");
    assert_eq!(hello.protocol_offered.unwrap().as_str(), "h2");
    assert_eq!(hello.version, 0x0304);
    assert!(!hello.has_encrypted_hello);
    assert_eq!(hello.ja4.unwrap().as_str(), "t13d1516h2_8daaf6152771_e5627efa2ab1");
    let quic = quic_hello(&browser().message()).unwrap();
    assert_eq!(quic.ja4.unwrap().as_str(), "q13d1516h2_8daaf6152771_e5627efa2ab1");
    assert_eq!(quic.ja3, hello.ja3);
}

/// The examples of the page that describes JA3.
#[test]
fn ja3_is_the_published_one() {
    let made = Made {
        version: 769,
        ciphers: vec![47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4],
        extensions: vec![server_name(b"a"), (10, list(&[23, 24, 25])), (11, vec![1, 0])],
    };
    let ja3 = |made: &Made| read(&made.stream()).unwrap().ja3.unwrap().to_string();
    assert_eq!(ja3(&made), "ada70206e40642a3e4461f35503241d5");
    // Values that say nothing are left out everywhere.
    let mut greased = made;
    greased.ciphers.insert(3, 0xfafa);
    greased.extensions.insert(1, (0x0a0a, vec![]));
    greased.extensions[2].1 = list(&[0x1a1a, 23, 24, 25]);
    assert_eq!(ja3(&greased), "ada70206e40642a3e4461f35503241d5");
    let bare = Made {
        version: 769,
        ciphers: vec![4, 5, 10, 9, 100, 98, 3, 6, 19, 18, 99],
        extensions: vec![],
    };
    assert_eq!(ja3(&bare), "de350869b8c85de67a350c8d186f11e6");
    assert!(ja4(&bare).starts_with("t10i110000_"), "{}", ja4(&bare));
    assert!(ja4(&bare).ends_with("_000000000000"), "{}", ja4(&bare));
}

#[test]
fn ja4_follows_its_description_in_rare_cases() {
    let protocol = |name: &[u8]| {
        let mut made = browser();
        made.extensions[7] = protocols(&[name]);
        ja4(&made)[8..10].to_owned()
    };
    assert_eq!(protocol(b"http/1.1"), "h1");
    assert_eq!(protocol(b"x"), "xx");
    assert_eq!(protocol(b"-a"), "21");
    assert_eq!(protocol(b"a-"), "6d");
    assert_eq!(protocol(b"0\xab"), "3b");
    assert_eq!(protocol(b"\xba\xad"), "99");
    let mut made = browser();
    made.ciphers = (1..=200).collect();
    assert_eq!(&ja4(&made)[4..6], "99");
    made.ciphers = vec![];
    assert_eq!(&ja4(&made)[10..23], "_000000000000");
    // Without signature algorithms there is no underscore behind the extensions.
    made = browser();
    made.extensions.retain(|(kind, _)| *kind != 13 && *kind != 16);
    assert!(ja4(&made).starts_with("t13d151400_8daaf6152771_"), "{}", ja4(&made));
    // The server name alone: no other extension is hashed.
    made.extensions = vec![server_name(b"a")];
    made.version = 0x0300;
    assert_eq!(ja4(&made), "ts3d150100_8daaf6152771_000000000000");
    made.ciphers = vec![1; 1025];
    assert_eq!(read(&made.stream()).unwrap().ja4, None);
}

#[test]
fn versions_are_the_highest_that_is_offered() {
    let version = |offered: &[u16]| {
        let mut made = browser();
        let octets = list(offered);
        made.extensions[13].1 = [&octets[1..2], &octets[2..]].concat();
        let hello = read(&made.stream()).unwrap();
        (hello.version, hello.ja4.unwrap().as_str()[1..3].to_owned())
    };
    assert_eq!(version(&[0x0303, 0x0304, 0x0302]), (0x0304, "13".into()));
    assert_eq!(version(&[0x0301]), (0x0301, "10".into()));
    assert_eq!(version(&[0xfafa]), (0x0303, "12".into()));
    assert_eq!(version(&[0x0304, 0x7f1c]), (0x7f1c, "00".into()));
    assert_eq!(version(&[]), (0x0303, "12".into()));
}

#[test]
fn a_hello_may_span_records_and_be_cut_anywhere() {
    let made = browser();
    let whole = read(&made.stream());
    for octets in 1..made.message().len() {
        assert_eq!(read(&records(&made.message(), octets)), whole, "{octets}");
    }
    let stream = records(&made.message(), 100);
    for cut in 0..stream.len() {
        assert_eq!(read(&stream[..cut]), Err(Flaw::Incomplete), "{cut}");
    }
    // What follows does not matter.
    assert_eq!(read(&[&stream[..], &[0x14; 9]].concat()), whole);
}

#[test]
fn names_that_are_not_whole_are_absent() {
    let name = |extension: Vec<u8>| {
        let mut made = browser();
        made.extensions[1].1 = extension;
        read(&made.stream()).unwrap().server_name.map(|name| name.to_string())
    };
    assert_eq!(name(server_name(b"a b\xff").1).as_deref(), Some("a\\x20b\\xff"));
    assert_eq!(name(server_name(&[b'a'; 255]).1).map(|name| name.len()), Some(255));
    assert_eq!(name(server_name(&[b'a'; 256]).1), None);
    assert_eq!(name(server_name(b"").1), None);
    assert_eq!(name(vec![]), None);
    assert_eq!(name(vec![0, 9, 0, 0, 1, b'a']), None);
    // A name of another type comes first.
    let other = [&[7][..], &vector(b"other"), &[0], &vector(b"host")].concat();
    assert_eq!(name(vector(&other)).as_deref(), Some("host"));
}

#[test]
fn a_hello_that_is_cut_has_its_name_or_nothing() {
    let stream = records(&browser().message(), 90);
    let read = |octets: usize| cut_hello(&stream[..octets], &mut Records::default());
    let mut shortest = None;
    for length in 0..stream.len() {
        match read(length) {
            Err(flaw) => assert_eq!((flaw, shortest), (Flaw::Incomplete, None), "{length}"),
            Ok(hello) => {
                shortest.get_or_insert(length);
                assert_eq!(hello.server_name.unwrap().as_str(), "www.example.com", "{length}");
                assert_eq!((hello.version, hello.ja3, hello.ja4), (0, None, None));
            }
        }
    }
    assert!(shortest.is_some_and(|length| length < stream.len() / 2), "{shortest:?}");
    // Octets of a record that is cut are no further records.
    let hostile = [&[0x16, 3, 1, 0, 4, 1, 0, 0x3f, 0][..], &[0x16, 3, 1, 0x3f, 0xff].repeat(300)];
    let (hostile, mut room) = (hostile.concat(), Records::default());
    assert_eq!(cut_hello(&hostile, &mut room), Err(Flaw::Version));
    assert!(room.octets.len() <= hostile.len(), "{}", room.octets.len());
    let mut other = stream.clone();
    other[5] = 2;
    assert_eq!(cut_hello(&other, &mut Records::default()), Err(Flaw::Other));
}

#[test]
fn an_encrypted_hello_is_told() {
    let mut made = browser();
    made.extensions.push((0xfe0d, vec![0; 8]));
    assert!(read(&made.stream()).unwrap().has_encrypted_hello);
}

#[test]
fn other_octets_are_refused_with_a_reason() {
    let stream = browser().stream();
    let with = |at: usize, octet: u8| {
        let mut changed = stream.clone();
        changed[at] = octet;
        read(&changed)
    };
    assert_eq!(with(0, 23), Err(Flaw::Other));
    assert_eq!(with(1, 2), Err(Flaw::Other));
    assert_eq!(with(5, 2), Err(Flaw::Other));
    assert_eq!(with(3, 0xff), Err(Flaw::Malformed));
    assert_eq!(with(9, 2), Err(Flaw::Version));
    assert_eq!(with(6, 1), Err(Flaw::TooLong));
    // The session id goes beyond the end.
    assert_eq!(with(43, 255), Err(Flaw::Malformed));
    let short = records(&[1, 0, 0, 39, 3, 3], 100);
    assert_eq!(read(&short), Err(Flaw::Malformed));
    assert_eq!(read(&records(&[1, 0, 0x40, 0], 100)), Err(Flaw::TooLong));
}
