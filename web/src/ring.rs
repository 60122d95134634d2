//! A ring of buckets of time, and points of equal width from it.

use std::ops::Range;

use flow::Timestamp;

use crate::series::Span;
use crate::sum::Sum;

/// Maximum number of points in an answer.
const POINTS_MAX: u64 = 300;

/// Minimum number of points in an answer.
const POINTS_MIN: u64 = 30;

/// Buckets of the same width. A new one replaces the oldest.
#[derive(Debug)]
pub(crate) struct Ring<const CLASSES: usize> {
    /// Width of a bucket, in seconds.
    pub(crate) width: u64,
    cells: Vec<[Sum; CLASSES]>,
    /// The number of the latest bucket since the epoch; `None` before the first one.
    pub(crate) latest: Option<u64>,
    /// The earliest bucket that was ever used.
    earliest: u64,
}

impl<const CLASSES: usize> Ring<CLASSES> {
    pub(crate) fn new(width: u64, cells: usize) -> Self {
        let cells = vec![[Sum::default(); CLASSES]; cells];
        Self { width, cells, latest: None, earliest: u64::MAX }
    }

    fn len(&self) -> u64 {
        self.cells.len() as u64
    }

    fn bucket(&self, time: Timestamp) -> u64 {
        time.as_millis() / 1000 / self.width
    }

    /// The place of a bucket; `None` if it is older than the ring.
    fn place(&self, bucket: u64) -> Option<usize> {
        let latest = self.latest?;
        if bucket > latest || latest - bucket >= self.len() {
            return None;
        }
        usize::try_from(bucket % self.len()).ok()
    }

    /// Makes this bucket the latest, if it is later. The buckets from the old latest one to this
    /// one are cleared.
    fn advance(&mut self, first: u64, last: u64) {
        self.earliest = self.earliest.min(first);
        let begin = match self.latest {
            None => last,
            Some(latest) if last <= latest => return,
            Some(latest) => (latest + 1).max((last + 1).saturating_sub(self.len())),
        };
        self.latest = Some(last);
        for new in begin..=last {
            if let Some(place) = self.place(new) {
                self.cells[place] = [Sum::default(); CLASSES];
            }
        }
    }

    /// Adds to these classes, evenly over the time from the first packet to the last one. Flows
    /// count in the first bucket.
    pub(crate) fn add(&mut self, time: Range<Timestamp>, counts: Sum, classes: &[usize]) {
        let (first, last) = (self.bucket(time.start), self.bucket(time.end));
        self.advance(first, last);
        let from = time.start.as_millis();
        let millis = time.end.as_millis().saturating_sub(from).max(1);
        let upto = |bucket: u64| (bucket * self.width * 1000).saturating_sub(from).min(millis);
        // Of a time that is longer than the ring, only the end has buckets.
        for bucket in first.max((last + 1).saturating_sub(self.len()))..=last {
            let Some(place) = self.place(bucket) else { continue };
            let end = if bucket == last { millis } else { upto(bucket + 1) };
            let share = |count| share(count, upto(bucket)..end, millis);
            let (packets, octets) = (share(counts.packets), share(counts.octets));
            let flows = if bucket == first { counts.flows } else { 0 };
            for class in classes {
                self.cells[place][*class] += Sum { octets, packets, flows };
            }
        }
    }
}

/// What of a count is in some of so many equal parts. All shares add up to the count.
fn share(count: u64, some: Range<u64>, parts: u64) -> u64 {
    let upto = |part: u64| u128::from(count) * u128::from(part) / u128::from(parts);
    // A part of a 64-bit number fits in 64 bits.
    u64::try_from(upto(some.end) - upto(some.start)).unwrap_or(u64::MAX)
}

/// Points of equal width.
#[derive(Clone, Debug)]
pub(crate) struct Points {
    numbers: Range<u64>,
    /// Buckets of a point, and their width in seconds.
    buckets: u64,
    width: u64,
}

impl Points {
    /// The points of a span up to the latest bucket of records or of packet counters. `None` if
    /// there is no bucket. What the counters say of the latest point is not all.
    pub(crate) fn of<const A: usize, const B: usize>(
        span: Span,
        records: &Ring<A>,
        counted: &Ring<B>,
    ) -> Option<Self> {
        let width = records.width;
        let buckets = (span.step / width).max(1);
        let points = (span.seconds / span.step).min(POINTS_MAX);
        // Points begin at multiples of their width, so that they are the same in later requests.
        let end = match (records.latest, counted.latest) {
            (None, None) => return None,
            (Some(latest), None) => latest / buckets + 1,
            (latest, Some(counted)) => latest.unwrap_or(0).max(counted) / buckets,
        };
        // Points before the first record have no information, but a chart needs a minimum of
        // points.
        let earliest = records.earliest.min(counted.earliest) / buckets;
        let begin = earliest.min(end.saturating_sub(POINTS_MIN));
        let begin = begin.max(end.saturating_sub(points));
        Some(Self { numbers: begin..end, buckets, width })
    }

    /// The begin of the first one, in milliseconds.
    pub(crate) fn start(&self) -> u64 {
        self.numbers.start * self.buckets * self.width * 1000
    }

    /// The sums of these classes at each point.
    pub(crate) fn sums<const CLASSES: usize>(
        &self,
        ring: &Ring<CLASSES>,
        classes: Range<usize>,
    ) -> Vec<Sum> {
        let point = |number: u64| {
            let mut sum = Sum::default();
            let buckets = number * self.buckets..(number + 1) * self.buckets;
            for place in buckets.filter_map(|bucket| ring.place(bucket)) {
                ring.cells[place][classes.clone()].iter().for_each(|cell| sum += *cell);
            }
            sum
        };
        self.numbers.clone().map(point).collect()
    }
}
