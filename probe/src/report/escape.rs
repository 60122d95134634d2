//! Text from files, hosts and networks, made safe for a terminal.

use std::fmt::{self, Display, Formatter, Write};

use exporter::is_terminal_control;

/// Shows text with control characters and marks of writing direction escaped. A name in a capture
/// must neither move the cursor nor begin a line that looks like a message of this program.
pub(crate) struct Escaped<T>(pub(crate) T);

impl<T: Display> Display for Escaped<T> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(Escape(formatter), "{}", self.0)
    }
}

struct Escape<'a, 'b>(&'a mut Formatter<'b>);

impl Write for Escape<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if is_terminal_control(character) {
                write!(self.0, "{}", character.escape_default())?;
            } else {
                self.0.write_char(character)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        let cases = [
            ("eth0", "eth0"),
            ("caf\u{e9} \u{2192} \"tap\"", "caf\u{e9} \u{2192} \"tap\""),
            ("a\x1b]0;title\x07", "a\\u{1b}]0;title\\u{7}"),
            ("a\nflowprobe: error: b\r\t", "a\\nflowprobe: error: b\\r\\t"),
            ("\u{7f}\u{9b}31m\u{202e}\u{61c}", "\\u{7f}\\u{9b}31m\\u{202e}\\u{61c}"),
        ];
        for (text, shown) in cases {
            assert_eq!(Escaped(text).to_string(), shown);
            // JSON has its own escapes for the same characters.
            let line = exporter::escaped_json(&serde_json::to_string(text).unwrap());
            assert!(!line.contains(is_terminal_control), "{line}");
            assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
        }
    }
}
