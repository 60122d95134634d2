//! Collectors over TCP that refuse, reset, stall or vanish.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::libc::linger;
use nix::sys::socket::{setsockopt, sockopt};

use crate::support::capture::{Captured, pcap};
use crate::support::ipfix::{Message, session, whole_messages};
use crate::support::{Run, run_with_input, scratch};
use crate::{
    DONE, FAILED, assert_error, assert_given_up, datagram, finish, many_flows, read_all, start,
};

/// A collector that listens, and the URL of it.
fn collector() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ipfix+tcp://{}", listener.local_addr().unwrap());
    (listener, url)
}

/// Takes one connection and all that comes over it.
fn take_all(listener: TcpListener) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || read_all(listener.accept().unwrap().0))
}

/// Ends a connection as a host does that knows nothing of it.
fn reset(stream: TcpStream) {
    setsockopt(&stream, sockopt::Linger, &linger { l_onoff: 1, l_linger: 0 }).unwrap();
}

/// Reads so much of a connection and resets it.
fn read_some_and_reset(listener: &TcpListener, octets: usize) -> Vec<u8> {
    let (mut stream, _) = listener.accept().unwrap();
    let mut read = vec![0; octets];
    stream.read_exact(&mut read).unwrap();
    reset(stream);
    read
}

fn replay(url: &str, file: &[u8]) -> Run {
    let run = run_with_input(["-r", "-", "-o", url], file);
    run.assert_conservation();
    run
}

fn flows(messages: &[Message]) -> u64 {
    messages.iter().map(|message| message.flows().count() as u64).sum()
}

/// Checks what makes a transport session: templates before anything else, and sequence numbers
/// that count Data Records from 0.
fn assert_session(messages: &[Message]) {
    assert!(messages[0].has_templates());
    assert_eq!(messages[0].flows().count(), 0);
    let mut records = 0;
    for message in messages {
        assert_eq!(message.sequence as usize, records);
        records += message.data_records();
    }
}

#[test]
fn stream_is_the_same_as_a_file() {
    let file = many_flows(20_000);
    let (listener, url) = collector();
    let taken = take_all(listener);
    let run = replay(&url, &file);
    assert_eq!(run.status, DONE, "{}", run.stderr);
    assert_eq!(run.count("outputs.0.sent.records"), 20_000);
    let taken = taken.join().unwrap();
    assert_eq!(run.count("outputs.0.octets"), taken.len() as u64);
    let messages = session(&taken);
    assert_session(&messages);
    assert_eq!(run.count("outputs.0.messages"), messages.len() as u64);
    assert!(taken == run_with_input(["-r", "-", "-o", "ipfix-file:-"], &file).stdout);
}

#[test]
fn refused_connection_is_tried_again_and_then_an_error() {
    let (listener, url) = collector();
    drop(listener);
    let begin = Instant::now();
    let run = run_with_input(["-r", "-", "-o", &format!("{url}?wait=2s")], &many_flows(1));
    assert_given_up(&run, &["cannot connect", &url, "connection refused", "given up after 2 s"]);
    assert!(begin.elapsed() >= Duration::from_secs(2), "{:?}", begin.elapsed());
}

#[test]
fn collector_that_listens_soon_after_the_start_loses_nothing() {
    let (listener, url) = collector();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let taken = thread::spawn(move || {
        thread::sleep(Duration::from_millis(500));
        take_all(TcpListener::bind(address).unwrap()).join().unwrap()
    });
    let run = replay(&url, &many_flows(5));
    assert_eq!(run.status, DONE, "{}", run.stderr);
    assert_eq!(flows(&session(&taken.join().unwrap())), 5);
}

#[test]
fn connection_that_is_reset_is_made_again_and_the_loss_is_counted() {
    const FLOWS: u32 = 100_000;
    let (listener, url) = collector();
    let taken = thread::spawn(move || {
        let first = read_some_and_reset(&listener, 500_000);
        (first, read_all(listener.accept().unwrap().0))
    });
    let run = replay(&url, &many_flows(FLOWS));
    let (first, second) = taken.join().unwrap();
    assert_eq!(run.status, FAILED, "{}", run.stderr);
    assert_eq!(run.count("outputs.0.reconnects"), 1);
    assert!(run.stderr.contains("connection lost"), "{}", run.stderr);
    assert!(run.stderr.contains("connected again"), "{}", run.stderr);
    let (first, second) = (session(whole_messages(&first)), session(&second));
    assert_session(&first);
    assert_session(&second);
    // What was read has arrived. The rest of what counts as sent was acknowledged at least.
    let (sent, failed) =
        (run.count("outputs.0.sent.records"), run.count("outputs.0.failed.records"));
    assert_eq!(sent + failed, u64::from(FLOWS));
    assert!(failed > 0);
    assert!(sent >= flows(&first) + flows(&second), "{sent}");
    // The collector's buffer is all that can be acknowledged and not read.
    let records_of_a_buffer = 8 << 20 >> 6;
    assert!(sent <= flows(&first) + flows(&second) + records_of_a_buffer);
}

#[test]
fn several_resets_are_survived() {
    let (listener, url) = collector();
    let taken = thread::spawn(move || {
        let first = read_some_and_reset(&listener, 100_000);
        let second = read_some_and_reset(&listener, 100_000);
        [first, second, read_all(listener.accept().unwrap().0)]
    });
    // Far more than the buffers of two connections hold.
    let run = replay(&url, &many_flows(250_000));
    assert_eq!(run.count("outputs.0.reconnects"), 2, "{}", run.stderr);
    assert_eq!(run.status, FAILED);
    for part in taken.join().unwrap() {
        assert_session(&session(whole_messages(&part)));
    }
}

#[test]
fn collector_that_closes_in_good_order_is_connected_again() {
    let (listener, url) = collector();
    let taken = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut [0; 100_000]).unwrap();
        // With nothing unread this would be a FIN; what is unread makes it a reset.
        drop(stream);
        read_all(listener.accept().unwrap().0)
    });
    let run = replay(&url, &many_flows(100_000));
    assert_eq!(run.count("outputs.0.reconnects"), 1, "{}", run.stderr);
    assert_session(&session(&taken.join().unwrap()));
}

#[test]
fn collector_that_vanishes_at_the_very_end_does_not_hold_up_the_program() {
    let (listener, url) = collector();
    let mut child = start(&["-r", "-", "-o", &url]);
    let mut stdin = child.stdin.take().unwrap();
    // More than a pipe holds, so the program has connected and reads; but what it has to say of
    // that is less than it sends at once.
    let mut frame = datagram(0, 0);
    frame.data.resize(1000, 0);
    let packets: Vec<_> = (0..500)
        .map(|port| Captured { data: with_port(&frame.data, port), ..frame.clone() })
        .collect();
    stdin.write_all(&pcap(&packets)).unwrap();
    let (stream, _) = listener.accept().unwrap();
    // Closes without having read anything, and does not come back.
    drop(listener);
    reset(stream);
    let begin = Instant::now();
    drop(stdin);
    let run = finish(child);
    run.assert_conservation();
    assert_eq!(run.status, FAILED);
    assert_eq!(run.count("outputs.0.failed.records"), 500);
    // There is nothing left that a new connection could be for.
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
}

#[test]
fn reset_while_the_end_is_awaited_is_noticed_at_once() {
    let (listener, url) = collector();
    // What it has room for is less than what is sent, and that is less than a sender holds.
    setsockopt(&listener, sockopt::RcvBuf, &4096).unwrap();
    let mut child = start(&["-r", "-", "-o", &url]);
    let feeder = crate::feed(&mut child, many_flows(10_000));
    let (stream, _) = listener.accept().unwrap();
    drop(listener);
    feeder.join().unwrap();
    // By now the program has nothing else to do than to wait.
    thread::sleep(Duration::from_secs(1));
    assert!(child.try_wait().unwrap().is_none(), "it waits for the end");
    let begin = Instant::now();
    reset(stream);
    let run = finish(child);
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    run.assert_conservation();
    assert_eq!(run.status, FAILED);
    assert!(run.count("outputs.0.failed.records") > 0, "{}", run.stats);
    assert_error(&run, &[&url, "the end was lost", "reset"]);
}

/// The frame of a datagram from another port.
fn with_port(frame: &[u8], port: u16) -> Vec<u8> {
    [&frame[..34], &port.to_be_bytes(), &frame[36..]].concat()
}

#[test]
fn collector_that_stops_reading_holds_up_the_replay_and_nothing_is_lost() {
    const FLOWS: u32 = 250_000;
    let file = many_flows(FLOWS);
    let (listener, url) = collector();
    // A small table, so that records leave as packets come.
    let mut child = start(&["-r", "-", "-o", &url, "--max-flows", "5000"]);
    let fed = Arc::new(AtomicUsize::new(0));
    let feeder = feed_and_count(&mut child, file.clone(), &fed);
    let (stream, _) = listener.accept().unwrap();
    // Until the program takes no more of its input.
    let stalled_at = wait_for_stall(&fed);
    assert!(stalled_at < file.len(), "all {stalled_at} octets were taken");
    let taken = read_all(stream);
    let run = finish(child);
    feeder.join().unwrap();
    run.assert_conservation();
    assert_eq!(run.status, DONE, "{}", run.stderr);
    assert_eq!(run.count("outputs.0.sent.records"), u64::from(FLOWS));
    assert_eq!(flows(&session(&taken)), u64::from(FLOWS));
}

fn feed_and_count(
    child: &mut std::process::Child,
    octets: Vec<u8>,
    fed: &Arc<AtomicUsize>,
) -> JoinHandle<()> {
    let (mut stdin, fed) = (child.stdin.take().unwrap(), Arc::clone(fed));
    thread::spawn(move || {
        for piece in octets.chunks(10_000) {
            stdin.write_all(piece).unwrap();
            fed.fetch_add(piece.len(), Ordering::Relaxed);
        }
    })
}

/// Waits until nothing was fed for half a second, and says how much was before.
fn wait_for_stall(fed: &AtomicUsize) -> usize {
    let mut last = (0, Instant::now());
    loop {
        let now = fed.load(Ordering::Relaxed);
        if now != last.0 {
            last = (now, Instant::now());
        } else if now > 0 && last.1.elapsed() > Duration::from_millis(500) {
            return now;
        }
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn collector_that_does_not_come_back_is_given_up() {
    let folder = scratch();
    let path = folder.path().join("whole.json");
    let json = format!("json:{}", path.to_str().unwrap());
    let (listener, url) = collector();
    let taken = thread::spawn(move || read_some_and_reset(&listener, 100_000));
    let begin = Instant::now();
    let run = run_with_input(
        ["-r", "-", "-o", &format!("{url}?wait=2s"), "-o", &json],
        &many_flows(100_000),
    );
    taken.join().unwrap();
    // As long as it says that it waited.
    assert!(begin.elapsed() >= Duration::from_secs(2), "{:?}", begin.elapsed());
    run.assert_conservation();
    assert_eq!(run.status, FAILED);
    assert_error(&run, &[&url, "did not come back in 2 s"]);
    assert!(run.count("outputs.0.failed.records") > 0);
    // The other output was only held up.
    assert_eq!(run.count("outputs.1.sent.records"), 100_000);
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 100_000);
}
