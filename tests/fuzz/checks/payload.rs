//! Names in any octets.

use payload::dns::{Data, Message};
use payload::tls::{ClientHello, Records, datagram_hello, quic_hello, stream_hello};
use payload::{Flaw, PIECES_OCTETS, Pieces, http, quic};

/// The first octet chooses the protocol, the next two a place to cut; the rest is the message.
pub fn check(octets: &[u8]) {
    let &[protocol, high, low, ref octets @ ..] = octets else { return };
    let cut = usize::from(u16::from_be_bytes([high, low]));
    let cut = if octets.is_empty() { 0 } else { cut % octets.len() };
    match protocol % 6 {
        0 => dns(octets, cut, Message::read),
        1 => dns(octets, cut, Message::read_framed),
        2 => tls(octets, cut, |stream| stream_hello(stream, &mut Records::default())),
        3 => tls(octets, cut, quic_hello),
        4 => drop(datagram_hello(octets).map(|hello| is_sane(&hello))),
        _ => {
            http(octets, cut);
            open(octets, cut);
        }
    }
}

fn is_name(text: &str) {
    assert!(text.is_ascii() && text.len() <= 1020, "{text}");
    assert!(text.bytes().all(|octet| (0x21..=0x7e).contains(&octet)), "{text}");
    assert!(!text.bytes().any(|octet| octet.is_ascii_uppercase()), "{text}");
}

fn dns<'a>(octets: &'a [u8], cut: usize, read: impl Fn(&'a [u8]) -> Result<Message<'a>, Flaw>) {
    let whole = read(octets);
    if let Ok(message) = &whole {
        if let Some(question) = &message.question {
            is_name(question.name.as_str());
        }
        assert!(message.response_code().0 < 1 << 12);
        for answer in message.answers() {
            is_name(answer.name.as_str());
            if let Data::Name(name) = answer.data {
                is_name(name.as_str());
            }
        }
        assert!(message.answers().count() <= 16);
    }
    if let Ok(shorter) = read(&octets[..cut]) {
        let whole = whole.expect("what a part says, the whole says");
        assert_eq!(shorter.question, whole.question);
        assert!(whole.answers().zip(shorter.answers()).all(|(one, other)| one == other));
    }
}

fn is_sane(hello: &ClientHello) {
    if let Some(name) = &hello.server_name {
        is_name(name.as_str());
    }
    if let Some(ja4) = &hello.ja4 {
        assert_eq!(ja4.as_str().len(), 36, "{ja4}");
    }
}

fn tls(octets: &[u8], cut: usize, read: impl Fn(&[u8]) -> Result<ClientHello, Flaw>) {
    let whole = read(octets);
    if let Ok(hello) = &whole {
        is_sane(hello);
    }
    match read(&octets[..cut]) {
        Err(Flaw::Incomplete) => {}
        other => assert_eq!(other, whole),
    }
    if octets.len() <= PIECES_OCTETS {
        let mut pieces = Pieces::default();
        pieces.insert(cut as u64, &octets[cut..]);
        pieces.insert(0, &octets[..cut]);
        assert_eq!(pieces.beginning(), octets);
    }
}

fn http(octets: &[u8], cut: usize) {
    let whole = http::Request::read(octets, false);
    if let Ok(request) = &whole {
        if let Some(host) = &request.host {
            is_name(host.as_str());
        }
        if let Ok(shorter) = http::Request::read(&octets[..cut], true) {
            assert_eq!(shorter.method, request.method);
        }
    }
    if let Ok(response) = http::Response::read(octets) {
        assert!(response.status < 1000 && response.minor < 2);
    }
}

fn open(octets: &[u8], cut: usize) {
    let mut opener = quic::Opener::default();
    let mut stream = Pieces::default();
    let take = |offset, piece: &[u8]| {
        stream.insert(offset, piece);
    };
    if let Ok(opened) = opener.open(octets, None, take) {
        assert!(opened.packets > 0 && quic::is_initial(octets));
    }
    // The same octets again, in the same room.
    let again = opener.open(&octets[..cut], None, |_, _| {});
    assert!(again.is_err() || quic::is_initial(octets));
}
