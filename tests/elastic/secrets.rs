//! Credentials, and proxies: who gets them, and who does not.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use rustls::version::TLS13;
use tempfile::TempDir;

use crate::replay::{self, BULK, assert_accounted, capture, delivered, output};
use crate::scripted::{Answer, Proxy, Server, Step};
use crate::support::authority::{Authority, server_config};
use crate::support::probe::Probe;
use crate::support::{self, Run};

const FLOWS: u64 = 200;

/// Longer than a run takes, on a busy machine.
const BOUND: Duration = Duration::from_secs(30);

const PASSWORD: &str = "correct-horse";
/// `me:correct-horse` in Base64.
const BASIC: &str = "bWU6Y29ycmVjdC1ob3JzZQ==";
const KEY: &str = "key-id:key-secret";
/// That in Base64.
const API_KEY: &str = "a2V5LWlkOmtleS1zZWNyZXQ=";

fn replay(url: String, settings: &str, change: impl FnOnce(&mut Command)) -> Run {
    let folder = support::scratch();
    let output = output(&[url], &format!("give-up=2s&{settings}"));
    let mut command = replay::command(&capture(&folder, FLOWS as u32), &output);
    for name in ["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    change(command.env("RUST_LOG", "trace"));
    let replay = Probe::start(command);
    let command_line = fs::read_to_string(format!("/proc/{}/cmdline", replay.pid())).unwrap();
    assert_secret(&command_line);
    let (run, _) = replay.end_within(BOUND);
    assert_accounted(&run);
    // Logs and statistics.
    assert_secret(&run.stderr);
    run
}

#[track_caller]
fn assert_secret(text: &str) {
    for secret in [PASSWORD, BASIC, "key-secret", API_KEY] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
}

/// A server that refuses the first request, so that there is something to say.
fn start() -> Server {
    let server = Server::start();
    let refusal = Answer::error(401, "security_exception", "unable to authenticate user [me]");
    server.next(BULK, Step::answer(refusal));
    server
}

/// The server has all documents, and each request came with this.
#[track_caller]
fn assert_authorized(server: &Server, run: &Run, authorization: &str) {
    assert_eq!((run.status, delivered(run, "accepted")), (0, FLOWS), "{}", run.stderr);
    assert!(server.requests().len() >= 2, "it was refused first");
    for request in server.requests() {
        assert_eq!(request.header("authorization"), Some(authorization), "{}", request.path());
    }
}

#[test]
fn password_comes_from_a_file_or_the_environment() {
    let authorization = format!("Basic {BASIC}");
    let folder = support::scratch();
    let file = support::write(&folder, "password", format!("{PASSWORD}\n").as_bytes());
    let server = start();
    let settings = format!("user=me&password-file={}", file.display());
    let run = replay(server.url(), &settings, |_| {});
    assert_authorized(&server, &run, &authorization);
    let server = start();
    let run = replay(server.url(), "user=me", |command| {
        command.env("FLOWPROBE_ELASTIC_PASSWORD", PASSWORD);
    });
    assert_authorized(&server, &run, &authorization);
}

#[test]
fn api_key_comes_from_a_file_or_the_environment() {
    let authorization = format!("ApiKey {API_KEY}");
    for key in [KEY, API_KEY] {
        let folder = support::scratch();
        let file = support::write(&folder, "key", format!("{key}\n").as_bytes());
        let server = start();
        let run = replay(server.url(), &format!("api-key-file={}", file.display()), |_| {});
        assert_authorized(&server, &run, &authorization);
        let server = start();
        let run = replay(server.url(), "", |command| {
            command.env("FLOWPROBE_ELASTIC_API_KEY", key);
        });
        assert_authorized(&server, &run, &authorization);
    }
}

#[test]
fn credentials_are_not_part_of_a_url() {
    let server = Server::start();
    let address = server.address();
    let user = format!("me:{PASSWORD}@");
    let proxy = format!("http://{user}127.0.0.1:1");
    let encoded = proxy.replace(':', "%3A").replace('/', "%2F").replace('@', "%40");
    let settings = "user and password-file are settings";
    for (output, said) in [
        (format!("elastic+http://{user}{address}"), settings),
        (format!("elastic+https://{user}{address},{user}h2?gzip=1"), settings),
        (format!("elastic+http:{user}{address}"), "no host"),
        (format!("{user}{address}"), "unknown scheme"),
        (format!("ipfix+tls://{user}{address}"), "only a host"),
        (format!("balance:ipfix://{user}h1,ipfix://{user}h2"), "only a host"),
        (format!("elastic+http://{address}?proxy={proxy}"), "is not allowed here"),
        (format!("elastic+http://{address}?proxy={encoded}"), "is not allowed here"),
        (format!("elastic+http://{address}?user=me&password={PASSWORD}"), "password is not a"),
        (format!("elastic+http://{address}?api-key={KEY}"), "api-key is not a setting"),
    ] {
        let url = output.as_str();
        let joined = format!("--output={url}");
        let (file, _folder) = in_a_file(url);
        for arguments in [
            &["-r", "tests/data/office.pcap", "-o", url][..],
            &["-r", "tests/data/office.pcap", &joined],
            &["-r", "tests/data/office.pcap", "--config", file.to_str().unwrap()],
            &["elastic", "check", url],
            &["elastic", "setup", url],
        ] {
            assert_not_told(arguments, said);
        }
    }
    let webhook = format!("https://{user}hooks.example/");
    assert_not_told(&["-r", "a", "--alerts", &webhook], "no user and password");
    let cluster = format!("elastic+{}", server.url());
    let dashboards = format!("http://{user}127.0.0.1:5601");
    assert_not_told(&["elastic", "setup", &cluster, "--dashboards", &dashboards], settings);
    assert!(server.requests().is_empty());
}

/// A configuration file with this output.
fn in_a_file(url: &str) -> (PathBuf, TempDir) {
    let folder = support::scratch();
    let text = format!("output = [{url:?}]\n");
    (support::write(&folder, "flowprobe.toml", text.as_bytes()), folder)
}

/// The arguments are refused with these words, and without secrets.
#[track_caller]
fn assert_not_told(arguments: &[&str], said: &str) {
    let run = support::flowprobe().args(arguments).output().unwrap();
    let told = [run.stdout, run.stderr].map(|it| String::from_utf8(it).unwrap()).concat();
    assert_eq!(run.status.code(), Some(2), "{arguments:?}: {told}");
    assert!(told.contains(said), "{said}: {told}");
    assert_secret(&told);
}

#[test]
fn credentials_that_are_not_clear_are_refused() {
    let server = Server::start();
    let folder = support::scratch();
    let key = support::write(&folder, "key", b"id:key\n");
    let settings = format!("user=me&api-key-file={}", key.display());
    for (settings, said) in [
        (settings.as_str(), "user and api-key-file cannot both be given"),
        ("user=me", "user needs password-file, or FLOWPROBE_ELASTIC_PASSWORD"),
    ] {
        let mut command = replay::command(&capture(&folder, 1), &output(&[server.url()], settings));
        let run = command.env_remove("FLOWPROBE_ELASTIC_PASSWORD").output().unwrap();
        let stderr = String::from_utf8_lossy(&run.stderr);
        assert!(!run.status.success() && stderr.contains(said), "{stderr}");
    }
    assert!(server.requests().is_empty());
}

#[test]
fn redirect_gets_no_credentials() {
    let elsewhere = Server::start();
    let server = Server::start();
    let location = format!("{}{BULK}", elsewhere.url());
    server.always(BULK, Step::answer(Answer::status(307).header("location", &location)));
    let run = replay(server.url(), "user=me", |command| {
        command.env("FLOWPROBE_ELASTIC_PASSWORD", PASSWORD);
    });
    assert_eq!((run.status, delivered(&run, "unsent")), (1, FLOWS), "{}", run.stats);
    assert!(elsewhere.requests().is_empty());
}

/// All documents came through the proxy.
#[track_caller]
fn assert_through(proxy: &Proxy, server: &Server, run: &Run) {
    assert_eq!((run.status, delivered(run, "accepted")), (0, FLOWS), "{}", run.stderr);
    let requests = proxy.requests();
    assert!(!requests.is_empty() && requests.len() >= server.connections());
    for request in requests {
        assert_eq!(request.path(), server.address().to_string());
        // What the cluster is told is not for the proxy.
        assert_eq!(request.header("authorization"), None);
    }
}

#[test]
fn requests_go_through_the_proxy_that_is_set() {
    let (proxy, server) = (Proxy::start(200), Server::start());
    let settings = format!("user=me&proxy=http://{}", proxy.address());
    let run = replay(server.url(), &settings, |command| {
        command.env("FLOWPROBE_ELASTIC_PASSWORD", PASSWORD);
    });
    assert_through(&proxy, &server, &run);
}

#[test]
fn requests_go_through_the_proxy_of_the_environment() {
    let (proxy, server) = (Proxy::start(200), Server::start());
    let url = format!("http://me:{PASSWORD}@{}", proxy.address());
    let run = replay(server.url(), "", |command| {
        command.env("ALL_PROXY", &url);
    });
    assert_through(&proxy, &server, &run);
    let authorization = format!("Basic {BASIC}");
    for request in proxy.requests() {
        assert_eq!(request.header("proxy-authorization"), Some(authorization.as_str()));
    }
    // But for hosts that need none.
    let server = Server::start();
    let before = proxy.requests().len();
    let run = replay(server.url(), "", |command| {
        command.env("ALL_PROXY", &url).env("NO_PROXY", "127.0.0.1");
    });
    assert_eq!((run.status, delivered(&run, "accepted")), (0, FLOWS), "{}", run.stderr);
    assert_eq!(proxy.requests().len(), before);
}

#[test]
fn tls_goes_through_a_proxy() {
    let (folder, authority) = (support::scratch(), Authority::new());
    let ca = support::write(&folder, "ca.pem", authority.pem.as_bytes());
    let identity = authority.certify("127.0.0.1");
    let server = Server::start_tls(server_config(&identity, &TLS13, None));
    let proxy = Proxy::start(200);
    let settings = format!("ca={}&proxy=http://{}", ca.display(), proxy.address());
    let run = replay(server.url(), &settings, |_| {});
    assert_through(&proxy, &server, &run);
}

#[test]
fn proxy_that_refuses_is_named_and_the_run_ends() {
    let (proxy, server) = (Proxy::start(407), Server::start());
    let run = replay(server.url(), "", |command| {
        command.env("ALL_PROXY", format!("http://me:{PASSWORD}@{}", proxy.address()));
    });
    assert_eq!((run.status, delivered(&run, "unsent")), (1, FLOWS), "{}", run.stats);
    assert!(run.stderr.contains("407"), "{}", run.stderr);
    assert!(server.requests().is_empty());
}
