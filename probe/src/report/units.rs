//! Numbers in a form for users.

use std::time::{Duration, UNIX_EPOCH};

use flow::Timestamp;

/// `999 B`, `1.2 kB`, `34 MB`: decimal units, two or three digits.
pub(crate) fn octets(number: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if number < 1000 {
        return format!("{number} B");
    }
    scaled(number, &UNITS)
}

/// `999`, `1.2 k`, `34 M`.
pub(crate) fn count(number: u64) -> String {
    const UNITS: [&str; 6] = ["k", "M", "G", "T", "P", "E"];
    if number < 1000 {
        return number.to_string();
    }
    scaled(number, &UNITS)
}

fn scaled(number: u64, units: &[&str; 6]) -> String {
    let mut divisor = 1000_u64;
    let mut unit = 0;
    // Rounding may carry into the next unit: 999,950 is 1.0 M.
    while unit + 1 < units.len() && number >= divisor * 1000 - divisor / 2 {
        divisor *= 1000;
        unit += 1;
    }
    let rounded = |number: u128| (number + u128::from(divisor) / 2) / u128::from(divisor);
    let tenths = rounded(u128::from(number) * 10);
    if tenths < 100 {
        format!("{}.{} {}", tenths / 10, tenths % 10, units[unit])
    } else {
        format!("{} {}", rounded(number.into()), units[unit])
    }
}

/// `0 ms`, `12 ms`, `1.2 s`, `3 min 12 s`, `2 h 3 min`, `5 d 6 h`.
pub(crate) fn time(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{} ms", duration.as_millis()),
        1..60 => format!("{}.{} s", seconds, duration.subsec_millis() / 100),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// `2026-01-01T23:59:59.999Z`.
pub(crate) fn rfc3339(time: Timestamp) -> String {
    let since_epoch = Duration::from_millis(time.as_millis());
    humantime::format_rfc3339_millis(UNIX_EPOCH + since_epoch).to_string()
}

/// `2026-01-01 23:59:59.999`, in UTC.
pub(crate) fn date_and_time(time: Timestamp) -> String {
    rfc3339(time).trim_end_matches('Z').replace('T', " ")
}

/// `09:30:00.000`, in UTC.
pub(crate) fn time_of_day(time: Timestamp) -> String {
    date_and_time(time).split_off("2026-01-01 ".len())
}

/// A rate per second: `number` in `duration`.
pub(crate) fn per_second(number: u64, duration: Duration) -> u64 {
    let nanos = duration.as_nanos().max(1);
    u64::try_from(u128::from(number) * 1_000_000_000 / nanos).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use flow::words::{counted, grouped};

    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        let cases = [
            (0, "0", "0 B"),
            (999, "999", "999 B"),
            (1000, "1,000", "1.0 kB"),
            (1_049, "1,049", "1.0 kB"),
            (9_949, "9,949", "9.9 kB"),
            (9_950, "9,950", "10 kB"),
            (999_499, "999,499", "999 kB"),
            (999_500, "999,500", "1.0 MB"),
            (1_234_567, "1,234,567", "1.2 MB"),
            (u64::MAX, "18,446,744,073,709,551,615", "18 EB"),
        ];
        for (number, with_groups, as_octets) in cases {
            assert_eq!(grouped(number), with_groups);
            assert_eq!(octets(number), as_octets);
        }
        assert_eq!(count(12_345_678), "12 M");
        let packets = [0, 1, 2000].map(|number| counted(number, "packet", "packets"));
        assert_eq!(packets, ["0 packets", "1 packet", "2,000 packets"]);
    }

    #[test]
    fn times_have_two_units_at_most() {
        let cases = [
            (0, "0 ms"),
            (999, "999 ms"),
            (1000, "1.0 s"),
            (59_999, "59.9 s"),
            (60_000, "1 min 0 s"),
            (3_600_000, "1 h 0 min"),
            (90_000_000, "1 d 1 h"),
        ];
        for (millis, expected) in cases {
            assert_eq!(time(Duration::from_millis(millis)), expected);
        }
    }
}
