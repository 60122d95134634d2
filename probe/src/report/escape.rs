//! Text from files, hosts and networks, made safe for a terminal.

use std::fmt::{self, Display, Formatter, Write};

/// Shows text with control characters and marks of writing direction escaped: a name in a capture
/// must neither move the cursor nor begin a line that looks like a message of this program.
pub(crate) struct Escaped<T>(pub(crate) T);

impl<T: Display> Display for Escaped<T> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(Escape(formatter), "{}", self.0)
    }
}

/// The same for a line of JSON, in which only strings can have such characters.
pub(crate) fn json(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    for character in line.chars() {
        if needs_escape(character) {
            write!(text, "\\u{:04x}", u32::from(character)).expect("a string takes all");
        } else {
            text.push(character);
        }
    }
    text
}

struct Escape<'a, 'b>(&'a mut Formatter<'b>);

impl Write for Escape<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if needs_escape(character) {
                write!(self.0, "{}", character.escape_default())?;
            } else {
                self.0.write_char(character)?;
            }
        }
        Ok(())
    }
}

/// Control characters, separators of lines, and marks of writing direction (Unicode UAX 9).
fn needs_escape(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
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
            // JSON says the same in its own way.
            let line = json(&serde_json::to_string(text).unwrap());
            assert!(!line.contains(needs_escape), "{line}");
            assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
        }
    }
}
