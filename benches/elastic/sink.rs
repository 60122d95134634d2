//! A server that accepts bulk requests and responds at once.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use flate2::bufread::GzDecoder;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::socket;
use nix::sys::time::TimeVal;

/// A body as received.
#[derive(Clone, Debug)]
pub struct Body {
    pub octets: Vec<u8>,
    pub is_gzip: bool,
}

/// The server. It listens until it is closed or the process ends.
#[derive(Clone, Debug)]
pub struct Sink {
    address: SocketAddr,
    listener: Arc<TcpListener>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    documents: AtomicU64,
    /// CPU time of its threads, in microseconds.
    cpu_micros: AtomicU64,
    /// Requests wait while it is set.
    is_stopped: AtomicBool,
    bodies: Mutex<Option<Vec<Body>>>,
    connections: Mutex<Vec<TcpStream>>,
}

/// Maximum number of documents of a request.
const DOCUMENTS_MAX: usize = 50_000;

const BEGIN: &[u8] = br#"{"errors":false,"items":["#;
const ITEM: &[u8] = br#"{"create":{"status":201}},"#;

impl Sink {
    pub fn start() -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// Listens where another one did.
    pub fn start_at(address: SocketAddr) -> Self {
        let listener = Arc::new(TcpListener::bind(address).expect("a port"));
        let address = listener.local_addr().expect("it has an address");
        let shared = Arc::new(Shared::default());
        let (accepting, serving) = (Arc::clone(&listener), Arc::clone(&shared));
        thread::spawn(move || {
            while let Ok((stream, _)) = accepting.accept() {
                let shared = Arc::clone(&serving);
                let connection = stream.try_clone().expect("a stream can be shared");
                shared.connections.lock().expect("no thread panicked").push(connection);
                // Errors happen only when clients close the connection, which is permitted.
                thread::spawn(move || drop(serve(stream, &shared)));
            }
        });
        Self { address, listener, shared }
    }

    /// Ends all connections, and takes no more.
    pub fn close(&self) {
        let closed = socket::shutdown(self.listener.as_raw_fd(), socket::Shutdown::Both);
        closed.expect("it listens");
        for connection in self.shared.connections.lock().expect("no thread panicked").drain(..) {
            // An error says that the client has gone.
            drop(connection.shutdown(Shutdown::Both));
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn documents(&self) -> u64 {
        self.shared.documents.load(Ordering::Relaxed)
    }

    /// CPU time of its threads.
    pub fn cpu(&self) -> Duration {
        Duration::from_micros(self.shared.cpu_micros.load(Ordering::Relaxed))
    }

    /// Stops responding to requests, or starts again.
    pub fn stop(&self, is_stopped: bool) {
        self.shared.is_stopped.store(is_stopped, Ordering::Relaxed);
    }

    /// Keeps the bodies from now on.
    pub fn keep(&self) {
        *self.shared.bodies.lock().expect("no thread panicked") = Some(Vec::new());
    }

    /// The kept bodies.
    pub fn take(&self) -> Vec<Body> {
        self.shared.bodies.lock().expect("no thread panicked").take().unwrap_or_default()
    }
}

fn serve(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::with_capacity(1 << 18, stream);
    let items = [BEGIN, &ITEM.repeat(DOCUMENTS_MAX)].concat();
    let mut body = Vec::new();
    let mut cpu = thread_cpu();
    while let Some((length, is_gzip)) = read_head(&mut reader)? {
        body.resize(length, 0);
        reader.read_exact(&mut body)?;
        let lines = if is_gzip { lines_within(GzDecoder::new(&body[..]))? } else { lines(&body) };
        let documents = lines / 2;
        while shared.is_stopped.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(10));
        }
        shared.documents.fetch_add(documents as u64, Ordering::Relaxed);
        // The request for the name of the server has no body.
        if let Some(bodies) = &mut *shared.bodies.lock().expect("no thread panicked")
            && documents > 0
        {
            bodies.push(Body { octets: body.clone(), is_gzip });
        }
        // Without the comma after the last item.
        let end = BEGIN.len() + (documents * ITEM.len()).saturating_sub(1);
        write!(writer, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", end + 2)?;
        writer.write_all(&items[..end])?;
        writer.write_all(b"]}")?;
        let now = thread_cpu();
        let used = u64::try_from((now - cpu).as_micros()).unwrap_or(u64::MAX);
        shared.cpu_micros.fetch_add(used, Ordering::Relaxed);
        cpu = now;
    }
    Ok(())
}

/// The length of the body, and whether it is compressed. `None` at the end.
fn read_head(reader: &mut impl BufRead) -> io::Result<Option<(usize, bool)>> {
    let (mut length, mut is_gzip) = (0, false);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            return Ok(Some((length, is_gzip)));
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
        is_gzip |= line == "content-encoding: gzip";
    }
}

fn lines(octets: &[u8]) -> usize {
    // In pieces, so that the compiler can count in 8 bits.
    let count = |piece: &[u8]| piece.iter().map(|&octet| u8::from(octet == b'\n')).sum::<u8>();
    octets.chunks(255).map(|piece| usize::from(count(piece))).sum()
}

fn lines_within(mut reader: impl Read) -> io::Result<usize> {
    let mut buffer = vec![0; 1 << 16];
    let mut sum = 0;
    loop {
        let read = reader.read(&mut buffer)?;
        if read == 0 {
            return Ok(sum);
        }
        sum += lines(&buffer[..read]);
    }
}

/// CPU time of this thread so far.
fn thread_cpu() -> Duration {
    cpu(UsageWho::RUSAGE_THREAD)
}

/// CPU time of a thread or of the process so far.
pub fn cpu(who: UsageWho) -> Duration {
    let usage = getrusage(who).expect("a process may ask what it took");
    let micros = |time: TimeVal| time.tv_sec() * 1_000_000 + time.tv_usec();
    let micros = micros(usage.user_time()) + micros(usage.system_time());
    Duration::from_micros(u64::try_from(micros).expect("time is not negative"))
}

/// CPU time of the children of this process so far, such as an engine.
pub fn cpu_of_children() -> Duration {
    let own = std::process::id();
    let processes = fs::read_dir("/proc").expect("a list of processes").flatten();
    let ticks: u64 = processes.filter_map(|process| ticks_of_child(&process.path(), own)).sum();
    TICK * u32::try_from(ticks).expect("less than a year")
}

/// The unit of time in which Linux tells it.
const TICK: Duration = Duration::from_millis(10);

/// Ticks of CPU time of a process, if it is a child of `parent`.
fn ticks_of_child(process: &Path, parent: u32) -> Option<u64> {
    let stat = fs::read_to_string(process.join("stat")).ok()?;
    // The name in parentheses is the second field, and may have spaces.
    let (_, fields) = stat.rsplit_once(") ")?;
    let fields: Vec<u64> = fields.split(' ').map(|field| field.parse().unwrap_or(0)).collect();
    (fields[1] == u64::from(parent)).then(|| fields[11] + fields[12])
}
