//! Length of runs of the kernel's program, and the time between packets.

use std::time::Duration;

/// Total amount to send.
#[derive(Clone, Copy, Debug)]
pub(super) enum Amount {
    Packets(u64),
    /// As many packets as possible in this time.
    Time(Duration),
}

/// A run of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) packets: u32,
    /// Time from one packet to the next; 0 for no pause.
    pub(super) interval_ns: u64,
}

/// The sequence of runs. At the end the amount and the rate are as requested.
#[derive(Debug)]
pub(super) struct Pace {
    amount: Amount,
    /// Packets per second.
    rate: Option<u32>,
    /// Time of a run in which nothing is sent.
    idle_ns: u64,
}

/// Packets of the first run, whose timing is used for the others.
const FIRST_PACKETS: u64 = 1 << 17;

/// Duration of all other runs. Between them, nothing is sent for about 20 ms.
const RUN_NS: u64 = 4 * SECOND_NS;

/// On a machine that is suitable for measurements, setting up a run does not take longer.
const IDLE_NS_MAX: u64 = 50_000_000;

const SECOND_NS: u64 = 1_000_000_000;

impl Pace {
    pub(super) fn new(amount: Amount, rate: Option<u32>) -> Self {
        Self { amount, rate, idle_ns: 0 }
    }

    /// The next run, after `sent` packets in `elapsed`. `None` at the end.
    pub(super) fn next(&self, sent: u64, elapsed: Duration) -> Option<Run> {
        let elapsed_ns = nanos(elapsed);
        let left = match self.amount {
            Amount::Packets(packets) => packets.saturating_sub(sent),
            Amount::Time(time) => {
                let left_ns = nanos(time).saturating_sub(elapsed_ns);
                if sent == 0 { FIRST_PACKETS } else { share(sent, left_ns, elapsed_ns) }
            }
        };
        let most = match self.rate {
            _ if sent == 0 => FIRST_PACKETS,
            Some(rate) => share(rate.into(), RUN_NS, SECOND_NS),
            None => share(sent, RUN_NS, elapsed_ns),
        };
        let packets = u32::try_from(left.min(most)).unwrap_or(u32::MAX);
        (packets > 0)
            .then(|| Run { packets, interval_ns: self.interval_ns(packets, sent, elapsed_ns) })
    }

    /// A run is a little faster if the runs before were behind the rate.
    fn interval_ns(&self, packets: u32, sent: u64, elapsed_ns: u64) -> u64 {
        let Some(rate) = self.rate else { return 0 };
        let even = SECOND_NS / u64::from(rate);
        let due_ns = share(sent + u64::from(packets), SECOND_NS, rate.into());
        let left_ns = due_ns.saturating_sub(elapsed_ns + self.idle_ns);
        (left_ns / u64::from(packets)).clamp(even - even / 32, even)
    }

    /// Learns the idle time of a run. A machine that is too slow for the rate has no idle time.
    pub(super) fn learn(&mut self, run: Run, took: Duration) {
        let idle_ns = nanos(took).saturating_sub(run.interval_ns * u64::from(run.packets));
        self.idle_ns = if run.interval_ns > 0 { idle_ns.min(IDLE_NS_MAX) } else { 0 };
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// `count * part / whole`.
fn share(count: u64, part: u64, whole: u64) -> u64 {
    let share = u128::from(count) * u128::from(part) / u128::from(whole.max(1));
    u64::try_from(share).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine with this minimum time per packet, which needs `setup` for each run.
    fn simulate(mut pace: Pace, packet_ns: u64, setup: Duration) -> (u64, Duration) {
        let (mut sent, mut elapsed) = (0, Duration::ZERO);
        while let Some(run) = pace.next(sent, elapsed) {
            let packet_ns = run.interval_ns.max(packet_ns);
            let took = setup + Duration::from_nanos(packet_ns * u64::from(run.packets));
            pace.learn(run, took);
            sent += u64::from(run.packets);
            elapsed += took;
        }
        (sent, elapsed)
    }

    #[test]
    fn amount_and_rate_come_out_right() {
        let setup = Duration::from_millis(24);
        for rate in [20_000, 600_000, 2_000_000] {
            let packets = u64::from(rate) * 10;
            let pace = Pace::new(Amount::Packets(packets), Some(rate));
            let (sent, elapsed) = simulate(pace, 300, setup);
            assert_eq!(sent, packets);
            assert!(elapsed.as_secs_f64() > 9.98 && elapsed.as_secs_f64() < 10.02, "{elapsed:?}");
        }
    }

    #[test]
    fn a_machine_that_is_too_slow_sends_as_fast_as_it_can() {
        let pace = Pace::new(Amount::Packets(1_000_000), Some(1_000_000));
        let (sent, elapsed) = simulate(pace, 2000, Duration::from_millis(24));
        assert_eq!(sent, 1_000_000);
        assert!(elapsed < Duration::from_millis(2100), "{elapsed:?}");
    }

    #[test]
    fn without_a_rate_the_time_comes_out_right() {
        let pace = Pace::new(Amount::Time(Duration::from_secs(10)), None);
        let (sent, elapsed) = simulate(pace, 400, Duration::from_millis(24));
        assert!(elapsed.as_secs_f64() > 9.9 && elapsed.as_secs_f64() < 10.2, "{elapsed:?}");
        assert!(sent > 24_000_000, "{sent}");
    }
}
