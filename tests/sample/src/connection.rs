//! TCP connections, from the handshake to the end, as a capture between the two sees them.

use super::network::Host;
use super::packet::{ACK, FIN, PSH, RST, SYN, Segment};
use super::trace::{MILLI, Trace};

/// Who of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
}

impl Side {
    fn peer(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// Where a connection goes and how far that is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route {
    pub(crate) client: Host,
    pub(crate) server: Host,
    /// The server's port.
    pub(crate) port: u16,
    /// Microseconds from the capture to the client and back, and to the server and back.
    pub(crate) delays: [u64; 2],
}

impl Route {
    /// To a server on the Internet.
    pub(crate) fn out(client: Host, server: Host, port: u16) -> Self {
        Self { client, server, port, delays: [400, 14 * MILLI] }
    }

    /// From a client on the Internet.
    pub(crate) fn inward(client: Host, server: Host, port: u16) -> Self {
        Self { client, server, port, delays: [22 * MILLI, 300] }
    }

    /// Within the site.
    pub(crate) fn local(client: Host, server: Host, port: u16) -> Self {
        Self { client, server, port, delays: [350, 250] }
    }
}

/// A connection in progress.
#[derive(Debug)]
pub(crate) struct Connection<'a> {
    pub(crate) trace: &'a mut Trace,
    /// Of the last packet; the next is later.
    pub(crate) time: u64,
    /// Mean microseconds from one segment of a message to the next.
    pub(crate) gap: u64,
    route: Route,
    client_port: u16,
    /// What each side sends next.
    sequence: [u32; 2],
    turn: Side,
}

impl<'a> Connection<'a> {
    /// A connection after its handshake.
    pub(crate) fn open(trace: &'a mut Trace, time: u64, route: Route) -> Self {
        let mut connection = Self::silent(trace, time, route);
        connection.segment(Side::Client, SYN, &[]);
        connection.turn_to(Side::Server);
        connection.segment(Side::Server, SYN | ACK, &[]);
        connection.turn_to(Side::Client);
        connection.segment(Side::Client, ACK, &[]);
        connection
    }

    /// An attempt that nobody answers; the client tries again after one and three seconds.
    pub(crate) fn attempt(trace: &'a mut Trace, time: u64, route: Route, tries: usize) {
        let mut connection = Self::silent(trace, time, route);
        let first = connection.sequence;
        for after in [0, 1_010 * MILLI, 3_030 * MILLI].into_iter().take(tries) {
            connection.time = time + after;
            connection.sequence = first;
            connection.segment(Side::Client, SYN, &[]);
        }
    }

    /// An attempt at a closed port.
    pub(crate) fn refused(trace: &'a mut Trace, time: u64, route: Route) {
        let mut connection = Self::silent(trace, time, route);
        connection.segment(Side::Client, SYN, &[]);
        connection.turn_to(Side::Server);
        connection.sequence[1] = 0;
        connection.segment(Side::Server, RST | ACK, &[]);
    }

    fn silent(trace: &'a mut Trace, time: u64, route: Route) -> Self {
        let client_port = trace.random.port();
        let sequence = [trace.random.u32(), trace.random.u32()];
        Self { trace, time, gap: 120, route, client_port, sequence, turn: Side::Client }
    }

    /// A message of so many octets that begins so, in as many segments as it needs.
    pub(crate) fn say(&mut self, from: Side, head: &[u8], length: usize) {
        self.turn_to(from);
        let message = self.trace.random.message(head, length);
        let segments = message.chunks(self.segment_size());
        let count = segments.len();
        for (number, payload) in (1..).zip(segments) {
            let flags = if number == count { ACK | PSH } else { ACK };
            self.segment(from, flags, payload);
            // Short messages are acknowledged by the answer.
            if number % 2 == 0 || number == count && count > 2 {
                let time = self.time;
                self.time += self.delay(from.peer());
                self.segment(from.peer(), ACK, &[]);
                self.time = time;
            }
            if number < count {
                self.time += self.trace.random.around(self.gap);
            }
        }
    }

    /// Nothing happens for about so long.
    pub(crate) fn wait(&mut self, mean: u64) {
        self.time += self.trace.random.around(mean);
    }

    /// One side closes, the other too.
    pub(crate) fn close(&mut self, first: Side) {
        for from in [first, first.peer()] {
            self.turn_to(from);
            self.segment(from, FIN | ACK, &[]);
        }
        self.turn_to(first);
        self.segment(first, ACK, &[]);
    }

    /// One side gives up.
    pub(crate) fn reset(&mut self, from: Side) {
        self.turn_to(from);
        self.segment(from, RST | ACK, &[]);
    }

    /// The other side speaks: what came before has to reach it first.
    fn turn_to(&mut self, side: Side) {
        if self.turn != side {
            self.turn = side;
            let delay = self.delay(side);
            self.time += delay + self.trace.random.around(delay / 4);
        }
        self.time += 8;
    }

    fn delay(&self, side: Side) -> u64 {
        self.route.delays[side as usize]
    }

    fn segment_size(&self) -> usize {
        if self.route.client.address.is_ipv4() { 1460 } else { 1440 }
    }

    fn segment(&mut self, from: Side, flags: u8, payload: &[u8]) {
        let Route { client, server, port, .. } = self.route;
        let (hosts, ports) = match from {
            Side::Client => ([client, server], [self.client_port, port]),
            Side::Server => ([server, client], [port, self.client_port]),
        };
        let [high, low] = super::packet::length(self.segment_size()).to_be_bytes();
        // Segment size, window scale, selective acknowledgements.
        let options = [2, 4, high, low, 1, 3, 3, 8, 1, 1, 4, 2];
        let segment = Segment {
            ports,
            sequence: self.sequence[from as usize],
            acknowledgement: if flags & ACK == 0 { 0 } else { self.sequence[from.peer() as usize] },
            flags,
            window: if flags & SYN == 0 { 1026 } else { 64_240 },
            options: if flags & SYN == 0 { &[] } else { &options },
        };
        self.trace.tcp(self.time, hosts, &segment, payload);
        let octets = u32::try_from(payload.len()).expect("a segment is short");
        let numbers = octets + u32::from(flags & (SYN | FIN) != 0);
        let sequence = &mut self.sequence[from as usize];
        *sequence = sequence.wrapping_add(numbers);
    }
}
