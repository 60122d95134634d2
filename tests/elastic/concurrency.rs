//! How many requests are under way: as many as help, and fewer while a cluster has too much to do.
//!
//! The server holds each request until the test lets it go. So nothing depends on how fast the
//! machine is: only what is asked for here passes while a request is under way.

use std::thread;
use std::time::{Duration, Instant};

use exporter::{DeliveryReport, Exporter};
use flow::{Batch, FlowRecord};

use crate::replay::{BULK, open_live};
use crate::scripted::{Answer, Refusal, Server, Step};
use crate::support::record::datagram;

/// The most requests under way.
const MOST: u64 = 8;

/// How long something may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// An output that always has something to send, and its server.
struct Output {
    server: Server,
    exporter: Box<dyn Exporter>,
    records: u64,
    begin: Instant,
}

impl Output {
    fn start() -> Self {
        let server = Server::start();
        server.always(BULK, Step::emulate().held());
        let url = format!(
            "elastic+http://{}?batch=10k&memory=1G&gzip=0&connections={MOST}",
            server.address()
        );
        let exporter = open_live(&url);
        Self { server, exporter, records: 0, begin: Instant::now() }
    }

    fn delivery(&self) -> DeliveryReport {
        self.exporter.counts().delivery.unwrap()
    }

    fn wait_until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        loop {
            let (is_so, state) = (is_so(), self.delivery());
            assert!(self.begin.elapsed() < PATIENCE, "not in time: {what}: {state:?}");
            if is_so {
                break;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Adds documents until several requests wait.
    fn fill(&mut self) {
        while self.delivery().waiting_octets < 200_000 {
            self.exporter.export(&Batch::from(&[record(self.records)][..])).unwrap();
            self.records += 1;
        }
    }

    /// Waits until as many requests are under way as may be. That number stays until one is
    /// answered.
    fn settle(&mut self) -> u64 {
        self.fill();
        self.wait_until("all requests are under way", || {
            let DeliveryReport { in_flight, concurrency_limit, .. } = self.delivery();
            let held = self.server.held().len() as u64;
            held == in_flight && in_flight == concurrency_limit
        });
        self.delivery().concurrency_limit
    }

    /// Answers the oldest request once it has taken this time. Returns the limit after it.
    fn answer(&mut self, time: Duration) -> u64 {
        self.wait_until("a request is under way", || !self.server.held().is_empty());
        let before = self.delivery();
        let oldest = self.server.held()[0];
        thread::sleep((oldest + time).saturating_duration_since(Instant::now()));
        self.server.let_one_go();
        self.wait_until("an answer", || self.delivery().requests > before.requests);
        let limit = self.delivery().concurrency_limit;
        assert!(limit.abs_diff(before.concurrency_limit) <= 1, "by one: {before:?}, {limit}");
        limit
    }

    /// Requests take this time until the limit is at its most.
    fn rise(&mut self, time: Duration) {
        while self.settle() < MOST {
            self.answer(time);
        }
    }

    /// All that is left is sent. Each document is accounted for.
    #[track_caller]
    fn finish(mut self) {
        self.server.always(BULK, Step::emulate());
        self.server.let_all_go();
        self.exporter.finish().unwrap();
        let delivery = self.delivery();
        assert_eq!(delivery.accepted, self.records, "{delivery:?}");
        assert_eq!((delivery.in_flight, delivery.waiting_octets), (0, 0), "{delivery:?}");
        assert_eq!(self.server.documents().len() as u64, self.records);
    }
}

fn record(number: u64) -> FlowRecord {
    let mut record = datagram();
    record.key.source[..4].copy_from_slice(&u32::try_from(number).unwrap().to_be_bytes());
    record
}

#[test]
fn limit_rises_whatever_a_request_takes() {
    for millis in [0, 50, 500] {
        let mut output = Output::start();
        assert_eq!(output.settle(), 1, "it begins at 1");
        output.rise(Duration::from_millis(millis));
        assert_eq!(output.server.held().len() as u64, MOST);
        output.finish();
    }
}

/// Checks that the limit falls while the server says that it has too much to do, and recovers.
fn check_fall(begin: impl Fn(&Server), end: impl Fn(&Server)) {
    const TIME: Duration = Duration::from_millis(20);
    let mut output = Output::start();
    output.rise(TIME);
    begin(&output.server);
    let mut limits = vec![MOST];
    while limits.last() > Some(&(MOST - 3)) {
        // Those that are refused together are one reason to fall.
        thread::sleep(2 * TIME);
        limits.push(output.answer(TIME));
    }
    end(&output.server);
    output.rise(TIME);
    output.finish();
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
        |server| server.always(BULK, Step::answer(busy.clone()).held()),
        |server| server.always(BULK, Step::emulate().held()),
    );
}

#[test]
fn limit_falls_when_requests_take_longer_and_gets_used_to_it() {
    let mut output = Output::start();
    let mut time = Duration::from_millis(5);
    output.rise(time);
    for _ in 0..2 {
        // The longer requests took so far, on a busy machine, the more is much longer.
        while output.settle() == MOST {
            time *= 4;
            assert!(time < PATIENCE / 4, "it does not fall");
            output.answer(time);
        }
        output.rise(time);
    }
    output.finish();
}
