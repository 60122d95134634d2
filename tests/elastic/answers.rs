//! Answers of a cluster that is unwell for a time: no document is lost, and none comes twice.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::replay::{self, BULK, assert_accounted, capture, delivered, ended, output, replay};
use crate::scripted::{Answer, Manner, Refusal, Server, Step};
use crate::support::{self, Run};

const FLOWS: u64 = 500;

/// Longer than pauses and requests that are given up take, on a busy machine.
const BOUND: Duration = Duration::from_secs(30);

/// How long a request may take, in seconds, and the run while nothing is accepted.
#[derive(Clone, Copy)]
struct Times {
    request: u32,
    run: u32,
}

const SHORT: Times = Times { request: 1, run: 20 };

/// Replays into a server, in small batches. Returns the run and the most memory that it had.
#[track_caller]
fn replay_into(server: &Server, times: Times, settings: &str) -> (Run, u64) {
    let folder = support::scratch();
    let file = capture(&folder, FLOWS as u32);
    let Times { request, run } = times;
    let times = format!("batch=100k&timeout={request}s&give-up={run}s");
    let output = output(&[server.url()], &(times + settings));
    let (run, memory) = replay::start(&file, &output).end_within(BOUND);
    assert_accounted(&run);
    (run, memory)
}

/// The server has each document once, and the program knows.
#[track_caller]
fn assert_complete(server: &Server, run: &Run) {
    assert_eq!(run.status, 0, "{}", run.stderr);
    let sent = delivered(run, "accepted") + delivered(run, "duplicate");
    assert_eq!((ended(run), sent), (FLOWS, FLOWS), "{}", run.stats);
    let ids: HashSet<_> = server.documents().into_iter().map(|item| item.id).collect();
    assert_eq!((ids.len(), server.documents().len()), (FLOWS as usize, FLOWS as usize));
}

/// The first request is answered so, later ones as they should be.
#[track_caller]
fn check(step: Step) -> Run {
    let server = Server::start();
    server.next(BULK, step);
    let (run, memory) = replay_into(&server, SHORT, "");
    assert_complete(&server, &run);
    assert!(run.count("outputs.0.errors") >= 1, "{}", run.stats);
    assert!(run.count("outputs.0.retried") >= 1, "{}", run.stats);
    assert!(memory < 300 << 20, "{memory} octets of memory");
    run
}

#[test]
fn trouble_of_a_person_to_deal_with_is_named_and_passes() {
    let security =
        |status, reason| Step::answer(Answer::error(status, "security_exception", reason));
    let run = check(security(401, "missing authentication credentials"));
    let words = "HTTP status 401, security_exception: missing authentication credentials";
    assert!(run.stderr.contains(words), "{}", run.stderr);
    assert!(run.stderr.contains("documents are accepted again"), "{}", run.stderr);
    check(security(403, "action [indices:data/write/bulk] is unauthorized"));
    check(Step::answer(Answer::error(404, "index_not_found_exception", "no such index")));
    check(Step::answer(Answer::error(400, "illegal_argument_exception", "no such pipeline")));
}

#[test]
fn busy_cluster_is_asked_again() {
    let busy = Answer::error(429, "es_rejected_execution_exception", "rejected");
    check(Step::answer(busy));
    for status in [408, 500, 502, 503, 504] {
        check(Step::status(status));
    }
}

/// How long the program leaves a server alone that asks for it.
fn pause(retry_after: &str) -> Duration {
    let server = Server::start();
    server.next(BULK, Step::answer(Answer::status(503).header("retry-after", retry_after)));
    let begin = Instant::now();
    let (run, _) = replay_into(&server, SHORT, "&connections=1");
    assert_complete(&server, &run);
    begin.elapsed()
}

#[test]
fn server_says_how_long_to_leave_it_alone() {
    // Without that a pause is a second at most.
    assert!(pause("2") >= Duration::from_secs(2));
    let in_4_seconds = date(Duration::from_secs(4));
    assert!(pause(&in_4_seconds) >= Duration::from_secs(2), "{in_4_seconds}");
    for other in ["0", "-1", "soon", "Wed, 21 Oct 2015 07:28:00 GMT"] {
        assert!(pause(other) < Duration::from_secs(10), "{other}");
    }
}

/// The date in so long a time, as HTTP has it.
fn date(later: Duration) -> String {
    let time = format!("+{} seconds", later.as_secs());
    let format = "+%a, %d %b %Y %H:%M:%S GMT";
    let output = Command::new("date").env("LC_ALL", "C").args(["-u", "-d", &time, format]).output();
    String::from_utf8(output.unwrap().stdout).unwrap().trim().to_owned()
}

#[test]
fn server_that_asks_for_no_pause_is_left_alone_all_the_same() {
    let server = Server::start();
    server.always(BULK, Step::answer(Answer::status(503).header("retry-after", "0")));
    server.always("/", Step::answer(Answer::status(503).header("retry-after", "0")));
    let (run, _) = replay_into(&server, Times { run: 2, ..SHORT }, "");
    assert_eq!(run.status, 1, "{}", run.stderr);
    assert!(server.requests().len() < 50, "{} requests", server.requests().len());
}

#[test]
fn answers_that_make_no_sense_are_none() {
    check(Step::manner(Manner::Garbage));
    check(Step::status(200));
    check(Step::status(204));
    check(Step::answer(Answer { body: b"<html>it works</html>".to_vec(), ..Answer::status(200) }));
    for body in [json!({}), json!([]), json!({"errors": false}), json!({"items": "all"})] {
        check(Step::answer(Answer::json(200, &body)));
    }
}

#[test]
fn answer_without_an_item_for_each_action_is_none() {
    let answer = |items: Value| Step::answer(Answer::json(200, &json!({"items": items})));
    let created = json!({"create": {"status": 201}});
    check(answer(json!([])));
    check(answer(json!([created])));
    check(answer(Value::from(vec![created; 100_000])));
    check(answer(Value::from(vec![json!({"create": {}}); 10])));
    check(answer(Value::from(vec![json!({"delete": {"status": 200}}); 10])));
}

#[test]
fn redirect_is_not_followed() {
    let elsewhere = Server::start();
    for status in [301, 302, 307, 308] {
        let location = format!("{}{BULK}", elsewhere.url());
        check(Step::answer(Answer::status(status).header("location", &location)));
    }
    assert!(elsewhere.requests().is_empty(), "nobody said that it may have the documents");
}

#[test]
fn cut_connection_loses_nothing() {
    for octets in [0, 1, 1000] {
        check(Step::manner(Manner::CutRequest(octets)));
    }
    // In the head of the answer, between head and body, and in the body.
    for octets in [0, 10, 60, 100, 1000] {
        check(Step::manner(Manner::CutAnswer(octets)));
    }
}

#[test]
fn request_that_hangs_is_given_up() {
    let run = check(Step::manner(Manner::Never));
    assert!(run.stderr.contains("there was no answer in time"), "{}", run.stderr);
    check(Step::manner(Manner::Unread));
    check(Step::emulate().after(Duration::from_secs(3)));
}

#[test]
fn answer_that_comes_an_octet_at_a_time_is_given_up() {
    // The time is for the whole request, not for each octet.
    let run = check(Step::manner(Manner::Drip(Duration::from_millis(100))));
    assert!(run.stderr.contains("there was no answer in time"), "{}", run.stderr);
}

#[test]
fn answer_of_a_gigabyte_is_not_read() {
    let server = Server::start();
    for _ in 0..4 {
        server.next(BULK, Step::manner(Manner::Flood(1 << 30)));
    }
    let (run, memory) = replay_into(&server, Times { request: 20, ..SHORT }, "");
    assert_complete(&server, &run);
    assert!(run.stderr.contains("the answer has more than"), "{}", run.stderr);
    assert!(memory < 200 << 20, "{memory} octets of memory");
}

#[test]
fn request_that_is_too_large_is_sent_in_parts() {
    let server = Server::start();
    server.limit_bodies(10_000);
    let (run, _) = replay_into(&server, SHORT, "");
    assert_complete(&server, &run);
    assert!(server.requests_to(BULK).len() > 50, "about 6 documents fit");
}

#[test]
fn server_that_ends_the_connection_when_a_request_is_too_large_has_it_in_parts() {
    // So does nginx: it answers at once, and does not read the body.
    check(Step::status(413).given(Manner::Early));
}

#[test]
fn document_that_is_too_large_alone_is_kept() {
    let server = Server::start();
    server.limit_bodies(10);
    let folder = support::scratch();
    let kept = folder.path().join("dead.ndjson");
    let (run, _) = replay_into(&server, SHORT, &format!("&dead-letter={}", kept.display()));
    assert_eq!(delivered(&run, "dead_lettered"), FLOWS, "{}", run.stats);
    assert_eq!(run.status, 1, "nothing arrived: {}", run.stderr);
    let lines = fs::read_to_string(kept).unwrap();
    assert_eq!(lines.lines().count(), FLOWS as usize);
    assert!(lines.lines().all(|line| line.contains("request_too_large")), "{lines}");
}

#[test]
fn documents_that_are_refused_for_now_are_sent_again_alone() {
    let server = Server::start();
    let mut tries: HashMap<String, u32> = HashMap::new();
    server.refuse(move |item| {
        let tries = tries.entry(item.id.clone()).or_default();
        *tries += 1;
        (item.place % 3 == 0 && *tries < 3).then_some(Refusal::TOO_MANY)
    });
    let (run, _) = replay_into(&server, SHORT, "");
    assert_complete(&server, &run);
    assert_eq!(delivered(&run, "duplicate"), 0, "what was taken is not sent again");
}

#[test]
fn documents_that_are_refused_for_good_are_kept_with_the_reason() {
    let server = Server::start();
    let is_bad = |id: &str| id.ends_with('7');
    server.refuse(move |item| is_bad(&item.id).then_some(Refusal::MAPPING));
    let folder = support::scratch();
    let kept = folder.path().join("dead.ndjson");
    let (run, _) = replay_into(&server, SHORT, &format!("&dead-letter={}", kept.display()));
    let bad = FLOWS / 10;
    assert_eq!(run.status, 1, "a dead letter is a loss: {}", run.stderr);
    assert_eq!(delivered(&run, "dead_lettered"), bad, "{}", run.stats);
    assert_eq!(delivered(&run, "accepted"), FLOWS - bad, "{}", run.stats);
    let lines = fs::read_to_string(kept).unwrap();
    let letters = support::documents(lines.as_bytes());
    assert_eq!(letters.len() as u64, bad);
    for letter in letters {
        assert_eq!(letter["error"]["type"], Refusal::MAPPING.kind, "{letter}");
        assert_eq!(letter["error"]["reason"], Refusal::MAPPING.reason, "{letter}");
        assert!(is_bad(letter["action"]["create"]["_id"].as_str().unwrap()), "{letter}");
        assert_eq!(letter["document"]["destination"]["ip"], "192.0.2.1", "{letter}");
    }
}

#[test]
fn documents_at_which_the_cluster_fails_do_not_hold_others() {
    let server = Server::start();
    server.refuse(|item| item.id.ends_with("17").then_some(Refusal::PIPELINE));
    let folder = support::scratch();
    let kept = folder.path().join("dead.ndjson");
    let settings = format!("&connections=1&dead-letter={}", kept.display());
    let (run, _) = replay_into(&server, Times { run: 4, ..SHORT }, &settings);
    assert_eq!(run.status, 1, "{}", run.stderr);
    let bad = FLOWS / 100;
    assert_eq!(delivered(&run, "accepted"), FLOWS - bad, "{}", run.stats);
    assert_eq!(delivered(&run, "dead_lettered"), bad, "{}", run.stats);
    let lines = fs::read_to_string(kept).unwrap();
    assert_eq!(lines.matches(Refusal::PIPELINE.kind).count() as u64, bad, "{lines}");
    // The first of them does not stop the rest, and pauses between tries grow.
    assert!(server.requests_to(BULK).len() < 100, "{}", server.requests_to(BULK).len());
    let told = "a document was refused and is in the dead letter file: fail_processor_exception";
    assert!(run.stderr.contains(told), "{}", run.stderr);
}

#[test]
fn documents_wait_while_the_cluster_fails_at_all() {
    let server = Server::start();
    let mut left = 20;
    server.refuse(move |_| {
        left -= i32::from(left > 0);
        (left > 0).then_some(Refusal { status: 500, ..Refusal::PIPELINE })
    });
    let (run, _) = replay_into(&server, SHORT, "");
    assert_complete(&server, &run);
}

#[test]
fn documents_wait_for_an_index_that_cannot_be_made_yet() {
    let server = Server::start();
    let mut left = 200;
    server.refuse(move |_| {
        left -= i32::from(left > 0);
        (left > 0).then_some(Refusal::SHARDS)
    });
    let (run, _) = replay_into(&server, SHORT, "");
    assert_complete(&server, &run);
    assert!(run.stderr.contains("validation_exception: this action would add"), "{}", run.stderr);
}

#[test]
fn a_lone_document_waits_for_its_pipeline() {
    let server = Server::start();
    let reason = "pipeline with id [nope] does not exist";
    let missing = Refusal { status: 400, kind: "illegal_argument_exception", reason };
    let mut left = 3;
    server.refuse(move |_| {
        left -= i32::from(left > 0);
        (left > 0).then(|| missing.clone())
    });
    let folder = support::scratch();
    let file = capture(&folder, 1);
    let run = replay(&file, &output(&[server.url()], "give-up=20s"));
    assert_eq!((run.status, delivered(&run, "accepted")), (0, 1), "{}", run.stderr);
}

#[test]
fn documents_that_are_refused_for_good_count_where_no_file_keeps_them() {
    let server = Server::start();
    server.refuse(|item| item.id.ends_with('7').then_some(Refusal::MAPPING));
    let (run, _) = replay_into(&server, SHORT, "");
    assert_eq!(delivered(&run, "refused"), FLOWS / 10, "{}", run.stats);
    let told = format!("a document was refused and is lost: {}", Refusal::MAPPING.kind);
    assert_eq!(run.stderr.matches(&told).count(), 1, "{}", run.stderr);
    assert!(!run.stderr.contains("documents wait"), "{}", run.stderr);
}

/// All requests are answered so. The run ends, and says what was lost.
#[track_caller]
fn check_for_ever(step: &Step) {
    let server = Server::start();
    server.always(BULK, step.clone());
    server.always("/", step.clone());
    // Requests take longer than the run has patience.
    let begin = Instant::now();
    let (run, memory) = replay_into(&server, Times { request: 90, run: 2 }, "");
    assert!(begin.elapsed() < Duration::from_secs(15), "{step:?}: {:?}", begin.elapsed());
    assert_eq!(run.status, 1, "{step:?}: {}", run.stderr);
    assert_eq!(delivered(&run, "unsent"), FLOWS, "{step:?}: {}", run.stats);
    assert!(run.stderr.contains("500 documents were not accepted in time"), "{}", run.stderr);
    assert!(memory < 200 << 20, "{memory} octets of memory");
}

#[test]
fn replay_ends_when_nothing_is_accepted() {
    for step in [
        Step::status(404),
        Step::status(429),
        Step::manner(Manner::Never),
        Step::manner(Manner::Unread),
        Step::manner(Manner::Drip(Duration::from_millis(500))),
        Step::manner(Manner::Flood(u64::MAX)),
        Step::manner(Manner::Garbage),
        Step::manner(Manner::CutRequest(10)),
        Step::manner(Manner::CutAnswer(10)),
    ] {
        check_for_ever(&step);
    }
}

#[test]
fn replay_into_a_cluster_that_takes_a_part_of_each_request_does_not_wait_longer_and_longer() {
    let server = Server::start();
    server.refuse(|item| (item.place >= 3).then_some(Refusal::TOO_MANY));
    let folder = support::scratch();
    let file = capture(&folder, 90);
    let begin = Instant::now();
    let run = replay(&file, &output(&[server.url()], "connections=1&give-up=60s"));
    assert_eq!((run.status, delivered(&run, "accepted")), (0, 90), "{}", run.stderr);
    assert_eq!(server.requests_to(BULK).len(), 30);
    // With pauses that double it takes more than a minute.
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
}

#[test]
fn replay_ends_when_nobody_listens() {
    let server = Server::start();
    let url = server.url();
    drop(server);
    let folder = support::scratch();
    let file = capture(&folder, FLOWS as u32);
    let run = replay(&file, &output(&[url], "give-up=1s"));
    assert_accounted(&run);
    assert_eq!(run.status, 1, "{}", run.stderr);
    assert_eq!(delivered(&run, "unsent"), FLOWS, "{}", run.stats);
}

#[test]
fn host_that_may_not_be_asked_is_used_again_after_a_failure() {
    let server = Server::start();
    // A key for writing has no privilege for this.
    server.always("/", Step::answer(Answer::error(403, "security_exception", "unauthorized")));
    server.next(BULK, Step::status(503));
    let (run, _) = replay_into(&server, SHORT, "");
    assert_complete(&server, &run);
}
