//! Names in payload: from frames to findings.

use flow::{
    ConversationKey, ConversationKeys, Frame, Glance, Look, PayloadCounts, Sink, Timestamp,
};
use payload::reader::{Found, Kinds, Reader, Segment, Transport};

use crate::pipeline::telling::Telling;

/// Settings of payload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PayloadSettings {
    /// Protocols that are looked for.
    pub(crate) kinds: Kinds,
    /// Octets of all state of all workers.
    pub(crate) memory: u64,
    /// What is told of what is found.
    pub(crate) telling: Telling,
    /// DNS transactions are events.
    pub(crate) has_transactions: bool,
}

impl PayloadSettings {
    /// Octets for unfinished openings of each of the readers.
    fn hellos(&self, readers: usize) -> usize {
        usize::try_from(self.memory / 4).unwrap_or(usize::MAX) / readers.max(1)
    }

    /// Octets for what each of the workers has found.
    pub(crate) fn facts(&self, workers: usize) -> usize {
        let quarters = if self.has_transactions { 2 } else { 3 };
        usize::try_from(self.memory / 4 * quarters).unwrap_or(usize::MAX) / workers.max(1)
    }

    /// Octets for the DNS questions of each of the workers that wait for answers. `None` if they
    /// are no events.
    pub(crate) fn transactions(&self, workers: usize) -> Option<usize> {
        self.has_transactions.then(|| self.hellos(workers))
    }
}

/// Something that was found in a conversation.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) conversation: ConversationKey,
    /// True if the source of the packet is the lower end.
    pub(crate) is_forward: bool,
    /// Time of the packet.
    pub(crate) time: Timestamp,
    /// `None`: a connection begins between the ends of one in which something was found.
    pub(crate) found: Option<Found>,
}

impl Finding {
    /// Whether the client is the lower end of the conversation: it sends all but answers.
    pub(crate) fn is_client_lower(&self) -> bool {
        let is_answer = match &self.found {
            Some(Found::Dns(transaction)) => transaction.response_code.is_some(),
            Some(Found::Response(_) | Found::ServerHello(_)) => true,
            Some(Found::Hello { .. } | Found::Request(_)) | None => false,
        };
        self.is_forward != is_answer
    }
}

/// A receiver of observations that also keeps what was found.
pub(crate) trait FindingSink: Sink {
    /// Keeps a finding, before the observation of its packet.
    fn found(&mut self, finding: Finding);
}

/// Reads names out of frames.
#[derive(Debug)]
pub(crate) struct PayloadReader {
    reader: Reader<ConversationKey>,
    keys: ConversationKeys,
}

impl PayloadReader {
    /// One of `readers`, which share the memory.
    pub(crate) fn new(settings: &PayloadSettings, readers: usize, keys: ConversationKeys) -> Self {
        Self { reader: Reader::new(settings.kinds, settings.hellos(readers)), keys }
    }

    pub(crate) fn counts(&self) -> PayloadCounts {
        self.reader.counts()
    }

    /// Looks at a frame.
    #[inline(always)]
    pub(crate) fn look(&mut self, frame: &Frame<'_>, sink: &mut impl FindingSink) {
        let Self { reader, keys } = self;
        let is_of_interest = match keys.glance(frame) {
            Glance::Nothing => false,
            Glance::Begins => reader.knows_any(),
            Glance::Plain(it) => reader.concerns(it.is_tcp, it.ports, it.octets, || it.hash(keys)),
            Glance::Other => true,
        };
        if is_of_interest {
            self.read(frame, sink);
        }
    }

    #[inline(never)]
    fn read(&mut self, frame: &Frame<'_>, sink: &mut impl FindingSink) {
        let (conversation, is_forward, found) = match self.keys.look(frame) {
            Some(Look::Segment(it)) => {
                let found = self.reader.read(&Segment {
                    conversation: it.conversation,
                    is_forward: it.is_forward,
                    transport: match it.sequence {
                        Some(sequence) => Transport::Tcp { sequence },
                        None => Transport::Udp,
                    },
                    ports: it.ports,
                    payload: it.payload,
                    is_cut: it.is_cut,
                    time_ms: frame.time.as_millis(),
                });
                if found.is_none() {
                    return;
                }
                (it.conversation, it.is_forward, found)
            }
            Some(Look::Begins(conversation, is_forward)) => {
                if !self.reader.begin(&conversation) {
                    return;
                }
                (conversation, is_forward, None)
            }
            None => return,
        };
        sink.found(Finding { conversation, is_forward, time: frame.time, found });
    }
}
