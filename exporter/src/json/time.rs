//! Times in JSON: RFC 3339, UTC, milliseconds.

use flow::Timestamp;

/// Writes times. Many flows begin and end in the same seconds, so the texts of some are cached.
#[derive(Debug)]
pub(super) struct TimeWriter {
    /// Cached seconds; the index is the second modulo their number.
    seconds: [Second; SECONDS],
}

#[derive(Clone, Copy, Debug)]
struct Second {
    second: u64,
    /// `2024-05-06T07:08:09.`
    text: [u8; 20],
}

/// Cached seconds: more than the duration of most flows.
const SECONDS: usize = 64;

impl Default for TimeWriter {
    fn default() -> Self {
        Self { seconds: [Second { second: 0, text: *b"1970-01-01T00:00:00." }; SECONDS] }
    }
}

impl TimeWriter {
    /// Appends `2024-05-06T07:08:09.123Z`.
    #[inline]
    pub(super) fn put(&mut self, time: Timestamp, out: &mut Vec<u8>) {
        let millis = time.as_millis();
        let second = millis / 1000;
        let known = &mut self.seconds[(second % SECONDS as u64) as usize];
        if known.second != second {
            *known = Second { second, text: text(second) };
        }
        let fraction = millis % 1000;
        out.extend_from_slice(&known.text);
        out.extend_from_slice(&[
            digit(fraction / 100),
            digit(fraction / 10 % 10),
            digit(fraction % 10),
            b'Z',
        ]);
    }
}

/// Text of a second in the years 1970 to 9999.
fn text(second: u64) -> [u8; 20] {
    let (days, of_day) = (second / 86_400, second % 86_400);
    let (year, month, day) = civil(days);
    let mut text = *b"0000-00-00T00:00:00.";
    let fields = [
        (0, year / 100),
        (2, year % 100),
        (5, month),
        (8, day),
        (11, of_day / 3600),
        (14, of_day / 60 % 60),
        (17, of_day % 60),
    ];
    for (at, value) in fields {
        text[at] = digit(value / 10 % 10);
        text[at + 1] = digit(value % 10);
    }
    text
}

/// Converts days since the epoch to year, month and day of the Gregorian calendar.
///
/// Days count from 1 March of year 0: a leap day is then the last day of its year, and the calendar
/// repeats every 400 years.
fn civil(days: u64) -> (u64, u64, u64) {
    const DAYS_OF_ERA: u64 = 146_097;
    let since_march_0 = days + 719_468;
    let (era, of_era) = (since_march_0 / DAYS_OF_ERA, since_march_0 % DAYS_OF_ERA);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[expect(clippy::cast_possible_truncation, reason = "below 10")]
#[inline]
fn digit(value: u64) -> u8 {
    b'0' + value as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_rfc_3339() {
        let cases = [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000 - 1, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_709_164_801_007, "2024-02-29T00:00:01.007Z"),
            (1_735_689_599_050, "2024-12-31T23:59:59.050Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (18_446_744_073_709, "2554-07-21T23:34:33.709Z"),
        ];
        let mut writer = TimeWriter::default();
        // In between others whose text is kept at the same place.
        for (millis, expected) in cases.into_iter().chain(cases) {
            let mut out = Vec::new();
            writer.put(Timestamp::from_millis(millis), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
            writer.put(Timestamp::from_millis(millis + 64_000), &mut Vec::new());
        }
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let (mut year, mut month, mut day) = civil(0);
        assert_eq!((year, month, day), (1970, 1, 1));
        for days in 1..200_000 {
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let length = match month {
                2 => 28 + u64::from(leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            day += 1;
            if day > length {
                (month, day) = (month + 1, 1);
            }
            if month > 12 {
                (year, month) = (year + 1, 1);
            }
            assert_eq!(civil(days), (year, month, day));
        }
    }
}
