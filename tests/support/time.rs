//! Parses times in the formats of the program and of other tools.

/// Milliseconds since the epoch of a time in UTC: `2026-01-31T12:00:00.250Z`, with `T` or a space
/// before the hours, a `.` or `,` before any number of decimals, and with or without `Z`.
pub fn millis(text: &str) -> u64 {
    let digits = text.strip_suffix('Z').unwrap_or(text);
    let (date, clock) = digits.split_once(['T', ' ']).expect("a date, then a time of day");
    let (clock, decimals) = clock.split_once(['.', ',']).unwrap_or((clock, "0"));
    let numbers = |text: &str, separator| -> Vec<u64> {
        text.split(separator).map(|part| part.parse().expect(text)).collect()
    };
    let [year, month, day] = numbers(date, '-')[..] else { panic!("a date in {text}") };
    let [hour, minute, second] = numbers(clock, ':')[..] else { panic!("a time in {text}") };
    let millis: u64 = format!("{decimals:0<3}")[..3].parse().expect(text);
    ((days(year, month, day) * 24 + hour) * 60 + minute) * 60_000 + second * 1000 + millis
}

/// Days from the epoch to a date of the Gregorian calendar.
fn days(year: u64, month: u64, day: u64) -> u64 {
    // Years that begin in March end with the leap day.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    let days_of_months = (153 * month + 2) / 5;
    year * 365 + leap_days + days_of_months + day - 719_469
}

/// Milliseconds since the epoch of a number of seconds with decimals, such as `1700000000.250`.
pub fn millis_of_seconds(text: &str) -> Option<u64> {
    let (seconds, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let is_fraction = (1..=9).contains(&decimals.len());
    let millis: u64 = format!("{decimals:0<3}").get(..3)?.parse().ok()?;
    is_fraction.then_some(seconds.parse::<u64>().ok()? * 1000 + millis)
}
