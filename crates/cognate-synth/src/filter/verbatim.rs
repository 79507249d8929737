//! What stands word for word in other texts: an index of all their word n-grams, and the extractive fragments of Newsroom.
//!
//! The index holds the 32-bit hash of every word, text after text, and the places of all words in the order of what follows them
//! (a suffix array over hashed words, Manber and Myers 1993). So it knows the n-grams of every length at once, and the longest
//! run from a word on is found by one binary search. 12 bytes per indexed word, 4 for the hash and 8 for the place.
//!
//! An n-gram is taken for a known one wrongly only where each word in which it differs from that one has the same 32-bit hash:
//! with probability c/2³² for an n-gram beside which c indexed n-grams differ in a single word, 1/2⁶⁴ in two words. Nothing that
//! is there is ever missed.

use std::cmp::Ordering;

use cognate_base::Monitor;
use rayon::prelude::*;

use crate::error::Result;
use cognate_base::shingles::{Word, bare_words};

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
    /// Bytes of an indexed word: its hash while it is collected and when it is kept, and its place.
    pub(crate) const WORD_BYTES: f64 = (2 * size_of::<u32>() + size_of::<usize>()) as f64;

    /// Of the bare words of `texts`. What it answers does not depend on their order.
    ///
    /// # Errors
    /// When the monitor interrupts.
    pub(crate) fn new(texts: &[&str], monitor: &dyn Monitor) -> Result<Self> {
        let hashed = |text: &&str| monitor.check().map(|()| hashes(&bare_words(text)));
        let parts: Vec<Vec<u32>> = texts.par_iter().map(hashed).collect::<Result<_, _>>()?;
        let mut words = Vec::with_capacity(parts.iter().map(|part| part.len() + 1).sum());
        for part in parts {
            words.extend(part);
            words.push(BOUNDARY);
        }
        let mut order: Vec<usize> = (0..words.len()).filter(|&place| words[place] != BOUNDARY).collect();
        sort_places(&words, &mut order, 0, monitor)?;
        Ok(Self { words, order })
    }

    /// Of one text, as long as a document is.
    pub(crate) fn of_one(text: &str) -> Self {
        let words = hashes(&bare_words(text));
        let mut order: Vec<usize> = (0..words.len()).collect();
        order.sort_unstable_by(|&a, &b| by_run(&words, a, b, 0));
        Self { words, order }
    }

    /// Of each indexed text, in their order, whether a run of `length` words of it stands in another one too.
    ///
    /// # Errors
    /// When the monitor interrupts.
    pub(crate) fn shared_runs(&self, length: usize, monitor: &dyn Monitor) -> Result<Vec<bool>> {
        let ends: Vec<usize> = (0..self.words.len()).filter(|&place| self.words[place] == BOUNDARY).collect();
        let mut shared = vec![false; ends.len()];
        let text = |place: usize| ends.partition_point(|&end| end < place);
        let run = |place: usize| self.words.get(place..place + length);
        let agree = |&a: &usize, &b: &usize| run(a).zip(run(b)).is_some_and(|(a, b)| a == b && !a.contains(&BOUNDARY));
        // What begins with the same words stands together.
        let mut from = 0;
        for same in self.order.chunk_by(agree) {
            if from / SORTED_AT_ONCE != (from + same.len()) / SORTED_AT_ONCE {
                monitor.check()?;
            }
            from += same.len();
            let first = text(same[0]);
            if same.len() > 1 && same.iter().any(|&place| text(place) != first) {
                same.iter().for_each(|&place| shared[text(place)] = true);
            }
        }
        Ok(shared)
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

/// Places that are sorted in one go.
const SORTED_AT_ONCE: usize = 1 << 14;

/// The order of two places whose first `known` words are the same.
fn by_run(words: &[u32], a: usize, b: usize, known: usize) -> Ordering {
    run_from(words, a)[known..].cmp(&run_from(words, b)[known..]).then(a.cmp(&b))
}

/// Sorts places of which the first `known` words are the same: quicksort by one word after the other (Bentley and Sedgewick 1997).
/// Between two passes over the places it hears whether to stop, which a library's sort does not.
fn sort_places(words: &[u32], mut places: &mut [usize], mut known: usize, monitor: &dyn Monitor) -> Result<()> {
    while places.len() > SORTED_AT_ONCE && known < LONGEST_RUN {
        monitor.check()?;
        // A run that ends with the last text comes before all that go on.
        let word = |place: usize| words.get(place + known).map_or(0, |&word| u64::from(word) + 1);
        let mut sample: Vec<u64> = (0..9).map(|i| word(places[places.len() / 9 * i])).collect();
        sample.sort_unstable();
        let (below, same) = part(places, |&place| word(place).cmp(&sample[4]));
        let (less, rest) = places.split_at_mut(below);
        let (equal, more) = rest.split_at_mut(same);
        let (left, right) =
            rayon::join(|| sort_places(words, less, known, monitor), || sort_places(words, more, known, monitor));
        left.and(right)?;
        (places, known) = (equal, known + 1);
    }
    places.sort_unstable_by(|&a, &b| by_run(words, a, b, known));
    Ok(())
}

/// Puts what is less first and what is greater last; returns how many are less, and how many equal.
fn part(places: &mut [usize], order: impl Fn(&usize) -> Ordering) -> (usize, usize) {
    let (mut below, mut at, mut above) = (0, 0, places.len());
    while at < above {
        match order(&places[at]) {
            Ordering::Less => {
                places.swap(below, at);
                (below, at) = (below + 1, at + 1);
            }
            Ordering::Equal => at += 1,
            Ordering::Greater => {
                above -= 1;
                places.swap(at, above);
            }
        }
    }
    (below, above - below)
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
    use cognate_base::Silent;
    use cognate_base::random::{self, Rng};
    use proptest::prelude::*;

    use super::*;

    fn index(texts: &[&str]) -> VerbatimIndex {
        VerbatimIndex::new(texts, &Silent).unwrap()
    }

    fn runs(texts: &[&str], text: &str) -> Vec<usize> {
        index(texts).runs(&bare_words(text))
    }

    #[test]
    fn many_places_come_in_the_order_of_a_plain_sort() {
        // Few different words, so that runs agree for long; one text stands there three times.
        let text = |number: u64, words: usize, different: u64| {
            let mut stream = random::stream(7, "words", number);
            (0..words).map(|_| format!("w{} ", stream.next_u64() % different)).collect::<String>()
        };
        let copied = text(0, 9000, 3);
        let texts =
            [copied.clone(), text(1, 30_000, 2), copied.clone(), "same ".repeat(20_000), copied, text(2, 40_000, 900)];
        let found = index(&texts.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(found.order.len() > 6 * SORTED_AT_ONCE);
        let mut plain = found.order.clone();
        plain.sort_unstable();
        plain.sort_by(|&a, &b| run_from(&found.words, a).cmp(run_from(&found.words, b)).then(a.cmp(&b)));
        assert!(found.order == plain, "another order");
    }

    #[test]
    fn an_index_of_one_text_is_that_of_many_with_one() {
        for text in ["", "a", "a b a b c", "x y z x y"] {
            for asked in ["a b c", "x y z x", "q"] {
                let words = bare_words(asked);
                assert_eq!(VerbatimIndex::of_one(text).runs(&words), index(&[text]).runs(&words), "{text} {asked}");
            }
        }
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
    fn a_run_is_shared_only_with_another_text() {
        let texts = ["a b c d", "x a b c y", "q r s q r s q r s", "c d", "", "y q r"];
        let shared = |length| index(&texts).shared_runs(length, &Silent).unwrap();
        assert_eq!(shared(3), [true, true, false, false, false, false]);
        // "q r" stands in two texts; no run reaches from "… c y" into the next text.
        assert_eq!(shared(2), [true, true, true, true, false, true]);
        assert_eq!(shared(4), [false; 6]);
        assert!(index(&[]).shared_runs(2, &Silent).unwrap().is_empty());
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
            let index = index(&owned.iter().map(String::as_str).collect::<Vec<_>>());
            let words = bare_words(&spelled(&text));
            prop_assert_eq!(index.runs(&words), expected.clone());
            let most = expected.into_iter().max().filter(|&most| most >= least);
            prop_assert_eq!(index.longest_run(&words, least), most);
        }
    }
}
