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

/// The noun for a number of things.
pub fn noun<'a>(number: u64, one: &'a str, several: &'a str) -> &'a str {
    if number == 1 { one } else { several }
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
    fn one_thing_is_singular() {
        let nouns = [0, 1, 2].map(|number| noun(number, "file", "files"));
        assert_eq!(nouns, ["files", "file", "files"]);
    }
}
