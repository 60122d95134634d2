//! Text from captures, files and hosts, made safe for a terminal.

use std::fmt::Write;

/// True for a character that can control a terminal: control characters, line and paragraph
/// separators, and marks of the writing direction (Unicode UAX 9).
pub fn is_terminal_control(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

/// Escapes such characters in a line of JSON. Only strings can contain them, and their value stays
/// the same.
pub fn escaped_json(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    for character in line.chars() {
        if is_terminal_control(character) {
            write!(text, "\\u{:04x}", u32::from(character)).expect("a string takes all");
        } else {
            text.push(character);
        }
    }
    text
}

/// True if JSON may contain such characters. Those below 0x20 are always escaped already.
pub(super) fn may_need_escape(json: &[u8]) -> bool {
    json.iter().any(|&octet| octet >= 0x7f)
}
