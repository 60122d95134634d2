//! A proxy: it makes connections for its clients (RFC 9110 section 9.3.6).

use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use super::request::{Head, Request};

/// A proxy that listens until the test process ends.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Proxy {
    /// Begins with this status for each connection. 200 makes it.
    pub fn start(status: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port to listen on");
        let address = listener.local_addr().expect("it has an address");
        let requests = Arc::default();
        let taken = Arc::clone(&requests);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let taken = Arc::clone(&taken);
                // Errors are those of peers that go away, which they may.
                thread::spawn(move || drop(serve(client, status, &taken)));
            }
        });
        Self { address, requests }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("no thread panicked").clone()
    }
}

fn serve(mut client: TcpStream, status: u16, taken: &Mutex<Vec<Request>>) -> io::Result<()> {
    let Some(head) = Head::read(&mut client)? else { return Ok(()) };
    let target = head.path().to_owned();
    let is_connect = head.method() == "CONNECT";
    taken.lock().expect("no thread panicked").push(head.with_body(Vec::new()));
    if !is_connect || status != 200 {
        let status = if is_connect { status } else { 405 };
        return write!(client, "HTTP/1.1 {status} Refused\r\ncontent-length: 0\r\n\r\n");
    }
    let server = TcpStream::connect(target)?;
    write!(client, "HTTP/1.1 200 Connected\r\n\r\n")?;
    let (back, forth) = (server.try_clone()?, client.try_clone()?);
    let answers = thread::spawn(move || pass(back, client));
    let passed = pass(forth, server);
    drop(answers.join());
    passed
}

/// Passes octets on until there are no more.
fn pass(mut from: TcpStream, mut to: TcpStream) -> io::Result<()> {
    io::copy(&mut from, &mut to)?;
    to.shutdown(Shutdown::Write)
}
