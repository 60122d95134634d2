//! The server does as it is told.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use rustls::pki_types::ServerName;
use rustls::version::TLS13;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use serde_json::{Value, json};
use ureq::Agent;

use super::{Answer, Manner, Refusal, Server, Step};
use crate::client::{Client, Reply};
use crate::support::authority::{Authority, server_config};

const TWO: &str = "\
{\"create\":{\"_index\":\"flows\",\"_id\":\"a\"}}\n{\"bytes\":1}\n\
{\"create\":{\"_index\":\"flows\",\"_id\":\"b\"}}\n{\"bytes\":2}\n";

/// Longer than a test waits for what comes at once.
const PATIENCE: Duration = Duration::from_secs(20);

fn agent(timeout: Duration) -> Agent {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(timeout))
        .proxy(None)
        .build();
    config.into()
}

/// Sends the two documents; says what is wrong with what comes back.
fn send_two(server: &Server) -> Result<Reply, ureq::Error> {
    let lines = TWO.as_bytes().to_vec();
    Client::new(&server.url()).send("POST", "/_bulk", "application/x-ndjson", lines)
}

fn identifiers(server: &Server) -> Vec<String> {
    server.documents().into_iter().map(|item| item.id).collect()
}

#[test]
fn documents_are_taken_once() {
    let server = Server::start();
    let client = Client::new(&server.url());
    assert_eq!(client.get("/").done()["version"]["number"], "8.19.0");
    let first = client.bulk(TWO);
    assert_eq!(first.body["errors"], false);
    assert_eq!(first.item_statuses(), [201, 201]);
    let again = client.bulk(TWO);
    assert_eq!(again.body["errors"], true);
    assert_eq!(again.item_statuses(), [409, 409]);
    let error = &again.body["items"][1]["create"]["error"];
    assert_eq!(error["type"], "version_conflict_engine_exception");
    assert_eq!(identifiers(&server), ["a", "b"]);
    assert_eq!(server.documents()[1].document, json!({"bytes": 2}));
    // One connection took them all.
    assert_eq!(server.connections(), 1);
    let request = &server.requests_to("/_bulk")[0];
    assert_eq!(request.method(), "POST");
    assert_eq!(request.header("content-type"), Some("application/x-ndjson"));
    assert_eq!(request.body, TWO.as_bytes());
}

#[test]
fn compressed_documents_are_taken() {
    let server = Server::start();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(TWO.as_bytes()).unwrap();
    let body = encoder.finish().unwrap();
    let request = agent(PATIENCE).post(format!("{}/_bulk", server.url()));
    let request = request.header("content-type", "application/x-ndjson");
    let response = request.header("content-encoding", "gzip").send(&body).unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(identifiers(&server), ["a", "b"]);
    let request = &server.requests()[0];
    assert_eq!(request.body, body);
    assert_eq!(request.content().unwrap(), TWO.as_bytes());
}

#[test]
fn malformed_requests_are_refused() {
    let server = Server::start();
    let client = Client::new(&server.url());
    let error = |lines: &str| {
        let reply = client.bulk(lines);
        (reply.status, reply.body["error"]["type"].as_str().map(str::to_owned))
    };
    let illegal = (400, Some("illegal_argument_exception".to_owned()));
    assert_eq!(error(TWO.trim_end()), illegal);
    assert_eq!(error("{\"destroy\":{\"_index\":\"flows\"}}\n{}\n"), illegal);
    let invalid = (400, Some("action_request_validation_exception".to_owned()));
    assert_eq!(error("{\"create\":{\"_index\":\"flows\"}}\n"), invalid);
    assert_eq!(error("{\"create\":{}}\n{}\n"), invalid);
    let plain = client.send("POST", "/_bulk", "text/plain", TWO.into()).unwrap();
    assert_eq!(plain.status, 406);
    assert!(server.documents().is_empty());
}

#[test]
fn clients_choose_parts_of_the_answer() {
    let server = Server::start();
    let client = Client::new(&server.url());
    let lines = || TWO.as_bytes().to_vec();
    let path = "/flows/_bulk?filter_path=errors,items.*.status";
    let reply = client.send("POST", path, "application/x-ndjson", lines()).unwrap();
    let item = json!({"create": {"status": 201}});
    assert_eq!(reply.body, json!({"errors": false, "items": [item, item]}));
    assert_eq!(server.requests()[0].parameter("filter_path"), Some("errors,items.*.status"));
}

#[test]
fn items_are_refused_by_a_rule() {
    let server = Server::start();
    let mut tries = 0;
    server.refuse(move |item| {
        tries += usize::from(item.id == "a");
        match item.id.as_str() {
            "a" if tries == 1 => Some(Refusal::TOO_MANY),
            "b" => Some(Refusal::MAPPING),
            _ => None,
        }
    });
    let client = Client::new(&server.url());
    let reply = client.bulk(TWO);
    assert_eq!(reply.item_statuses(), [429, 400]);
    let error = |place: usize| &reply.body["items"][place]["create"]["error"]["type"];
    assert_eq!(*error(0), "es_rejected_execution_exception");
    assert_eq!(*error(1), "document_parsing_exception");
    assert_eq!(client.bulk(TWO).item_statuses(), [201, 400]);
    assert_eq!(identifiers(&server), ["a"]);
}

#[test]
fn steps_come_in_order_and_then_what_is_for_always() {
    let server = Server::start();
    let error = Answer::error(503, "unavailable_shards_exception", "later");
    server.next("/_bulk", Step::answer(error.header("retry-after", "7")));
    server.next("/_bulk", Step::status(413));
    server.always("/_bulk", Step::status(401));
    let bulk = format!("{}/_bulk", server.url());
    let response = agent(PATIENCE).post(&bulk).send(TWO).unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["retry-after"]),
        (503, &"7".parse().unwrap())
    );
    assert_eq!(Client::new(&server.url()).get("/").status, 200);
    let statuses = [0; 3].map(|_| send_two(&server).unwrap().status);
    assert_eq!(statuses, [413, 401, 401]);
    server.always("/_bulk", Step::status(403));
    assert_eq!(send_two(&server).unwrap().status, 403);
    server.always("/_bulk", Step::emulate());
    assert_eq!(send_two(&server).unwrap().item_statuses(), [201, 201]);
}

#[test]
fn answers_are_delayed() {
    let server = Server::start();
    server.always("/_bulk", Step::emulate().after(Duration::from_millis(200)));
    let begin = Instant::now();
    assert_eq!(send_two(&server).unwrap().item_statuses(), [201, 201]);
    assert!(begin.elapsed() >= Duration::from_millis(200));
}

#[test]
fn requests_are_held_until_they_are_let_go_the_oldest_first() {
    let server = Server::start();
    server.always("/_bulk", Step::emulate().held());
    let wait_for = |count: usize| {
        let begin = Instant::now();
        while server.held().len() != count {
            assert!(begin.elapsed() < PATIENCE, "{} are held", server.held().len());
            thread::sleep(Duration::from_millis(1));
        }
    };
    thread::scope(|scope| {
        let first = scope.spawn(|| send_two(&server).unwrap());
        wait_for(1);
        let others = [(); 2].map(|()| scope.spawn(|| send_two(&server).unwrap()));
        wait_for(3);
        assert!(server.held().is_sorted());
        assert!(server.documents().is_empty(), "nothing is done before");
        server.let_one_go();
        assert_eq!(first.join().unwrap().item_statuses(), [201, 201]);
        assert_eq!(server.held().len(), 2);
        server.let_all_go();
        for other in others {
            assert_eq!(other.join().unwrap().item_statuses(), [409, 409]);
        }
    });
    assert_eq!(server.most_at_once(), 3);
    assert_eq!(send_two(&server).unwrap().status, 200, "none is held any more");
}

#[test]
fn a_request_that_hangs_is_taken_and_never_answered() {
    let server = Server::start();
    server.next("/_bulk", Step::manner(Manner::Never));
    let request = agent(Duration::from_millis(300)).post(format!("{}/_bulk", server.url()));
    let error = request.header("content-type", "application/x-ndjson").send(TWO).unwrap_err();
    assert!(matches!(error, ureq::Error::Timeout(_)), "{error:?}");
    assert_eq!(send_two(&server).unwrap().item_statuses(), [409, 409]);
}

#[test]
fn a_body_is_left_unread() {
    let server = Server::start();
    server.next("/_bulk", Step::manner(Manner::Unread));
    // More than the buffers of the connection hold.
    let body = vec![b' '; 32 << 20];
    let request = agent(Duration::from_millis(500)).post(format!("{}/_bulk", server.url()));
    let error = request.send(&body).unwrap_err();
    assert!(matches!(error, ureq::Error::Timeout(_)), "{error:?}");
    assert!(server.requests()[0].body.is_empty());
}

#[test]
fn connections_are_cut_in_a_request() {
    let server = Server::start();
    server.always("/_bulk", Step::manner(Manner::CutRequest(10)));
    assert!(send_two(&server).is_err());
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"POST /_bulk HTTP/1.1\r\ncontent-length: 1000\r\n\r\n0123456789").unwrap();
    let error = stream.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let bodies = server.requests().into_iter().map(|request| request.body);
    assert_eq!(bodies.collect::<Vec<_>>(), [&TWO.as_bytes()[..10], b"0123456789"]);
    assert!(server.documents().is_empty());
    server.always("/_bulk", Step::emulate());
    assert_eq!(send_two(&server).unwrap().item_statuses(), [201, 201]);
}

#[test]
fn connections_are_cut_in_an_answer() {
    for octets in [0, 20, 150] {
        let server = Server::start();
        server.next("/_bulk", Step::manner(Manner::CutAnswer(octets)));
        let error = send_two(&server).expect_err("the answer is cut");
        // The documents were taken all the same.
        assert_eq!(send_two(&server).unwrap().item_statuses(), [409, 409], "{octets} {error}");
    }
}

#[test]
fn answers_come_an_octet_at_a_time() {
    let server = Server::start();
    server.next("/_bulk", Step::manner(Manner::Drip(Duration::from_millis(1))));
    let begin = Instant::now();
    assert_eq!(send_two(&server).unwrap().item_statuses(), [201, 201]);
    assert!(begin.elapsed() > Duration::from_millis(150), "{:?}", begin.elapsed());
}

#[test]
fn garbage_is_no_answer() {
    let server = Server::start();
    server.next("/_bulk", Step::manner(Manner::Garbage));
    assert!(send_two(&server).is_err());
    assert!(server.documents().is_empty());
}

#[test]
fn an_answer_comes_before_the_body_is_read() {
    let server = Server::start();
    let answer = Answer::status(413);
    server.next("/_bulk", Step::answer(answer).given(Manner::Early));
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"POST /_bulk HTTP/1.1\r\ncontent-length: 1000\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("connection: close\r\n"), "{answer}");
}

#[test]
fn a_flood_is_as_long_as_it_is_told() {
    let server = Server::start();
    server.next("/", Step::manner(Manner::Flood(1 << 24)));
    server.next("/", Step::manner(Manner::Flood(u64::MAX)));
    let get = || agent(PATIENCE).get(server.url()).call().unwrap();
    let read = get().body_mut().with_config().limit(1 << 30).read_to_vec().unwrap();
    assert_eq!(read.len(), 1 << 24);
    let error = get().body_mut().with_config().limit(1 << 25).read_to_vec().unwrap_err();
    assert!(matches!(error, ureq::Error::BodyExceedsLimit(_)), "{error:?}");
}

#[test]
fn the_server_ends_while_requests_wait() {
    let server = Server::start();
    server.always("/", Step::manner(Manner::Never));
    let address = server.address();
    let client = Client::new(&server.url());
    let waiting =
        thread::spawn(move || client.send("GET", "/", "application/json", Vec::new()).is_err());
    assert!(server.wait_for_requests(1, PATIENCE));
    drop(server);
    assert!(waiting.join().unwrap());
    assert!(TcpStream::connect(address).is_err());
    let server = Server::start_at(address);
    assert_eq!(Client::new(&server.url()).get("/").status, 200);
}

#[test]
fn documents_are_taken_over_tls() {
    let authority = Authority::new();
    let identity = authority.certify("127.0.0.1");
    let server = Server::start_tls(server_config(&identity, &TLS13, None));
    assert!(server.url().starts_with("https://127.0.0.1:"));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_root_certificates(authority.roots())
        .with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut stream = StreamOwned::new(connection, stream);
    let length = TWO.len();
    let head = format!(
        "POST /_bulk HTTP/1.1\r\ncontent-type: application/x-ndjson\r\n\
         connection: close\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(TWO.as_bytes()).unwrap();
    let mut answer = Vec::new();
    // The server ends the connection without the alert that TLS has for that.
    drop(stream.read_to_end(&mut answer));
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["items"][1]["create"]["status"], 201);
    assert_eq!(identifiers(&server), ["a", "b"]);
}
