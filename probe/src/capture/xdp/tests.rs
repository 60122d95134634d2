//! Real frames through a real kernel, between namespaces that each test makes and removes.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::veth::{NEAR, Pair, interface};
use super::*;
use crate::capture::afxdp::XskCounts;
use crate::capture::{PacketSource, Polled};

const RING: u32 = 512;

/// Maximum time to wait for frames.
const PATIENCE: Duration = Duration::from_secs(10);

fn open(settings: &XdpSettings) -> Result<(XdpCapture, Vec<XdpSocket>), CaptureError> {
    XdpOpener::new().open(settings)
}

/// To be called in the namespace of the interface.
fn settings(queues: u32, mtu: u32) -> XdpSettings {
    XdpSettings {
        name: NEAR.to_owned(),
        ifindex: interface(NEAR).index,
        number: 70_000,
        mtu,
        queues,
        ring: RING,
        frames: RING,
        memory_max: 1 << 30,
    }
}

/// With room for all frames of a test, however late they are read.
fn roomy(queues: u32, mtu: u32) -> XdpSettings {
    XdpSettings { ring: 16_384, frames: 16_384, ..settings(queues, mtu) }
}

/// An Ethernet frame of `length` octets with an IPv4 and a UDP header and a number. The number
/// selects one of 64 flows.
fn frame(number: u32, length: usize) -> Vec<u8> {
    let mut frame = vec![0u8; length];
    let ip_length = u16::try_from(length - 14).unwrap();
    frame[..14].copy_from_slice(&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0]);
    frame[14..34]
        .copy_from_slice(&[0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 198, 51, 100, 2]);
    frame[16..18].copy_from_slice(&ip_length.to_be_bytes());
    frame[34..36].copy_from_slice(&u16::try_from(4000 + number % 64).unwrap().to_be_bytes());
    frame[36..38].copy_from_slice(&53u16.to_be_bytes());
    frame[38..40].copy_from_slice(&(ip_length - 20).to_be_bytes());
    frame[42..46].copy_from_slice(&number.to_be_bytes());
    for (index, octet) in frame.iter_mut().enumerate().skip(46) {
        *octet = u8::try_from((index + number as usize) % 255).unwrap();
    }
    frame
}

/// The frames by their numbers.
type Received = BTreeMap<u32, Vec<u8>>;

/// Takes frames from the sockets until `count` have come, or a time limit is reached.
fn receive(sockets: &mut [XdpSocket], count: usize) -> Received {
    let mut received = Received::new();
    let begin = Instant::now();
    while received.len() < count && begin.elapsed() < PATIENCE {
        for socket in &mut *sockets {
            let mut lent = 0;
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
            let outcome = socket.poll(100, |frame| {
                lent += 1;
                assert_eq!(frame.wire_length as usize, frame.data.len());
                assert_eq!(frame.point.interface, 70_000);
                let late = u128::from(frame.time.as_millis()).abs_diff(now.as_millis());
                assert!(late < 1000, "{late}");
                let number = u32::from_be_bytes(frame.data[42..46].try_into().unwrap());
                assert!(received.insert(number, frame.data.to_vec()).is_none(), "{number} twice");
            });
            assert!(lent <= 100);
            assert_eq!(outcome.unwrap(), if lent == 0 { Polled::Idle } else { Polled::More });
        }
        let mut files: Vec<_> =
            sockets.iter().map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN)).collect();
        poll(&mut files, PollTimeout::from(10u8)).unwrap();
    }
    received
}

/// Sums of the program's counters and of the sockets' counters.
fn sums(capture: &XdpCapture, sockets: &[XdpSocket]) -> (QueueCounters, XskCounts) {
    let mut program = QueueCounters::default();
    for one in capture.counts().queues {
        program.redirected += one.redirected;
        program.passed += one.passed;
        program.refused += one.refused;
    }
    let mut counts = XskCounts::default();
    for one in sockets.iter().map(|socket| socket.counts().unwrap()) {
        counts.lent += one.lent;
        counts.too_long += one.too_long;
        counts.rx_dropped += one.rx_dropped;
        counts.rx_ring_full += one.rx_ring_full;
        counts.invalid_descriptors += one.invalid_descriptors;
    }
    (program, counts)
}

/// Checks that frames of these lengths arrive complete and are counted, with this number of queues
/// and this MTU.
fn check_all_arrive(queues: u32, mtu: u32, lengths: &[usize], expected_mode: &str) {
    let Some(pair) = Pair::make(queues, mtu) else { return };
    let lengths = lengths.iter().cycle();
    let frames: Vec<_> =
        (0..4000).zip(lengths).map(|(number, length)| frame(number, *length)).collect();
    pair.at_near(|| {
        let (capture, mut sockets) = open(&roomy(queues, mtu)).unwrap();
        assert_eq!(capture.mode().to_string(), expected_mode);
        let received = thread::scope(|scope| {
            scope.spawn(|| pair.send(&frames));
            receive(&mut sockets, frames.len())
        });
        let expected: Received = (0..).zip(frames.iter().cloned()).collect();
        assert_eq!(received.len(), expected.len());
        assert!(received == expected, "frames arrive as they were sent");
        let (program, counts) = sums(&capture, &sockets);
        assert_eq!((program.redirected, program.passed, program.refused), (4000, 0, 0));
        assert_eq!(counts, XskCounts { lent: 4000, ..XskCounts::default() });
        for socket in &sockets {
            assert!(socket.counts().unwrap().lent > 0, "queue {} had none", socket.queue());
        }
        assert_eq!(capture.counts().others.passed, 0);
    });
}

#[test]
fn all_frames_of_one_queue_arrive() {
    check_all_arrive(1, 1500, &[60, 61, 590, 1514], "driver mode, copying");
}

#[test]
fn all_frames_of_two_queues_arrive() {
    check_all_arrive(2, 1500, &[60, 1514, 777], "driver mode, copying");
}

#[test]
fn frames_that_fill_a_large_chunk_arrive() {
    check_all_arrive(1, 3000, &[3014, 60], "driver mode, copying");
}

#[test]
fn jumbo_frames_arrive_whole() {
    let mode = "driver mode, copying, frames of several buffers";
    check_all_arrive(2, 9000, &[9014, 60, 3840, 3841, 7681], mode);
}

#[test]
fn frames_that_a_driver_wants_in_several_buffers_arrive() {
    // More than a veth takes in one buffer, less than a chunk.
    let mode = "driver mode, copying, frames of several buffers";
    check_all_arrive(1, 3700, &[3714, 60], mode);
}

#[test]
fn every_frame_that_does_not_fit_is_counted() {
    let Some(pair) = Pair::make(1, 1500) else { return };
    let frames: Vec<_> = (0..3000).map(|number| frame(number, 100)).collect();
    pair.at_near(|| {
        let (mut capture, mut sockets) = open(&settings(1, 1500)).unwrap();
        pair.send(&frames);
        capture.detach();
        let received = receive(&mut sockets, RING as usize);
        // The first ones, and no more.
        assert_eq!(received.len(), RING as usize);
        assert_eq!(received.keys().copied().max(), Some(RING - 1));
        let (program, counts) = sums(&capture, &sockets);
        assert_eq!(program.redirected, 3000);
        assert_eq!(counts.lent, u64::from(RING));
        assert_eq!(counts.lost(), 3000 - u64::from(RING), "{counts:?}");
        assert_eq!(program.redirected, counts.lent + counts.lost());
    });
}

#[test]
fn the_ring_is_usable_after_it_has_run_over() {
    let Some(pair) = Pair::make(1, 1500) else { return };
    let frames: Vec<_> = (0..1000).map(|number| frame(number, 100)).collect();
    pair.at_near(|| {
        let (capture, mut sockets) = open(&settings(1, 1500)).unwrap();
        for round in 1..=5 {
            pair.send(&frames);
            assert_eq!(receive(&mut sockets, RING as usize).len(), RING as usize);
            let (program, counts) = sums(&capture, &sockets);
            assert_eq!(program.redirected, round * 1000);
            assert_eq!(counts.lent + counts.lost(), round * 1000);
        }
    });
}

#[test]
fn frames_of_a_queue_without_a_socket_reach_the_host() {
    let Some(pair) = Pair::make(2, 1500) else { return };
    let frames: Vec<_> = (0..2000).map(|number| frame(number, 100)).collect();
    pair.at_near(|| {
        let (mut capture, mut sockets) = open(&roomy(1, 1500)).unwrap();
        pair.send(&frames);
        capture.detach();
        let counts = capture.counts();
        let [program] = counts.queues[..] else { panic!("{counts:?}") };
        assert!(counts.others.passed > 0 && program.redirected > 0, "{counts:?}");
        assert_eq!(counts.others.passed + program.redirected, 2000);
        let received = receive(&mut sockets, usize::try_from(program.redirected).unwrap());
        assert_eq!((counts.others.redirected, program.passed), (0, 0));
        assert_eq!(received.len() as u64, program.redirected);
    });
}

/// Whether the interface has an XDP program, by the output of `ip`.
fn has_program(pair: &Pair) -> bool {
    pair.ip(&["-d", "link", "show", "dev", NEAR]).contains("xdp")
}

#[test]
fn a_program_is_there_while_frames_are_captured_and_not_after() {
    let Some(pair) = Pair::make(1, 1500) else { return };
    pair.at_near(|| {
        assert!(!has_program(&pair));
        let (mut capture, sockets) = open(&settings(1, 1500)).unwrap();
        assert!(has_program(&pair));
        assert!(pair.ip(&["-d", "link", "show", "dev", NEAR]).contains("promiscuity 1"));
        capture.detach();
        assert!(!has_program(&pair));
        capture.detach();
        drop(capture);
        assert!(pair.ip(&["-d", "link", "show", "dev", NEAR]).contains("promiscuity 0"));
        drop(sockets);
        // And again at once.
        let again = open(&settings(1, 1500)).unwrap();
        assert!(has_program(&pair));
        drop(again);
        assert!(!has_program(&pair));
    });
}

#[test]
fn a_mode_says_what_was_got() {
    let mode = XdpMode { in_driver: true, segments: false, zero_copy: 4, queues: 4 };
    assert_eq!(mode.to_string(), "driver mode, zero copy");
    let some = XdpMode { zero_copy: 3, ..mode };
    assert_eq!(some.to_string(), "driver mode, zero copy on 3 of 4 queues");
    let generic = XdpMode { in_driver: false, segments: true, zero_copy: 0, ..mode };
    assert_eq!(generic.to_string(), "generic mode, copying, frames of several buffers");
}

#[test]
fn a_second_capture_of_an_interface_is_refused() {
    let Some(pair) = Pair::make(1, 1500) else { return };
    let expected = format!(
        "capturing from {NEAR}: another XDP program is on the interface, maybe of another \
         flowprobe; end what put it there (ip link show dev {NEAR} names it)"
    );
    pair.at_near(|| {
        let _first = open(&settings(1, 1500)).unwrap();
        let begin = Instant::now();
        let second = open(&settings(1, 1500)).err().unwrap();
        assert_eq!(second.to_string(), expected);
        assert!(begin.elapsed() < Duration::from_secs(5));
        assert!(has_program(&pair));
    });
}

#[test]
fn what_cannot_be_had_is_said_in_a_sentence() {
    let Some(pair) = Pair::make(1, 1500) else { return };
    let error = |settings: XdpSettings| open(&settings).err().unwrap().to_string();
    pair.at_near(|| {
        assert_eq!(
            error(XdpSettings { queues: 2, ..settings(1, 1500) }),
            format!(
                "receiving from queue 1 of {NEAR}: binding the socket: invalid argument; \
                 there may be no queue of this number"
            )
        );
        assert!(!has_program(&pair));
        let gone = error(XdpSettings { ifindex: 999_999, ..settings(1, 1500) });
        assert!(gone.contains("no such device"), "{gone}");
    });
}

#[test]
fn an_interface_may_go_down_and_come_back() {
    let Some(pair) = Pair::make(1, 1500) else { return };
    let frames: Vec<_> = (0..100).map(|number| frame(number, 100)).collect();
    pair.at_near(|| {
        let (capture, mut sockets) = open(&settings(1, 1500)).unwrap();
        pair.send(&frames);
        assert_eq!(receive(&mut sockets, 100).len(), 100);
        pair.ip(&["link", "set", NEAR, "down"]);
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_millis(600) {
            assert_eq!(sockets[0].poll(64, |_| ()).unwrap(), Polled::Idle);
        }
        pair.ip(&["link", "set", NEAR, "up"]);
        pair.send(&frames);
        assert_eq!(receive(&mut sockets, 100).len(), 100);
        assert_eq!(sums(&capture, &sockets).0.redirected, 200);
    });
}

#[test]
fn an_interface_that_goes_is_an_error() {
    let Some(pair) = Pair::make(1, 1500) else { return };
    pair.at_near(|| {
        let (capture, mut sockets) = open(&settings(1, 1500)).unwrap();
        pair.ip(&["link", "del", NEAR]);
        let begin = Instant::now();
        let error = loop {
            assert!(begin.elapsed() < PATIENCE);
            match sockets[0].poll(64, |_| ()) {
                Ok(polled) => assert_eq!(polled, Polled::Idle),
                Err(error) => break error,
            }
        };
        let expected = format!("receiving from queue 0 of {NEAR}: the interface is gone");
        assert_eq!(error.to_string(), expected);
        drop(capture);
    });
}

/// Sets the ring size with which another process opens a capture.
const OTHER: &str = "FLOWPROBE_TEST_OTHER_RING";

/// No test: the other process of tests that need one. It prints its result and waits to be killed.
#[test]
#[ignore = "is started by other tests"]
#[expect(clippy::print_stdout, reason = "it is read by the process that started this one")]
fn another_process() {
    let Some(ring) = std::env::var(OTHER).ok().and_then(|ring| ring.parse().ok()) else { return };
    match open(&XdpSettings { ring, frames: 2 * ring, ..settings(1, 1500) }) {
        Err(error) => println!("OUTCOME {error}"),
        Ok((capture, _)) => {
            println!("OUTCOME {}", capture.mode());
            thread::sleep(PATIENCE * 2);
        }
    }
}

/// Opens a capture in another process, after these shell commands. Returns its output.
fn open_elsewhere(pair: &Pair, ring: u32, before: &str) -> (Child, String) {
    let mut child = pair
        .command("sh")
        // By its number, users who may not read the folder of the program can start it too.
        .args(["-c", &format!("{before} /proc/self/fd/3 \"$@\" 3<\"$0\"")])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "capture::xdp::tests::another_process", "--ignored", "--nocapture"])
        .env(OTHER, ring.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let outcome = lines.map(Result::unwrap).find_map(|line| {
        let (_, outcome) = line.split_once("OUTCOME ")?;
        Some(outcome.to_owned())
    });
    (child, outcome.expect("the other process says what came of it"))
}

#[test]
fn nothing_is_left_of_a_process_that_was_killed() {
    let Some(pair) = Pair::make(1, 1500) else { return };
    let (mut child, outcome) = open_elsewhere(&pair, RING, "exec");
    let was_there = has_program(&pair);
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    assert_eq!((outcome.as_str(), was_there), ("driver mode, copying", true));
    // The kernel needs a moment.
    let begin = Instant::now();
    while has_program(&pair) && begin.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(10));
    }
    assert!(!has_program(&pair));
    pair.at_near(|| drop(open(&settings(1, 1500)).unwrap()));
}

#[test]
fn three_capabilities_and_memory_to_lock_are_enough_and_what_is_missing_is_named() {
    let Some(pair) = Pair::make(1, 1500) else { return };
    let check = |capabilities: &str, ring: u32, expected: &str| {
        let before = format!(
            "ulimit -l 8192; exec setpriv --reuid 65534 --regid 65534 --clear-groups \
             --inh-caps={capabilities} --ambient-caps={capabilities} \
             --bounding-set=-all,{capabilities}"
        );
        let (mut child, outcome) = open_elsewhere(&pair, ring, &before);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(outcome, expected, "{capabilities} {ring}");
    };
    check("+net_raw,+net_admin,+bpf", RING, "driver mode, copying");
    check("+net_raw,+net_admin,+bpf,+ipc_lock", 8192, "driver mode, copying");
    check(
        "+net_raw,+net_admin,+bpf",
        8192,
        "receiving from queue 0 of near0: 32 MiB of memory cannot be locked for its frames, which \
         the limit of locked memory forbids; raise it (LimitMEMLOCK of systemd, ulimit -l), give \
         the capability CAP_IPC_LOCK, or ask for smaller rings",
    );
    check(
        "+net_admin,+bpf",
        RING,
        "capturing from near0: promiscuous mode and AF_XDP sockets need the capability CAP_NET_RAW",
    );
    let both = "XDP programs need the capabilities CAP_BPF and CAP_NET_ADMIN";
    for capabilities in ["+net_raw,+net_admin", "+net_raw,+bpf"] {
        check(capabilities, RING, &format!("capturing from near0: {both}"));
    }
}

#[test]
fn generic_mode_is_what_is_left_when_a_driver_refuses() {
    // A veth with more transmit queues than its peer has receive queues has no driver mode.
    let Some(pair) = Pair::make_unequal(1, 2, 9000) else { return };
    let lengths = [60, 9014, 1514, 4000];
    let frames: Vec<_> =
        (0..1000).map(|number| frame(number, lengths[number as usize % 4])).collect();
    pair.at_near(|| {
        let (capture, mut sockets) = open(&roomy(1, 9000)).unwrap();
        assert_eq!(capture.mode().to_string(), "generic mode, copying, frames of several buffers");
        let received = thread::scope(|scope| {
            scope.spawn(|| pair.send(&frames));
            receive(&mut sockets, frames.len())
        });
        let expected: Received = (0..).zip(frames.iter().cloned()).collect();
        assert!(received == expected, "{} frames of {}", received.len(), frames.len());
        let (program, counts) = sums(&capture, &sockets);
        assert_eq!((program.redirected, counts.lent, counts.lost()), (1000, 1000, 0));
        // A program in the other mode conflicts too.
        let second = open(&settings(1, 9000)).err().unwrap().to_string();
        assert!(second.contains("another XDP program is on the interface"), "{second}");
    });
}
