//! Collectors over TLS: whom the program trusts, and whether they trust it.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use exporter::{Context, Destination, ExportError, Exporter, Patience};
use flow::Timestamp;
use rcgen::KeyPair;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConnection, StreamOwned, SupportedProtocolVersion};
use tempfile::TempDir;

use crate::support::authority::{Authority, Identity, server_config};
use crate::support::ipfix::session;
use crate::support::{Run, run_with_input, scratch, skip_without, write};
use crate::{DONE, FAILED, assert_failed_at_start, finish, many_flows, read_all, start_command};

/// What a collector demands.
pub struct Demands {
    pub version: &'static SupportedProtocolVersion,
    pub clients_of: Option<RootCertStore>,
    /// How long it takes before each look at what came.
    pub delay: Duration,
}

pub const ANYBODY: Demands = Demands { version: &TLS13, clients_of: None, delay: Duration::ZERO };

/// What came of a connection: what was taken, or why not.
pub type Taken = JoinHandle<Result<Vec<u8>, String>>;

/// A collector that takes one connection, and the port of it.
pub fn collector(identity: &Identity, demands: Demands) -> (Taken, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (collector_at(listener, identity, demands), port)
}

fn collector_at(listener: TcpListener, identity: &Identity, demands: Demands) -> Taken {
    let config = Arc::new(server_config(identity, demands.version, demands.clients_of));
    thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        // It does not come back, so that a client that is turned away has to give up.
        drop(listener);
        let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
        if let Err(error) = shake_hands(&mut stream, demands.delay) {
            // What the client still says is heard, so that it hears the reason.
            drop(io::copy(&mut stream.sock, &mut io::sink()));
            return Err(error.to_string());
        }
        Ok(read_all(stream))
    })
}

fn shake_hands(
    stream: &mut StreamOwned<ServerConnection, TcpStream>,
    delay: Duration,
) -> io::Result<()> {
    while stream.conn.is_handshaking() {
        thread::sleep(delay);
        if stream.conn.read_tls(&mut stream.sock)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let seen = stream.conn.process_new_packets();
        while stream.conn.wants_write() {
            stream.conn.write_tls(&mut stream.sock)?;
        }
        seen.map_err(io::Error::other)?;
    }
    Ok(())
}

/// A folder for PEM files.
pub struct Files(pub TempDir);

impl Files {
    pub fn new() -> Self {
        Self(scratch())
    }

    pub fn write(&self, name: &str, pem: &str) -> PathBuf {
        write(&self.0, name, pem.as_bytes())
    }

    /// `cert=...&key=...` of an identity.
    pub fn client(&self, identity: &Identity) -> String {
        let certificate = self.write("client.pem", &identity.pem);
        let key = self.write("client.key", &identity.key.serialize_pem());
        format!("cert={}&key={}", certificate.display(), key.display())
    }
}

pub fn replay(url: &str, flows: u32) -> Run {
    run_with_input(["-r", "-", "-o", url], &many_flows(flows))
}

/// Checks that a collector takes from a program with these settings what a file would hold.
pub fn check_taken(taken: Taken, url: &str) {
    let run = replay(url, 5000);
    assert_eq!(run.status, DONE, "{}", run.stderr);
    run.assert_conservation();
    assert_eq!(run.count("outputs.0.sent.records"), 5000);
    let file = run_with_input(["-r", "-", "-o", "ipfix-file:-"], &many_flows(5000)).stdout;
    assert!(taken.join().unwrap().unwrap() == file, "what came is what a file would hold");
}

#[test]
fn authority_of_a_file_is_trusted() {
    let (files, authority) = (Files::new(), Authority::new());
    let ca = files.write("ca.pem", &authority.pem);
    for version in [&TLS12, &TLS13] {
        for name in ["localhost", "127.0.0.1"] {
            let demands = Demands { version, ..ANYBODY };
            let (taken, port) = collector(&authority.certify(name), demands);
            check_taken(taken, &format!("ipfix+tls://{name}:{port}?ca={}", ca.display()));
        }
    }
}

#[test]
fn zone_of_an_address_is_not_part_of_the_certificate() {
    let Ok(listener) = TcpListener::bind("[::1]:0") else {
        return skip_without("IPv6 on the loopback interface");
    };
    let port = listener.local_addr().unwrap().port();
    let (files, authority) = (Files::new(), Authority::new());
    let ca = files.write("ca.pem", &authority.pem);
    let taken = collector_at(listener, &authority.certify("::1"), ANYBODY);
    check_taken(taken, &format!("ipfix+tls://[::1%251]:{port}?ca={}", ca.display()));
}

#[test]
fn file_of_several_authorities_is_trusted() {
    let (files, authority) = (Files::new(), Authority::new());
    let ca = files.write("ca.pem", &[Authority::new().pem, authority.pem.clone()].concat());
    let (taken, port) = collector(&authority.certify("localhost"), ANYBODY);
    check_taken(taken, &format!("ipfix+tls://localhost:{port}?ca={}", ca.display()));
}

#[test]
fn authorities_of_the_system_are_trusted_where_no_file_is_given() {
    let (files, authority) = (Files::new(), Authority::new());
    let ca = files.write("ca.pem", &authority.pem);
    let (taken, port) = collector(&authority.certify("localhost"), ANYBODY);
    // Where OpenSSL looks for the system's, so do others.
    let mut command = crate::support::flowprobe();
    command.env("SSL_CERT_FILE", ca).env_remove("SSL_CERT_DIR");
    let url = format!("ipfix+tls://localhost:{port}");
    let mut child = start_command(command, &["-r", "-", "-o", &url]);
    let feeder = crate::feed(&mut child, many_flows(10));
    let run = finish(child);
    feeder.join().unwrap();
    assert_eq!(run.status, DONE, "{}", run.stderr);
    assert!(!taken.join().unwrap().unwrap().is_empty());
}

/// Checks that the program does not trust a collector.
pub fn check_not_trusted(identity: &Identity, authority: &Authority, words: &[&str]) {
    let files = Files::new();
    let ca = files.write("ca.pem", &authority.pem);
    for version in [&TLS12, &TLS13] {
        let (taken, port) = collector(identity, Demands { version, ..ANYBODY });
        let url = format!("ipfix+tls://localhost:{port}");
        let run = replay(&format!("{url}?ca={}", ca.display()), 10);
        assert_failed_at_start(&run, &[&[url.as_str(), "certificate"], words].concat());
        assert!(taken.join().unwrap().is_err(), "nothing was sent");
    }
}

#[test]
fn wrong_authority_is_not_trusted() {
    check_not_trusted(&Authority::new().certify("localhost"), &Authority::new(), &[]);
}

#[test]
fn wrong_host_name_is_not_trusted() {
    let authority = Authority::new();
    let wrong = authority.certify("collector.example");
    check_not_trusted(&wrong, &authority, &["localhost", "collector.example"]);
}

#[test]
fn certificate_that_has_expired_is_not_trusted() {
    let authority = Authority::new();
    check_not_trusted(&authority.certify_until("localhost", 2001), &authority, &["expired"]);
}

#[test]
fn client_certificate_is_shown_to_a_collector_that_asks_for_one() {
    let (files, authority) = (Files::new(), Authority::new());
    let ca = files.write("ca.pem", &authority.pem);
    let clients = Authority::new();
    let client = files.client(&clients.certify("probe.example"));
    for version in [&TLS12, &TLS13] {
        let demands = Demands { version, clients_of: Some(clients.roots()), ..ANYBODY };
        let (taken, port) = collector(&authority.certify("localhost"), demands);
        let url = format!("ipfix+tls://localhost:{port}?ca={}&{client}", ca.display());
        check_taken(taken, &url);
    }
}

/// Checks that nothing counts as sent to a collector that turns the program away. With TLS 1.3
/// that comes when the client thinks the handshake is over, so it may come at any time later.
fn check_turned_away(client: &str) {
    let (files, authority) = (Files::new(), Authority::new());
    let ca = files.write("ca.pem", &authority.pem);
    let kinds = [(&TLS12, 0), (&TLS13, 0), (&TLS13, 100)];
    for (version, delay) in kinds.map(|(version, ms)| (version, Duration::from_millis(ms))) {
        let demands = Demands { version, clients_of: Some(Authority::new().roots()), delay };
        let (taken, port) = collector(&authority.certify("localhost"), demands);
        let url = format!("ipfix+tls://localhost:{port}");
        let run = replay(&format!("{url}?ca={}&{client}", ca.display()), 10);
        assert!(taken.join().unwrap().is_err());
        assert_eq!(run.status, FAILED, "{version:?}: {}", run.stderr);
        assert!(run.stderr.contains(&url), "{}", run.stderr);
        let why = run.stderr.to_lowercase();
        assert!(why.contains("certificate"), "{version:?}: {}", run.stderr);
        let of_programmers = ["UnknownCA", "CertificateRequired", "HandshakeFailure", "fatal"];
        assert!(!of_programmers.iter().any(|word| run.stderr.contains(word)), "{}", run.stderr);
        if run.stats["outputs"][0].is_object() {
            run.assert_conservation();
            assert_eq!(run.count("outputs.0.sent.records"), 0);
        }
    }
}

#[test]
fn client_without_a_certificate_is_turned_away() {
    check_turned_away("reconnect=1s");
}

#[test]
fn client_with_a_certificate_of_another_authority_is_turned_away() {
    let files = Files::new();
    check_turned_away(&files.client(&Authority::new().certify("probe.example")));
}

#[test]
fn collector_that_does_not_speak_tls_is_an_error_at_the_start() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ipfix+tls://{}", listener.local_addr().unwrap());
    let (files, authority) = (Files::new(), Authority::new());
    let ca = files.write("ca.pem", &authority.pem);
    let speaker = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"220 mail.example ESMTP\r\n").unwrap();
        // Until the client has heard enough.
        drop(stream.read_to_end(&mut Vec::new()));
    });
    let run = replay(&format!("{url}?ca={}", ca.display()), 10);
    assert_failed_at_start(&run, &["cannot connect", &url]);
    speaker.join().unwrap();
}

#[test]
fn files_that_are_no_certificates_are_errors_at_the_start() {
    let (files, authority) = (Files::new(), Authority::new());
    let ca = files.write("ca.pem", &authority.pem);
    let identity = authority.certify("localhost");
    let text = files.write("notes.txt", "not a certificate");
    let certificate = files.write("client.pem", &identity.pem);
    let other_key = files.write("other.key", &KeyPair::generate().unwrap().serialize_pem());
    let (ca, text) = (ca.display(), text.display());
    let (certificate, other_key) = (certificate.display(), other_key.display());
    let cases = [
        ("ca=/nonexistent.pem".to_owned(), "/nonexistent.pem"),
        (format!("ca={text}"), "notes.txt"),
        (format!("ca={ca}&cert=/nonexistent.pem&key={other_key}"), "/nonexistent.pem"),
        (format!("ca={ca}&cert={text}&key={other_key}"), "notes.txt"),
        (format!("ca={ca}&cert={certificate}&key=/nonexistent.key"), "/nonexistent.key"),
        (format!("ca={ca}&cert={certificate}&key={text}"), "notes.txt"),
        (format!("ca={ca}&cert={certificate}&key={other_key}"), "key"),
    ];
    for (query, words) in cases {
        // They are read before anything is connected to.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let run = replay(&format!("ipfix+tls://localhost:{port}?{query}"), 10);
        assert_failed_at_start(&run, &[words]);
        listener.set_nonblocking(true).unwrap();
        assert!(listener.accept().is_err(), "{query}");
    }
}

/// An output as a live run has it. Time passes from call to call.
fn live(url: &str) -> Result<Box<dyn Exporter>, ExportError> {
    let destination: Destination = url.parse().unwrap();
    destination.open(&Context {
        patience: Patience::GoOn,
        name: "test".to_owned(),
        version: "1".to_owned(),
        ..Context::default()
    })
}

/// A tick, which takes no time.
fn tick(exporter: &mut dyn Exporter) {
    let begin = Instant::now();
    exporter.tick(Timestamp::from_millis(1_700_000_000_000)).unwrap();
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    thread::sleep(Duration::from_millis(50));
}

#[test]
fn files_are_read_once_and_not_for_each_connection() {
    let (files, authority) = (Files::new(), Authority::new());
    let ca = files.write("ca.pem", &authority.pem);
    let clients = Authority::new();
    let client = files.client(&clients.certify("probe.example"));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let url = format!("ipfix+tls://localhost:{}?ca={}&{client}", address.port(), ca.display());
    let mut exporter = live(&url).unwrap();
    // As for a program that has given up the right to read them.
    drop(files);
    assert!(live(&url).is_err(), "without its files an output cannot be opened");
    let listener = TcpListener::bind(address).unwrap();
    let demands = Demands { version: &TLS13, clients_of: Some(clients.roots()), ..ANYBODY };
    let taken = collector_at(listener, &authority.certify("localhost"), demands);
    let begin = Instant::now();
    while exporter.counts().octets == 0 {
        assert!(begin.elapsed() < Duration::from_secs(20), "it never connects");
        tick(&mut *exporter);
    }
    exporter.finish().unwrap();
    assert!(session(&taken.join().unwrap().unwrap())[0].has_templates());
}

#[test]
fn collector_that_never_ends_the_handshake_holds_up_no_live_run() {
    let (files, authority) = (Files::new(), Authority::new());
    let ca = files.write("ca.pem", &authority.pem);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ipfix+tls://{}?ca={}", listener.local_addr().unwrap(), ca.display());
    let taken = thread::spawn(move || {
        // The second is taken too, so the first attempt has come to an end.
        let streams = [listener.accept().unwrap(), listener.accept().unwrap()];
        drop(streams);
    });
    let begin = Instant::now();
    let mut exporter = live(&url).unwrap();
    assert!(begin.elapsed() < Duration::from_secs(4), "{:?}", begin.elapsed());
    while !taken.is_finished() {
        assert!(begin.elapsed() < Duration::from_secs(20), "it waits for ever");
        tick(&mut *exporter);
    }
    taken.join().unwrap();
    exporter.finish().unwrap();
    assert_eq!(exporter.counts().octets, 0);
}

#[test]
fn pauses_between_attempts_double_up_to_what_is_set() {
    let (files, authority) = (Files::new(), Authority::new());
    let ca = files.write("ca.pem", &authority.pem);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let url = format!("ipfix+tls://{address}?reconnect=3s&ca={}", ca.display());
    // Whoever comes is turned away, and so comes again.
    let times = thread::spawn(move || {
        let attempts = (0..5).map(|_| {
            drop(listener.accept().unwrap());
            Instant::now()
        });
        attempts.collect::<Vec<_>>()
    });
    let mut exporter = live(&url).unwrap();
    let begin = Instant::now();
    while !times.is_finished() {
        assert!(begin.elapsed() < Duration::from_secs(30), "it gave up");
        tick(&mut *exporter);
    }
    let times = times.join().unwrap();
    let pauses: Vec<_> = times.windows(2).map(|pair| (pair[1] - pair[0]).as_millis()).collect();
    for (pause, expected) in pauses.iter().zip([1000, 2000, 3000, 3000]) {
        assert!((expected..expected + 900).contains(pause), "{pauses:?}");
    }
}
