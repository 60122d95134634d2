//! Denials of the service, after which a replay gives up.

use std::time::Instant;

/// Consecutive denials after which a replay gives up. Rights that were just given may need a
/// moment, and one node may know them before another.
const MOST: u32 = 3;

/// Consecutive denials.
#[derive(Debug, Default)]
pub(super) struct Denials {
    count: u32,
    last: Option<Instant>,
}

impl Denials {
    /// Counts the denial of a request that began then. Requests in flight together count as one.
    /// Returns true if it is one too many.
    pub(super) fn add(&mut self, begin: Instant, now: Instant) -> bool {
        if self.last.is_none_or(|last| last <= begin) {
            self.count += 1;
            self.last = Some(now);
        }
        self.count >= MOST
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn requests_that_are_denied_together_are_one_denial() {
        let mut denials = Denials::default();
        let begin = Instant::now();
        let after = |seconds| begin + Duration::from_secs(seconds);
        assert!(!(0..8).any(|_| denials.add(begin, after(1))));
        assert!(!denials.add(after(2), after(3)));
        assert!(denials.add(after(3), after(4)));
    }
}
