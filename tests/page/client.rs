//! A program with a page, and questions to it.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::support;

const PATIENCE: Duration = Duration::from_secs(30);

/// A replay that shows a page until it is dropped.
pub struct Shown {
    child: Child,
    folder: TempDir,
    pub address: String,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// In lower case.
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|problem| panic!("{problem}: {self:?}"))
    }
}

impl Shown {
    /// Replays the sample, and waits until the page has all of it.
    pub fn sample(arguments: &[&str]) -> Self {
        let sample = support::office();
        let shown = Self::start(&sample, arguments);
        shown.wait_for("the page stays");
        shown
    }

    /// Replays a file.
    pub fn start(file: &Path, arguments: &[&str]) -> Self {
        let mut command = support::flowprobe();
        command.arg("-r").arg(file).args(["--http", "127.0.0.1:0", "-o", "json:/dev/null"]);
        command.args(["--stats", "json"]).args(arguments);
        Self::spawn(command)
    }

    /// Starts a command that has a page.
    pub fn spawn(mut command: Command) -> Self {
        let folder = support::scratch();
        let messages = fs::File::create(folder.path().join("messages")).expect("a file");
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(messages);
        let child = child.spawn().expect("the program starts");
        let mut shown = Self { child, folder, address: String::new() };
        shown.wait_for("the page is at http://");
        let messages = shown.messages();
        let (_, rest) = messages.split_once("the page is at http://").expect("it is said");
        rest.split('/').next().expect("an address").clone_into(&mut shown.address);
        shown
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn messages(&self) -> String {
        fs::read_to_string(self.folder.path().join("messages")).expect("messages are text")
    }

    pub fn wait_for(&self, words: &str) {
        let begin = Instant::now();
        while !self.messages().contains(words) {
            assert!(begin.elapsed() < PATIENCE, "no {words}: {}", self.messages());
            thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).expect("the page listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket has a timeout");
        stream
    }

    /// Sends a request as it stands, and reads until the end of the connection.
    pub fn raw(&self, request: &str) -> Answer {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).expect("a request can be sent");
        let mut answer = Vec::new();
        // A connection that is closed early is an answer as well.
        drop(stream.read_to_end(&mut answer));
        let answer = String::from_utf8(answer).expect("answers are text");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Answer { status, head: head.to_lowercase(), body: body.to_owned() }
    }

    pub fn get_with(&self, path: &str, headers: &str) -> Answer {
        let host = &self.address;
        self.raw(&format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n"
        ))
    }

    pub fn get(&self, path: &str) -> Answer {
        self.get_with(path, "")
    }

    /// Ends it, and returns the statistics that it printed before.
    pub fn end(mut self) -> Value {
        support::signal(self.child.id(), Signal::SIGTERM).expect("it runs");
        let status = self.child.wait().expect("it ends");
        assert_eq!(status.code(), Some(0), "{}", self.messages());
        let messages = self.messages();
        // A live run prints some while it goes on as well.
        let stats = messages.lines().rev().find_map(|line| serde_json::from_str(line).ok());
        stats.unwrap_or_else(|| panic!("no statistics: {messages}"))
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
