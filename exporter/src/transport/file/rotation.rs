//! Rotation of files: the time of the next file, and the names.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use flow::Timestamp;
use jiff::fmt::strtime;

use super::open::Start;
use crate::unit::number_with_unit;

/// Condition of a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rotation {
    /// At each multiple of this number of milliseconds since the epoch.
    Every(u64),
    /// When the file has this number of octets.
    Octets(u64),
}

/// Maximum number that is added to make a name unique.
const NUMBER_MAX: u32 = 1_000_000;

/// Time that is added to a name without one.
const TIME: &str = "-%Y%m%d-%H%M%S";

impl FromStr for Rotation {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        // Sizes come first, because humantime reads 1M as a month.
        if let Some(octets) = octets(text) {
            return Ok(Self::Octets(octets));
        }
        let period = humantime::parse_duration(text).map_err(|_error| ())?;
        let is_whole = period >= Duration::from_secs(1) && period.subsec_nanos() == 0;
        let millis = u64::try_from(period.as_millis()).ok().filter(|_| is_whole);
        millis.map(Self::Every).ok_or(())
    }
}

/// A size with a unit, with or without a following B: 100MB, 64Mi.
fn octets(text: &str) -> Option<u64> {
    let text = text.strip_suffix('B').unwrap_or(text);
    let has_unit = !text.ends_with(|last: char| last.is_ascii_digit());
    number_with_unit(text).filter(|&octets| has_unit && octets > 0)
}

/// The names of rotating files.
#[derive(Debug)]
pub(super) struct Names {
    /// A path with conversions of strftime.
    pattern: String,
    rotation: Rotation,
    /// The name of the last file without its number, and the number.
    last: Option<(String, u32)>,
}

impl Names {
    /// Checks a path. A time is added to a path without one.
    ///
    /// # Errors
    ///
    /// Reason why the path is refused.
    pub(super) fn new(path: &str, rotation: Rotation) -> Result<Self, String> {
        if path == "-" {
            return Err("rotate needs a file".to_owned());
        }
        let pattern =
            if path.contains('%') { path.to_owned() } else { before_extension(path, TIME) };
        let names = Self { pattern, rotation, last: None };
        names.timed(Timestamp::default()).map_err(|problem| format!("{path}: {problem}"))?;
        Ok(names)
    }

    /// The name of the file that begins at this time.
    pub(super) fn begin(&mut self, now: Timestamp, start: Start) -> io::Result<PathBuf> {
        let begin = match self.rotation {
            Rotation::Every(period) => Timestamp::from_millis(now.as_millis() / period * period),
            Rotation::Octets(_) => now,
        };
        let timed =
            self.timed(begin).map_err(|error| io::Error::new(ErrorKind::InvalidInput, error))?;
        let first = match &self.last {
            Some((name, number)) if *name == timed => number + 1,
            Some(_) | None => 0,
        };
        for number in first..NUMBER_MAX {
            let path = match number {
                0 => timed.clone(),
                number => before_extension(&timed, &format!("-{number}")),
            };
            if start == Start::Anew || self.has_room(Path::new(&path)) {
                self.last = Some((timed, number));
                return Ok(path.into());
            }
        }
        Err(io::Error::new(ErrorKind::AlreadyExists, "too many files have this name"))
    }

    /// End of a file that begins at this time; `MAX` if the size decides.
    pub(super) fn end(&self, now: Timestamp) -> Timestamp {
        match self.rotation {
            Rotation::Every(period) => {
                Timestamp::from_millis((now.as_millis() / period + 1).saturating_mul(period))
            }
            Rotation::Octets(_) => Timestamp::MAX,
        }
    }

    /// Maximum octets of a file; `u64::MAX` if the time decides.
    pub(super) fn octets_max(&self) -> u64 {
        match self.rotation {
            Rotation::Every(_) => u64::MAX,
            Rotation::Octets(octets) => octets,
        }
    }

    /// True if the file is new, or may be appended to.
    fn has_room(&self, path: &Path) -> bool {
        path.metadata().map_or(true, |metadata| metadata.len() < self.octets_max())
    }

    fn timed(&self, time: Timestamp) -> Result<String, String> {
        let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        jiff::Timestamp::from_millisecond(millis)
            .and_then(|time| strtime::format(&self.pattern, time))
            .map_err(|error| error.to_string())
    }
}

/// Puts text before the extension of a path, or at its end.
fn before_extension(path: &str, text: &str) -> String {
    let name = path.rfind('/').map_or(0, |slash| slash + 1);
    match path[name..].rfind('.') {
        Some(dot) if dot > 0 => {
            let (stem, extension) = path.split_at(name + dot);
            format!("{stem}{text}{extension}")
        }
        Some(_) | None => format!("{path}{text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_and_sizes_are_told_apart() {
        for (text, rotation) in [
            ("1h", Some(Rotation::Every(3_600_000))),
            ("1day 12h", Some(Rotation::Every(129_600_000))),
            ("1s", Some(Rotation::Every(1000))),
            ("100MB", Some(Rotation::Octets(100_000_000))),
            ("1M", Some(Rotation::Octets(1_000_000))),
            ("64KiB", Some(Rotation::Octets(65_536))),
            ("2Gi", Some(Rotation::Octets(2 << 30))),
            ("0s", None),
            ("0MB", None),
            ("1500ms", None),
            ("100", None),
            ("-1MB", None),
            ("MB", None),
            ("", None),
        ] {
            assert_eq!(text.parse().ok(), rotation, "{text}");
        }
    }

    fn name(names: &mut Names, millis: u64) -> String {
        let path = names.begin(Timestamp::from_millis(millis), Start::Anew).unwrap();
        path.into_os_string().into_string().unwrap()
    }

    #[test]
    fn names_have_the_time_in_utc() {
        const HOUR: Rotation = Rotation::Every(3_600_000);
        const SIZE: Rotation = Rotation::Octets(1000);
        // 2024-05-06T07:08:09Z.
        const NOW: u64 = 1_714_979_289_000;
        for (pattern, rotation, first, second) in [
            ("a/%Y-%m-%dT%H", HOUR, "a/2024-05-06T07", "a/2024-05-06T07-1"),
            ("a.b/flows", HOUR, "a.b/flows-20240506-070000", "a.b/flows-20240506-070000-1"),
            ("flows.json", SIZE, "flows-20240506-070809.json", "flows-20240506-070809-1.json"),
            ("a/.x", SIZE, "a/.x-20240506-070809", "a/.x-20240506-070809-1"),
            ("%d%%", SIZE, "06%", "06%-1"),
        ] {
            let mut names = Names::new(pattern, rotation).unwrap();
            assert_eq!(name(&mut names, NOW), first);
            assert_eq!(name(&mut names, NOW), second);
            let later = name(&mut names, NOW + 24 * 3_600_000);
            assert!(!later.contains("-1"), "{later}");
        }
        assert!(Names::new("-", HOUR).is_err());
        assert!(Names::new("flows-%!", HOUR).is_err());
    }

    #[test]
    fn periods_end_at_their_multiples() {
        let names = Names::new("x", Rotation::Every(1000)).unwrap();
        for (now, end) in [(0, 1000), (999, 1000), (1000, 2000)] {
            assert_eq!(names.end(Timestamp::from_millis(now)), Timestamp::from_millis(end));
        }
    }
}
