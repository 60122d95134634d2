//! Which packets are looked at, and what is kept of unfinished openings.
//!
//! Without an unfinished opening a packet is decided by its ports and first octets. Time is that
//! of packets. All state is bounded.

mod found;
mod gate;
mod hellos;
#[cfg(test)]
mod tests;

use core::hash::Hash;

use flow::PayloadCounts;

use crate::dns::Message;
use crate::flaw::Flaw;
use crate::http::{Request, Response};
use crate::pieces::{Inserted, Pieces};
use crate::quic::{ConnectionId, Opener, Version};
use crate::tls::{
    Records, ServerHello, begins_with_server_hello, cut_hello, quic_hello, stream_hello,
};
use gate::Opening;
use hellos::{Hello, Hellos, Marks, hash_of};

pub use found::{Found, Transaction};
pub use gate::{DnsPorts, Kinds};

/// Messages that are parsed, and keys that are tried for Initial packets of QUIC, in a second of
/// packet time. The last datagram of a second may have some more.
const PARSED_MAX: u32 = 200_000;
const TRIES_MAX: u32 = 20_000;

/// Datagrams in which a client's hello is looked for.
const DATAGRAMS_MAX: u8 = 10;

/// Transport payload of one packet.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a, K> {
    /// The conversation, which both directions have.
    pub conversation: K,
    /// Tells the directions apart.
    pub is_forward: bool,
    /// TCP with its sequence number, or UDP.
    pub transport: Transport,
    /// Source and destination port.
    pub ports: (u16, u16),
    /// The octets behind the transport header, as far as they were captured.
    pub payload: &'a [u8],
    /// Whether the capture has fewer octets than the packet.
    pub is_cut: bool,
    /// Time of the packet, in milliseconds.
    pub time_ms: u64,
}

/// The transport of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    Tcp {
        /// Number of the first octet.
        sequence: u32,
    },
    /// UDP.
    Udp,
}

/// Reads names out of packets. `K` is the key of a conversation.
#[derive(Debug)]
pub struct Reader<K> {
    kinds: Kinds,
    hellos: Hellos<K>,
    /// Connections of TCP in which something was found: those found last, and those before them.
    known: [Marks; 2],
    opener: Opener,
    records: Records,
    /// The second of packet time for which the next two count.
    second: u64,
    parsed: u32,
    tries: u32,
    counts: PayloadCounts,
}

impl<K: Copy + Eq + Hash> Reader<K> {
    /// A reader of these protocols. Unfinished openings take at most so many octets of memory.
    pub fn new(kinds: Kinds, memory: usize) -> Self {
        Self {
            kinds,
            hellos: Hellos::new(memory),
            known: Default::default(),
            opener: Opener::default(),
            records: Records::default(),
            second: 0,
            parsed: 0,
            tries: 0,
            counts: PayloadCounts::default(),
        }
    }

    /// What was counted so far.
    pub fn counts(&self) -> PayloadCounts {
        let hellos = self.hellos.counts();
        PayloadCounts {
            hello_timed_out: hellos.timed_out,
            hello_evicted: hellos.evicted,
            hello_replaced: hellos.replaced,
            ..self.counts
        }
    }

    /// Whether [`Self::read`] has to look at a packet with these ports and this payload. `hash`
    /// gives the word that the key of its conversation hashes.
    #[inline(always)]
    pub fn concerns(
        &self,
        is_tcp: bool,
        ports: (u16, u16),
        payload: &[u8],
        hash: impl FnOnce() -> u64,
    ) -> bool {
        self.kinds.opening(is_tcp, ports, payload).is_some() || self.hellos.may_have(hash)
    }

    /// Looks at a packet.
    #[inline]
    pub fn read(&mut self, segment: &Segment<'_, K>) -> Option<Found> {
        if segment.payload.is_empty() {
            return None;
        }
        let is_tcp = segment.transport != Transport::Udp;
        let opening = self.kinds.opening(is_tcp, segment.ports, segment.payload);
        if opening.is_none() && !self.hellos.may_have(|| hash_of(&segment.conversation)) {
            return None;
        }
        let found = self.look(segment, opening)?;
        if is_tcp {
            let [last, before] = &mut self.known;
            if last.is_full() {
                core::mem::swap(last, before);
                last.clear();
            }
            last.set(hash_of(&segment.conversation));
        }
        Some(found)
    }

    /// Whether something was found in any connection of TCP, or is waited for.
    #[inline]
    pub fn knows_any(&self) -> bool {
        self.known.iter().any(|marks| !marks.is_empty()) || !self.hellos.is_empty()
    }

    /// A connection of TCP begins. The unfinished opening of one between the same ends is
    /// forgotten. Returns whether something may have been found in one.
    pub fn begin(&mut self, conversation: &K) -> bool {
        let hash = hash_of(conversation);
        if self.hellos.may_have(|| hash) {
            self.hellos.replace(conversation);
        }
        self.known.iter().any(|marks| marks.has(hash))
    }

    fn look(&mut self, segment: &Segment<'_, K>, opening: Option<Opening>) -> Option<Found> {
        self.hellos.expire(segment.time_ms);
        if self.hellos.has(&segment.conversation, segment.is_forward) {
            if !self.may_parse(segment.time_ms) {
                return None;
            }
            return self.go_on(segment);
        }
        let opening = opening?;
        if !self.may_parse(segment.time_ms) {
            return None;
        }
        let result = match opening {
            Opening::Dns => self.dns(segment),
            Opening::Tls if begins_with_server_hello(segment.payload) => {
                ServerHello::read(segment.payload).map(Found::ServerHello)
            }
            Opening::Tls => self.first(segment, Hello::tls),
            Opening::Request => self.first(segment, Hello::request),
            Opening::Response => Response::read(segment.payload).map(Found::Response),
            Opening::Quic => self.first_datagram(segment),
            Opening::OtherQuic => {
                self.counts.quic_version += 1;
                return None;
            }
        };
        self.judge(result, segment.is_cut)
    }

    fn dns(&mut self, segment: &Segment<'_, K>) -> Result<Found, Flaw> {
        let message = match segment.transport {
            Transport::Tcp { .. } => Message::read_framed(segment.payload)?,
            Transport::Udp if segment.is_cut => Message::read(segment.payload)?,
            Transport::Udp => Message::read(segment.payload).map_err(Flaw::of_whole)?,
        };
        if segment.is_cut && !message.has_all_records() {
            self.counts.truncated += 1;
        }
        Ok(Found::Dns(Box::new(Transaction {
            id: message.id,
            opcode: message.opcode(),
            flags: message.flags(),
            response_code: message.is_response().then(|| message.response_code()),
            question: message.question,
            answers_count: message.answers_count,
            answers: if self.kinds.dns_answers { message.told().collect() } else { Vec::new() },
        })))
    }

    /// The first segment of a stream. If it is not all, the rest is waited for.
    fn first(
        &mut self,
        segment: &Segment<'_, K>,
        new: impl Fn(u32) -> Hello,
    ) -> Result<Found, Flaw> {
        let sequence = match segment.transport {
            Transport::Tcp { sequence } => sequence,
            Transport::Udp => 0,
        };
        let mut hello = new(sequence);
        let result = self.parse(&hello, segment.payload, segment.is_cut);
        if result == Err(Flaw::Incomplete) && !segment.is_cut {
            hello.pieces.insert(0, segment.payload);
            self.keep(segment, hello);
        }
        result
    }

    fn first_datagram(&mut self, segment: &Segment<'_, K>) -> Result<Found, Flaw> {
        let mut pieces = Pieces::default();
        let (version, id) = self.open(segment, None, &mut pieces)?;
        let result = quic_hello(pieces.beginning());
        if result == Err(Flaw::Incomplete) && pieces.memory() > 0 {
            let hello = Hello::quic(version, id, pieces);
            self.keep(segment, hello);
        }
        result.map(|hello| Found::Hello { hello: Box::new(hello), quic: Some(version) })
    }

    /// Opens a datagram, within what may be opened in a second.
    fn open(
        &mut self,
        segment: &Segment<'_, K>,
        original: Option<&ConnectionId>,
        pieces: &mut Pieces,
    ) -> Result<(Version, ConnectionId), Flaw> {
        if self.tries >= TRIES_MAX {
            self.counts.skipped += 1;
            return Err(Flaw::Other);
        }
        let counts = &mut self.counts;
        let opened = self.opener.open(segment.payload, original, |offset, octets| {
            match pieces.insert(offset, octets) {
                Inserted::Whole => {}
                Inserted::Differs => counts.hello_overlap += 1,
                Inserted::TooLong => counts.hello_too_long += 1,
            }
        });
        self.tries += self.opener.tries();
        let opened = if segment.is_cut { opened? } else { opened.map_err(Flaw::of_whole)? };
        Ok((opened.version, opened.destination))
    }

    fn keep(&mut self, segment: &Segment<'_, K>, hello: Hello) {
        self.hellos.insert(segment.conversation, segment.is_forward, segment.time_ms, hello);
    }

    /// A packet of a conversation with an unfinished opening.
    fn go_on(&mut self, segment: &Segment<'_, K>) -> Option<Found> {
        let mut hello = self.hellos.take(&segment.conversation)?;
        let result = match (&hello.quic, segment.transport) {
            (Some((version, id)), Transport::Udp) => {
                let (version, id) = (*version, *id);
                self.next_datagram(segment, &mut hello, version, id)
            }
            (None, Transport::Tcp { sequence }) => self.next_segment(segment, &mut hello, sequence),
            (Some(_), Transport::Tcp { .. }) | (None, Transport::Udp) => Err(Flaw::Other),
        };
        if result == Err(Flaw::Incomplete) && !segment.is_cut {
            self.hellos.put_back(segment.conversation, hello);
        } else {
            hello.pieces.clear();
        }
        self.judge(result, segment.is_cut)
    }

    fn next_segment(
        &mut self,
        segment: &Segment<'_, K>,
        hello: &mut Hello,
        sequence: u32,
    ) -> Result<Found, Flaw> {
        let offset = sequence.wrapping_sub(hello.sequence);
        // What is before the beginning does not belong to it.
        if offset > u32::MAX / 2 {
            return Err(Flaw::Incomplete);
        }
        match hello.pieces.insert(offset.into(), segment.payload) {
            Inserted::Whole => {}
            Inserted::Differs => self.counts.hello_overlap += 1,
            Inserted::TooLong => return Err(Flaw::TooLong),
        }
        self.parse(hello, hello.pieces.beginning(), segment.is_cut)
    }

    /// Reads the beginning of a stream. If the capture has cut it: the whole lines of a request,
    /// the server name of a hello.
    fn parse(&mut self, hello: &Hello, stream: &[u8], is_cut: bool) -> Result<Found, Flaw> {
        if !hello.is_request {
            let mut result = stream_hello(stream, &mut self.records);
            if is_cut && result == Err(Flaw::Incomplete) {
                result = cut_hello(stream, &mut self.records);
                self.counts.truncated += u64::from(result.is_ok());
            }
            return result.map(|hello| Found::Hello { hello: Box::new(hello), quic: None });
        }
        let mut request = Request::read(stream, false);
        if is_cut && request == Err(Flaw::Incomplete) {
            request = Request::read(stream, true);
            self.counts.truncated += u64::from(request.is_ok());
        }
        request.map(|request| Found::Request(Box::new(request)))
    }

    fn next_datagram(
        &mut self,
        segment: &Segment<'_, K>,
        hello: &mut Hello,
        version: Version,
        id: ConnectionId,
    ) -> Result<Found, Flaw> {
        hello.datagrams += 1;
        match self.open(segment, Some(&id), &mut hello.pieces) {
            Ok(_) => {}
            // A packet of another kind between them.
            Err(_) if hello.datagrams < DATAGRAMS_MAX => return Err(Flaw::Incomplete),
            Err(flaw) => return Err(flaw),
        }
        match quic_hello(hello.pieces.beginning()) {
            Ok(hello) => Ok(Found::Hello { hello: Box::new(hello), quic: Some(version) }),
            Err(Flaw::Incomplete) if hello.datagrams >= DATAGRAMS_MAX => Err(Flaw::TooLong),
            Err(flaw) => Err(flaw),
        }
    }

    /// Counts what was found, or why it was not.
    fn judge(&mut self, result: Result<Found, Flaw>, is_cut: bool) -> Option<Found> {
        let counts = &mut self.counts;
        let count = match &result {
            Ok(Found::Dns(_)) => &mut counts.dns,
            Ok(Found::Hello { quic: None, .. } | Found::ServerHello(_)) => &mut counts.tls,
            Ok(Found::Hello { quic: Some(_), .. }) => &mut counts.quic,
            Ok(Found::Request(_) | Found::Response(_)) => &mut counts.http,
            Err(Flaw::Incomplete) if is_cut => &mut counts.truncated,
            Err(Flaw::Incomplete | Flaw::Other) => return None,
            Err(Flaw::Malformed | Flaw::Version) => &mut counts.malformed,
            Err(Flaw::TooLong) => &mut counts.hello_too_long,
            Err(Flaw::Sealed) => &mut counts.quic_sealed,
        };
        *count += 1;
        result.ok()
    }

    /// Whether one more message may be parsed in this second.
    fn may_parse(&mut self, time_ms: u64) -> bool {
        let second = time_ms / 1000;
        if second > self.second {
            (self.second, self.parsed, self.tries) = (second, 0, 0);
        }
        if self.parsed >= PARSED_MAX {
            self.counts.skipped += 1;
            return false;
        }
        self.parsed += 1;
        true
    }
}
