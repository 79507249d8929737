//! Text into the words that documents are compared by.
//!
//! Those of [`cognate_base::words`]. Nothing is stemmed, and there is no stop list: words that are in too many documents are
//! left out by their count. In scripts that set no words apart a single character says little: a run of such characters
//! gives its overlapping pairs, as is usual in information retrieval.

use cognate_base::words::{Words, Writing};

/// Calls `found` for each word of `text`, in order. `buffer` is scratch.
pub(crate) fn each_word(text: &str, buffer: &mut String, mut found: impl FnMut(&str)) {
    let mut words = Words::of(text);
    buffer.clear();
    // `buffer` holds the last character of a run that may go on; `end` is where it ends in the text.
    let (mut end, mut is_alone) = (0, false);
    while let Some(word) = words.next_word() {
        let is_character = word.writing != Writing::Spaced;
        if !buffer.is_empty() && is_character && word.range.start <= end {
            let last = buffer.len();
            buffer.push_str(word.text);
            found(buffer);
            buffer.drain(..last);
            is_alone = false;
        } else {
            if is_alone {
                found(buffer);
            }
            buffer.clear();
            is_alone = is_character;
            if is_character {
                buffer.push_str(word.text);
            } else {
                found(word.text);
            }
        }
        end = word.range.end;
    }
    if is_alone {
        found(buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let mut all = Vec::new();
        each_word(text, &mut String::new(), |word| all.push(word.to_string()));
        all
    }

    #[test]
    fn words_are_lower_case_runs_of_letters_and_digits() {
        assert_eq!(words("The CAT's 2nd--life, ÜBER-Größe"), ["the", "cat", "s", "2nd", "life", "über", "größe"]);
        assert_eq!(words("ΟΔΟΣ Ⅳ"), ["οδοσ", "iv"]);
        assert!(words(" .,;\n\u{1F600}").is_empty());
    }

    #[test]
    fn writing_without_spaces_gives_pairs_of_characters() {
        assert_eq!(words("深層学習 x線 犬"), ["深層", "層学", "学習", "x", "線", "犬"]);
        assert_eq!(words("犬x犬猫。鳥"), ["犬", "x", "犬猫", "鳥"]);
        assert_eq!(words("ที่นี่ก"), ["ที่นี่", "นี่ก"], "a mark belongs to its letter");
    }

    #[test]
    fn marks_end_no_word_and_normal_forms_are_one() {
        assert_eq!(words("हिन्दी में"), ["हिन्दी", "में"]);
        assert_eq!(words("re\u{301}sume\u{301}"), words("résumé"));
    }
}
