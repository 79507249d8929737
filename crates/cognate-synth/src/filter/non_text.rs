//! Characters that are no text: what a decoder of bytes writes where the bytes are none, and what no document is written with.

/// A document with a larger share of them is dropped: one stray character in a page is a slip, one in every hundred is not text.
pub const MOST_NON_TEXT: f64 = 0.01;

/// The share of a text's characters that are control characters other than tab, line feed and carriage return, the replacement
/// character U+FFFD, for which bytes stand that are no UTF-8, private use or noncharacters; 0 for an empty text.
pub fn non_text(text: &str) -> f64 {
    let (characters, others) =
        text.chars().fold((0u64, 0u64), |(all, others), c| (all + 1, others + u64::from(is_non_text(c))));
    others as f64 / characters.max(1) as f64
}

/// Unicode 16.0, chapter 23: control codes, private-use characters, noncharacters and the replacement character.
fn is_non_text(c: char) -> bool {
    let code = u32::from(c);
    match c {
        '\t' | '\n' | '\r' => false,
        '\u{fffd}' | '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{ffffd}' | '\u{100000}'..='\u{10fffd}' => true,
        '\u{fdd0}'..='\u{fdef}' => true,
        _ => c.is_control() || code & 0xfffe == 0xfffe,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_is_counted_and_nothing_else() {
        for text in ["", "plain\ttext,\r\nin lines", "Ω ∑ 漢字 नमस्ते 🙂 e\u{301} \u{200d}\u{feff}", "日本語"]
        {
            assert_eq!(non_text(text), 0.0, "{text:?}");
        }
        for c in [
            '\0',
            '\u{7}',
            '\u{7f}',
            '\u{85}',
            '\u{fffd}',
            '\u{e000}',
            '\u{f8ff}',
            '\u{fffe}',
            '\u{1ffff}',
            '\u{fdd0}',
            '\u{10fffd}',
        ] {
            assert_eq!(non_text(&format!("abc{c}")), 0.25, "{c:?}");
        }
    }
}
