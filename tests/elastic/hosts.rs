//! Clusters of several hosts, of which some do not answer for a time.

use std::collections::HashSet;
use std::time::Duration;

use crate::replay::{self, BULK, assert_accounted, capture, delivered, output};
use crate::scripted::{Server, Step};
use crate::support;

const FLOWS: u64 = 3000;

/// Longer than a run takes, on a busy machine.
const BOUND: Duration = Duration::from_secs(60);

/// Each request takes this long, so that a run takes some seconds.
const DELAY: Duration = Duration::from_millis(100);

fn start_slow(server: Server) -> Server {
    server.always(BULK, Step::emulate().after(DELAY));
    server
}

/// The servers have all documents together.
#[track_caller]
fn assert_complete(servers: &[&Server]) {
    let documents = servers.iter().flat_map(|server| server.documents());
    let ids: HashSet<_> = documents.map(|item| item.id).collect();
    assert_eq!(ids.len() as u64, FLOWS);
}

#[test]
fn hosts_are_used_in_turn() {
    let servers: [Server; 3] = [(); 3].map(|()| Server::start());
    let folder = support::scratch();
    let urls: Vec<_> = servers.iter().map(Server::url).collect();
    let replay =
        replay::start(&capture(&folder, FLOWS as u32), &output(&urls, "batch=100k&connections=1"));
    let (run, _) = replay.end_within(BOUND);
    assert_accounted(&run);
    assert_eq!((run.status, delivered(&run, "accepted")), (0, FLOWS), "{}", run.stats);
    assert_complete(&servers.each_ref());
    let requests = servers.each_ref().map(|server| server.requests_to(BULK).len());
    let (least, most) = (requests.iter().min().unwrap(), requests.iter().max().unwrap());
    assert!(most - least <= 1, "{requests:?}");
}

#[test]
fn host_that_goes_is_left_out_and_used_again_when_it_comes_back() {
    let stays = start_slow(Server::start());
    let goes = start_slow(Server::start());
    let address = goes.address();
    let folder = support::scratch();
    let settings = "batch=50k&connections=1&timeout=2s";
    let replay = replay::start(
        &capture(&folder, FLOWS as u32),
        &output(&[stays.url(), goes.url()], settings),
    );
    assert!(goes.wait_for_requests(3, BOUND), "both are used");
    let before = goes.documents();
    drop(goes);
    let now = stays.requests().len();
    assert!(stays.wait_for_requests(now + 5, BOUND), "the other one goes on");
    let back = start_slow(Server::start_at(address));
    assert!(back.wait_for_requests(5, BOUND), "it is used again");
    let (run, _) = replay.end_within(BOUND);
    assert_accounted(&run);
    assert_eq!(run.status, 0, "{}", run.stderr);
    assert!(run.count("outputs.0.errors") > 0, "{}", run.stats);
    // A small question came first.
    assert_eq!((back.requests()[0].method(), back.requests()[0].path()), ("GET", "/"));
    // These servers do not know what the others have: a request without an answer came twice.
    let documents = [stays.documents(), before, back.documents()].concat();
    let ids: HashSet<_> = documents.into_iter().map(|item| item.id).collect();
    assert_eq!(ids.len() as u64, FLOWS);
    assert_eq!(delivered(&run, "accepted"), FLOWS, "{}", run.stats);
}

#[test]
fn host_that_was_never_there_holds_nothing_up() {
    let nobody = Server::start().url();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = (format!("http://{}", silent.local_addr().unwrap()), silent);
    let server = Server::start();
    let folder = support::scratch();
    // A request to the silent one is given up after 1 s.
    let replay = replay::start(
        &capture(&folder, FLOWS as u32),
        &output(&[nobody, silent.0, server.url()], "batch=100k&timeout=1s"),
    );
    let (run, _) = replay.end_within(BOUND);
    assert_accounted(&run);
    assert_eq!((run.status, delivered(&run, "accepted")), (0, FLOWS), "{}", run.stats);
    assert_complete(&[&server]);
}

#[test]
fn host_with_too_much_to_do_is_left_alone_and_the_others_take_all() {
    let busy = Server::start();
    busy.always(BULK, Step::status(503));
    let server = Server::start();
    let folder = support::scratch();
    let replay = replay::start(
        &capture(&folder, FLOWS as u32),
        &output(&[busy.url(), server.url()], "batch=100k"),
    );
    let (run, _) = replay.end_within(BOUND);
    assert_accounted(&run);
    assert_eq!((run.status, delivered(&run, "accepted")), (0, FLOWS), "{}", run.stats);
    assert_complete(&[&server]);
    assert!(busy.requests().len() < 10, "{} requests", busy.requests().len());
}
