//! Text for a terminal: broken into lines of its width, without what would steer it.

use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm};

/// A text without what would steer a terminal: control characters, and characters that turn the direction of what follows.
#[must_use]
pub fn visible(text: &str) -> String {
    let steers = |c: char| {
        c.is_control() && !matches!(c, '\n' | '\t') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.trim().chars().map(|c| if steers(c) { '\u{fffd}' } else { c }).collect()
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
    for paragraph in visible(text).lines() {
        let words: Vec<&str> = paragraph.split_ascii_whitespace().collect();
        lines.extend(textwrap::wrap(&words.join(" "), &options).into_iter().map(String::from));
    }
    lines
}

/// Columns that a line takes in a terminal: a Chinese character takes two, a combining mark none.
pub(crate) fn columns(line: &str) -> usize {
    textwrap::core::display_width(line)
}

#[cfg(test)]
mod tests {
    use super::*;

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
