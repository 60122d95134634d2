//! Selection of interfaces.

use std::fmt::{self, Display, Formatter};

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

/// Reads a value of `--interface`.
///
/// # Errors
///
/// The pattern is invalid.
pub(crate) fn selector(text: &str) -> Result<Selector, String> {
    if text.is_empty() {
        return Err("a name is needed".to_owned());
    }
    let pattern = if text == ANY { "*" } else { text };
    if !pattern.contains(['*', '?', '[']) {
        return Ok(Selector::Name(text.to_owned()));
    }
    let pattern = Pattern::new(pattern).map_err(|problem| problem.msg.to_owned())?;
    Ok(Selector::Pattern(pattern, text.to_owned()))
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
}
