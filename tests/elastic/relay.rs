//! A way from the probe's host to an engine on this one, which can be closed.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::support::net::{Host, Network};

/// Hands connections on, as long as the test runs.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    is_open: Arc<AtomicBool>,
}

impl Relay {
    /// Listens on the probe's host. `to` is `HOST:PORT` here.
    pub fn start(network: &Network, to: &str) -> Self {
        let listener = network.on(Host::Probe, || TcpListener::bind("127.0.0.1:0"));
        let listener = listener.expect("a port to listen on");
        let address = listener.local_addr().expect("it has an address");
        let is_open = Arc::new(AtomicBool::new(true));
        let (open, to) = (Arc::clone(&is_open), to.to_owned());
        // It ends with the process.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if open.load(Ordering::Relaxed)
                    && let Ok(server) = TcpStream::connect(&to)
                {
                    join(&client, &server, &open);
                }
            }
        });
        Self { address, is_open }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether octets and new connections pass. Connections end when one is to pass that may not.
    pub fn set_open(&self, is_open: bool) {
        self.is_open.store(is_open, Ordering::Relaxed);
    }
}

/// Copies both ways, on threads of their own.
fn join(client: &TcpStream, server: &TcpStream, open: &Arc<AtomicBool>) {
    for (from, to) in [(client, server), (server, client)] {
        let copy = |stream: &TcpStream| stream.try_clone().expect("a stream can be shared");
        let (mut from, mut to, open) = (copy(from), copy(to), Arc::clone(open));
        thread::spawn(move || {
            let mut gate = Gate { stream: &mut to, open: &open };
            // Either side may end it.
            drop(io::copy(&mut from, &mut gate));
            drop(from.shutdown(Shutdown::Both));
            drop(to.shutdown(Shutdown::Both));
        });
    }
}

/// Lets octets through while it is open.
struct Gate<'a> {
    stream: &'a mut TcpStream,
    open: &'a AtomicBool,
}

impl io::Write for Gate<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match self.open.load(Ordering::Relaxed) {
            true => self.stream.write(octets),
            false => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
