//! Names in payload: from frames to findings.

use flow::{ConversationKey, Frame, HashSeed, PayloadCounts, Sink, Timestamp, Tpids, segment};
use payload::reader::{Found, Kinds, Reader, Segment, Transport};

/// Settings of payload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PayloadSettings {
    /// Protocols that are looked for.
    pub(crate) kinds: Kinds,
    /// Octets of all state of all workers.
    pub(crate) memory: u64,
}

impl PayloadSettings {
    /// Octets for unfinished openings of each of the readers.
    fn hellos(&self, readers: usize) -> usize {
        usize::try_from(self.memory / 4).unwrap_or(usize::MAX) / readers.max(1)
    }

    /// Octets for what each of the workers has found.
    pub(crate) fn facts(&self, workers: usize) -> usize {
        usize::try_from(self.memory / 4 * 3).unwrap_or(usize::MAX) / workers.max(1)
    }
}

/// Something that was found in a conversation.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) conversation: ConversationKey,
    /// Time of the packet.
    pub(crate) time: Timestamp,
    pub(crate) found: Found,
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
    tpids: Tpids,
    seed: HashSeed,
}

impl PayloadReader {
    /// One of `readers`, which share the memory.
    pub(crate) fn new(
        settings: &PayloadSettings,
        readers: usize,
        tpids: Tpids,
        seed: HashSeed,
    ) -> Self {
        Self { reader: Reader::new(settings.kinds, settings.hellos(readers)), tpids, seed }
    }

    pub(crate) fn counts(&self) -> PayloadCounts {
        self.reader.counts()
    }

    /// Looks at a frame.
    pub(crate) fn look(&mut self, frame: &Frame<'_>, sink: &mut impl FindingSink) {
        let Some(it) = segment(frame, self.tpids, &self.seed) else { return };
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
        if let Some(found) = found {
            sink.found(Finding { conversation: it.conversation, time: frame.time, found });
        }
    }
}
