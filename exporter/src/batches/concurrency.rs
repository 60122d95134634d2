//! Limit of requests in flight: additive increase, multiplicative decrease.

use std::time::{Duration, Instant};

/// The limit of requests in flight. It begins at 1.
///
/// It rises by 1 after this number of consecutive answers in the usual time, while the limit is
/// reached. It falls by a tenth when the cluster refuses documents or a request takes much longer
/// than usual, at most once in the usual time of a request.
#[derive(Clone, Debug)]
pub(super) struct Limit {
    current: f64,
    most: f64,
    usual: Option<Usual>,
    /// Answers in the usual time since the limit last changed.
    good: f64,
    /// Time of the next possible decrease: one problem causes one decrease.
    next_decrease: Option<Instant>,
}

/// Time of a request: exponentially weighted mean and deviation, in seconds.
#[derive(Clone, Copy, Debug)]
struct Usual {
    mean: f64,
    deviation: f64,
}

const WEIGHT: f64 = 0.4;
const DEVIATIONS: f64 = 2.5;
const DECREASE: f64 = 0.9;
/// Normal variation of the time of a request, in seconds.
const LEAST_DEVIATION: f64 = 0.02;

impl Limit {
    pub(super) fn new(most: u32) -> Self {
        Self { current: 1.0, most: most.into(), usual: None, good: 0.0, next_decrease: None }
    }

    /// Maximum requests in flight, at least 1.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is small")]
    pub(super) fn get(&self) -> usize {
        self.current as usize
    }

    /// A request was answered after `time`. `in_use` requests were in flight, this one included.
    pub(super) fn answered(&mut self, time: Duration, in_use: usize, now: Instant) {
        let seconds = time.as_secs_f64();
        let usual = self.usual.unwrap_or(Usual { mean: seconds, deviation: 0.0 });
        let deviation = usual.deviation.max(LEAST_DEVIATION);
        if seconds > usual.mean + DEVIATIONS * deviation {
            self.decrease(now);
        } else if in_use >= self.get() {
            self.good += 1.0;
            if self.good >= self.current.floor() {
                self.current = (self.current.floor() + 1.0).min(self.most);
                self.good = 0.0;
            }
        }
        let difference = (seconds - usual.mean).abs();
        self.usual = Some(Usual {
            mean: usual.mean + WEIGHT * (seconds - usual.mean),
            deviation: usual.deviation + WEIGHT * (difference - usual.deviation),
        });
    }

    /// The cluster refused documents, or did not answer.
    pub(super) fn refused(&mut self, now: Instant) {
        self.decrease(now);
    }

    fn decrease(&mut self, now: Instant) {
        self.good = 0.0;
        if self.next_decrease.is_some_and(|next| now < next) {
            return;
        }
        self.current = (self.current * DECREASE).max(1.0);
        let wait = self.usual.map_or(0.0, |usual| usual.mean);
        self.next_decrease = now.checked_add(Duration::from_secs_f64(wait));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// The limit after requests that all take this long, with as many under way as may be.
    fn after(limit: &mut Limit, requests: u32, time: Duration, begin: Instant) -> usize {
        for number in 0..requests {
            limit.answered(time, limit.get(), begin + time * number);
        }
        limit.get()
    }

    #[test]
    fn limit_rises_to_the_most_and_no_further() {
        let mut limit = Limit::new(8);
        let begin = Instant::now();
        assert_eq!(limit.get(), 1);
        assert_eq!(after(&mut limit, 1, 10 * MS, begin), 2);
        assert_eq!(after(&mut limit, 2, 10 * MS, begin), 3);
        assert_eq!(after(&mut limit, 1000, 10 * MS, begin), 8);
    }

    #[test]
    fn limit_that_is_not_reached_does_not_rise() {
        let mut limit = Limit::new(8);
        after(&mut limit, 3, 10 * MS, Instant::now());
        for _ in 0..100 {
            limit.answered(10 * MS, 1, Instant::now());
        }
        assert_eq!(limit.get(), 3);
    }

    #[test]
    fn limit_falls_when_the_cluster_refuses_and_recovers() {
        let mut limit = Limit::new(8);
        let begin = Instant::now();
        after(&mut limit, 1000, 10 * MS, begin);
        // All at once are one refusal.
        for _ in 0..8 {
            limit.refused(begin);
        }
        assert_eq!(limit.get(), 7);
        for second in 1..100 {
            limit.refused(begin + second * Duration::from_secs(1));
        }
        assert_eq!(limit.get(), 1);
        assert_eq!(after(&mut limit, 1000, 10 * MS, begin), 8);
    }

    #[test]
    fn limit_falls_when_answers_take_longer_and_gets_used_to_it() {
        let mut limit = Limit::new(8);
        let begin = Instant::now();
        after(&mut limit, 1000, 10 * MS, begin);
        limit.answered(500 * MS, 8, begin);
        assert_eq!(limit.get(), 7);
        assert_eq!(after(&mut limit, 1000, 500 * MS, begin), 8);
    }
}
