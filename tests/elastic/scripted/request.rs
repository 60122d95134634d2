//! Requests as they come over a connection.

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;

/// More than any client sends.
const HEAD_MAX: usize = 64 * 1024;
const BODY_MAX: u64 = 256 * 1024 * 1024;

/// A request that was read, or as much of it as was read.
#[derive(Clone, Debug)]
pub struct Request {
    head: Head,
    /// As it was sent.
    pub body: Vec<u8>,
}

/// A request without its body.
#[derive(Clone, Debug)]
pub struct Head {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
}

impl Request {
    pub fn method(&self) -> &str {
        self.head.method()
    }

    pub fn path(&self) -> &str {
        self.head.path()
    }

    /// A parameter of the query, as it was sent.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let (_, query) = self.head.target.split_once('?')?;
        let mut parameters = query.split('&').filter_map(|parameter| parameter.split_once('='));
        parameters.find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    /// The body without its compression.
    pub fn content(&self) -> io::Result<Vec<u8>> {
        match self.header("content-encoding") {
            None => Ok(self.body.clone()),
            Some("gzip") => {
                let mut content = Vec::new();
                let decoder = MultiGzDecoder::new(self.body.as_slice());
                decoder.take(BODY_MAX).read_to_end(&mut content)?;
                Ok(content)
            }
            Some(other) => Err(io::Error::other(format!("content-encoding {other}"))),
        }
    }

    pub fn asks_to_close(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

impl Head {
    /// Reads a head; none where the connection ends before one begins.
    pub fn read(stream: &mut impl Read) -> io::Result<Option<Self>> {
        let Some(octets) = read_to_empty_line(stream)? else { return Ok(None) };
        let text = String::from_utf8(octets).map_err(io::Error::other)?;
        let mut lines = text.split("\r\n");
        let mut words = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
        let (Some(method), Some(target)) = (words.next(), words.next()) else {
            return Err(io::Error::other(format!("no request: {text}")));
        };
        let headers = lines.filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        });
        let headers = headers.collect();
        Ok(Some(Self { method, target, headers }))
    }

    pub fn with_body(self, body: Vec<u8>) -> Request {
        Request { head: self, body }
    }

    pub fn method(&self) -> &str {
        &self.method
    }

    /// Where it goes, without the query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Reads up to the empty line, octet by octet, so that the body stays.
fn read_to_empty_line(stream: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut octets = Vec::new();
    let mut octet = [0];
    while !octets.ends_with(b"\r\n\r\n") {
        if stream.read(&mut octet)? == 0 {
            let is_between = octets.is_empty();
            return if is_between { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
        octets.push(octet[0]);
        if octets.len() > HEAD_MAX {
            return Err(io::Error::other("the head is too long"));
        }
    }
    Ok(Some(octets))
}

pub fn read_body(stream: &mut impl Read, head: &Head) -> io::Result<Vec<u8>> {
    if head.header("transfer-encoding").is_some_and(|value| value.contains("chunked")) {
        return read_chunks(stream);
    }
    let length = head.header("content-length").unwrap_or("0");
    let length: u64 = length.parse().map_err(io::Error::other)?;
    let mut body = Vec::new();
    read_exactly(stream, length, &mut body)?;
    Ok(body)
}

fn read_chunks(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = read_line(stream)?;
        let length = line.split(';').next().unwrap_or_default().trim();
        let length = u64::from_str_radix(length, 16).map_err(io::Error::other)?;
        if length == 0 {
            while !read_line(stream)?.is_empty() {}
            return Ok(body);
        }
        read_exactly(stream, length, &mut body)?;
        read_line(stream)?;
    }
}

fn read_exactly(stream: &mut impl Read, length: u64, body: &mut Vec<u8>) -> io::Result<()> {
    if body.len() as u64 + length > BODY_MAX {
        return Err(io::Error::other("the body is too long"));
    }
    let read = stream.take(length).read_to_end(body)?;
    if read as u64 == length { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// A line without its end.
fn read_line(stream: &mut impl Read) -> io::Result<String> {
    let mut line = Vec::new();
    let mut octet = [0];
    while !line.ends_with(b"\r\n") {
        stream.read_exact(&mut octet)?;
        line.push(octet[0]);
        if line.len() > HEAD_MAX {
            return Err(io::Error::other("a line is too long"));
        }
    }
    line.truncate(line.len() - 2);
    String::from_utf8(line).map_err(io::Error::other)
}
