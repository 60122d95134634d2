//! Users who may not write: a replay ends soon, a live run waits.

use std::thread;
use std::time::{Duration, Instant};

use flow::Batch;

use crate::replay::{
    self, BULK, PATIENCE, assert_accounted, capture, delivered, open_live, output,
};
use crate::scripted::{Answer, Refusal, Server, Step};
use crate::support::record::datagram;
use crate::support::{self, Run};

const FLOWS: u64 = 500;

const SECURITY: &str = "security_exception";

/// A replay that could wait for minutes. It is over much sooner, and says what was lost.
#[track_caller]
fn assert_ends_soon(server: &Server, words: &str) -> Run {
    let folder = support::scratch();
    let begin = Instant::now();
    let file = capture(&folder, FLOWS as u32);
    let output = output(&[server.url()], "batch=100k&memory=100k&connections=1");
    let (run, _) = replay::start(&file, &output).end_within(PATIENCE);
    assert!(begin.elapsed() < Duration::from_secs(30), "{:?}", begin.elapsed());
    assert_accounted(&run);
    assert_eq!(run.status, 1, "{}", run.stderr);
    assert!(run.stderr.contains(words), "{words}: {}", run.stderr);
    assert!(run.stderr.contains("were not accepted"), "{}", run.stderr);
    run
}

#[test]
fn replay_ends_soon_if_the_cluster_does_not_know_the_user() {
    let server = Server::start();
    let refusal = Answer::error(401, SECURITY, "unable to authenticate user [me]");
    server.always(BULK, Step::answer(refusal));
    let words = "the cluster does not accept the user's credentials: HTTP status 401, \
                 security_exception: unable to authenticate user [me]";
    let run = assert_ends_soon(&server, words);
    assert_eq!(delivered(&run, "unsent"), FLOWS, "{}", run.stats);
    assert_eq!(server.requests_to(BULK).len(), 3);
}

#[test]
fn replay_ends_soon_if_the_user_may_not_write() {
    let reason = "action [indices:data/write/bulk[s]] is unauthorized for user [me]";
    let server = Server::start();
    server.always(BULK, Step::answer(Answer::error(403, SECURITY, reason)));
    let run = assert_ends_soon(&server, "the user may not write there: HTTP status 403");
    assert_eq!(delivered(&run, "unsent"), FLOWS, "{}", run.stats);
    // Clusters say so for each document, too.
    let server = Server::start();
    let denied = Refusal { status: 403, kind: SECURITY, reason };
    server.refuse(move |_| Some(denied.clone()));
    let words = format!("the user may not write there: security_exception: {reason}");
    let run = assert_ends_soon(&server, &words);
    assert_eq!(delivered(&run, "unsent"), FLOWS, "{}", run.stats);
    assert_eq!(server.requests_to(BULK).len(), 3);
}

#[test]
fn replay_ends_soon_if_the_right_is_taken_away() {
    let server = Server::start();
    let mut left = 100;
    let reason = "the key has expired";
    server.refuse(move |_| {
        left -= i32::from(left > 0);
        (left == 0).then_some(Refusal { status: 401, kind: SECURITY, reason })
    });
    let run = assert_ends_soon(&server, reason);
    assert_eq!(delivered(&run, "accepted"), 99, "{}", run.stats);
    assert_eq!(delivered(&run, "unsent"), FLOWS - 99, "{}", run.stats);
}

#[test]
fn replay_waits_for_an_index_that_is_read_only() {
    let server = Server::start();
    let reason = "index [x] blocked by: [FORBIDDEN/8/index write (api)]";
    let mut left = 4 * FLOWS;
    server.refuse(move |_| {
        left = left.saturating_sub(1);
        (left > 0).then_some(Refusal { status: 403, kind: "cluster_block_exception", reason })
    });
    let folder = support::scratch();
    let file = capture(&folder, FLOWS as u32);
    let run = replay::replay(&file, &output(&[server.url()], "connections=1"));
    assert_eq!((run.status, delivered(&run, "accepted")), (0, FLOWS), "{}", run.stderr);
}

#[test]
fn live_run_waits_for_the_right_to_write() {
    let server = Server::start();
    server.always(BULK, Step::answer(Answer::error(403, SECURITY, "unauthorized")));
    let mut exporter = open_live(&format!("elastic+http://{}?batch=10k", server.address()));
    let begin = Instant::now();
    let wait_until = |is_so: &dyn Fn() -> bool| {
        while !is_so() {
            assert!(begin.elapsed() < PATIENCE, "not in time");
            thread::sleep(Duration::from_millis(10));
        }
    };
    for _ in 0..10 {
        exporter.export(&Batch::from(&[datagram()][..])).unwrap();
    }
    wait_until(&|| server.requests_to(BULK).len() >= 4);
    server.always(BULK, Step::emulate());
    wait_until(&|| !server.documents().is_empty());
    exporter.finish().unwrap();
    assert_eq!(server.documents().len(), 10);
}
