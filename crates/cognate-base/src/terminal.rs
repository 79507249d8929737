//! Text for a terminal: broken into lines of its width, without what would steer it.

use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm};

/// Whether a character would steer a terminal or a reader's eye: control characters but the ends of lines and tabs, and what turns
/// the direction of what follows.
#[must_use]
pub fn steers(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\t') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A text with every character that [`steers`] shown as U+FFFD, which takes a column as most do. Ends of lines of two characters are
/// made one.
#[must_use]
pub fn visible(text: &str) -> String {
    text.replace("\r\n", "\n").chars().map(|c| if steers(c) { '\u{fffd}' } else { c }).collect()
}

/// The lines of what is [`visible`] of a text, each broken where it would be wider than `width` columns: at white space other than
/// a no-break space, and inside a word that is wider. None for an empty text.
#[must_use]
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let options = Options::new(width)
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation)
        .wrap_algorithm(WrapAlgorithm::FirstFit);
    let mut lines = Vec::new();
    for paragraph in visible(text.trim()).lines() {
        let words: Vec<&str> = paragraph.split_ascii_whitespace().collect();
        lines.extend(textwrap::wrap(&words.join(" "), &options).into_iter().map(String::from));
    }
    lines
}

/// Columns that a line takes in a terminal: a Chinese character takes two, a combining mark none.
#[must_use]
pub fn columns(line: &str) -> usize {
    textwrap::core::display_width(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_steers_a_terminal_is_left() {
        let kept = "a\n\tb e\u{301} \u{200d} \u{200f} \u{fffd}";
        assert_eq!(visible(kept), kept);
        assert_eq!(visible("one\r\ntwo\rthree"), "one\ntwo\u{fffd}three");
        for c in ('\0'..='\u{10ffff}').filter(|&c| steers(c)) {
            assert_eq!(visible(&format!("a{c}b")), "a\u{fffd}b");
        }
        let count = ('\0'..='\u{10ffff}').filter(|&c| steers(c)).count();
        assert_eq!(count, 30 + 1 + 32 + 5 + 4, "C0 but two, DEL, C1, overrides and embeddings, isolates");
    }

    #[test]
    fn lines_are_broken_at_spaces_and_inside_words_that_are_wider() {
        assert_eq!(wrapped("ab cd  efg", 5), ["ab cd", "efg"]);
        assert_eq!(wrapped("a bcdefghi j", 4), ["a", "bcde", "fghi", "j"]);
        assert_eq!(wrapped("one\n\ntwo\tthree ", 9), ["one", "", "two three"]);
        assert_eq!(wrapped("well-known 9\u{a0}% of it", 8), ["well-kno", "wn 9\u{a0}%", "of it"]);
        // Two columns each; the accent has none and stays with its letter.
        assert_eq!(wrapped("文献検索", 5), ["文献", "検索"]);
        assert_eq!(wrapped("文献 検索", 8), ["文献", "検索"]);
        assert_eq!(columns("文献e\u{301}"), 5);
        assert_eq!(wrapped("abcde\u{301}f", 5), ["abcde\u{301}", "f"]);
        assert_eq!(wrapped("", 5), [""; 0]);
        assert_eq!(wrapped("ab", 0), ["a", "b"]);
    }
}
