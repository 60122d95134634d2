//! The stage that tags records, and counts them by tag. Several threads may each have one.

use std::sync::{Arc, Mutex, PoisonError};

use flow::{Batch, RecordTally, Stage, Tag, Tags};

use super::Tagger;

/// Counts of records by tag. The stage adds those of each batch.
#[derive(Clone, Debug, Default)]
pub struct TagCounts(Arc<Mutex<Counts>>);

type Counts = [RecordTally; Tag::ALL.len()];

impl TagCounts {
    /// Each tag, and its records so far.
    pub fn so_far(&self) -> Vec<(Tag, RecordTally)> {
        let counts = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Tag::ALL.into_iter().zip(counts).collect()
    }

    fn add(&self, counts: Counts) {
        let mut sums = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (sum, count) in sums.iter_mut().zip(counts) {
            *sum += count;
        }
    }
}

/// Tags all records.
#[derive(Clone, Debug)]
pub struct TagStage {
    tagger: Tagger,
    published: TagCounts,
}

impl TagStage {
    /// A stage that adds its counts to `published`.
    pub fn new(tagger: Tagger, published: TagCounts) -> Self {
        Self { tagger, published }
    }
}

impl Stage for TagStage {
    fn batch(&mut self, batch: &mut Batch) {
        let mut counts = Counts::default();
        let mut has_tags = false;
        for record in &mut batch.records {
            let tags = self.tagger.tags(record);
            // Another CPU reads the record next, and takes it from this one if it is written to.
            if tags == Tags::NONE {
                continue;
            }
            has_tags = true;
            record.tags |= tags;
            for tag in tags.iter() {
                counts[tag as usize].count(record);
            }
        }
        if has_tags {
            self.published.add(counts);
        }
    }

    fn interface(&mut self, number: u32, name: &str) {
        self.tagger.learn_interface(number, name);
    }
}
