//! Target of documents: a data stream, or an index by time.

use flow::Timestamp;
use jiff::fmt::strtime;
use jiff::tz::Offset;

/// A name with conversions of strftime, such as `flows-%Y.%m.%d`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IndexPattern(String);

/// Allowed conversions: their values do not change within an hour.
const CONVERSIONS: &str = "YmdHjGV";

/// The data stream of flows in a namespace.
pub(crate) fn flow_stream(namespace: &str) -> String {
    format!("logs-netflow.log-{namespace}")
}

/// The data stream of alerts in a namespace.
pub(crate) fn alert_stream(namespace: &str) -> String {
    format!("logs-flowprobe.alert-{namespace}")
}

/// The data stream of DNS transactions in a namespace.
pub(crate) fn dns_stream(namespace: &str) -> String {
    format!("logs-flowprobe.dns-{namespace}")
}

/// All data streams in a namespace.
pub(crate) fn streams(namespace: &str) -> [String; 3] {
    [flow_stream(namespace), alert_stream(namespace), dns_stream(namespace)]
}

impl IndexPattern {
    /// `None` if the pattern is no valid name of an index.
    pub(crate) fn new(pattern: &str) -> Option<Self> {
        let mut parts = pattern.split('%');
        let literal = parts.next()?.to_owned();
        let rests = parts.map(|part| part.strip_prefix(|c| CONVERSIONS.contains(c)));
        let literals = rests.collect::<Option<Vec<_>>>()?.concat();
        let is_allowed =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
        let begins_well = pattern.starts_with(|c: char| c.is_ascii_lowercase() || c == '%');
        let is_name = (literal + &literals).chars().all(is_allowed) && begins_well;
        (is_name && pattern.len() <= 100).then(|| Self(pattern.to_owned()))
    }

    /// A pattern that gives this name at any time.
    pub(crate) fn literal(name: &str) -> Self {
        Self(name.replace('%', "%%"))
    }

    /// The name for documents of the current time.
    pub(crate) fn now(&self) -> String {
        let seconds = u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or_default();
        self.name(seconds / 3600)
    }

    fn name(&self, hour: u64) -> String {
        let seconds = i64::try_from(hour * 3600).ok();
        let time = seconds.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
        let time = time.unwrap_or(jiff::Timestamp::MAX);
        strtime::format(&self.0, Offset::UTC.to_datetime(time))
            .expect("the conversions are those of a date")
    }
}

/// Names of indexes by time. Around a change of the hour, documents come out of order.
#[derive(Debug)]
pub(super) struct IndexNames {
    pattern: IndexPattern,
    /// Names by hour; the index is the hour modulo their number.
    hours: [Option<(u64, String)>; HOURS],
}

const HOURS: usize = 4;

impl IndexNames {
    pub(super) fn new(pattern: IndexPattern) -> Self {
        Self { pattern, hours: [const { None }; HOURS] }
    }

    /// The index for documents of this time.
    #[inline]
    pub(super) fn at(&mut self, time: Timestamp) -> &str {
        let hour = time.as_millis() / 3_600_000;
        let known = &mut self.hours[(hour % HOURS as u64) as usize];
        if known.as_ref().is_none_or(|(known, _)| *known != hour) {
            *known = None;
        }
        let (_, name) = known.get_or_insert_with(|| (hour, self.pattern.name(hour)));
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_follows_the_time_of_documents() {
        let pattern = IndexPattern::new("flows-%Y.%m.%d").unwrap();
        let mut names = IndexNames::new(pattern);
        let midnight = 1_709_164_800_000;
        for _ in 0..2 {
            assert_eq!(names.at(Timestamp::from_millis(midnight - 1)), "flows-2024.02.28");
            assert_eq!(names.at(Timestamp::from_millis(midnight)), "flows-2024.02.29");
            let later = midnight + 24 * 3_600_000;
            assert_eq!(names.at(Timestamp::from_millis(later)), "flows-2024.03.01");
        }
        let hourly = IndexPattern::new("f-%Y%j-%H").unwrap();
        assert_eq!(
            IndexNames::new(hourly).at(Timestamp::from_millis(midnight - 1)),
            "f-2024059-23"
        );
    }

    #[test]
    fn names_that_no_index_may_have_are_refused() {
        let long = "a".repeat(101);
        for bad in ["", "-a", "_a", "A", "a b", "a/b", "a%", "a%Q", "a%M", "a\"", "é", ".a", &long]
        {
            assert_eq!(IndexPattern::new(bad), None, "{bad}");
        }
        for good in ["flows", "flows-%Y.%m.%d", "%Y-flows", "a%G.%V"] {
            assert!(IndexPattern::new(good).is_some(), "{good}");
        }
    }
}
