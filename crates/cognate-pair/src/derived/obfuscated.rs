//! `obfuscated`: a share of the words replaced by nonsense words, one for one, the same everywhere.

use std::collections::{BTreeSet, HashMap, HashSet};

use cognate_base::Monitor;
use cognate_base::random::{self, SliceRandom};
use unicode_segmentation::UnicodeSegmentation;

use super::nonsense::nonsense;
use crate::Result;

/// Texts between two looks at the monitor.
const STRIDE: usize = 256;

/// Which words become which nonsense words: one for one, and no nonsense word is a word of the texts.
///
/// A word is what Unicode's text segmentation (UAX #29) makes one, if a letter or digit is in it, as it is written: `The` and `the` are two.
#[derive(Clone, Debug)]
pub struct Obfuscation {
    map: HashMap<String, String>,
    words: usize,
}

impl Obfuscation {
    /// For all distinct words of `texts`, of which exactly `share`, rounded, are replaced.
    ///
    /// # Errors
    /// When the user interrupts.
    pub fn of<'a>(texts: impl Iterator<Item = &'a str>, share: f64, seed: u64, monitor: &dyn Monitor) -> Result<Self> {
        let mut words: BTreeSet<&str> = BTreeSet::new();
        for (at, text) in texts.enumerate() {
            if at.is_multiple_of(STRIDE) {
                monitor.check()?;
            }
            words.extend(parts(text).filter(|part| is_word(part)));
        }
        // In the order of the words, whatever that of the texts is.
        let mut replaced: Vec<&str> = words.iter().copied().collect();
        replaced.shuffle(&mut random::stream(seed, "obfuscated words", 0));
        replaced.truncate((share * words.len() as f64).round() as usize);
        let mut random = random::stream(seed, "nonsense words", 0);
        let (mut taken, mut map) = (HashSet::new(), HashMap::new());
        for (at, word) in replaced.into_iter().enumerate() {
            if at.is_multiple_of(STRIDE) {
                monitor.check()?;
            }
            let nonsense = nonsense(&mut taken, &mut random, |word| words.contains(word));
            map.insert(word.to_owned(), nonsense);
        }
        Ok(Self { map, words: words.len() })
    }

    /// A text with its words replaced, and everything else as it stands.
    pub fn apply(&self, text: &str) -> String {
        parts(text).map(|part| self.map.get(part).map_or(part, String::as_str)).collect()
    }

    /// Words of a text, and how many of them are replaced.
    pub fn count(&self, text: &str) -> (u64, u64) {
        let words = || parts(text).filter(|part| is_word(part));
        (words().count() as u64, words().filter(|word| self.map.contains_key(*word)).count() as u64)
    }

    /// Distinct words, and how many of them are replaced.
    pub fn distinct(&self) -> (usize, usize) {
        (self.words, self.map.len())
    }
}

fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split_word_bounds()
}

fn is_word(part: &str) -> bool {
    part.chars().any(char::is_alphanumeric)
}

#[cfg(test)]
mod tests {
    use cognate_base::Silent;

    use super::*;

    const TEXTS: [&str; 3] = [
        "The cat sat on the mat; it isn't 3.14 m wide.",
        "A dog, “the dog”, and ein Hund — собака — sat there in 1999.",
        "the cat and the dog\n\n sat  there.",
    ];

    fn all() -> BTreeSet<&'static str> {
        TEXTS.iter().flat_map(|text| parts(text).filter(|part| is_word(part))).collect()
    }

    fn of(share: f64, seed: u64) -> Obfuscation {
        Obfuscation::of(TEXTS.into_iter(), share, seed, &Silent).unwrap()
    }

    #[test]
    fn the_share_is_exact_and_the_map_one_to_one() {
        let words = all();
        for share in (0..=20).map(|twentieths| f64::from(twentieths) / 20.0) {
            let obfuscation = of(share, 3);
            let replaced = (share * words.len() as f64).round() as usize;
            assert_eq!(obfuscation.distinct(), (words.len(), replaced));
            let images: BTreeSet<String> = words.iter().map(|word| obfuscation.apply(word)).collect();
            assert_eq!(images.len(), words.len(), "no two words become one");
            let changed = words.iter().filter(|word| obfuscation.apply(word) != **word).count();
            assert_eq!(changed, replaced);
            let nonsense =
                words.iter().map(|word| obfuscation.apply(word)).filter(|image| !words.contains(image.as_str()));
            assert_eq!(nonsense.count(), replaced, "a nonsense word is none of the texts'");
        }
    }

    #[test]
    fn a_word_is_the_same_everywhere_and_the_rest_stays() {
        let obfuscation = of(1.0, 3);
        let strip = |text: &str| parts(text).filter(|part| !is_word(part)).collect::<String>();
        let of_word = |word: &str| obfuscation.apply(word);
        for text in TEXTS {
            let made = obfuscation.apply(text);
            assert_eq!(strip(&made), strip(text));
            let words: Vec<String> = parts(text).filter(|part| is_word(part)).map(of_word).collect();
            assert_eq!(parts(&made).filter(|part| is_word(part)).collect::<Vec<_>>(), words);
        }
        assert_ne!(of_word("The"), of_word("the"));
        assert_eq!(of(0.0, 3).apply(TEXTS[1]), TEXTS[1]);
        let (words, replaced) = of(0.5, 3).count(TEXTS[2]);
        assert!(words == 7 && replaced <= 7, "{words} {replaced}");
    }

    #[test]
    fn the_map_follows_from_the_words_and_the_seed() {
        let turned = Obfuscation::of(TEXTS.into_iter().rev(), 0.5, 3, &Silent).unwrap();
        assert_eq!(turned.map, of(0.5, 3).map);
        assert_ne!(of(0.5, 3).map, of(0.5, 4).map);
    }

    #[test]
    fn there_are_nonsense_words_for_more_than_the_short_ones() {
        let words: Vec<String> = (0..60_000).map(|number| format!("w{number}")).collect();
        let obfuscation = Obfuscation::of(words.iter().map(String::as_str), 1.0, 1, &Silent).unwrap();
        let images: HashSet<&String> = obfuscation.map.values().collect();
        assert_eq!(images.len(), words.len());
    }
}
