//! Messages under construction: a header and sets, up to a limit of octets.
//!
//! A set begins with its id and its length (RFC 7011 section 3.3.2, RFC 3954 section 5.3). The
//! length is written when the set is closed. Until then it is the largest possible number, so that
//! an unfinished set cannot be read as a shorter complete one.

use element::{PutOctets, count16};
use flow::RecordTally;

use crate::content::Message;

/// Maximum octets of a message: its length field has 16 bits.
const MESSAGE_OCTETS_MAX: usize = u16::MAX as usize;

/// Octets of a set's id and length.
pub(super) const SET_HEADER: usize = 4;

/// The record does not fit into the message, or has to be in another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

#[derive(Debug)]
pub(crate) struct MessageBuilder {
    octets: Vec<u8>,
    limit: usize,
    header: usize,
    open_set: Option<OpenSet>,
    pub(crate) records: RecordTally,
}

#[derive(Clone, Copy, Debug)]
struct OpenSet {
    id: u16,
    start: usize,
}

impl MessageBuilder {
    /// A builder of messages with a header of `header` octets and at most `limit` octets.
    pub(crate) fn new(header: usize, limit: usize) -> Self {
        let mut octets = Vec::with_capacity(limit.min(MESSAGE_OCTETS_MAX));
        octets.resize(header, 0);
        Self { octets, limit, header, open_set: None, records: RecordTally::default() }
    }

    /// Sets the limit of octets of a message.
    pub(crate) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// True if it has only the header.
    pub(crate) fn is_empty(&self) -> bool {
        self.octets.len() == self.header
    }

    /// Appends a record without a set, for NetFlow v5.
    pub(super) fn add_plain(&mut self, record: &[u8]) {
        self.octets.extend_from_slice(record);
    }

    /// Appends a complete set, without regard to the limit. A padded set has a multiple of 4
    /// octets.
    pub(crate) fn add_set(&mut self, id: u16, padded: Padded, put: impl FnOnce(&mut Vec<u8>)) {
        self.close_set();
        let start = self.octets.len();
        self.open(id);
        put(&mut self.octets);
        if padded == Padded::Yes {
            self.octets.resize(self.octets.len().next_multiple_of(4), 0);
        }
        self.write_length(start);
    }

    /// Appends a record to the open data set if it has this id, or else to a new set. A record that
    /// does not fit is removed, unless it is the first of the message.
    #[inline(always)]
    pub(super) fn add_record(
        &mut self,
        set_id: u16,
        put: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), Full> {
        let was_empty = self.is_empty();
        if self.open_set.is_none_or(|set| set.id != set_id) {
            self.close_set();
            self.open_set = Some(OpenSet { id: set_id, start: self.octets.len() });
            self.open(set_id);
        }
        let before = self.octets.len();
        put(&mut self.octets);
        if self.octets.len().next_multiple_of(4) > self.limit && !was_empty {
            self.take_back(before);
            return Err(Full);
        }
        Ok(())
    }

    /// Appends a record with a set before it, such as its template. If both do not fit, both are
    /// removed, unless they are the first of the message.
    pub(super) fn add_record_after(
        &mut self,
        (before_id, put_before): (u16, impl FnOnce(&mut Vec<u8>)),
        set_id: u16,
        put: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), Full> {
        let was_empty = self.is_empty();
        self.close_set();
        let start = self.octets.len();
        self.add_set(before_id, Padded::No, put_before);
        self.open_set = Some(OpenSet { id: set_id, start: self.octets.len() });
        self.open(set_id);
        put(&mut self.octets);
        if self.octets.len().next_multiple_of(4) > self.limit && !was_empty {
            self.octets.truncate(start);
            self.open_set = None;
            return Err(Full);
        }
        Ok(())
    }

    /// Removes the last record, and its set if the set is empty then.
    #[cold]
    fn take_back(&mut self, start_of_record: usize) {
        self.octets.truncate(start_of_record);
        if let Some(set) = self.open_set
            && set.start + SET_HEADER == start_of_record
        {
            self.octets.truncate(set.start);
            self.open_set = None;
        }
    }

    /// Finishes the message and writes its header. `None` if the message is empty.
    pub(crate) fn finish(
        &mut self,
        write_header: impl FnOnce(&mut Vec<u8>, u16),
    ) -> Option<Message<'_>> {
        if self.is_empty() {
            return None;
        }
        self.close_set();
        let length = count16(self.octets.len());
        let mut header = Vec::with_capacity(self.header);
        write_header(&mut header, length);
        self.octets[..self.header].copy_from_slice(&header);
        Some(Message { octets: &self.octets, records: self.records })
    }

    /// Begins the next message.
    pub(crate) fn clear(&mut self) {
        self.octets.truncate(self.header);
        self.open_set = None;
        self.records = RecordTally::default();
    }

    /// Closes the open set. Pads it with zeros to a multiple of 4 octets, which is less than any
    /// record.
    fn close_set(&mut self) {
        if let Some(set) = self.open_set.take() {
            self.octets.resize(self.octets.len().next_multiple_of(4), 0);
            self.write_length(set.start);
        }
    }

    fn open(&mut self, id: u16) {
        self.octets.put16(id);
        self.octets.put16(u16::MAX);
    }

    fn write_length(&mut self, start: usize) {
        let length = count16(self.octets.len() - start);
        self.octets[start + 2..start + SET_HEADER].copy_from_slice(&length.to_be_bytes());
    }
}

/// Padding of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Padded {
    Yes,
    No,
}
