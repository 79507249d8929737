//! How varied a collection is: distinct-n and self-BLEU, both on samples of fixed size, for both move with the size.

use std::collections::{HashMap, HashSet};

use cognate_base::Monitor;
use cognate_statistics::Figure;
use cognate_statistics::interval::{bootstrap, mean};
use rayon::prelude::*;

use crate::error::Result;
use cognate_base::shingles::{Word, ngrams};

/// Words of a block whose n-grams are counted for distinct-n.
pub const DISTINCT_WORDS: usize = 2000;
/// Documents that self-BLEU compares with each other.
pub const SELF_BLEU_DOCUMENTS: usize = 100;
/// Longest n-gram of BLEU.
const BLEU_ORDER: usize = 4;

/// Distinct-n (Li et al. 2016, arXiv 1510.03055) for n = 1 to 4: different word n-grams over all word n-grams, within blocks of
/// [`DISTINCT_WORDS`] words, all blocks together. n-grams do not reach from one document into the next. The interval is a bootstrap
/// over blocks, and `n` counts them; none for less than one block.
pub(crate) fn distinct(documents: &[Vec<Word>], monitor: &dyn Monitor) -> Result<[Option<Figure>; 4]> {
    let mut blocks: Vec<Vec<&[Word]>> = vec![Vec::new()];
    let mut room = DISTINCT_WORDS;
    for document in documents {
        let mut rest: &[Word] = document;
        while !rest.is_empty() {
            let (taken, left) = rest.split_at(rest.len().min(room));
            if let Some(block) = blocks.last_mut() {
                block.push(taken);
            }
            room -= taken.len();
            rest = left;
            if room == 0 {
                blocks.push(Vec::new());
                room = DISTINCT_WORDS;
            }
        }
    }
    // The last one is not full.
    blocks.pop();
    let count = |block: &Vec<&[Word]>| monitor.check().map(|()| std::array::from_fn(|at| distinct_in(block, at + 1)));
    let counted: Vec<[(f64, f64); 4]> = blocks.par_iter().map(count).collect::<Result<_, _>>()?;
    Ok(bootstrap(&counted, monitor)?)
}

fn distinct_in(pieces: &[&[Word]], n: usize) -> (f64, f64) {
    let mut seen = HashSet::new();
    let mut all = 0;
    for ngram in pieces.iter().flat_map(|words| ngrams(words, n)) {
        seen.insert(ngram);
        all += 1;
    }
    (seen.len() as f64, f64::from(all))
}

/// Self-BLEU (Zhu et al. 2018, arXiv 1802.01886): the mean BLEU-4 of each of the first [`SELF_BLEU_DOCUMENTS`] documents with the
/// others as references; lower is more varied. None where there are fewer, for it rises with their number.
///
/// BLEU (Papineni et al. 2002) = b · (p₁p₂p₃p₄)^¼ with pₙ the clipped n-gram precision, and b = min(1, e^(1 − r/c)) for a document of
/// c words and the reference length r closest to it. So that one missing 4-gram does not make it 0, pₙ for n > 1 is
/// (matches + 1) / (n-grams + 1) (Lin and Och 2004). The interval is a bootstrap over documents, with the references held fixed.
pub(crate) fn self_bleu(documents: &[Vec<Word>], monitor: &dyn Monitor) -> Result<Option<Figure>> {
    documents.get(..SELF_BLEU_DOCUMENTS).map_or(Ok(None), |documents| self_bleu_of(documents, monitor))
}

fn self_bleu_of(documents: &[Vec<Word>], monitor: &dyn Monitor) -> Result<Option<Figure>> {
    let counted = |words: &Vec<Word>| monitor.check().map(|()| std::array::from_fn(|at| count(words, at + 1)));
    let counts: Vec<[HashMap<u64, u32>; BLEU_ORDER]> = documents.par_iter().map(counted).collect::<Result<_, _>>()?;
    let most: [HashMap<u64, TopTwo>; BLEU_ORDER] = std::array::from_fn(|at| {
        let mut most: HashMap<u64, TopTwo> = HashMap::new();
        for (document, counts) in counts.iter().enumerate() {
            for (&ngram, &count) in &counts[at] {
                most.entry(ngram).or_default().add(document, count);
            }
        }
        most
    });
    let bleu = |document: usize| -> f64 {
        let length = documents[document].len();
        if length == 0 {
            return 0.0;
        }
        let logs: f64 = (0..BLEU_ORDER)
            .map(|at| {
                let matches = |(ngram, &count): (&u64, &u32)| count.min(most[at][ngram].beside(document));
                let matched = f64::from(counts[document][at].iter().map(matches).sum::<u32>());
                let all = (length + 1).saturating_sub(at + 1) as f64;
                if at == 0 { (matched / all).ln() } else { ((matched + 1.0) / (all + 1.0)).ln() }
            })
            .sum();
        let others = (0..documents.len()).filter(|&other| other != document).map(|other| documents[other].len());
        let closest = others.min_by_key(|&other| (other.abs_diff(length), other)).unwrap_or(0);
        let brevity = (1.0 - closest as f64 / length as f64).min(0.0);
        (brevity + logs / BLEU_ORDER as f64).exp()
    };
    let bleus = (0..documents.len()).map(|document| monitor.check().map(|()| bleu(document)));
    Ok(mean(&bleus.collect::<Result<Vec<f64>, _>>()?, monitor)?)
}

fn count(words: &[Word], n: usize) -> HashMap<u64, u32> {
    let mut counts = HashMap::new();
    ngrams(words, n).for_each(|ngram| *counts.entry(ngram).or_default() += 1);
    counts
}

/// How often an n-gram stands in the document that has it most often, and in the next.
#[derive(Clone, Copy, Debug, Default)]
struct TopTwo {
    document: usize,
    first: u32,
    second: u32,
}

impl TopTwo {
    fn add(&mut self, document: usize, count: u32) {
        if count > self.first {
            *self = Self { document, first: count, second: self.first };
        } else {
            self.second = self.second.max(count);
        }
    }

    /// The highest count in any document but this one.
    fn beside(self, document: usize) -> u32 {
        if document == self.document { self.second } else { self.first }
    }
}

#[cfg(test)]
mod tests {
    use cognate_base::Silent;

    use super::*;
    use cognate_base::shingles::bare_words;

    fn words(range: std::ops::Range<usize>) -> Vec<Word> {
        bare_words(&range.map(|i| format!("w{i} ")).collect::<String>())
    }

    #[test]
    fn distinct_counts_repeats_within_blocks_and_leaves_out_the_last() {
        assert_eq!(distinct(&[words(0..1999)], &Silent).unwrap(), [None; 4]);
        // Block 1: 1500 words and 500 of the next document; block 2: 1000 words twice; 10 words too many.
        let documents = [words(0..1500), words(1000..1500), words(0..1000), words(0..1000), words(0..10)];
        let found = distinct(&documents, &Silent).unwrap().map(Option::unwrap);
        assert_eq!((found[0].value, found[0].n), ((1500.0 + 1000.0) / 4000.0, 2));
        assert_eq!(found[1].value, (1499.0 + 999.0) / (1499.0 + 499.0 + 2.0 * 999.0));
        assert_eq!((found[0].low, found[0].high), (0.5, 0.75));
    }

    #[test]
    fn self_bleu_by_hand() {
        let texts = |texts: &[&str]| texts.iter().map(|text| bare_words(text)).collect::<Vec<_>>();
        // "a b c d" against "a b c x y" and "z": p = 3/4, 3/4, 2/3, 1/2; closest length 5: b = e^(1 − 5/4).
        let documents = texts(&["a b c d", "a b c x y", "z"]);
        let first = (-0.25f64).exp() * (0.75f64 * 0.75 * (2.0 / 3.0) * 0.5).powf(0.25);
        // "a b c x y": p = 3/5, 3/5, 2/4, 1/3; longer than all. "z": p1 = 0, so 0.
        let second = (0.6f64 * 0.6 * 0.5 / 3.0).powf(0.25);
        let found = self_bleu_of(&documents, &Silent).unwrap().unwrap();
        assert!((found.value - (first + second) / 3.0).abs() < 1e-12, "{found:?}");
        // Counts are clipped: one "a" elsewhere answers for one of three.
        let clipped = self_bleu_of(&texts(&["a a a", "a"]), &Silent).unwrap().unwrap();
        let (first, second) = ((1.0f64 / 3.0 / 3.0 / 2.0).powf(0.25), (-2.0f64).exp());
        assert!((clipped.value - (first + second) / 2.0).abs() < 1e-12, "{clipped:?}");
    }

    #[test]
    fn copies_have_self_bleu_one_and_strangers_none() {
        let copies: Vec<Vec<Word>> = (0..SELF_BLEU_DOCUMENTS).map(|_| words(0..30)).collect();
        assert!((self_bleu(&copies, &Silent).unwrap().unwrap().value - 1.0).abs() < 1e-12);
        let strangers: Vec<Vec<Word>> = (0..SELF_BLEU_DOCUMENTS).map(|i| words(100 * i..100 * i + 30)).collect();
        assert_eq!(self_bleu(&strangers, &Silent).unwrap().unwrap().value, 0.0);
        assert_eq!(self_bleu(&strangers[1..], &Silent).unwrap(), None);
    }
}
