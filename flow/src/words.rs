//! Numbers and their nouns in sentences for people.

use alloc::format;
use alloc::string::{String, ToString};

/// `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The noun for a number of things.
pub fn noun<'a>(number: u64, one: &'a str, several: &'a str) -> &'a str {
    if number == 1 { one } else { several }
}

/// `1 packet`, `2,000 packets`.
pub fn counted(number: u64, one: &str, several: &str) -> String {
    format!("{} {}", grouped(number), noun(number, one, several))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_singular() {
        let nouns = [0, 1, 2].map(|number| noun(number, "file", "files"));
        assert_eq!(nouns, ["files", "file", "files"]);
    }
}
