//! A batch: documents or messages of one request.

use flow::RecordTally;

use crate::content::Content;

/// Documents in the format of their service: for a cluster two lines each, the action and the
/// document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Batch {
    body: Vec<u8>,
    documents: Vec<Document>,
}

/// A document of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Document {
    /// Its end in the body.
    end: usize,
    content: Content,
}

impl Batch {
    /// An empty batch with room for some octets.
    pub(super) fn with_capacity(octets: usize) -> Self {
        Self { body: Vec::with_capacity(octets), documents: Vec::new() }
    }

    /// Makes it an empty batch with room for some octets.
    pub(super) fn restart(&mut self, octets: usize) {
        self.body.clear();
        self.documents.clear();
        self.body.reserve_exact(octets);
    }

    /// Octets that its body has room for.
    pub(super) fn capacity(&self) -> usize {
        self.body.capacity()
    }

    /// Frees unused capacity if it is large: a batch may wait for a long time.
    pub(super) fn trim(&mut self) {
        if self.body.len() < self.body.capacity() / 8 * 7 {
            self.body.shrink_to_fit();
        }
    }

    /// The body of the request.
    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    /// Octets of the body.
    pub(crate) fn octets(&self) -> usize {
        self.body.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.documents.is_empty()
    }

    /// Number of documents.
    pub(crate) fn len(&self) -> usize {
        self.documents.len()
    }

    /// Appends a document.
    #[inline]
    pub(super) fn put(&mut self, content: Content, put: impl FnOnce(&mut Vec<u8>)) {
        put(&mut self.body);
        self.documents.push(Document { end: self.body.len(), content });
    }

    /// Content of the document with this index, with its octets.
    pub(super) fn content(&self, index: usize) -> Content {
        let octets = (self.documents[index].end - self.start(index)) as u64;
        Content { octets, ..self.documents[index].content }
    }

    /// Content of all documents.
    pub(super) fn total(&self) -> Content {
        Content::sum((0..self.len()).map(|index| self.content(index)))
    }

    /// The octets of a document.
    pub(crate) fn entry(&self, index: usize) -> &[u8] {
        &self.body[self.start(index)..self.documents[index].end]
    }

    /// A batch of the documents that `is_wanted` selects.
    pub(super) fn only(&self, is_wanted: impl Fn(usize) -> bool) -> Self {
        let mut only = Self::default();
        for index in (0..self.len()).filter(|&index| is_wanted(index)) {
            let content = self.documents[index].content;
            only.put(content, |out| out.extend_from_slice(self.entry(index)));
        }
        only
    }

    /// Both halves of a batch of two documents or more.
    pub(super) fn halves(&self) -> (Self, Self) {
        let half = self.len() / 2;
        (self.only(|index| index < half), self.only(|index| index >= half))
    }

    /// Encodes batches as one, for the spool: the number of documents; the end and the content of
    /// each; the bodies. All numbers are little-endian.
    pub(super) fn octets_of(batches: &[&Self]) -> Vec<u8> {
        let sum = |of: fn(&Self) -> usize| batches.iter().map(|batch| of(batch)).sum::<usize>();
        let count = sum(Self::len);
        let mut octets = Vec::with_capacity(8 + count * ENTRY + sum(Self::octets) + 1);
        octets.extend((count as u64).to_le_bytes());
        let mut begin = 0;
        for batch in batches {
            for Document { end, content } in &batch.documents {
                let numbers = [(begin + end) as u64, content.events, content.records.records];
                let sums = [content.records.packets, content.records.octets];
                numbers.iter().chain(&sums).for_each(|number| octets.extend(number.to_le_bytes()));
            }
            begin += batch.octets();
        }
        batches.iter().for_each(|batch| octets.extend(&batch.body));
        octets
    }

    /// Decodes a batch of [`Batch::octets_of`]; `None` for other octets.
    pub(super) fn from_octets(octets: &[u8]) -> Option<Self> {
        let (count, rest) = octets.split_first_chunk()?;
        let count = usize::try_from(u64::from_le_bytes(*count)).ok()?;
        let (entries, body) = rest.split_at_checked(count.checked_mul(ENTRY)?)?;
        let (numbers, []) = entries.as_chunks() else { return None };
        let (entries, []) = numbers.as_chunks() else { return None };
        let mut documents = Vec::with_capacity(count);
        let mut last = 0;
        for entry in entries {
            let [end, events, records, packets, octets] = entry.map(u64::from_le_bytes);
            let records = RecordTally { records, packets, octets };
            let content = Content { messages: 1, octets: 0, records, events };
            let end = usize::try_from(end).ok().filter(|end| (last..=body.len()).contains(end))?;
            documents.push(Document { end, content });
            last = end;
        }
        (last == body.len()).then(|| Self { body: body.to_vec(), documents })
    }

    fn start(&self, index: usize) -> usize {
        index.checked_sub(1).map_or(0, |before| self.documents[before].end)
    }
}

/// Octets of a document's entry in the spool.
const ENTRY: usize = 5 * 8;

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
    fn batch_comes_back_from_octets() {
        for count in [0, 1, 300] {
            let batch = batch(count);
            assert_eq!(Batch::from_octets(&Batch::octets_of(&[&batch])), Some(batch));
        }
    }

    #[test]
    fn parts_come_back_from_octets_as_one() {
        let whole = batch(300);
        let (first, second) = whole.halves();
        assert_eq!(Batch::from_octets(&Batch::octets_of(&[&first, &second])), Some(whole));
    }

    #[test]
    fn other_octets_are_no_batch() {
        let octets = Batch::octets_of(&[&batch(3)]);
        for end in 0..octets.len() {
            assert_eq!(Batch::from_octets(&octets[..end]), None, "{end}");
        }
        for other in [[0xff; 64], [0x01; 64]] {
            assert_eq!(Batch::from_octets(&other), None);
        }
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
