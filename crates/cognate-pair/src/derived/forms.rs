//! `forms`: a short form of each document, its keywords in their order, as Paired by the Teacher (arXiv 2509.25144) has a teacher write one.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use cognate_base::Monitor;
use cognate_base::words::Words;

use crate::Result;

/// Texts between two looks at the monitor.
const STRIDE: usize = 256;
/// Between two keywords.
const BETWEEN: &str = ", ";
/// A form of fewer says nothing of what stands together.
const LEAST: usize = 2;

/// How many documents of a corpus have a word, by which its keywords are known.
#[derive(Clone, Debug, Default)]
pub struct Forms {
    documents: HashMap<String, u32>,
    of: u32,
}

impl Forms {
    /// Of the documents that are to have forms.
    ///
    /// # Errors
    /// When the user interrupts.
    pub fn of<'a>(texts: impl Iterator<Item = &'a str>, monitor: &dyn Monitor) -> Result<Self> {
        let mut forms = Self::default();
        for (at, text) in texts.enumerate() {
            if at.is_multiple_of(STRIDE) {
                monitor.check()?;
            }
            let (mut words, mut seen) = (Words::of(text), HashSet::new());
            while let Some(word) = words.next_word() {
                if seen.insert(word.text.to_owned()) {
                    *forms.documents.entry(word.text.to_owned()).or_default() += 1;
                }
            }
            forms.of += 1;
        }
        Ok(forms)
    }

    /// The form of a text: its `most` keywords at most, each as it stands where it comes first, in the order of these places. None of a text with
    /// fewer than two.
    ///
    /// A keyword's weight is tf · ln((1 + n) / (1 + df)): how often the text has the word, and how few of the n documents do. A word of all
    /// documents weighs nothing, and is none.
    #[must_use]
    pub fn form(&self, text: &str, most: usize) -> Option<String> {
        let mut found: HashMap<String, (u32, std::ops::Range<usize>)> = HashMap::new();
        let mut words = Words::of(text);
        while let Some(word) = words.next_word() {
            found.entry(word.text.to_owned()).or_insert((0, word.range)).0 += 1;
        }
        let weighed = found.into_iter().map(|(word, (often, range))| {
            let documents = self.documents.get(&word).copied().unwrap_or(0);
            let rarity = (f64::from(1 + self.of) / f64::from(1 + documents)).ln();
            (f64::from(often) * rarity, range)
        });
        let mut keywords: Vec<(f64, std::ops::Range<usize>)> = weighed.filter(|(weight, _)| *weight > 0.0).collect();
        keywords.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.start.cmp(&b.1.start)));
        keywords.truncate(most);
        keywords.sort_unstable_by_key(|(_, range)| (range.start, Reverse(range.end)));
        let keywords: Vec<&str> = keywords.into_iter().map(|(_, range)| &text[range]).collect();
        (keywords.len() >= LEAST).then(|| keywords.join(BETWEEN))
    }
}

#[cfg(test)]
mod tests {
    use cognate_base::Silent;

    use super::*;

    const TEXTS: [&str; 4] = [
        "The Heron stood by the river. The heron ate a frog.",
        "The river was low, and the boats lay in the mud.",
        "The mayor spoke in the square.",
        "The the the.",
    ];

    fn form(text: &str, most: usize) -> Option<String> {
        Forms::of(TEXTS.into_iter(), &Silent).unwrap().form(text, most)
    }

    #[test]
    fn keywords_are_rare_and_frequent_words_in_the_order_of_the_text() {
        // "heron" comes twice and in one document of four; of the rest, words of one document weigh more than "river", of two.
        assert_eq!(form(TEXTS[0], 3).unwrap(), "Heron, stood, by");
        assert_eq!(form(TEXTS[0], 100).unwrap(), "Heron, stood, by, river, ate, a, frog");
        assert_eq!(form("A frog, a frog: the river and the Heron.", 2).unwrap(), "A, frog");
        // By hand: frog 2 · ln(5/2) = 1.83, unknown words ln(5/1) = 1.61, river ln(5/3) = 0.51.
        assert_eq!(form("river zebra frog frog", 2).unwrap(), "zebra, frog");
        assert_eq!(form("river zebra frog frog", 1), None, "one word is no form");
    }

    #[test]
    fn a_word_of_every_document_is_no_keyword_and_a_text_of_such_has_no_form() {
        assert_eq!(form(TEXTS[3], 10), None);
        assert_eq!(form("", 10), None);
        assert!(!form(TEXTS[1], 100).unwrap().contains("The"));
    }
}
