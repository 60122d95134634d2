//! How many requests are under way: as many as help, and fewer while a cluster has too much to do.

use std::thread;
use std::time::{Duration, Instant};

use exporter::{Delivery, Exporter};
use flow::{Batch, FlowRecord};

use crate::replay::{BULK, open_live};
use crate::scripted::{Answer, Refusal, Server, Step};
use crate::support::record::datagram;

/// The most requests under way.
const MOST: u64 = 8;

/// How long the limit may take to be what it should be, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);

/// An output that has much to send.
struct Output {
    exporter: Box<dyn Exporter>,
    records: u64,
}

impl Output {
    /// About 6 documents are a request.
    fn start(server: &Server, requests: u64) -> Self {
        let url = format!(
            "elastic+http://{}?batch=10k&memory=1G&gzip=0&connections={MOST}",
            server.address()
        );
        let mut exporter = open_live(&url);
        assert_eq!(exporter.counts().delivery.unwrap().concurrency_limit, 1, "it begins at 1");
        let records = requests * 6;
        for number in 0..records {
            exporter.export(&Batch::from(&[record(number)][..])).unwrap();
        }
        Self { exporter, records }
    }

    fn delivery(&self) -> Delivery {
        self.exporter.counts().delivery.unwrap()
    }

    /// Waits until the limit is as it should be; what it was until then.
    #[track_caller]
    fn wait(&self, what: &str, is_so: impl Fn(u64) -> bool) -> Vec<u64> {
        let begin = Instant::now();
        let mut limits = vec![self.delivery().concurrency_limit];
        while !is_so(*limits.last().unwrap()) {
            let state = self.delivery();
            assert!(state.accepted < self.records, "{what}: too few documents: {limits:?}");
            assert!(begin.elapsed() < PATIENCE, "{what}: {limits:?}");
            assert!(state.in_flight <= MOST, "{state:?}");
            if limits.last() != Some(&state.concurrency_limit) {
                limits.push(state.concurrency_limit);
            }
            thread::sleep(Duration::from_millis(1));
        }
        limits
    }

    /// All that is left is sent. Each document is accounted for.
    #[track_caller]
    fn finish(mut self, server: &Server) {
        server.always(BULK, Step::emulate());
        self.exporter.finish().unwrap();
        let delivery = self.delivery();
        assert_eq!(delivery.accepted, self.records, "{delivery:?}");
        assert_eq!((delivery.in_flight, delivery.waiting_octets), (0, 0), "{delivery:?}");
        assert_eq!(server.documents().len() as u64, self.records);
    }
}

fn record(number: u64) -> FlowRecord {
    let mut record = datagram();
    record.key.source[..4].copy_from_slice(&u32::try_from(number).unwrap().to_be_bytes());
    record
}

fn answer_after(server: &Server, millis: u64) {
    server.always(BULK, Step::emulate().after(Duration::from_millis(millis)));
}

/// Checks that the limit rises one by one where each request takes this long.
fn check_rise(millis: u64, requests: u64) {
    let server = Server::start();
    answer_after(&server, millis);
    let output = Output::start(&server, requests);
    output.wait("it rises", |limit| limit == MOST);
    output.finish(&server);
    assert!(server.most_at_once() as u64 <= MOST, "{}", server.most_at_once());
    // Without a delay requests may end before the next begins.
    assert!(server.most_at_once() as u64 == MOST || millis == 0, "{}", server.most_at_once());
}

#[test]
fn limit_rises_whatever_a_request_takes() {
    check_rise(0, 2000);
    check_rise(50, 500);
    check_rise(500, 150);
}

/// Checks that the limit falls while the server says that it has too much to do, and recovers.
fn check_fall(begin: impl Fn(&Server), end: impl Fn(&Server)) {
    let server = Server::start();
    answer_after(&server, 20);
    let output = Output::start(&server, 1500);
    output.wait("it rises", |limit| limit == MOST);
    begin(&server);
    let limits = output.wait("it falls", |limit| limit <= MOST - 3);
    assert!(limits.is_sorted_by(|before, after| before > after), "one by one: {limits:?}");
    end(&server);
    output.wait("it recovers", |limit| limit == MOST);
    output.finish(&server);
}

#[test]
fn limit_falls_while_documents_are_refused_for_now_and_recovers() {
    let refuse = |server: &Server| server.refuse(|_| Some(Refusal::TOO_MANY));
    check_fall(refuse, |server| server.refuse(|_| None));
}

#[test]
fn limit_falls_while_requests_are_refused_for_now_and_recovers() {
    let busy = Answer::error(429, "es_rejected_execution_exception", "rejected");
    check_fall(
        |server| server.always(BULK, Step::answer(busy.clone())),
        |server| answer_after(server, 20),
    );
}

#[test]
fn limit_falls_when_requests_take_longer_and_gets_used_to_it() {
    let server = Server::start();
    answer_after(&server, 5);
    let output = Output::start(&server, 3000);
    output.wait("it rises", |limit| limit == MOST);
    for millis in [100, 500] {
        answer_after(&server, millis);
        output.wait(&format!("it falls at {millis} ms"), |limit| limit < MOST);
        output.wait(&format!("it gets used to {millis} ms"), |limit| limit == MOST);
    }
    output.finish(&server);
}
