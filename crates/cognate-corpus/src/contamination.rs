//! Passages that training and validation share.
//!
//! Brown et al. 2020 ("Language Models are Few-Shot Learners", appendix C) call a training document contaminated when
//! it shares 13 consecutive words with a test document, words being lower-case and without punctuation. So here, with the
//! words of [`cognate_base::words`]. Where a script sets no words apart, a character of Chinese or kana counts as a word, and
//! a letter of Thai, Lao, Burmese or Khmer as a quarter of one, which is about what it is.
//!
//! A passage that many documents hold (a licence, a form's headings) says nothing about where a text comes from: it counts for none.
//! NeMo Curator's task decontamination does likewise, from more than ten occurrences on (`max_matches`).

use std::collections::{HashMap, HashSet, VecDeque};

use cognate_base::words::{Words, Writing};

use crate::document::Document;
use crate::error::Result;

/// Those of `documents` that share no passage of `words` consecutive words with any of `others`, in their order, and how many
/// do. A passage that more than `most` of both together hold counts for none. With `words` zero nothing is looked for. Memory is that
/// of the passages of `documents`; `others` go by one at a time.
///
/// # Errors
/// When one of `others` cannot be read.
pub fn without_shared_passages(
    documents: Vec<Document>,
    others: impl Iterator<Item = Result<Document>>,
    words: usize,
    most: u32,
) -> Result<(Vec<Document>, usize)> {
    let mut passages = Passages::new(words);
    documents.iter().for_each(|document| passages.add(&document.text));
    for other in others {
        passages.count(&other?.text);
    }
    passages.forget_uncounted();
    documents.iter().for_each(|document| passages.count(&document.text));
    passages.forget_frequent(most);
    let before = documents.len();
    let kept: Vec<Document> =
        documents.into_iter().filter(|document| passages.shared(&document.text).is_none()).collect();
    let dropped = before - kept.len();
    Ok((kept, dropped))
}

/// The passages of `words` consecutive words that validation documents hold, as hashes.
#[derive(Debug)]
pub(crate) struct Passages {
    words: usize,
    /// Each with how many documents hold it, as far as they were counted.
    hashes: HashMap<u64, u32>,
}

impl Passages {
    /// No passages yet. With `words` zero there never are any: the check is off.
    pub(crate) fn new(words: usize) -> Self {
        Self { words, hashes: HashMap::new() }
    }

    /// Adds all passages of a validation document.
    pub(crate) fn add(&mut self, text: &str) {
        let hashes = &mut self.hashes;
        each_passage(text, self.words, |hash, _| {
            hashes.entry(hash).or_default();
            true
        });
    }

    /// Counts a document, whichever split it is in, for each passage that it holds.
    pub(crate) fn count(&mut self, text: &str) {
        let mut seen = HashSet::new();
        let hashes = &mut self.hashes;
        each_passage(text, self.words, |hash, _| {
            if let Some(documents) = hashes.get_mut(&hash)
                && seen.insert(hash)
            {
                *documents = documents.saturating_add(1);
            }
            true
        });
    }

    /// Forgets the passages that more than `most` documents hold, and says how many.
    pub(crate) fn forget_frequent(&mut self, most: u32) -> u64 {
        let before = self.hashes.len();
        self.hashes.retain(|_, documents| *documents <= most);
        (before - self.hashes.len()) as u64
    }

    /// Forgets the passages that no document was counted for.
    fn forget_uncounted(&mut self) {
        self.hashes.retain(|_, documents| *documents > 0);
    }

    /// Whether there is none to look for.
    pub(crate) fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// The first passage of a training document that a validation document holds too.
    pub(crate) fn shared<'a>(&self, text: &'a str) -> Option<&'a str> {
        if self.hashes.is_empty() {
            return None;
        }
        let mut found = None;
        each_passage(text, self.words, |hash, passage| {
            if self.hashes.contains_key(&hash) {
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
/// A passage ends at each word and begins as late as it can. The hash of words w₁…wₙ is Σ h(wᵢ)·Bⁿ⁻ⁱ modulo 2⁶⁴ over word
/// hashes h, so it rolls: one product per word in and out, whatever n is. Two different passages agree by chance once in
/// 2⁶⁴.
fn each_passage<'a>(text: &'a str, words: usize, mut visit: impl FnMut(u64, &'a str) -> bool) {
    const B: u64 = 0x9e37_79b9_7f4a_7c15;
    if words == 0 {
        return;
    }
    // A number of words that no text has needs no passage, and no room for one.
    let needed = words.saturating_mul(WORD);
    let mut window: VecDeque<Item> = VecDeque::new();
    let (mut rolling, mut weight) = (0u64, 0usize);
    // B to the power of the place.
    let mut powers = vec![1u64];
    let mut found = Words::of(text);
    while let Some(word) = found.next_word() {
        let item = Item { hash: word.hash(), start: word.range.start, weight: weight_of(word.writing) };
        rolling = rolling.wrapping_mul(B).wrapping_add(item.hash);
        weight += item.weight;
        window.push_back(item);
        while let Some(oldest) = window.front().filter(|oldest| weight - oldest.weight >= needed) {
            let power = window.len() - 1;
            while powers.len() <= power {
                powers.push(powers[powers.len() - 1].wrapping_mul(B));
            }
            rolling = rolling.wrapping_sub(oldest.hash.wrapping_mul(powers[power]));
            weight -= oldest.weight;
            window.pop_front();
        }
        if weight >= needed
            && let Some(oldest) = window.front()
            && !visit(rolling, &text[oldest.start..word.range.end])
        {
            return;
        }
    }
}

/// A word of a passage.
struct Item {
    hash: u64,
    start: usize,
    weight: usize,
}

/// What a word weighs.
const WORD: usize = 4;

fn weight_of(writing: Writing) -> usize {
    match writing {
        Writing::Spaced | Writing::Ideographs => WORD,
        Writing::Letters => 1,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, word for word.
    fn shares_passage(a: &str, b: &str, words: usize) -> bool {
        let split = |text: &str| -> Vec<String> {
            let mut words = Words::of(text);
            std::iter::from_fn(|| words.next_word().map(|word| word.text.to_owned())).collect()
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
    fn marks_and_normal_forms_neither_make_nor_hide_a_passage() {
        // Five words of Hindi: cut at their marks, any two texts would share five letters.
        let mut passages = Passages::new(5);
        passages.add("मेरे दोस्त ने किताब पढ़ी है");
        assert_eq!(passages.shared("मेरी किताबें दोस्तों के पास हैं और पढ़ी जाती हैं"), None);
        assert_eq!(passages.shared("कि मेरे दोस्त ने किताब पढ़ी"), Some("मेरे दोस्त ने किताब पढ़ी"));
        let mut passages = Passages::new(3);
        passages.add("une élève très déçue");
        assert!(passages.shared("e\u{301}le\u{300}ve tre\u{300}s de\u{301}c\u{327}ue").is_some());
    }

    #[test]
    fn four_letters_of_a_script_without_spaces_weigh_as_a_word() {
        let mut passages = Passages::new(3);
        passages.add("ฉันรักภาษาไทยมาก a b c");
        // Eleven letters, then twelve; marks are no letters.
        assert_eq!(passages.shared("นรักภาษาไทยม"), None);
        assert_eq!(passages.shared("xนรักภาษาไทยมา"), Some("นรักภาษาไทยมา"));
        assert_eq!(passages.shared("ก a b c"), Some("a b c"));
    }

    #[test]
    fn more_words_than_any_text_has_are_no_passage_and_no_memory() {
        let mut passages = Passages::new(usize::MAX);
        passages.add("one two three");
        assert_eq!(passages.shared("one two three"), None);
    }

    #[test]
    fn a_passage_of_many_documents_counts_for_none() {
        let mut passages = Passages::new(3);
        passages.add("all rights are reserved. the ferry waits here");
        let corpus =
            ["all rights are reserved. all rights are reserved", "All rights are reserved here", "the ferry waits"];
        corpus.iter().for_each(|text| passages.count(text));
        // Twice in one document counts once: "all rights are" and "rights are reserved" stand in two.
        let kept = |most| {
            let mut passages = Passages { words: 3, hashes: passages.hashes.clone() };
            (passages.forget_frequent(most), corpus.map(|text| passages.shared(text).is_some()))
        };
        assert_eq!(kept(2), (0, [true, true, true]));
        assert_eq!(kept(1), (2, [false, false, true]));
        assert_eq!(kept(0), (3, [false, false, false]));
    }

    #[test]
    fn zero_words_switch_the_check_off() {
        let mut passages = Passages::new(0);
        passages.add("one two three");
        assert_eq!(passages.shared("one two three"), None);
    }

    #[test]
    fn documents_that_share_a_passage_with_others_are_left_out() {
        let document = |text: &str| Document {
            id: text.to_owned(),
            text: text.to_owned(),
            group: None,
            metadata: Default::default(),
        };
        let documents = ["a b c d e", "f g h", "x a b c", "b c d a"].map(document).to_vec();
        let others = ["z A, b. C", "d e f g"];
        let kept = |words, most| {
            let others = others.iter().map(|text| Ok(document(text)));
            let (kept, dropped) = without_shared_passages(documents.clone(), others, words, most).unwrap();
            (kept.into_iter().map(|document| document.id).collect::<Vec<_>>(), dropped)
        };
        let ids = |ids: &[&str]| ids.iter().map(|&id| id.to_owned()).collect::<Vec<_>>();
        assert_eq!(kept(3, u32::MAX), (ids(&["f g h", "b c d a"]), 2));
        assert_eq!(kept(2, u32::MAX), (vec![], 4));
        assert_eq!(kept(0, u32::MAX).1, 0);
        // "a b c" stands in two of them and in one of the others; "b c d" in two of them, and in none of the others.
        assert_eq!(kept(3, 3), kept(3, u32::MAX));
        assert_eq!(kept(3, 2), (ids(&["a b c d e", "f g h", "x a b c", "b c d a"]), 0));
        // "d e" and "f g" in one and one; "a b" in two and one, "b c" in three and one.
        assert_eq!(kept(2, 2), (ids(&["x a b c", "b c d a"]), 2));
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
