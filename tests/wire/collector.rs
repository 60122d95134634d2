//! A collector on a socket of the loopback interface, and the exporter that sends to it.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use exporter::{Context, Destination, ExportCounts, Exporter};
use flow::{Batch, FlowRecord, RecordTally, Timestamp};

/// A replay that samples nothing.
pub fn context() -> Context {
    Context { name: "probe-1".to_owned(), version: "1.2.3".to_owned(), ..Context::default() }
}

/// Opens an output as a user writes it.
pub fn open(output: &str, context: &Context) -> Box<dyn Exporter> {
    let destination: Destination = output.parse().unwrap();
    destination.check(context.sampling_interval).unwrap();
    destination.open(context).unwrap()
}

/// An exporter over UDP, and the datagrams that it has sent.
pub struct Session {
    pub exporter: Box<dyn Exporter>,
    socket: UdpSocket,
    given: RecordTally,
    datagrams: Vec<Vec<u8>>,
    /// Where they come from: to collectors another port is another exporter.
    source: Option<SocketAddr>,
}

impl Session {
    /// Opens `SCHEME://127.0.0.1:PORT?SETTINGS`.
    pub fn open(scheme: &str, settings: &str, context: &Context) -> Self {
        Self::open_at(Ipv4Addr::LOCALHOST.into(), scheme, settings, context)
    }

    /// The same at another address of this host.
    pub fn open_at(address: IpAddr, scheme: &str, settings: &str, context: &Context) -> Self {
        let socket = UdpSocket::bind((address, 0)).expect("a port on the loopback interface");
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let at = socket.local_addr().unwrap();
        let exporter = open(&format!("{scheme}://{at}?{settings}"), context);
        let (given, datagrams) = (RecordTally::default(), Vec::new());
        Self { exporter, socket, given, datagrams, source: None }
    }

    /// Exports records, a few at a time, so that the socket's buffer has room for what comes.
    pub fn export(&mut self, records: &[FlowRecord]) {
        for batch in records.chunks(32) {
            self.export_batch(&Batch::from(batch));
        }
    }

    /// Exports a few records with their details.
    pub fn export_batch(&mut self, batch: &Batch) {
        batch.records.iter().for_each(|record| self.given.count(record));
        self.exporter.export(batch).unwrap();
        self.receive();
    }

    pub fn tick(&mut self, now: u64) {
        self.exporter.tick(Timestamp::from_millis(now)).unwrap();
        self.receive();
    }

    /// The datagrams so far.
    pub fn datagrams(&self) -> &[Vec<u8>] {
        &self.datagrams
    }

    /// Ends the session. Every record is accounted for, and nothing was lost here.
    pub fn finish(mut self) -> (Vec<Vec<u8>>, ExportCounts) {
        self.exporter.finish().unwrap();
        self.receive();
        self.socket.set_nonblocking(true).unwrap();
        let more = self.socket.recv(&mut [0; 1]).unwrap_err();
        assert_eq!(more.kind(), ErrorKind::WouldBlock, "no datagram is sent but those counted");
        let counts = self.exporter.counts();
        assert_accounted(self.given, &counts);
        assert_eq!(counts.failed, RecordTally::default());
        assert_eq!(counts.octets, self.datagrams.iter().map(|one| one.len() as u64).sum::<u64>());
        (self.datagrams, counts)
    }

    /// Takes every datagram that the exporter says it has sent.
    fn receive(&mut self) {
        let mut buffer = [0; 65_536];
        while (self.datagrams.len() as u64) < self.exporter.counts().messages {
            let received = self.socket.recv_from(&mut buffer);
            let (length, source) = received.expect("a datagram that was sent arrives");
            assert_eq!(*self.source.get_or_insert(source), source, "one port sends all");
            self.datagrams.push(buffer[..length].to_vec());
        }
    }
}

/// Records given = sent + not exportable + failed, and so their packets and octets.
pub fn assert_accounted(given: RecordTally, counts: &ExportCounts) {
    assert_eq!(given, counts.sent + counts.not_exportable + counts.failed, "{counts:?}");
}

/// Exports all records over UDP and gives back the datagrams and what became of the records.
pub fn exported(
    scheme: &str,
    settings: &str,
    context: &Context,
    records: &[FlowRecord],
) -> (Vec<Vec<u8>>, ExportCounts) {
    let mut session = Session::open(scheme, settings, context);
    session.export(records);
    session.finish()
}
