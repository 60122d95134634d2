//! Selection of interfaces.

use std::fmt::{self, Display, Formatter};
use std::path::Path;

use glob::Pattern;

/// An interface by its name, or all interfaces whose names match a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Selector {
    Name(String),
    /// The pattern, and its text as given.
    Pattern(Pattern, String),
}

/// All interfaces.
const ANY: &str = "any";

/// Ends of names of capture files, and those that compression adds.
const CAPTURE: [&str; 3] = [".pcap", ".pcapng", ".cap"];
const COMPRESSED: [&str; 5] = [".gz", ".zst", ".xz", ".bz2", ".lz4"];

/// Reads a value of `--interface`.
///
/// # Errors
///
/// The pattern is invalid, or the text is a list or a capture file.
pub(crate) fn selector(text: &str) -> Result<Selector, String> {
    if text.is_empty() {
        return Err("a name is needed".to_owned());
    }
    let pattern = if text == ANY { "*" } else { text };
    if !pattern.contains(['*', '?', '[']) {
        if is_capture_file(text) {
            return Err(file_words(text));
        }
        if text.contains(',') {
            let names: Vec<_> = text.split(',').map(|name| format!("-i {name}")).collect();
            return Err(format!("several interfaces are {}; in a file a list", names.join(" ")));
        }
        return Ok(Selector::Name(text.to_owned()));
    }
    let pattern = Pattern::new(pattern).map_err(|problem| problem.msg.to_owned())?;
    Ok(Selector::Pattern(pattern, text.to_owned()))
}

/// Whether a name is that of a capture file, and cannot be that of an interface.
fn is_capture_file(name: &str) -> bool {
    let plain = COMPRESSED.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
    let is_there = || name.contains('/') && Path::new(name).exists();
    CAPTURE.iter().any(|end| plain.ends_with(end)) || is_there()
}

/// What to do with a name that is a file.
fn file_words(name: &str) -> String {
    format!("-r {name} reads a capture file")
}

/// What to do with a name that no interface has, if a file has it. It follows a sentence.
pub(crate) fn tip_of_missing(name: &str) -> String {
    if Path::new(name).is_file() { format!("; {}", file_words(name)) } else { String::new() }
}

impl Selector {
    pub(crate) fn is_pattern(&self) -> bool {
        matches!(self, Self::Pattern(..))
    }

    pub(crate) fn selects(&self, name: &str) -> bool {
        match self {
            Self::Name(own) => own == name,
            Self::Pattern(pattern, _) => pattern.matches(name),
        }
    }
}

impl Display for Selector {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(text) | Self::Pattern(_, text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_patterns_select_interfaces() {
        for (text, is_pattern, selected, others) in [
            ("eth1", false, &["eth1"][..], &["eth10", "eth"][..]),
            ("eth*", true, &["eth", "eth1", "eth1.7"], &["veth1", "lo"]),
            ("eth?", true, &["eth1"], &["eth", "eth10"]),
            ("eth[1-3]", true, &["eth2"], &["eth4"]),
            ("any", true, &["any", "lo", "eth0"], &[]),
        ] {
            let selector = selector(text).unwrap();
            assert_eq!((selector.is_pattern(), selector.to_string()), (is_pattern, text.into()));
            assert!(selected.iter().all(|name| selector.selects(name)), "{text}");
            assert!(!others.iter().any(|name| selector.selects(name)), "{text}");
        }
        assert!(selector("eth[").is_err() && selector("").is_err());
    }

    #[test]
    fn files_and_lists_are_no_interfaces() {
        for name in ["trace.pcap", "a/b.pcapng", "trace.pcap.zst", "/dev/null"] {
            assert_eq!(selector(name), Err(format!("-r {name} reads a capture file")));
        }
        let refused = selector("eth1,eth2").unwrap_err();
        assert_eq!(refused, "several interfaces are -i eth1 -i eth2; in a file a list");
        assert!(selector("eth1.7").is_ok() && selector("pcap*").is_ok());
        assert_eq!(tip_of_missing("none-such"), "");
    }
}
