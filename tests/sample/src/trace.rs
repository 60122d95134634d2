//! Packets in the making, and the capture file that they become.

use super::network::{Host, frame, ip_frame};
use super::packet::{Header, Segment, TCP, UDP, packets, udp};
use super::random::Random;

/// 2026-03-10 09:30:00 UTC, a Tuesday.
pub(crate) const START: u64 = 1_773_135_000;

/// A second, in the unit of times here.
pub(crate) const SECOND: u64 = 1_000_000;

/// A millisecond.
pub(crate) const MILLI: u64 = 1000;

/// A frame as it was captured.
#[derive(Debug)]
pub(crate) struct Captured {
    /// Microseconds since the start.
    pub(crate) time: u64,
    /// Octets on the wire.
    pub(crate) length: u32,
    /// The first of them.
    pub(crate) frame: Vec<u8>,
}

/// All packets of a sample, in the order in which they were thought of.
#[derive(Debug)]
pub(crate) struct Trace {
    pub(crate) random: Random,
    captured: Vec<Captured>,
    identification: u16,
    snap_length: usize,
}

impl Trace {
    /// So many octets of each frame are captured.
    pub(crate) fn new(snap_length: usize) -> Self {
        let random = Random::named("");
        Self { random, captured: Vec::new(), identification: 0, snap_length }
    }

    /// Begins a part that has its own randomness.
    pub(crate) fn part(&mut self, name: &str, make: fn(&mut Self)) {
        self.random = Random::named(name);
        self.identification = self.random.u16();
        make(self);
    }

    /// A frame that is not of IP.
    pub(crate) fn frame(&mut self, time: u64, from: &Host, to: [u8; 6], kind: u16, payload: &[u8]) {
        self.capture(time, frame(from, to, kind, payload));
    }

    /// A message in an IP packet, or in several if it is too big for one.
    pub(crate) fn send(
        &mut self,
        time: u64,
        from: Host,
        to: Host,
        protocol: u8,
        message: Vec<u8>,
    ) -> Header {
        self.send_as(time, Self::header(from, to, protocol), message)
    }

    /// A UDP datagram.
    pub(crate) fn udp(
        &mut self,
        time: u64,
        hosts: [Host; 2],
        ports: [u16; 2],
        payload: &[u8],
    ) -> Header {
        self.send(time, hosts[0], hosts[1], UDP, udp(ports, payload))
    }

    /// A TCP segment.
    pub(crate) fn tcp(
        &mut self,
        time: u64,
        hosts: [Host; 2],
        segment: &Segment<'_>,
        data: &[u8],
    ) -> Header {
        self.send(time, hosts[0], hosts[1], TCP, segment.with(data))
    }

    /// A message in IP packets with such a header. Returns it with the identification that it
    /// gets here.
    pub(crate) fn send_as(&mut self, time: u64, header: Header, message: Vec<u8>) -> Header {
        self.identification = self.identification.wrapping_add(1);
        let header = Header { identification: self.identification, ..header };
        for (index, packet) in (0..).zip(packets(&header, message)) {
            self.capture(time + index * 12, ip_frame(&header.from, &header.to, &packet));
        }
        header
    }

    /// What most packets have.
    pub(crate) fn header(from: Host, to: Host, protocol: u8) -> Header {
        let (type_of_service, identification, router_alert) = (0, 0, false);
        Header { from, to, protocol, type_of_service, identification, router_alert }
    }

    fn capture(&mut self, time: u64, mut frame: Vec<u8>) {
        let length = u32::try_from(frame.len()).expect("no frame is that long");
        frame.truncate(self.snap_length);
        self.captured.push(Captured { time, length, frame });
    }

    /// The frames by time.
    pub(crate) fn into_captured(mut self) -> Vec<Captured> {
        self.captured.sort_by_key(|captured| captured.time);
        self.captured
    }

    /// A classic pcap file of Ethernet frames, in microseconds.
    pub(crate) fn into_pcap(self) -> Vec<u8> {
        let mut file = Vec::new();
        let snap_length = u32::try_from(self.snap_length).expect("it is short");
        let versions = 4 << 16 | 2;
        for word in [0xa1b2_c3d4, versions, 0, 0, snap_length, 1] {
            file.extend(u32::to_le_bytes(word));
        }
        for Captured { time, length, frame } in self.into_captured() {
            let number = |number| u32::try_from(number).expect("until 2106");
            let seconds = number(START + time / SECOND);
            let captured = u32::try_from(frame.len()).expect("it was cut");
            for word in [seconds, number(time % SECOND), captured, length] {
                file.extend(word.to_le_bytes());
            }
            file.extend(frame);
        }
        file
    }
}
