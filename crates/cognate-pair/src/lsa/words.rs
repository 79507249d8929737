//! Text into words.
//!
//! A word is a longest run of alphanumeric characters (Unicode's Alphabetic and Numeric properties), in lower case.
//! Nothing is stemmed or normalised, and there is no stop list: words that are in too many documents are left out by
//! their count. Chinese, Japanese, Thai, Lao, Khmer and Burmese are written without spaces, where a run would be a
//! whole sentence: a run of such characters gives its overlapping pairs of characters instead, as is usual in
//! information retrieval.

/// Calls `found` for each word of `text`, in order. `buffer` is scratch.
pub(crate) fn each_word(text: &str, buffer: &mut String, mut found: impl FnMut(&str)) {
    for run in text.split(|c: char| !c.is_alphanumeric()).filter(|run| !run.is_empty()) {
        if run.is_ascii() {
            buffer.clear();
            buffer.push_str(run);
            buffer.make_ascii_lowercase();
            found(buffer);
        } else {
            each_part(run, buffer, &mut found);
        }
    }
}

/// Splits a run where writing with spaces meets writing without, and gives the words of each part.
fn each_part(run: &str, buffer: &mut String, found: &mut impl FnMut(&str)) {
    let mut rest = run;
    while let Some(first) = rest.chars().next() {
        let is_spaced = is_spaced(first);
        let end = rest.find(|c| self::is_spaced(c) != is_spaced).unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        rest = after;
        if is_spaced {
            buffer.clear();
            buffer.extend(part.chars().flat_map(char::to_lowercase));
            found(buffer);
        } else {
            each_pair(part, found);
        }
    }
}

/// Gives the overlapping pairs of characters of `part`, or its only character.
fn each_pair(part: &str, found: &mut impl FnMut(&str)) {
    let starts: Vec<usize> = part.char_indices().map(|(at, _)| at).chain([part.len()]).collect();
    if starts.len() <= 3 {
        return found(part);
    }
    starts.windows(3).for_each(|ends| found(&part[ends[0]..ends[2]]));
}

/// Whether words of the character's script stand apart.
fn is_spaced(c: char) -> bool {
    !matches!(u32::from(c),
        0x0E00..=0x0EFF // Thai, Lao
        | 0x1000..=0x109F // Burmese
        | 0x1780..=0x17FF // Khmer
        | 0x3040..=0x30FF // Hiragana, Katakana
        | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0x2_0000..=0x3_FFFF // Han
    )
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
        assert_eq!(words("ΟΔΟΣ Ⅳ"), ["οδοσ", "ⅳ"]);
        assert!(words(" .,;\n\u{1F600}").is_empty());
    }

    #[test]
    fn writing_without_spaces_gives_pairs_of_characters() {
        assert_eq!(words("深層学習 x線 犬"), ["深層", "層学", "学習", "x", "線", "犬"]);
    }
}
