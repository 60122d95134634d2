//! The head of an HTTP/1 request or response (RFC 9112).

use httparse::{EMPTY_HEADER, Error, Header, ParserConfig, Status};

use crate::flaw::Flaw;
use crate::text::{Name, Text};

/// Octets of a head that are read.
const HEAD_OCTETS: usize = 8 << 10;

const HEADERS_MAX: usize = 100;

/// Letters of a method.
const METHOD_MAX: usize = 16;

/// Octets of path and user agent that are kept.
const TEXT_MAX: usize = 256;

/// A request. Query strings, cookies and credentials are never read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// As it was sent.
    pub method: Text<METHOD_MAX>,
    /// Minor number of the version: 0 or 1.
    pub minor: u8,
    /// The host in lower case: of the header, or of the target if there is no such header.
    pub host: Option<Name>,
    /// The port behind the host, if there is one.
    pub port: Option<u16>,
    /// The path without the query string, up to 256 octets. `None` for CONNECT and `*`.
    pub path: Option<Text<1024>>,
    /// The user agent, up to 256 octets.
    pub agent: Option<Text<1024>>,
    /// The host of the page that led here.
    pub referrer_host: Option<Name>,
}

/// A response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Minor number of the version: 0 or 1.
    pub minor: u8,
}

impl Request {
    /// Reads the request at the beginning of a stream. With `all_there_is`, no more octets will
    /// come: the whole lines are read.
    ///
    /// # Errors
    ///
    /// [`Flaw::Incomplete`] if the head goes on behind these octets, [`Flaw::TooLong`] if it has
    /// more than 8 KiB or 100 headers.
    pub fn read(stream: &[u8], all_there_is: bool) -> Result<Self, Flaw> {
        let is_long = stream.len() > HEAD_OCTETS;
        let head = stream.get(..HEAD_OCTETS).unwrap_or(stream);
        match Self::parse(head) {
            Err(Flaw::Incomplete) if all_there_is || is_long => Self::parse_lines(head),
            other => other,
        }
    }

    /// Reads the whole lines of a head that goes on.
    #[cold]
    fn parse_lines(head: &[u8]) -> Result<Self, Flaw> {
        let end = head.iter().rposition(|octet| *octet == b'\n').ok_or(Flaw::Incomplete)? + 1;
        let mut ended = [0; HEAD_OCTETS + 2];
        let lines = head.get(..end).unwrap_or(head);
        ended.get_mut(..end).ok_or(Flaw::TooLong)?.copy_from_slice(lines);
        ended.get_mut(end..end + 2).ok_or(Flaw::TooLong)?.copy_from_slice(b"\r\n");
        Self::parse(ended.get(..end + 2).unwrap_or_default())
    }

    fn parse(head: &[u8]) -> Result<Self, Flaw> {
        let mut headers = [EMPTY_HEADER; HEADERS_MAX];
        let mut request = httparse::Request::new(&mut headers);
        let mut config = ParserConfig::default();
        config.ignore_invalid_headers_in_requests(true);
        let parsed = config.parse_request(&mut request, head);
        if let Status::Partial = parsed.map_err(flaw)? {
            return Err(Flaw::Incomplete);
        }
        let (Some(method), Some(target), Some(minor)) =
            (request.method, request.path, request.version)
        else {
            return Err(Flaw::Malformed);
        };
        Self::of(method, target, minor, request.headers)
    }

    fn of(method: &str, target: &str, minor: u8, headers: &[Header<'_>]) -> Result<Self, Flaw> {
        let value = |name: &str| {
            let mut headers = headers.iter();
            headers.find(|header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
        };
        let is_connect = method == "CONNECT";
        let (authority, path) = split_target(target, is_connect);
        let named = value("host").map(<[u8]>::trim_ascii).filter(|host| !host.is_empty());
        let host = named.or_else(|| authority.map(str::as_bytes));
        let (host, port) = host.map_or((None, None), split_port);
        Ok(Self {
            method: Text::escaped(method.as_bytes()).ok_or(Flaw::Malformed)?,
            minor,
            host: host.and_then(Name::host),
            port,
            path: path.and_then(|path| shortened(path.as_bytes())),
            agent: value("user-agent").and_then(shortened),
            referrer_host: value("referer").and_then(|url| {
                let (authority, _) = split_target(str::from_utf8(url).ok()?, false);
                split_port(authority?.as_bytes()).0.and_then(Name::host)
            }),
        })
    }
}

impl Response {
    /// Reads the first line of the response at the beginning of a stream.
    ///
    /// # Errors
    ///
    /// [`Flaw::Incomplete`] if the line goes on behind these octets.
    pub fn read(stream: &[u8]) -> Result<Self, Flaw> {
        let mut response = httparse::Response::new(&mut []);
        let parsed = response.parse(stream.get(..HEAD_OCTETS).unwrap_or(stream));
        match (response.code, response.version, parsed) {
            // What is behind the first line does not matter.
            (Some(status), Some(minor), _) => Ok(Self { status, minor }),
            (_, _, Err(error)) => Err(flaw(error)),
            (_, _, Ok(_)) => Err(Flaw::Incomplete),
        }
    }
}

fn flaw(error: Error) -> Flaw {
    match error {
        Error::TooManyHeaders => Flaw::TooLong,
        Error::HeaderName
        | Error::HeaderValue
        | Error::NewLine
        | Error::Status
        | Error::Token
        | Error::Version => Flaw::Malformed,
    }
}

/// Authority and path of a target (RFC 9112 section 3.2). The query string is left out.
fn split_target(target: &str, is_connect: bool) -> (Option<&str>, Option<&str>) {
    if is_connect {
        return (Some(target), None);
    }
    let target = target.split(['?', '#']).next().unwrap_or_default();
    if target.starts_with('/') {
        return (None, Some(target));
    }
    let Some((_, rest)) = target.split_once("://") else { return (None, None) };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    // Credentials stand before the host.
    let authority = authority.rsplit('@').next().unwrap_or_default();
    (Some(authority), Some(if path.is_empty() { "/" } else { path }))
}

/// Host and port. An IPv6 address stands in brackets, which are left out.
fn split_port(authority: &[u8]) -> (Option<&[u8]>, Option<u16>) {
    let number = |octets: &[u8]| str::from_utf8(octets).ok()?.parse().ok();
    if let Some(rest) = authority.strip_prefix(b"[") {
        let Some(end) = rest.iter().position(|octet| *octet == b']') else { return (None, None) };
        let port = rest.get(end + 1..).and_then(|rest| rest.strip_prefix(b":"));
        return (rest.get(..end), port.and_then(number));
    }
    match authority.iter().position(|octet| *octet == b':') {
        Some(at) => (authority.get(..at), authority.get(at + 1..).and_then(number)),
        None => (Some(authority), None),
    }
}

fn shortened(octets: &[u8]) -> Option<Text<1024>> {
    Text::escaped_spaced(octets.get(..TEXT_MAX).unwrap_or(octets))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(head: &[u8]) -> Request {
        Request::read(head, false).unwrap()
    }

    fn host(head: &[u8]) -> Option<String> {
        read(head).host.map(|host| host.to_string())
    }

    #[test]
    fn the_host_is_found_whatever_its_case() {
        let head = b"GET /a/b?token=secret HTTP/1.1\r\nhOSt: \t Www.Example.COM.:8080 \r\n\
                     Cookie: secret\r\nUser-Agent: some agent/1\r\n\
                     Referer: https://user:secret@from.example/x?secret\r\n\r\n";
        let request = read(head);
        assert_eq!(request.method.as_str(), "GET");
        assert_eq!(request.host.unwrap().as_str(), "www.example.com");
        assert_eq!((request.port, request.minor), (Some(8080), 1));
        assert_eq!(request.path.unwrap().as_str(), "/a/b");
        assert_eq!(request.agent.unwrap().as_str(), "some agent/1");
        assert_eq!(request.referrer_host.unwrap().as_str(), "from.example");
        assert!(!format!("{request:?}").contains("secret"));
    }

    #[test]
    fn targets_have_the_host_when_no_header_has_it() {
        assert_eq!(host(b"CONNECT a.example:443 HTTP/1.1\r\n\r\n").as_deref(), Some("a.example"));
        let request = read(b"GET http://user:pw@A.example:81?q HTTP/1.0\r\n\r\n");
        assert_eq!(request.host.unwrap().as_str(), "a.example");
        assert_eq!((request.port, request.minor), (Some(81), 0));
        assert_eq!(request.path.unwrap().as_str(), "/");
        let both = b"GET http://a.example/ HTTP/1.1\r\nHost: b.example\r\n\r\n";
        assert_eq!(host(both).as_deref(), Some("b.example"));
        assert_eq!(host(b"GET / HTTP/1.1\r\nHost:\r\n\r\n"), None);
        assert_eq!(host(b"OPTIONS * HTTP/1.1\r\n\r\n"), None);
        let six = read(b"GET / HTTP/1.1\r\nHost: [2001:DB8::1]:80\r\n\r\n");
        assert_eq!((six.host.unwrap().as_str(), six.port), ("2001:db8::1", Some(80)));
        assert_eq!(
            host(b"GET / HTTP/1.1\r\nHost: a\x01b\xff\r\nHost: c\r\n\r\n").as_deref(),
            Some("c")
        );
    }

    #[test]
    fn every_cut_gives_the_same_or_nothing() {
        let head = b"POST /upload HTTP/1.1\r\nAccept: */*\r\nHost: www.example.com\r\nX: y\r\n\r\n";
        let whole = read(head);
        for length in 0..head.len() {
            let cut = &head[..length];
            assert_eq!(Request::read(cut, false), Err(Flaw::Incomplete), "{length}");
            if let Ok(request) = Request::read(cut, true) {
                assert!(request.host.is_none() || request.host == whole.host, "{length}");
                assert_eq!(request.method, whole.method);
            }
        }
        let with_host = &head[..head.len() - 3];
        assert_eq!(Request::read(with_host, true).unwrap().host, whole.host);
    }

    #[test]
    fn heads_are_bounded() {
        let mut head = b"GET / HTTP/1.1\r\nHost: a.example\r\nCookie: ".to_vec();
        head.extend([b'x'; HEAD_OCTETS]);
        assert_eq!(host(&head).as_deref(), Some("a.example"));
        let long = [&[b'A'; 17][..], b" / HTTP/1.1\r\n\r\n"].concat();
        assert_eq!(Request::read(&long, false), Err(Flaw::Malformed));
        let many = [b"GET / HTTP/1.1\r\n", &b"a: b\r\n".repeat(101)[..], b"\r\n"].concat();
        assert_eq!(Request::read(&many, false), Err(Flaw::TooLong));
    }

    #[test]
    fn other_octets_are_no_request() {
        for octets in [&b"GET / HTTP/2.0\r\n\r\n"[..], b"\x16\x03\x01", b"GET\0/ HTTP/1.1\r\n\r\n"]
        {
            assert_eq!(Request::read(octets, true), Err(Flaw::Malformed));
        }
    }

    #[test]
    fn a_response_has_its_status_in_the_first_line() {
        let status = |head: &[u8]| Response::read(head).map(|response| response.status);
        assert_eq!(status(b"HTTP/1.1 404 Not Found\r\nServer: x\r\n"), Ok(404));
        assert_eq!(status(b"HTTP/1.0 200\r\n\r\n"), Ok(200));
        assert_eq!(status(b"HTTP/1.1 20"), Err(Flaw::Incomplete));
        assert_eq!(status(b"HTTP/3 200 OK\r\n"), Err(Flaw::Malformed));
    }
}
