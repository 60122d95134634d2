//! Clusters over TLS: which certificates are trusted.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustls::pki_types::CertificateDer;
use rustls::version::{TLS12, TLS13};
use tempfile::TempDir;

use crate::replay::{self, BULK, assert_accounted, capture, delivered, output};
use crate::scripted::{Manner, Server, Step};
use crate::support::authority::{Authority, server_config, server_with_chain};
use crate::support::{self, Run};

const FLOWS: u64 = 500;

/// Longer than a run takes, on a busy machine.
const BOUND: Duration = Duration::from_secs(30);

struct Files(TempDir);

impl Files {
    fn write(&self, name: &str, pem: &str) -> PathBuf {
        support::write(&self.0, name, pem.as_bytes())
    }
}

/// A replay that ends soon when nothing is accepted.
fn replay(url: String, settings: &str) -> Run {
    replay_for(2, url, settings)
}

/// A replay that ends when nothing is accepted for so many seconds.
fn replay_for(seconds: u32, url: String, settings: &str) -> Run {
    let folder = support::scratch();
    let output = output(&[url], &format!("batch=100k&give-up={seconds}s&{settings}"));
    let replay = replay::start(&capture(&folder, FLOWS as u32), &output);
    let (run, _) = replay.end_within(BOUND);
    assert_accounted(&run);
    run
}

#[track_caller]
fn assert_complete(server: &Server, run: &Run) {
    assert_eq!((run.status, delivered(run, "accepted")), (0, FLOWS), "{}", run.stderr);
    assert_eq!(server.documents().len() as u64, FLOWS);
}

/// Nothing is sent. The run ends and says why, in these words.
#[track_caller]
fn assert_refused(server: &Server, run: &Run, words: &str) {
    assert_eq!((run.status, delivered(run, "unsent")), (1, FLOWS), "{}", run.stats);
    assert!(run.stderr.contains(words), "{words}: {}", run.stderr);
    assert_plain(run);
    assert!(server.requests().is_empty(), "no request before the certificate is known");
}

/// No error is in the words of a programmer.
#[track_caller]
fn assert_plain(run: &Run) {
    let is_code = |text: &str| text.contains("Error(") || text.contains("::") || text.contains('{');
    let messages = run.stderr.lines().filter(|line| line.starts_with("flowprobe: "));
    let mut messages = messages.peekable();
    assert!(messages.peek().is_some(), "{}", run.stderr);
    messages.for_each(|message| assert!(!is_code(message), "{message}"));
}

fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    let folder = support::scratch();
    let path = support::write(&folder, "certificate", certificate);
    let output = Command::new("sha256sum").arg(path).output().unwrap();
    String::from_utf8(output.stdout).unwrap().split(' ').next().unwrap().to_owned()
}

#[test]
fn authority_of_a_file_is_trusted() {
    let (files, authority) = (Files(support::scratch()), Authority::new());
    let ca = files.write("ca.pem", &authority.pem);
    for version in [&TLS12, &TLS13] {
        let identity = authority.certify("127.0.0.1");
        let server = Server::start_tls(server_config(&identity, version, None));
        let run = replay(server.url(), &format!("ca={}", ca.display()));
        assert_complete(&server, &run);
    }
}

#[test]
fn other_authority_is_not_trusted() {
    let (files, authority) = (Files(support::scratch()), Authority::new());
    let ca = files.write("ca.pem", &Authority::new().pem);
    let identity = authority.certify("127.0.0.1");
    let server = Server::start_tls(server_config(&identity, &TLS13, None));
    let run = replay(server.url(), &format!("ca={}", ca.display()));
    let words = "the server's certificate is from an authority that is not trusted and";
    assert_refused(&server, &run, &format!("{words} ca= does not hold it"));
    // The system's authorities do not know it either.
    let run = replay(server.url(), "");
    assert_refused(&server, &run, &format!("{words} ca= is not given"));
}

#[test]
fn certificate_for_another_name_is_not_trusted() {
    let (files, authority) = (Files(support::scratch()), Authority::new());
    let ca = files.write("ca.pem", &authority.pem);
    let identity = authority.certify("elsewhere.example");
    let server = Server::start_tls(server_config(&identity, &TLS13, None));
    let run = replay(server.url(), &format!("ca={}", ca.display()));
    let words = "the server's certificate is for elsewhere.example, and not for 127.0.0.1";
    assert_refused(&server, &run, words);
}

#[test]
fn certificate_that_has_expired_is_not_trusted() {
    let (files, authority) = (Files(support::scratch()), Authority::new());
    let ca = files.write("ca.pem", &authority.pem);
    let identity = authority.certify_until("127.0.0.1", 2020);
    let server = Server::start_tls(server_config(&identity, &TLS13, None));
    let run = replay(server.url(), &format!("ca={}", ca.display()));
    assert_refused(&server, &run, "the server's certificate has expired, on 2020-01-01");
}

#[test]
fn fingerprint_pins_the_certificate() {
    let authority = Authority::new();
    let [pinned, other] = [(); 2].map(|()| authority.certify("127.0.0.1"));
    let settings = format!("fingerprint={}", fingerprint(&pinned.der));
    let server = Server::start_tls(server_config(&pinned, &TLS13, None));
    assert_complete(&server, &replay(server.url(), &settings));
    let server = Server::start_tls(server_config(&other, &TLS13, None));
    assert_refused(&server, &replay(server.url(), &settings), "another fingerprint");
}

/// Elasticsearch prints the fingerprint of its authority at its first start, and shows the
/// authority's certificate with its own.
#[test]
fn fingerprint_of_an_authority_trusts_whom_it_certifies() {
    let root = Authority::new();
    let middle = root.authorize("intermediate");
    let (near, far) = (root.certify("127.0.0.1"), middle.certify("127.0.0.1"));
    for (identity, chain, pinned) in [
        (&near, &[&root.der][..], &root.der),
        (&far, &[&middle.der, &root.der], &root.der),
        (&far, &[&middle.der, &root.der], &middle.der),
        (&far, &[&middle.der], &middle.der),
    ] {
        let server = Server::start_tls(server_with_chain(identity, chain));
        let run = replay(server.url(), &format!("fingerprint={}", fingerprint(pinned)));
        assert_complete(&server, &run);
    }
}

#[test]
fn authority_with_the_fingerprint_has_to_certify_the_server() {
    let (pinned, other) = (Authority::new(), Authority::new());
    let settings = format!("fingerprint={}", fingerprint(&pinned.der));
    // Everybody can show the certificate of an authority.
    let server = Server::start_tls(server_with_chain(&other.certify("127.0.0.1"), &[&pinned.der]));
    let words = "the server shows the authority with the fingerprint, which has not signed";
    assert_refused(&server, &replay(server.url(), &settings), words);
    // Other servers have certificates of this authority.
    let elsewhere = pinned.certify("elsewhere.example");
    let server = Server::start_tls(server_with_chain(&elsewhere, &[&pinned.der]));
    let words = "the server's certificate is for elsewhere.example, and not for 127.0.0.1";
    assert_refused(&server, &replay(server.url(), &settings), words);
    let expired = pinned.certify_until("127.0.0.1", 2020);
    let server = Server::start_tls(server_with_chain(&expired, &[&pinned.der]));
    assert_refused(&server, &replay(server.url(), &settings), "certificate has expired");
    // Nobody shows it.
    let server = Server::start_tls(server_with_chain(&other.certify("127.0.0.1"), &[&other.der]));
    let words = "; that of no authority in its chain fits";
    assert_refused(&server, &replay(server.url(), &settings), words);
}

#[test]
fn client_certificate_is_shown() {
    let (files, authority, clients) =
        (Files(support::scratch()), Authority::new(), Authority::new());
    let ca = files.write("ca.pem", &authority.pem);
    let client = clients.certify("probe.example");
    let certificate = files.write("client.pem", &client.pem);
    let key = files.write("client.key", &client.key.serialize_pem());
    let identity = authority.certify("127.0.0.1");
    let config = server_config(&identity, &TLS13, Some(clients.roots()));
    let server = Server::start_tls(config);
    let settings = format!("ca={}", ca.display());
    let words = "the server asks for a certificate: give cert= and key=";
    assert_refused(&server, &replay(server.url(), &settings), words);
    let client = format!("cert={}&key={}", certificate.display(), key.display());
    assert_complete(&server, &replay(server.url(), &format!("{settings}&{client}")));
}

#[test]
fn trouble_under_tls_passes() {
    let (files, authority) = (Files(support::scratch()), Authority::new());
    let ca = files.write("ca.pem", &authority.pem);
    let identity = authority.certify("127.0.0.1");
    for manner in [
        Manner::Never,
        Manner::Unread,
        Manner::CutRequest(1000),
        Manner::CutAnswer(10),
        Manner::Drip(Duration::from_millis(100)),
        Manner::Garbage,
        Manner::Flood(1 << 30),
    ] {
        let server = Server::start_tls(server_config(&identity, &TLS13, None));
        server.next(BULK, Step::manner(manner.clone()));
        let run = replay_for(20, server.url(), &format!("ca={}&timeout=1s", ca.display()));
        assert_eq!(run.status, 0, "{manner:?}: {}", run.stderr);
        assert_eq!(server.documents().len() as u64, FLOWS, "{manner:?}");
        assert!(run.count("outputs.0.errors") > 0, "{manner:?}");
    }
}

/// A server that begins a TLS record and never ends it: an octet every 100 ms.
fn start_slow_handshake() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            thread::spawn(move || {
                drop(stream.read(&mut [0; 4096]));
                let begin = [0x16, 3, 3, 0x40, 0, 2, 0, 0x3f, 0xfc];
                let mut is_open = stream.write_all(&begin).is_ok();
                while is_open {
                    thread::sleep(Duration::from_millis(100));
                    is_open = stream.write_all(&[0]).is_ok();
                }
            });
        }
    });
    url
}

#[test]
fn handshake_that_never_ends_is_given_up() {
    let begin = Instant::now();
    let run = replay(start_slow_handshake(), "timeout=1s");
    assert!(begin.elapsed() < Duration::from_secs(15), "{:?}", begin.elapsed());
    assert_eq!((run.status, delivered(&run, "unsent")), (1, FLOWS), "{}", run.stderr);
    assert!(run.stderr.contains("in time"), "{}", run.stderr);
}

/// A server that answers like nginx: what it reads is no request.
fn start_without_tls() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            drop(stream.read(&mut [0; 4096]));
            drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"));
        }
    });
    url
}

#[test]
fn server_without_tls_is_no_host() {
    let run = replay(start_without_tls(), "");
    assert_eq!((run.status, delivered(&run, "unsent")), (1, FLOWS), "{}", run.stats);
    assert!(run.stderr.contains("the server does not speak TLS"), "{}", run.stderr);
    assert_plain(&run);
    let server = Server::start();
    let run = replay(server.url().replace("http:", "https:"), "");
    assert_refused(&server, &run, "the server has closed the connection in the TLS handshake");
}
