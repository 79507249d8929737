//! Words and word n-grams of a text, as 64-bit hashes: what every overlap measure here counts.
//!
//! The two kinds of [`crate::words`]. A *plain* word is what stands between white space, punctuation included: the
//! repetition rules must see rows of dashes. A *bare* word is a run of letters and digits in lower case: copies are found
//! through changed punctuation.

use crate::words::{Words, mix};

/// A word: its length and its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    /// Characters (Unicode scalar values) in its normal form.
    pub chars: usize,
    /// Equal words have equal hashes.
    pub hash: u64,
}

/// The words between white space.
pub fn plain_words(text: &str) -> Vec<Word> {
    collect(Words::between_spaces(text), text.len())
}

/// The runs of letters and digits, in lower case.
pub fn bare_words(text: &str) -> Vec<Word> {
    collect(Words::of(text), text.len())
}

fn collect(mut words: Words<'_>, bytes: usize) -> Vec<Word> {
    let mut found = Vec::with_capacity(bytes / 5);
    while let Some(word) = words.next_word() {
        found.push(Word { chars: word.text.chars().count(), hash: word.hash() });
    }
    found
}

/// The hash of every n-gram of `words`, in text order: `words.len() + 1 − n` of them, none for a shorter text.
pub fn ngrams(words: &[Word], n: usize) -> impl Iterator<Item = u64> {
    words.windows(n).map(|window| window.iter().fold(0, |hash, word| mix(hash ^ word.hash).wrapping_add(word.hash)))
}

/// The distinct word n-grams of a text as sorted 32-bit hashes; a text of fewer words counts as one n-gram, a text without words
/// has none.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Shingles(Box<[u32]>);

impl Shingles {
    /// Of the bare words of `text`.
    pub fn of(text: &str, n: usize) -> Self {
        let words = bare_words(text);
        let length = n.min(words.len()).max(1);
        let mut hashes: Vec<u32> = ngrams(&words, length).map(|hash| (hash >> 32) as u32).collect();
        hashes.sort_unstable();
        hashes.dedup();
        Self(hashes.into_boxed_slice())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Distinct n-grams.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The hashes, ascending.
    pub fn hashes(&self) -> &[u32] {
        &self.0
    }

    /// n-grams that both have.
    pub fn common(&self, other: &Self) -> usize {
        let (mut i, mut j, mut common) = (0, 0, 0);
        while i < self.0.len() && j < other.0.len() {
            let (a, b) = (self.0[i], other.0[j]);
            common += usize::from(a == b);
            i += usize::from(a <= b);
            j += usize::from(b <= a);
        }
        common
    }

    /// The share of this text's n-grams that `other` has too; 0 for a text without words.
    pub fn contained_in(&self, other: &Self) -> f64 {
        if self.is_empty() { 0.0 } else { self.common(other) as f64 / self.len() as f64 }
    }

    /// Jaccard similarity: common n-grams over all n-grams of the two; 0 where neither has any.
    pub fn jaccard(&self, other: &Self) -> f64 {
        let common = self.common(other);
        let all = self.len() + other.len() - common;
        if all == 0 { 0.0 } else { common as f64 / all as f64 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_of_either_kind() {
        let lengths = |words: Vec<Word>| words.iter().map(|w| w.chars).collect::<Vec<_>>();
        assert_eq!(lengths(plain_words("  Well-known, -- yes.\n")), [11, 2, 4]);
        assert_eq!(lengths(bare_words("  Well-known, -- yes.\n")), [4, 5, 3]);
        assert_eq!(lengths(bare_words("漢字とkana")), [1, 1, 1, 4]);
        assert!(bare_words(" -- ").is_empty());
        assert_eq!(bare_words("Größe 1")[0], bare_words("GRÖSSE gRÖßE")[1]);
        assert_ne!(bare_words("ab c")[0].hash, bare_words("a bc")[0].hash);
    }

    #[test]
    fn order_and_repetition_distinguish_ngrams() {
        let all = |text: &str| ngrams(&bare_words(text), 3).collect::<Vec<_>>();
        assert_ne!(all("a b c"), all("c b a"));
        assert_ne!(all("a a b"), all("a b a"));
        assert_ne!(all("a a a"), all("b b b"));
        assert_eq!(all("x a b c")[1], all("a b c")[0]);
        assert!(all("a b").is_empty());
    }

    #[test]
    fn a_short_text_is_one_shingle() {
        assert_eq!(Shingles::of("two words", 5).len(), 1);
        assert_eq!(Shingles::of("two words", 5).jaccard(&Shingles::of("Two -- WORDS!", 5)), 1.0);
        assert_eq!(Shingles::of("...", 5).len(), 0);
        assert_eq!(Shingles::of("", 5).jaccard(&Shingles::of("", 5)), 0.0);
        assert_eq!(Shingles::of("", 5).contained_in(&Shingles::of("a", 5)), 0.0);
    }

    proptest! {
        #[test]
        fn set_measures_agree_with_sets(a in prop::collection::vec(0u8..6, 0..40), b in prop::collection::vec(0u8..6, 0..40)) {
            let text = |letters: &[u8]| letters.iter().map(|&l| format!("w{l} ")).collect::<String>();
            let set = |letters: &[u8]| letters.windows(2).map(<[u8]>::to_vec).collect::<std::collections::BTreeSet<_>>();
            prop_assume!(a.len() >= 2 && b.len() >= 2);
            let (x, y) = (set(&a), set(&b));
            let common = x.intersection(&y).count() as f64;
            let (s, t) = (Shingles::of(&text(&a), 2), Shingles::of(&text(&b), 2));
            prop_assert_eq!(s.len(), x.len());
            prop_assert_eq!(s.contained_in(&t), common / x.len() as f64);
            prop_assert_eq!(s.jaccard(&t), common / x.union(&y).count() as f64);
        }
    }
}
