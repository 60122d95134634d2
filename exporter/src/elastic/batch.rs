//! A batch: documents that travel in one request.

use crate::content::Content;

/// Documents as the bulk API takes them: for each an action and the document, a line each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Batch {
    body: Vec<u8>,
    documents: Vec<Document>,
}

/// A document of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Document {
    /// Where its lines end in the body.
    end: usize,
    content: Content,
}

impl Batch {
    /// An empty batch with room for some octets.
    pub(super) fn with_capacity(octets: usize) -> Self {
        Self { body: Vec::with_capacity(octets), documents: Vec::new() }
    }

    /// Gives back the memory that was not needed, where that is much: a batch may wait for long.
    pub(super) fn trim(&mut self) {
        if self.body.len() < self.body.capacity() / 8 * 7 {
            self.body.shrink_to_fit();
        }
    }

    /// The body of the request.
    pub(super) fn body(&self) -> &[u8] {
        &self.body
    }

    /// Octets of the body.
    pub(super) fn octets(&self) -> usize {
        self.body.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.documents.is_empty()
    }

    /// Number of documents.
    pub(super) fn len(&self) -> usize {
        self.documents.len()
    }

    /// Appends the lines of a document.
    #[inline]
    pub(super) fn put(&mut self, content: Content, put: impl FnOnce(&mut Vec<u8>)) {
        put(&mut self.body);
        self.documents.push(Document { end: self.body.len(), content });
    }

    /// What is in the document with this index, with its octets.
    pub(super) fn content(&self, index: usize) -> Content {
        let octets = (self.documents[index].end - self.start(index)) as u64;
        Content { octets, ..self.documents[index].content }
    }

    /// What is in all documents.
    pub(super) fn total(&self) -> Content {
        Content::sum((0..self.len()).map(|index| self.content(index)))
    }

    /// The lines of a document: the action, then the document.
    pub(super) fn lines(&self, index: usize) -> &[u8] {
        &self.body[self.start(index)..self.documents[index].end]
    }

    /// The documents that `is_wanted` names.
    pub(super) fn only(&self, is_wanted: impl Fn(usize) -> bool) -> Self {
        let mut only = Self::default();
        for index in (0..self.len()).filter(|&index| is_wanted(index)) {
            let content = self.documents[index].content;
            only.put(content, |out| out.extend_from_slice(self.lines(index)));
        }
        only
    }

    /// Both halves of a batch of two documents or more.
    pub(super) fn halves(&self) -> (Self, Self) {
        let half = self.len() / 2;
        (self.only(|index| index < half), self.only(|index| index >= half))
    }

    fn start(&self, index: usize) -> usize {
        index.checked_sub(1).map_or(0, |before| self.documents[before].end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(count: u64) -> Batch {
        let mut batch = Batch::default();
        for number in 0..count {
            let mut content = Content { messages: 1, ..Content::default() };
            content.records.records = 1;
            content.records.packets = number;
            batch.put(content, |out| out.extend(format!("{{}}\n{number}\n").bytes()));
        }
        batch
    }

    #[test]
    fn batch_that_waits_takes_no_more_memory_than_it_needs() {
        let mut small = Batch::with_capacity(1_000_000);
        small.put(Content::default(), |out| out.extend_from_slice(b"{}\n{}\n"));
        let before = small.clone();
        small.trim();
        assert_eq!(small, before);
        assert!(small.body.capacity() < 1000, "{}", small.body.capacity());
    }

    #[test]
    fn parts_have_the_documents_that_are_wanted() {
        let whole = batch(5);
        let odd = whole.only(|index| index % 2 == 1);
        assert_eq!(odd.body(), b"{}\n1\n{}\n3\n");
        assert_eq!(odd.total().records.packets, 4);
        let (first, second) = whole.halves();
        assert_eq!((first.len(), second.len()), (2, 3));
        assert_eq!([first.body(), second.body()].concat(), whole.body());
        assert_eq!(first.total() + second.total(), whole.total());
    }
}
