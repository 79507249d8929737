//! What stands word for word in other texts: an index of all their word n-grams, and the extractive fragments of Newsroom.
//!
//! The index holds the 32-bit hash of every word, text after text, and the places of all words in the order of what follows them
//! (a suffix array over hashed words, Manber and Myers 1993). So it knows the n-grams of every length at once, and the longest
//! run from a word on is found by one binary search. 12 bytes per indexed word, 4 for the hash and 8 for the place.
//!
//! An n-gram is taken for a known one wrongly only where each word in which it differs from that one has the same 32-bit hash:
//! with probability c/2³² for an n-gram beside which c indexed n-grams differ in a single word, 1/2⁶⁴ in two words. Nothing that
//! is there is ever missed.

use rayon::prelude::*;

use super::words::{Word, bare_words};

/// Longer runs count as this many words. It bounds the cost of texts that agree for long.
pub(crate) const LONGEST_RUN: usize = 1000;

/// Stands after every text; no word's hash.
const BOUNDARY: u32 = 0;

/// All word n-grams of some texts.
#[derive(Debug, Default)]
pub(crate) struct VerbatimIndex {
    words: Vec<u32>,
    /// Places of words in `words`, in the order of the words from there on.
    order: Vec<usize>,
}

impl VerbatimIndex {
    /// Of the bare words of `texts`. What it answers does not depend on their order.
    pub(crate) fn new(texts: &[&str]) -> Self {
        let parts: Vec<Vec<u32>> = texts.par_iter().map(|text| hashes(&bare_words(text))).collect();
        let mut words = Vec::with_capacity(parts.iter().map(|part| part.len() + 1).sum());
        for part in parts {
            words.extend(part);
            words.push(BOUNDARY);
        }
        let mut order: Vec<usize> = (0..words.len()).filter(|&place| words[place] != BOUNDARY).collect();
        order.par_sort_unstable_by(|&a, &b| run_from(&words, a).cmp(run_from(&words, b)).then(a.cmp(&b)));
        Self { words, order }
    }

    /// Words from `words[at]` on that stand together, in this order, in one indexed text.
    fn longest_at(&self, words: &[u32], at: usize) -> usize {
        let wanted = run_from(words, at);
        let place = self.order.partition_point(|&place| run_from(&self.words, place) < wanted);
        let common = |place: usize| {
            let run = run_from(&self.words, self.order[place]);
            run.iter().zip(wanted).take_while(|(a, b)| a == b).count()
        };
        // What agrees longest stands directly before or behind.
        let before = place.checked_sub(1).map_or(0, common);
        let behind = if place < self.order.len() { common(place) } else { 0 };
        before.max(behind)
    }

    /// For each word, how many from it on stand together in one indexed text.
    pub(crate) fn runs(&self, words: &[Word]) -> Vec<usize> {
        let words = hashes(words);
        (0..words.len()).map(|at| self.longest_at(&words, at)).collect()
    }

    /// The longest run of words that stands in one indexed text, if it has at least `least` words.
    pub(crate) fn longest_run(&self, words: &[Word], least: usize) -> Option<usize> {
        let hashed = hashes(words);
        // Any run of `least` words covers `step` words from a multiple of `step` on: most texts are cleared by a few searches.
        let step = least.div_ceil(2).max(1);
        let suspicious = (0..hashed.len()).step_by(step).any(|at| self.longest_at(&hashed, at) >= step);
        if !suspicious {
            return None;
        }
        self.runs(words).into_iter().max().filter(|&longest| longest >= least)
    }
}

/// The words of a run from `at` on, as far as runs are told apart.
fn run_from(words: &[u32], at: usize) -> &[u32] {
    &words[at..words.len().min(at + LONGEST_RUN)]
}

fn hashes(words: &[Word]) -> Vec<u32> {
    words.iter().map(|word| ((word.hash >> 32) as u32).max(BOUNDARY + 1)).collect()
}

/// How much of a text is made of pieces of another: extractive fragment coverage and density of Newsroom (Grusky, Naaman and
/// Artzi 2018, arXiv 1804.11283, section 4).
///
/// The fragments F(A, S) of a text S in a source A are taken from left to right: at each word of S the longest run of words from
/// there on that stands in A, after which the search goes on behind it; a word that A does not have is passed over. With |S| and
/// |f| in words,
///
/// coverage = 1/|S| · Σ |f|, density = 1/|S| · Σ |f|².
///
/// Coverage is the share of words taken from A; density is the mean length of the fragment that a word belongs to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Fragments {
    /// In 0..=1.
    pub(crate) coverage: f64,
    /// In words, from 0 to |S|.
    pub(crate) density: f64,
}

impl Fragments {
    /// From the runs of each word of S in A, see [`VerbatimIndex::runs`]; none for a text without words.
    pub(crate) fn of(runs: &[usize]) -> Option<Self> {
        let (mut at, mut covered, mut squares) = (0, 0, 0);
        while at < runs.len() {
            let run = runs[at];
            covered += run;
            squares += run * run;
            at += run.max(1);
        }
        let words = runs.len() as f64;
        (!runs.is_empty()).then(|| Self { coverage: covered as f64 / words, density: squares as f64 / words })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn runs(texts: &[&str], text: &str) -> Vec<usize> {
        VerbatimIndex::new(texts).runs(&bare_words(text))
    }

    #[test]
    fn runs_by_hand() {
        let texts = ["the cat sat on the mat", "on the mat it sat. The dog"];
        //  the cat sat | on the mat it sat the dog | cat | bird | mat
        assert_eq!(runs(&texts, "The cat SAT on the mat it"), [6, 5, 4, 4, 3, 2, 1]);
        assert_eq!(runs(&texts, "cat dog bird"), [1, 1, 0]);
        // No run reaches from one text into the next.
        assert_eq!(runs(&texts, "mat on the"), [1, 2, 1]);
        assert_eq!(runs(&[], "word"), [0]);
        assert_eq!(runs(&[""], ""), [0; 0]);
    }

    #[test]
    fn fragments_by_hand() {
        // Fragments "a b c" and "d": coverage 4/6, density (9 + 1)/6.
        let fragments = Fragments::of(&runs(&["a b c x d"], "a b c y d z")).unwrap();
        assert_eq!(fragments, Fragments { coverage: 4.0 / 6.0, density: 10.0 / 6.0 });
        // Greedy from the left: "a b" goes first, though "b c d" is longer.
        let fragments = Fragments::of(&runs(&["a b x b c d"], "a b c d")).unwrap();
        assert_eq!(fragments, Fragments { coverage: 1.0, density: (4.0 + 4.0) / 4.0 });
        assert_eq!(Fragments::of(&[]), None);
        assert_eq!(Fragments::of(&runs(&["x"], "x")), Some(Fragments { coverage: 1.0, density: 1.0 }));
    }

    #[test]
    fn a_run_ends_at_the_longest_that_is_told_apart() {
        let text: String = (0..1200).map(|i| format!("w{i} ")).collect();
        let found = runs(&[&text], &text);
        assert_eq!((found[0], found[200], found[300], found[1199]), (LONGEST_RUN, 1000, 900, 1));
    }

    proptest! {
        #[test]
        fn agrees_with_looking_everywhere(
            texts in prop::collection::vec(prop::collection::vec(0u8..4, 0..12), 0..5),
            text in prop::collection::vec(0u8..5, 0..20),
            least in 1usize..8,
        ) {
            let spelled = |letters: &[u8]| letters.iter().map(|l| format!("w{l} ")).collect::<String>();
            let stands = |piece: &[u8]| texts.iter().any(|t| t.windows(piece.len()).any(|window| window == piece));
            let longest = |at: usize| (1..=text.len() - at).take_while(|&n| stands(&text[at..at + n])).count();
            let expected: Vec<usize> = (0..text.len()).map(longest).collect();
            let owned: Vec<String> = texts.iter().map(|t| spelled(t)).collect();
            let index = VerbatimIndex::new(&owned.iter().map(String::as_str).collect::<Vec<_>>());
            let words = bare_words(&spelled(&text));
            prop_assert_eq!(index.runs(&words), expected.clone());
            let most = expected.into_iter().max().filter(|&most| most >= least);
            prop_assert_eq!(index.longest_run(&words, least), most);
        }
    }
}
