//! IPFIX over TCP as a live run sends it: collectors come late, restart, read slowly or not at
//! all; no call waits for them, and every record is accounted for.

use std::io::{ErrorKind, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::thread;
use std::time::{Duration, Instant};

use exporter::{Context, ExportCounts, Exporter, Patience};
use flow::{Batch, RecordTally, Timestamp};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, bind, getsockname, listen, socket,
};

use crate::collector::{assert_accounted, context, open};
use crate::record::{T0, udp4};
use crate::support::ipfix::{session, whole_messages};

/// No call but the last takes longer, nor does the start.
const CALL: Duration = Duration::from_secs(1);
const START: Duration = Duration::from_secs(4);

/// Nor does the last.
const END: Duration = Duration::from_secs(12);

/// An exporter as a live run has it.
struct Live {
    exporter: Box<dyn Exporter>,
    given: RecordTally,
    now: u64,
}

impl Live {
    fn open(collector: SocketAddr) -> Self {
        let context = Context { patience: Patience::GoOn, ..context() };
        let begin = Instant::now();
        let exporter = open(&format!("ipfix+tcp://{collector}"), &context);
        assert!(begin.elapsed() < START, "{:?}", begin.elapsed());
        Self { exporter, given: RecordTally::default(), now: T0 }
    }

    fn export(&mut self, count: usize) {
        let records = vec![udp4(self.now); count];
        records.iter().for_each(|record| self.given.count(record));
        self.timed(|exporter, _| exporter.export(&Batch::from(&records[..])).unwrap());
    }

    fn tick(&mut self) {
        self.now += 500;
        self.timed(|exporter, now| exporter.tick(now).unwrap());
    }

    fn timed(&mut self, call: impl FnOnce(&mut dyn Exporter, Timestamp)) {
        let begin = Instant::now();
        call(&mut *self.exporter, Timestamp::from_millis(self.now));
        assert!(begin.elapsed() < CALL, "{:?}", begin.elapsed());
    }

    /// Lets time pass until something is there.
    fn tick_until<T>(&mut self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let begin = Instant::now();
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(begin.elapsed() < Duration::from_secs(20), "not in time: {what}");
            self.tick();
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Lets time pass until the exporter connects.
    fn accept(&mut self, listener: &TcpListener) -> Taken {
        listener.set_nonblocking(true).unwrap();
        let (stream, _) = self.tick_until("a connection", || listener.accept().ok());
        stream.set_nonblocking(true).unwrap();
        Taken { stream, octets: Vec::new() }
    }

    /// Lets time pass until so many flows are there, and templates before them.
    fn receive(&mut self, taken: &mut Taken, flows: usize) {
        self.tick_until("flows", || {
            let error = taken.stream.read_to_end(&mut taken.octets).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
            (!taken.octets.is_empty() && taken.flows() == flows).then_some(())
        });
    }

    /// Ends the session. Every record is accounted for.
    fn finish(mut self) -> (bool, ExportCounts) {
        let begin = Instant::now();
        let is_whole = self.exporter.finish().is_ok();
        assert!(begin.elapsed() < END, "{:?}", begin.elapsed());
        let counts = self.exporter.counts();
        assert_accounted(self.given, &counts);
        (is_whole, counts)
    }
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A connection of the collector's, and what came over it.
struct Taken {
    stream: TcpStream,
    octets: Vec<u8>,
}

impl Taken {
    /// Flows of a session that begins with templates and counts Data Records from 0.
    fn flows(&self) -> usize {
        let messages = session(whole_messages(&self.octets));
        let mut sequence = 0;
        for message in &messages {
            assert_eq!(message.sequence as usize, sequence);
            sequence += message.data_records();
        }
        assert!(messages[0].has_templates() && messages[0].flows().count() == 0);
        messages.iter().map(|message| message.flows().count()).sum()
    }

    /// The flows of a session that has ended.
    fn all_flows(mut self) -> usize {
        self.stream.set_nonblocking(false).unwrap();
        self.stream.read_to_end(&mut self.octets).unwrap();
        assert_eq!(whole_messages(&self.octets).len(), self.octets.len());
        self.flows()
    }
}

#[test]
fn collector_that_comes_late_gets_templates_and_then_flows() {
    let (gone, address) = listener();
    drop(gone);
    let mut live = Live::open(address);
    live.export(1000);
    live.tick();
    assert_eq!(live.exporter.counts().failed.records, 1000);
    let listener = TcpListener::bind(address).unwrap();
    let mut taken = live.accept(&listener);
    // The templates come though no flow does.
    live.receive(&mut taken, 0);
    live.export(5);
    live.tick();
    let (is_whole, counts) = live.finish();
    assert!(is_whole);
    assert_eq!(taken.all_flows(), 5);
    assert_eq!((counts.sent.records, counts.failed.records, counts.reconnects), (5, 1000, 0));
}

#[test]
fn collector_that_restarts_gets_templates_though_no_flow_comes() {
    let (mut listener, address) = listener();
    let mut live = Live::open(address);
    for session in 0..3 {
        let mut taken = live.accept(&listener);
        live.receive(&mut taken, 0);
        // Once as a batch, once a flow at a time.
        live.export(7);
        (0..3).for_each(|_| live.export(1));
        live.receive(&mut taken, 10);
        if session == 2 {
            let (is_whole, counts) = live.finish();
            assert!(is_whole);
            assert_eq!(taken.all_flows(), 10);
            assert_eq!((counts.sent.records, counts.failed.records), (30, 0));
            assert_eq!((counts.reconnects, counts.errors), (2, 2));
            return;
        }
        drop((taken, listener));
        listener = TcpListener::bind(address).unwrap();
    }
}

#[test]
fn flows_without_a_collector_are_a_counted_loss() {
    let (listener, address) = listener();
    let mut live = Live::open(address);
    let mut taken = live.accept(&listener);
    live.export(20);
    live.receive(&mut taken, 20);
    drop((taken, listener));
    live.export(30);
    live.tick();
    assert_eq!(live.exporter.counts().failed.records, 30);
    live.export(5000);
    let listener = TcpListener::bind(address).unwrap();
    let mut taken = live.accept(&listener);
    live.export(40);
    live.receive(&mut taken, 40);
    let (is_whole, counts) = live.finish();
    assert!(is_whole);
    assert_eq!(taken.all_flows(), 40);
    assert_eq!(counts.reconnects, 1);
    assert_eq!(counts.sent.records, 60);
}

#[test]
fn collector_that_reads_nothing_holds_up_nobody() {
    let (listener, address) = listener();
    let mut live = Live::open(address);
    let _taken = live.accept(&listener);
    // Until buffers are full on all sides, and then some.
    let mut batches = 0;
    while live.exporter.counts().failed.records < 10_000 {
        live.export(256);
        batches += 1;
        assert!(batches < 10_000, "there is no end of buffers");
    }
    live.tick();
    let (is_whole, counts) = live.finish();
    assert!(!is_whole);
    assert!(counts.sent.records > 0 && counts.errors > 0, "{counts:?}");
}

#[test]
fn collector_that_pauses_loses_nothing() {
    let (listener, address) = listener();
    let mut live = Live::open(address);
    let mut taken = live.accept(&listener);
    // More than the kernel holds.
    (0..1000).for_each(|_| live.export(256));
    live.tick();
    let reader = thread::spawn(move || {
        taken.stream.set_nonblocking(false).unwrap();
        taken.stream.read_to_end(&mut taken.octets).unwrap();
        taken.flows()
    });
    let (is_whole, counts) = live.finish();
    assert!(is_whole);
    assert_eq!(reader.join().unwrap(), 256_000);
    assert_eq!((counts.sent.records, counts.errors), (256_000, 0));
}

#[test]
fn end_is_not_held_up_by_a_collector_that_reads_a_little_at_a_time() {
    let (listener, address) = listener();
    let mut live = Live::open(address);
    let mut taken = live.accept(&listener);
    (0..1000).for_each(|_| live.export(256));
    let reader = thread::spawn(move || {
        taken.stream.set_nonblocking(false).unwrap();
        let begin = Instant::now();
        while begin.elapsed() < END {
            taken.stream.read_exact(&mut [0; 10_000]).unwrap();
            thread::sleep(Duration::from_millis(50));
        }
    });
    let (is_whole, counts) = live.finish();
    assert!(!is_whole);
    assert!(counts.failed.records > 0 && counts.sent.records > 0, "{counts:?}");
    reader.join().unwrap();
}

#[test]
fn host_that_does_not_answer_holds_up_nobody() {
    // Its queue of connections is full, so that it says nothing to more of them.
    let kind = (AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC);
    let silent = socket(kind.0, kind.1, kind.2, None).unwrap();
    bind(silent.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0)).unwrap();
    listen(&silent, Backlog::new(0).unwrap()).unwrap();
    let port = getsockname::<SockaddrIn>(silent.as_raw_fd()).unwrap().port();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let wait = Duration::from_millis(200);
    let queued: Vec<_> =
        (0..8).map_while(|_| TcpStream::connect_timeout(&address, wait).ok()).collect();
    assert!(queued.len() < 8, "the queue is never full");
    let mut live = Live::open(address);
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(8) {
        live.export(256);
        live.tick();
        thread::sleep(Duration::from_millis(20));
    }
    let given = live.given;
    let (_, counts) = live.finish();
    assert_eq!(counts.failed, given);
}
