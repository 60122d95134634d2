//! Several sockets, directions, losses, interfaces that go down.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::*;

#[test]
fn sockets_share_the_packets_and_each_flow_stays_on_one() {
    in_namespace(|| {
        cable();
        let sender = Sender::new("va");
        let mut sockets =
            PacketSocket::open_all(&PacketSettings { sockets: 2, ..settings("vb") }).unwrap();
        for _ in 0..10 {
            (1000..1100).for_each(|port| sender.send(&udp([port, 53], 0, 100)));
        }
        let captured = capture(&mut sockets, 1000);
        assert_eq!(captured.len(), 1000);
        let mut flows: BTreeMap<&[u8], BTreeMap<usize, u32>> = BTreeMap::new();
        for frame in &captured {
            *flows.entry(&frame.data).or_default().entry(frame.socket).or_default() += 1;
        }
        assert_eq!(flows.len(), 100);
        assert!(flows.values().all(|by_socket| by_socket.values().eq([&10])), "{flows:?}");
        let counts: Vec<PacketCounts> = sockets.iter_mut().map(PacketSocket::counts).collect();
        assert_eq!(counts.iter().map(|counts| counts.packets).sum::<u64>(), 1000);
        assert!(counts.iter().all(|counts| counts.packets > 0), "{counts:?}");
    });
}

#[test]
fn fragments_stay_together_and_are_not_put_together() {
    in_namespace(|| {
        cable();
        let sender = Sender::new("va");
        let mut sockets =
            PacketSocket::open_all(&PacketSettings { sockets: 4, ..settings("vb") }).unwrap();
        // More fragments follow; the offset is in units of 8 octets.
        let fragments = [(0x2000, 992), (0x2000 | 125, 992), (250, 40)];
        for port in 1000..1016 {
            for (fragment, payload) in fragments {
                sender.send(&udp([port, 53], fragment, payload));
            }
        }
        let captured = capture(&mut sockets, 48);
        let lengths: Vec<u32> = captured.iter().map(|frame| frame.wire_length).collect();
        assert_eq!(captured.len(), 48);
        assert_eq!(lengths.iter().filter(|length| **length == 14 + 20 + 8 + 992).count(), 32);
        // All have the same addresses, from which the hash of a fragment is computed.
        let sockets: BTreeSet<usize> = captured.iter().map(|frame| frame.socket).collect();
        assert_eq!(sockets.len(), 1);
    });
}

#[test]
fn no_frame_comes_twice_while_sockets_are_opened() {
    in_namespace(|| {
        cable();
        let sender = Sender::new("va");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let traffic = thread::spawn(move || {
            let mut number = 0;
            while !stopped.load(Ordering::Relaxed) {
                sender.send(&frame(0x0800, number, 60));
                number += 1;
                // A pause, so that the rings do not overflow.
                if number % 16 == 0 {
                    thread::sleep(Duration::from_millis(1));
                }
            }
        });
        for _ in 0..10 {
            let mut sockets =
                PacketSocket::open_all(&PacketSettings { sockets: 3, ..settings("vb") }).unwrap();
            let mut captured: Vec<Captured> = Vec::new();
            for _ in 0..20 {
                for (index, socket) in sockets.iter_mut().enumerate() {
                    let take = |frame: &Frame<'_>| {
                        captured.push(Captured {
                            socket: index,
                            data: frame.data.to_vec(),
                            wire_length: frame.wire_length,
                            time: frame.time,
                        });
                    };
                    socket.poll(1000, take).unwrap();
                }
                thread::sleep(Duration::from_millis(5));
            }
            let numbers: BTreeSet<u32> = captured.iter().map(number).collect();
            assert_eq!(numbers.len(), captured.len());
            assert!(captured.len() > 100, "{}", captured.len());
        }
        stop.store(true, Ordering::Relaxed);
        traffic.join().unwrap();
    });
}

#[test]
fn directions_are_told_apart() {
    in_namespace(|| {
        cable();
        let (incoming, outgoing) = (Sender::new("va"), Sender::new("vb"));
        let directions =
            [(Direction::In, &[1][..]), (Direction::Out, &[2][..]), (Direction::Both, &[1, 2][..])];
        for sockets in [1, 2] {
            for (direction, expected) in directions {
                let settings = PacketSettings { direction, sockets, ..settings("vb") };
                let mut sockets = PacketSocket::open_all(&settings).unwrap();
                incoming.send(&frame(0x0800, 1, 60));
                outgoing.send(&frame(0x0800, 2, 60));
                let mut numbers: Vec<u32> =
                    capture(&mut sockets, expected.len()).iter().map(number).collect();
                numbers.sort_unstable();
                assert_eq!(numbers, expected, "{direction:?}");
            }
        }
        let sender = Sender::new("lo");
        for direction in [Direction::In, Direction::Both, Direction::Out] {
            let settings = PacketSettings { direction, ..settings("lo") };
            let mut sockets = PacketSocket::open_all(&settings).unwrap();
            sender.send(&frame(0x0800, 3, 60));
            let captured = capture(&mut sockets, 1);
            assert_eq!(captured.iter().map(number).collect::<Vec<_>>(), [3], "{direction:?}");
        }
    });
}

#[test]
fn what_the_host_sends_does_not_get_as_far_as_the_filter() {
    in_namespace(|| {
        cable();
        let (incoming, outgoing) = (Sender::new("va"), Sender::new("vb"));
        for sockets in [1, 2] {
            let mut sockets =
                PacketSocket::open_all(&PacketSettings { sockets, ..settings("vb") }).unwrap();
            for socket in &sockets {
                socket.ring.set_filter(&filter::beginnings(Direction::Both, 512)).unwrap();
            }
            incoming.send(&frame(0x0800, 1, 60));
            outgoing.send(&frame(0x0800, 2, 60));
            let captured = capture(&mut sockets, 1);
            assert_eq!(captured.iter().map(number).collect::<Vec<_>>(), [1], "{sockets:?}");
        }
    });
}

/// Sends rounds of `short` short frames and a long one, until `octets` octets of that are lent.
fn send_until(octets: usize, sender: &Sender, socket: &mut PacketSocket, short: u32) {
    let give_up = Instant::now() + Duration::from_secs(20);
    let mut longest = 0;
    while longest != octets {
        assert!(Instant::now() < give_up, "{longest} of {octets} octets, {socket:?}");
        (0..short).for_each(|number| sender.send(&frame(0x0800, number, 60)));
        sender.send(&frame(0x0800, short, 1514));
        let polled = socket.poll(usize::MAX, |frame| {
            if frame.wire_length == 1514 {
                longest = frame.data.len();
            }
        });
        polled.unwrap();
    }
}

#[test]
fn long_frames_are_cut_unless_they_are_few() {
    in_namespace(|| {
        cable();
        let sender = Sender::new("va");
        for direction in [Direction::In, Direction::Both] {
            let ring_octets = 64 << 20;
            let settings = PacketSettings { direction, ring_octets, ..settings("vb") };
            let [socket] = &mut PacketSocket::open_all(&settings).unwrap()[..] else {
                panic!("one socket")
            };
            for (short, octets) in [(0, 512), (400, 1514), (0, 512), (400, 1514)] {
                send_until(octets, &sender, socket, short);
            }
            // Packets that are left in the ring after a stop keep new ones out.
            (0..120_000).for_each(|number| sender.send(&frame(0x0800, number, 60)));
            socket.stop();
            assert!(capture(std::slice::from_mut(socket), 120_000).len() >= 120_000);
            sender.send(&frame(0x0800, 0, 60));
            assert_eq!(capture(std::slice::from_mut(socket), 0).len(), 0);
            assert_eq!(socket.counts().drops, 0);
        }
    });
}

#[test]
fn what_finds_no_room_is_counted_to_the_packet() {
    in_namespace(|| {
        cable();
        let sender = Sender::new("va");
        let settings = PacketSettings { ring_octets: 2 * BLOCK_OCTETS, ..settings("vb") };
        let mut sockets = PacketSocket::open_all(&settings).unwrap();
        (0..5000).for_each(|number| sender.send(&frame(0x0800, number, 500)));
        let captured = capture(&mut sockets, 1);
        let counts = sockets[0].counts();
        assert_eq!(counts.packets, 5000);
        assert!(counts.drops > 0 && counts.freezes > 0, "{counts:?}");
        assert_eq!(counts.taken + counts.drops, counts.packets);
        assert_eq!(counts.lent, captured.len() as u64);
        // The first packets were kept. New packets find room again.
        let kept = u32::try_from(counts.taken).unwrap();
        assert!(captured.iter().map(number).eq(0..kept));
        sender.send(&frame(0x0800, 5000, 60));
        assert_eq!(capture(&mut sockets, 1).iter().map(number).collect::<Vec<_>>(), [5000]);
    });
}

#[test]
fn a_poll_lends_no_more_than_was_asked_for() {
    in_namespace(|| {
        cable();
        let sender = Sender::new("va");
        let mut sockets = PacketSocket::open_all(&settings("vb")).unwrap();
        (0..100).for_each(|number| sender.send(&frame(0x0800, number, 60)));
        thread::sleep(Duration::from_millis(100));
        let mut numbers = Vec::new();
        for _ in 0..14 {
            let before = numbers.len();
            let polled = sockets[0].poll(7, |frame| numbers.push(frame.data[17])).unwrap();
            assert_eq!((polled, numbers.len() - before), (Polled::More, 7));
        }
        // The rest. `Idle` comes only after a poll without any packet.
        for expected in [Polled::More, Polled::Idle] {
            let polled = sockets[0].poll(7, |frame| numbers.push(frame.data[17])).unwrap();
            assert_eq!(polled, expected);
        }
        assert!(numbers.iter().copied().eq(0..100));
    });
}

#[test]
fn an_interface_may_go_down_and_come_back_but_not_vanish() {
    in_namespace(|| {
        cable();
        let mut sockets =
            PacketSocket::open_all(&PacketSettings { sockets: 2, ..settings("vb") }).unwrap();
        for _ in 0..2 {
            ip("link set vb down");
            for socket in &mut sockets {
                for _ in 0..3 {
                    assert_eq!(socket.poll(1, |_| {}).unwrap(), Polled::Idle);
                }
                assert!(socket.is_down());
            }
            ip("link set vb up");
            let sender = Sender::new("va");
            (0..100).for_each(|port| sender.send(&udp([port, 53], 0, 100)));
            assert_eq!(capture(&mut sockets, 100).len(), 100);
            assert!(sockets.iter().all(|socket| !socket.is_down()));
        }
        ip("link del vb");
        for socket in &mut sockets {
            for _ in 0..2 {
                let problem = socket.poll(1, |_| {}).unwrap_err();
                assert_eq!(problem.to_string(), "interface vb is gone: it was deleted or moved");
            }
        }
    });
}

#[test]
fn interface_that_went_down_before_may_vanish() {
    in_namespace(|| {
        cable();
        let mut sockets = PacketSocket::open_all(&settings("vb")).unwrap();
        ip("link set vb down");
        assert_eq!(sockets[0].poll(1, |_| {}).unwrap(), Polled::Idle);
        ip("link del vb");
        assert!(sockets[0].poll(1, |_| {}).is_err());
    });
}

/// A socket that knows that its interface is down, and then gets a packet from before.
fn late_block_of_an_interface_that_is_down() -> PacketSocket {
    cable();
    let sender = Sender::new("va");
    let mut socket = PacketSocket::open_all(&settings("vb")).unwrap().remove(0);
    // The kernel passes a block on at most 20 ms after its first packet. Sometimes this is before
    // the interface is down.
    for _ in 0..50 {
        ip("link set vb up");
        sender.send(&frame(0x0800, 1, 60));
        ip("link set vb down");
        if socket.poll(1, |_| {}).unwrap() == Polled::Idle && socket.is_down() {
            thread::sleep(SETTLED);
            let mut lent = 0;
            assert_eq!(socket.poll(9, |_| lent += 1).unwrap(), Polled::More);
            assert_eq!((lent, socket.is_down()), (1, false));
            return socket;
        }
        capture(std::slice::from_mut(&mut socket), 0);
    }
    panic!("the block always came before the interface was down");
}

#[test]
fn interface_that_seems_up_may_vanish_too() {
    in_namespace(|| {
        let mut socket = late_block_of_an_interface_that_is_down();
        ip("link del vb");
        let give_up = Instant::now() + Duration::from_secs(5);
        while socket.poll(1, |_| {}).is_ok() {
            assert!(Instant::now() < give_up, "the socket does not know that vb is gone");
            thread::sleep(Duration::from_millis(5));
        }
    });
}

#[test]
fn what_came_before_an_interface_vanished_is_taken() {
    in_namespace(|| {
        for round in 0..10 {
            cable();
            let sender = Sender::new("va");
            let mut socket = PacketSocket::open_all(&settings("vb")).unwrap().remove(0);
            (0..100).for_each(|number| sender.send(&frame(0x0800, number, 60)));
            ip("link del vb");
            let mut lent = 0;
            while socket.poll(7, |_| lent += 1).is_ok() {}
            let counts = socket.counts();
            assert_eq!((lent, counts.lent, counts.left()), (100, 100, 0), "{round} {counts:?}");
        }
    });
}

#[test]
fn after_a_stop_all_that_came_before_is_taken_and_nothing_else() {
    in_namespace(|| {
        cable();
        let sender = Sender::new("va");
        let mut sockets =
            PacketSocket::open_all(&PacketSettings { sockets: 2, ..settings("vb") }).unwrap();
        // At this time, a capture has dropped all capabilities.
        caps::clear(None, caps::CapSet::Effective).unwrap();
        (1000..1100).for_each(|port| sender.send(&udp([port, 53], 0, 100)));
        assert!(!sockets.iter_mut().any(PacketSocket::is_drained));
        sockets.iter_mut().for_each(PacketSocket::stop);
        (1000..1100).for_each(|port| sender.send(&udp([port, 54], 0, 100)));
        let mut ports = BTreeSet::new();
        let give_up = Instant::now() + Duration::from_secs(5);
        let mut idle = false;
        while !idle || !sockets.iter_mut().all(PacketSocket::is_drained) {
            assert!(Instant::now() < give_up, "{sockets:?}");
            idle = true;
            for socket in &mut sockets {
                // One packet at a time: a partly read block is not drained either.
                let polled = socket.poll(1, |frame| {
                    let [from, to]: [u16; 2] = [34, 36].map(|offset| {
                        u16::from_be_bytes(*frame.data[offset..].first_chunk().unwrap())
                    });
                    assert_eq!(to, 53);
                    assert!(ports.insert(from), "{from} came twice");
                });
                idle &= polled.unwrap() == Polled::Idle;
            }
        }
        assert!(ports.into_iter().eq(1000..1100));
        let counts: Vec<PacketCounts> = sockets.iter_mut().map(PacketSocket::counts).collect();
        assert_eq!(counts.iter().map(|counts| counts.lent).sum::<u64>(), 100);
        assert!(counts.iter().all(|counts| counts.left() == 0 && counts.unreadable == 0));
    });
}

#[test]
fn sockets_can_be_opened_on_an_interface_that_is_down() {
    for asked in [1, 2] {
        in_namespace(move || {
            ip("link add va type veth peer name vb");
            let settings = PacketSettings { sockets: asked, ..settings("vb") };
            let mut sockets = PacketSocket::open_all(&settings).unwrap();
            // Old kernels need the interface to be up for more than one socket.
            assert!((1..=asked as usize).contains(&sockets.len()));
            for socket in &mut sockets {
                assert_eq!(socket.poll(1, |_| {}).unwrap(), Polled::Idle);
                assert!(socket.is_down());
            }
            ip("link set va up");
            ip("link set vb up");
            let sender = Sender::new("va");
            (1000..1100).for_each(|port| sender.send(&udp([port, 53], 0, 100)));
            assert_eq!(capture(&mut sockets, 100).len(), 100);
        });
    }
}

#[test]
fn interface_is_promiscuous_as_long_as_it_is_captured() {
    in_namespace(|| {
        cable();
        let is_promiscuous = || ip("-d link show vb").contains("promiscuity 1");
        let sockets = PacketSocket::open_all(&settings("vb")).unwrap();
        assert!(is_promiscuous());
        drop(sockets);
        assert!(!is_promiscuous());
        let settings = PacketSettings { promiscuous: false, ..settings("vb") };
        let _sockets = PacketSocket::open_all(&settings).unwrap();
        assert!(!is_promiscuous());
    });
}

#[test]
fn link_layers_that_are_not_ethernet_are_known_or_refused() {
    in_namespace(|| {
        ip("tuntap add dev tun7 mode tun");
        ip("link set tun7 up");
        let mut sockets = PacketSocket::open_all(&PacketSettings {
            direction: Direction::Both,
            ..settings("tun7")
        })
        .unwrap();
        assert_eq!(sockets[0].layer, Layer::Ip);
        // A packet that the host sends: the only kind on a tunnel without a reader.
        let packet = &udp([1, 2], 0, 10)[14..];
        Sender::new("tun7").send(packet);
        let captured = capture(&mut sockets, 0);
        assert!(captured.iter().all(|frame| frame.data == packet), "{captured:?}");
    });
    assert_eq!(Layer::of(libc::ARPHRD_IEEE80211_RADIOTAP), None);
}
