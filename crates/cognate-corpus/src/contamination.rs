//! Passages that training and validation share.
//!
//! Brown et al. 2020 ("Language Models are Few-Shot Learners", appendix C) call a training document contaminated when
//! it shares 13 consecutive words with a test document, words being lower-case and without punctuation. So here: a word
//! is a run of letters and digits, in lower case; a character of the Chinese and Japanese scripts, which do not mark
//! words, is a word of its own. Thai, Lao, Khmer and Burmese do not mark words either, and count as long words here.

use std::collections::HashSet;

use crate::document::Document;
use crate::error::Result;

/// Those of `documents` that share no passage of `words` consecutive words with any of `others`, in their order, and how many
/// do. With `words` zero nothing is looked for. Memory is that of the passages of `documents`; `others` go by one at a time.
///
/// # Errors
/// When one of `others` cannot be read.
pub fn without_shared_passages(
    documents: Vec<Document>,
    others: impl Iterator<Item = Result<Document>>,
    words: usize,
) -> Result<(Vec<Document>, usize)> {
    let (mut passages, mut shared) = (Passages::new(words), Passages::new(words));
    documents.iter().for_each(|document| passages.add(&document.text));
    for other in others {
        passages.common(&other?.text, &mut shared);
    }
    let before = documents.len();
    let kept: Vec<Document> =
        documents.into_iter().filter(|document| shared.shared(&document.text).is_none()).collect();
    let dropped = before - kept.len();
    Ok((kept, dropped))
}

/// The passages of `words` consecutive words that validation documents hold, as hashes.
#[derive(Debug)]
pub(crate) struct Passages {
    words: usize,
    hashes: HashSet<u64>,
}

impl Passages {
    /// No passages yet. With `words` zero there never are any: the check is off.
    pub(crate) fn new(words: usize) -> Self {
        Self { words, hashes: HashSet::new() }
    }

    /// Adds all passages of a validation document.
    pub(crate) fn add(&mut self, text: &str) {
        let hashes = &mut self.hashes;
        each_passage(text, self.words, |hash, _| {
            hashes.insert(hash);
            true
        });
    }

    /// Adds to `found` every passage of `text` that is here too.
    fn common(&self, text: &str, found: &mut Self) {
        each_passage(text, self.words, |hash, _| {
            if self.hashes.contains(&hash) {
                found.hashes.insert(hash);
            }
            true
        });
    }

    /// The first passage of a training document that a validation document holds too.
    pub(crate) fn shared<'a>(&self, text: &'a str) -> Option<&'a str> {
        if self.hashes.is_empty() {
            return None;
        }
        let mut found = None;
        each_passage(text, self.words, |hash, passage| {
            if self.hashes.contains(&hash) {
                found = Some(passage);
            }
            found.is_none()
        });
        found
    }
}

/// Calls `visit` with the hash of every passage of `words` words and the piece of text it covers, until it returns
/// false.
///
/// The hash of words w₁…wₙ is Σ h(wᵢ)·Bⁿ⁻ⁱ modulo 2⁶⁴ over scrambled word hashes h, so it rolls: one product per word
/// in and out, whatever n is. Two different passages agree by chance once in 2⁶⁴.
fn each_passage<'a>(text: &'a str, words: usize, mut visit: impl FnMut(u64, &'a str) -> bool) {
    const B: u64 = 0x9e37_79b9_7f4a_7c15;
    if words == 0 {
        return;
    }
    let b_to_words = (0..words).fold(1u64, |power, _| power.wrapping_mul(B));
    let mut window: Vec<(u64, usize)> = Vec::with_capacity(words);
    let mut oldest = 0;
    let mut rolling = 0u64;
    for (hash, start, end) in Words::of(text) {
        rolling = rolling.wrapping_mul(B).wrapping_add(hash);
        if window.len() < words {
            window.push((hash, start));
        } else {
            rolling = rolling.wrapping_sub(window[oldest].0.wrapping_mul(b_to_words));
            window[oldest] = (hash, start);
            oldest = (oldest + 1) % words;
        }
        if window.len() == words && !visit(rolling, &text[window[oldest].1..end]) {
            return;
        }
    }
}

/// The words of a text: hash, start and end byte of each.
struct Words<'a> {
    text: &'a str,
    characters: std::iter::Peekable<std::str::CharIndices<'a>>,
}

impl<'a> Words<'a> {
    fn of(text: &'a str) -> Self {
        Self { text, characters: text.char_indices().peekable() }
    }
}

impl Iterator for Words<'_> {
    type Item = (u64, usize, usize);

    fn next(&mut self) -> Option<Self::Item> {
        let (start, first) = self.characters.find(|(_, c)| c.is_alphanumeric())?;
        // FNV-1a over the lower-case characters.
        let mut hash = 0xcbf2_9ce4_8422_2325u64;
        let mut absorb = |c: char| {
            for lower in c.to_lowercase() {
                hash = (hash ^ u64::from(u32::from(lower))).wrapping_mul(0x0000_0100_0000_01b3);
            }
        };
        absorb(first);
        if !is_word_by_itself(first) {
            while let Some((_, c)) = self.characters.next_if(|&(_, c)| c.is_alphanumeric() && !is_word_by_itself(c)) {
                absorb(c);
            }
        }
        let end = self.characters.peek().map_or(self.text.len(), |(at, _)| *at);
        Some((scramble(hash), start, end))
    }
}

/// Whether a letter belongs to the kana or to the Chinese characters, which are written without spaces between words.
fn is_word_by_itself(c: char) -> bool {
    matches!(c, '\u{2e80}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// The finaliser of SplitMix64: neighbouring hashes become unrelated.
fn scramble(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, word for word.
    fn shares_passage(a: &str, b: &str, words: usize) -> bool {
        let split = |text: &str| -> Vec<String> {
            Words::of(text).map(|(_, start, end)| text[start..end].to_lowercase()).collect()
        };
        let (a, b) = (split(a), split(b));
        words > 0 && a.windows(words).any(|passage| b.windows(words).any(|other| other == passage))
    }

    #[test]
    fn case_and_punctuation_do_not_hide_a_passage() {
        let mut passages = Passages::new(4);
        passages.add("It was the best of times, it was the worst of times.");
        assert_eq!(passages.shared("oh: (The)  WORST\nof -- Times!").unwrap(), "The)  WORST\nof -- Times");
        assert_eq!(passages.shared("the worst of all times"), None);
        assert_eq!(passages.shared("worst of times"), None);
    }

    #[test]
    fn a_passage_may_be_the_whole_text_or_stand_at_its_end() {
        let mut passages = Passages::new(3);
        passages.add("one two three");
        assert_eq!(passages.shared("one two three"), Some("one two three"));
        assert_eq!(passages.shared("zero one two three"), Some("one two three"));
        assert_eq!(passages.shared("one two"), None);
    }

    #[test]
    fn scripts_without_spaces_are_compared_by_character() {
        let mut passages = Passages::new(5);
        passages.add("我昨天在图书馆看书。");
        assert_eq!(passages.shared("她昨天在图书馆睡觉"), Some("昨天在图书"));
        assert_eq!(passages.shared("图书馆里没有人"), None);
    }

    #[test]
    fn zero_words_switch_the_check_off() {
        let mut passages = Passages::new(0);
        passages.add("one two three");
        assert_eq!(passages.shared("one two three"), None);
    }

    #[test]
    fn documents_that_share_a_passage_with_others_are_left_out() {
        let document =
            |text: &str| Document { id: text.to_owned(), text: text.to_owned(), metadata: serde_json::Map::new() };
        let documents = ["a b c d e", "f g h", "x a b c", "b c d a"].map(document).to_vec();
        let others = ["z A, b. C", "d e f g"];
        let kept = |words| {
            let others = others.iter().map(|text| Ok(document(text)));
            let (kept, dropped) = without_shared_passages(documents.clone(), others, words).unwrap();
            (kept.into_iter().map(|document| document.id).collect::<Vec<_>>(), dropped)
        };
        assert_eq!(kept(3), (vec!["f g h".to_owned(), "b c d a".to_owned()], 2));
        assert_eq!(kept(2), (vec![], 4));
        assert_eq!(kept(0).1, 0);
    }

    proptest! {
        #[test]
        fn the_rolling_hash_finds_what_the_definition_finds(
            a in prop::collection::vec("[abAB]", 0..24),
            b in prop::collection::vec("[abAB]", 0..24),
            words in 1usize..8,
        ) {
            let (a, b) = (a.join(" "), b.join(", "));
            let mut passages = Passages::new(words);
            passages.add(&a);
            prop_assert_eq!(passages.shared(&b).is_some(), shares_passage(&a, &b, words));
        }
    }
}
