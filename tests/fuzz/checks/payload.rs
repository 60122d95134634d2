//! Names in any octets.

use flow::PayloadCounts;
use payload::dns::{Data, Message};
use payload::reader::{Found, Kinds, Reader, Segment, Transport};
use payload::tls::{ClientHello, Records, quic_hello, stream_hello};
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
        4 => {
            http(octets, cut);
            open(octets, cut);
        }
        _ => read(octets, cut),
    }
}

/// Packets of a few conversations through the reader. Each is behind its length; the first octet
/// says of what conversation, direction and protocol it is, and how much later it comes.
fn read(octets: &[u8], cut: usize) {
    let kinds = Kinds { dns: true, tls: true, quic: true, http: true, ..Kinds::default() };
    let mut reader = Reader::new(kinds, 1 << 14);
    let (mut rest, mut time_ms, mut sequences) = (octets, 0, [0_u32; 4]);
    while let &[what, high, low, ref behind @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([high, low])).min(behind.len());
        let (payload, next) = behind.split_at(length);
        rest = next;
        time_ms += u64::from(what >> 6) * 2000;
        let conversation = u64::from(what & 3).rotate_right(2);
        if what & 0x3c == 0x3c {
            reader.begin(&conversation);
            continue;
        }
        let sequence = &mut sequences[usize::from(what & 3)];
        let is_tcp = what & 4 != 0;
        let ports = if what & 8 != 0 { (40_000, 53) } else { (40_000, 443) };
        let segment = Segment {
            conversation,
            is_forward: what & 16 != 0,
            transport: if is_tcp { Transport::Tcp { sequence: *sequence } } else { Transport::Udp },
            ports,
            payload,
            is_cut: what & 32 != 0 && length == cut,
            time_ms,
        };
        *sequence = sequence.wrapping_add(u32::try_from(length).unwrap_or_default());
        let concerns = reader.concerns(is_tcp, ports, payload, || conversation);
        let before = reader.counts();
        match reader.read(&segment) {
            Some(Found::Dns(transaction)) => {
                transaction.question.iter().for_each(|it| is_name(it.name.as_str()));
            }
            Some(Found::Hello { hello, .. }) => is_sane(&hello),
            Some(Found::Request(request)) => {
                request.host.iter().for_each(|host| is_name(host.as_str()));
            }
            Some(Found::Response(_) | Found::ServerHello(_)) => {}
            None => continue,
        }
        assert!(concerns && !payload.is_empty());
        let sum = |it: PayloadCounts| it.dns + it.tls + it.quic + it.http;
        assert_eq!(sum(reader.counts()), sum(before) + 1);
        assert!(!is_tcp || reader.begin(&conversation));
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
    if opener.open(octets, None, take).is_ok() {
        assert!(opener.tries() > 0 && quic::is_initial(octets));
    }
    // The same octets again, in the same room.
    let again = opener.open(&octets[..cut], None, |_, _| {});
    assert!(again.is_err() || quic::is_initial(octets));
}
