//! A simple loader: it posts prepared bodies, and reads the responses.

use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::sink::Body;

/// Posts all bodies to a path over `connections` connections.
pub fn load(address: &str, path: &str, connections: usize, bodies: &[Body]) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..connections {
            scope.spawn(|| {
                let mut stream = TcpStream::connect(address).expect("the engine listens");
                let mut reader = BufReader::new(stream.try_clone().expect("a stream"));
                while let Some(body) = bodies.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let answer = post(&mut stream, &mut reader, address, path, body);
                    let answer = answer.expect("the engine answers");
                    assert!(answer.contains("\"errors\":false"), "{answer}");
                }
            });
        }
    });
}

fn post(
    stream: &mut TcpStream,
    reader: &mut impl BufRead,
    address: &str,
    path: &str,
    body: &Body,
) -> io::Result<String> {
    let encoding = if body.is_gzip { "content-encoding: gzip\r\n" } else { "" };
    let head = format!(
        "POST {path}?filter_path=errors,items.*.status HTTP/1.1\r\nhost: {address}\r\n\
         content-type: application/x-ndjson\r\n{encoding}content-length: {}\r\n\r\n",
        body.octets.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(&body.octets)?;
    let (mut length, mut is_chunked) = (0, false);
    loop {
        let line = read_line(reader)?.to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
        is_chunked |= line == "transfer-encoding: chunked";
    }
    let mut answer = Vec::new();
    while is_chunked {
        let length = usize::from_str_radix(&read_line(reader)?, 16).map_err(io::Error::other)?;
        take(reader, length, &mut answer)?;
        read_line(reader)?;
        is_chunked = length > 0;
    }
    take(reader, length, &mut answer)?;
    String::from_utf8(answer).map_err(io::Error::other)
}

fn read_line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}

fn take(reader: &mut impl BufRead, length: usize, into: &mut Vec<u8>) -> io::Result<()> {
    let begin = into.len();
    into.resize(begin + length, 0);
    reader.read_exact(&mut into[begin..])
}
