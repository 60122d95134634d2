//! Words in lines for people.

/// Breaks lines that are longer than this number of characters at spaces. The parts of a line begin
/// below its text: behind `hang` spaces, or fewer where that leaves less than half of the columns.
/// A word that is longer than a line is not broken.
pub fn wrapped(text: &str, columns: usize, hang: usize) -> String {
    let hang = hang.min(columns / 2);
    let mut lines = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let end = if line.ends_with('\n') { "\n" } else { "" };
        put(&mut lines, line.trim_end_matches('\n'), columns, hang);
        lines += end;
    }
    lines
}

fn put(lines: &mut String, line: &str, columns: usize, hang: usize) {
    if line.chars().count() <= columns {
        *lines += line;
        return;
    }
    let mut width = 0;
    for (index, word) in line.split(' ').enumerate() {
        let length = word.chars().count();
        if width > hang && length > 0 && width + 1 + length > columns {
            lines.truncate(lines.trim_end_matches(' ').len());
            lines.push('\n');
            lines.extend(std::iter::repeat_n(' ', hang));
            width = hang;
        } else if index > 0 {
            lines.push(' ');
            width += 1;
        }
        *lines += word;
        width += length;
    }
}

/// The one of some words that a user may have meant by another word: at most a third of its
/// characters differ. A word of more than 64 characters has none.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const LONGEST: usize = 64;
    let word: Vec<char> = word.to_lowercase().chars().take(LONGEST + 1).collect();
    let most = if word.len() > LONGEST { 0 } else { word.len() / 3 };
    let differences = known.into_iter().map(|other| (differences(&word, other), other));
    let likely = differences.filter(|(number, _)| *number <= most);
    likely.min_by_key(|(number, _)| *number).map(|(_, other)| other)
}

/// The least number of characters to add, to remove, to replace, or to exchange with the next one
/// until two words are equal.
fn differences(one: &[char], other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    // Each row has the numbers for a beginning of the first word.
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let replaced = last[j] + usize::from(a != b);
            let mut least = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == other[j - 1] && one[i - 1] == *b {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_at_words() {
        let text = "label    one two three\nshort\n         four five\n";
        assert_eq!(wrapped(text, 80, 9), text);
        let narrow = "label    one two\n         three\nshort\n         four five\n";
        assert_eq!(wrapped(text, 18, 9), narrow);
        // Nothing is before the first word, and words stay whole.
        let long = "label    a-word-that-is-longer and short";
        let broken = "label    a-word-that-is-longer\n         and short";
        assert_eq!(wrapped(long, 18, 9), broken);
        assert_eq!(wrapped("a b c", 3, 9), "a b\n c");
        assert_eq!(wrapped("", 10, 2), "");
        assert_eq!(wrapped("äöü äöü", 7, 2), "äöü äöü");
    }

    #[test]
    fn a_misspelled_word_has_the_nearest_one() {
        let known = ["idle-timeout", "active-timeout", "interface", "ring", "top", "output"];
        for (word, meant) in [
            ("idle-timout", "idle-timeout"),
            ("idle_timeout", "idle-timeout"),
            ("Idle-Timeout", "idle-timeout"),
            ("activ-timeout", "active-timeout"),
            ("interfaces", "interface"),
            ("outptu", "output"),
            ("rign", "ring"),
            ("tpo", "top"),
        ] {
            assert_eq!(nearest(word, known), Some(meant), "{word}");
        }
        for word in ["", "t", "bogus", "timeout", "idle", "ring".repeat(20).as_str()] {
            assert_eq!(nearest(word, known), None, "{word}");
        }
    }
}
