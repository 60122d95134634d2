//! Real packets of interfaces that each test makes in its own network namespaces.
//!
//! Only a thread keeps its new namespace alive. At the end of the thread, even after a panic, the
//! kernel removes the namespace and the interfaces in it.

mod offload;
mod sockets;

use std::time::{Duration, Instant};

use flow::Timestamp;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::write;

use super::*;
use crate::host::interface::Interface;
use crate::host::namespace::{in_namespace, ip};

/// A frame that was captured, or its first octets.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Captured {
    socket: usize,
    data: Vec<u8>,
    wire_length: u32,
    time: Timestamp,
}

fn settings(name: &str) -> PacketSettings {
    PacketSettings {
        name: name.to_owned(),
        ifindex: Interface::find(name).unwrap().index,
        number: 7,
        sockets: 1,
        ring_octets: 8 << 20,
        direction: Direction::In,
        promiscuous: true,
        reads_payload: false,
        dissection: Dissection::default(),
    }
}

/// Sends frames unchanged over an interface, including offloads.
pub(crate) struct Sender(PacketRing);

impl Sender {
    pub(crate) fn new(name: &str) -> Self {
        let ring = PacketRing::open(ring_size(0)).unwrap();
        ring.set_filter(&filter::NOTHING).unwrap();
        ring.bind(Interface::find(name).unwrap().index).unwrap();
        Self(ring)
    }

    pub(crate) fn send(&self, frame: &[u8]) {
        self.send_offloaded([0; 10], frame);
    }

    /// With a given virtio-net header.
    fn send_offloaded(&self, header: [u8; 10], frame: &[u8]) {
        let mut octets = header.to_vec();
        octets.extend(frame);
        assert_eq!(write(&self.0, &octets).unwrap(), octets.len());
    }
}

/// Two ends of a cable: what is sent over `va` comes in on `vb`.
fn cable() {
    ip("link add va mtu 9000 type veth peer name vb mtu 9000");
    ip("link set va up");
    ip("link set vb up");
}

/// Reads until `count` frames have come, and then for the maximum delay of a block.
fn capture(sockets: &mut [PacketSocket], count: usize) -> Vec<Captured> {
    let mut all = Vec::new();
    let give_up = Instant::now() + Duration::from_secs(5);
    let mut quiet_since = Instant::now();
    let late = Duration::from_millis(5 * u64::from(BLOCK_TIMEOUT_MS));
    while Instant::now() < give_up && (all.len() < count || quiet_since.elapsed() < late) {
        let before = all.len();
        for (index, socket) in sockets.iter_mut().enumerate() {
            let polled = socket.poll(64, |frame| {
                assert_eq!(frame.point.interface, 7);
                all.push(Captured {
                    socket: index,
                    data: frame.data.to_vec(),
                    wire_length: frame.wire_length,
                    time: frame.time,
                });
            });
            assert_ne!(polled.unwrap(), Polled::End);
        }
        if all.len() > before {
            quiet_since = Instant::now();
        }
        let mut fds: Vec<_> =
            sockets.iter().map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN)).collect();
        poll(&mut fds, PollTimeout::from(5_u8)).unwrap();
    }
    all
}

/// An Ethernet frame with a number in it.
fn frame(ethertype: u16, number: u32, octets: usize) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8];
    frame.extend(ethertype.to_be_bytes());
    frame.extend(number.to_be_bytes());
    frame.resize(octets, 0xa5);
    frame
}

fn number(captured: &Captured) -> u32 {
    captured.data[14..].first_chunk().map_or(0, |octets| u32::from_be_bytes(*octets))
}

/// A UDP packet of IPv4 in a frame. Only the first fragment has the UDP header.
fn udp(ports: [u16; 2], fragment: u16, payload: usize) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8, 8, 0];
    let length = u16::try_from(20 + 8 + payload).unwrap();
    frame.extend([0x45, 0]);
    frame.extend(length.to_be_bytes());
    frame.extend([0x12, 0x34]);
    frame.extend(fragment.to_be_bytes());
    frame.extend([64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
    for port in ports {
        frame.extend(port.to_be_bytes());
    }
    frame.extend((length - 20).to_be_bytes());
    frame.resize(14 + usize::from(length), 0);
    frame
}

#[test]
fn every_frame_comes_once_as_it_was_on_the_wire() {
    in_namespace(|| {
        cable();
        let sender = Sender::new("va");
        let mut sockets = PacketSocket::open_all(&settings("vb")).unwrap();
        let mut frames = vec![frame(0x0806, 1, 60), frame(0x88cc, 2, 200), frame(0x0800, 3, 9014)];
        // Tags of all kinds: the kernel takes out the outermost.
        for tags in [&[0x8100_u16][..], &[0x88a8], &[0x88a8, 0x8100], &[0x8100, 0x8100, 0x8100]] {
            let mut tagged = frame(0x0800, 4, 100);
            for (index, protocol) in tags.iter().rev().enumerate() {
                let [high, low] = protocol.to_be_bytes();
                let vlan = 0x60 + u8::try_from(index).unwrap();
                tagged.splice(12..12, [high, low, vlan, 0x07]);
            }
            frames.push(tagged);
        }
        frames.extend((0..1000).map(|index| frame(0x0800, index, 64 + index as usize)));
        let now = || {
            let millis = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
            Timestamp::from_millis(millis.try_into().unwrap())
        };
        let begin = now();
        frames.iter().for_each(|frame| sender.send(frame));
        let end = now();
        let captured = capture(&mut sockets, frames.len());
        assert_eq!(captured.len(), frames.len());
        let mut last = begin;
        for (captured, sent) in captured.iter().zip(&frames) {
            assert_eq!(captured.wire_length as usize, sent.len());
            // The frame without its tag is cut to 512 octets.
            assert!(captured.data.len() >= sent.len().min(512), "{captured:?}");
            assert_eq!(captured.data, sent[..captured.data.len()]);
            assert!(last <= captured.time && captured.time <= end, "{:?} {end:?}", captured.time);
            last = captured.time;
        }
        let count = frames.len() as u64;
        let counts = sockets[0].counts();
        let expected =
            PacketCounts { packets: count, taken: count, lent: count, ..PacketCounts::default() };
        assert_eq!(counts, expected);
        // The kernel's counts begin again with each look.
        assert_eq!(sockets[0].counts(), expected);
    });
}
