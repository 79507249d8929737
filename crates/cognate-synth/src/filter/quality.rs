//! How good a collection of documents is, in figures that need no judge, for collections side by side.
//!
//! Figures that move with the amount of text are taken from equal amounts: near-duplicates among the first so many documents,
//! distinct n-grams among the first so many words, as many as the smallest collection has.

use std::collections::{HashMap, HashSet};

use cognate_corpus::Document;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::duplicates::{Duplicates, MinHash};
use super::repetition::repetition;
use super::words::{Shingles, Word, bare_words, ngrams};
use super::{FilterConfig, SHINGLE_WORDS, containment};
use crate::error::Result;
use crate::metadata;

/// Lengths of the n-grams whose novelty is measured.
pub const NOVELTY_WORDS: [usize; 3] = [5, 8, 13];

/// A count out of a number of cases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Cases that have the property.
    pub count: u64,
    /// All cases.
    pub n: u64,
}

impl Share {
    /// The share, where there are cases.
    pub fn value(self) -> Option<f64> {
        (self.n > 0).then(|| self.count as f64 / self.n as f64)
    }

    fn of(cases: impl Iterator<Item = bool>) -> Self {
        cases.fold(Self::default(), |share, hit| Self { count: share.count + u64::from(hit), n: share.n + 1 })
    }
}

/// A distribution of document lengths, in words. The p-th quantile is the smallest length that p of the documents do not exceed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Lengths {
    /// Arithmetic mean.
    pub mean: f64,
    /// 5 % quantile.
    pub p05: u64,
    /// 25 % quantile.
    pub p25: u64,
    /// Median.
    pub p50: u64,
    /// 75 % quantile.
    pub p75: u64,
    /// 95 % quantile.
    pub p95: u64,
    /// Longest.
    pub max: u64,
}

impl Lengths {
    /// Of the given lengths; all 0 for none.
    pub fn of(mut lengths: Vec<u64>) -> Self {
        if lengths.is_empty() {
            return Self::default();
        }
        lengths.sort_unstable();
        let n = lengths.len();
        let quantile = |percent: usize| lengths[(n * percent).div_ceil(100).max(1) - 1];
        Self {
            mean: lengths.iter().sum::<u64>() as f64 / n as f64,
            p05: quantile(5),
            p25: quantile(25),
            p50: quantile(50),
            p75: quantile(75),
            p95: quantile(95),
            max: quantile(100),
        }
    }
}

/// The figures of one collection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// Which collection: `real`, `raw` (as generated), `kept` (after the filters).
    pub name: String,
    /// Documents looked at.
    pub documents: u64,
    /// Their UTF-8 bytes.
    pub bytes: u64,
    /// Words per document.
    pub words: Lengths,
    /// Documents that fail one of Gopher's repetition rules.
    pub repetition: Share,
    /// Documents, among equally many of each collection, that are near-duplicates of an earlier one.
    pub near_duplicates: Share,
    /// Documents that are near-copies of their seed, of those whose seed is known.
    pub pair_copying: Share,
    /// Different word 1-, 2-, 3- and 4-grams among all, in equally many words of each collection.
    pub distinct: [Share; 4],
    /// Word 5-, 8- and 13-grams (see [`NOVELTY_WORDS`]) that do not occur in the training documents, of all occurrences.
    pub novel: [Share; 3],
}

/// A collection under a name.
#[derive(Clone, Copy, Debug)]
pub struct Collection<'a> {
    /// As in [`Quality::name`].
    pub name: &'a str,
    /// Its documents, in order.
    pub documents: &'a [Document],
}

/// Compares collections of documents. `training` holds the text of every training document by id: seeds are looked up in it, and
/// n-grams outside it are novel.
///
/// # Errors
/// When a document's metadata has a field of the wrong type.
pub fn quality(
    collections: &[Collection<'_>],
    training: &HashMap<String, String>,
    config: &FilterConfig,
) -> Result<Vec<Quality>> {
    let words: Vec<Vec<Vec<Word>>> =
        collections.iter().map(|c| c.documents.par_iter().map(|d| bare_words(&d.text)).collect()).collect();
    let fewest_documents = collections.iter().map(|c| c.documents.len()).filter(|&n| n > 0).min().unwrap_or(0);
    let fewest_words = words.iter().map(|w| w.iter().map(Vec::len).sum()).filter(|&n: &usize| n > 0).min().unwrap_or(0);
    let mut table = Vec::new();
    for (collection, words) in collections.iter().zip(&words) {
        let documents = collection.documents;
        table.push(Quality {
            name: collection.name.to_owned(),
            documents: documents.len() as u64,
            bytes: documents.iter().map(|d| d.text.len() as u64).sum(),
            words: Lengths::of(words.iter().map(|w| w.len() as u64).collect()),
            repetition: {
                let failed: Vec<bool> = documents.par_iter().map(|d| repetition(&d.text).is_some()).collect();
                Share::of(failed.into_iter())
            },
            near_duplicates: near_duplicates(
                &documents[..fewest_documents.min(documents.len())],
                config.near_duplicate,
            ),
            pair_copying: pair_copying(documents, training, config.near_copy)?,
            distinct: [1, 2, 3, 4].map(|n| distinct(words, n, fewest_words)),
            novel: [Share::default(); 3],
        });
    }
    for (slot, n) in NOVELTY_WORDS.into_iter().enumerate() {
        let known = Known::new(training, n);
        for (row, words) in table.iter_mut().zip(&words) {
            row.novel[slot] = known.novel(words);
        }
    }
    Ok(table)
}

fn near_duplicates(documents: &[Document], threshold: f64) -> Share {
    let hashes = MinHash::new();
    let prepared: Vec<_> = documents
        .par_iter()
        .map(|document| {
            let shingles = Shingles::of(&document.text, SHINGLE_WORDS);
            let signature = hashes.signature(&shingles);
            (shingles, signature)
        })
        .collect();
    let mut seen = Duplicates::new(threshold);
    Share::of(prepared.into_iter().map(|(shingles, signature)| {
        let Some(signature) = signature else { return false };
        let found = seen.find(&shingles, &signature).is_some();
        seen.add(shingles, &signature);
        found
    }))
}

fn pair_copying(documents: &[Document], training: &HashMap<String, String>, threshold: f64) -> Result<Share> {
    let copies: Vec<Option<bool>> = documents
        .par_iter()
        .map(|document| {
            let seed = metadata::seed_id(document)?.and_then(|id| training.get(id));
            Ok(seed.map(|seed| containment(&document.text, seed) >= threshold))
        })
        .collect::<Result<_>>()?;
    Ok(Share::of(copies.into_iter().flatten()))
}

/// Different n-grams among all within the first `most` words; n-grams do not reach from one document into the next.
fn distinct(documents: &[Vec<Word>], n: usize, most: usize) -> Share {
    let mut left = most;
    let mut seen = HashSet::new();
    let mut all = 0;
    for words in documents {
        let taken = words.len().min(left);
        left -= taken;
        for ngram in ngrams(&words[..taken], n) {
            seen.insert(ngram);
            all += 1;
        }
    }
    Share { count: seen.len() as u64, n: all }
}

/// The different word n-grams of the training documents, ascending.
struct Known {
    n: usize,
    hashes: Vec<u64>,
}

impl Known {
    fn new(training: &HashMap<String, String>, n: usize) -> Self {
        let texts: Vec<&String> = training.values().collect();
        let parts: Vec<Vec<u64>> = texts.par_iter().map(|text| ngrams(&bare_words(text), n).collect()).collect();
        let mut hashes = parts.concat();
        hashes.par_sort_unstable();
        hashes.dedup();
        Self { n, hashes }
    }

    fn novel(&self, documents: &[Vec<Word>]) -> Share {
        let of_one =
            |words: &Vec<Word>| Share::of(ngrams(words, self.n).map(|h| self.hashes.binary_search(&h).is_err()));
        let add = |a: Share, b: Share| Share { count: a.count + b.count, n: a.n + b.n };
        documents.par_iter().map(of_one).reduce(Share::default, add)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    fn words(range: std::ops::Range<usize>) -> String {
        range.map(|i| format!("w{i} ")).collect()
    }

    fn document(text: String, seed: Option<&str>) -> Document {
        let mut metadata = Map::new();
        if let Some(seed) = seed {
            metadata.insert("seed_id".into(), json!(seed));
        }
        Document { id: "d".into(), text, metadata }
    }

    fn share(count: u64, n: u64) -> Share {
        Share { count, n }
    }

    #[test]
    fn figures_of_a_small_collection_by_hand() {
        let training: HashMap<String, String> = [("a".to_owned(), words(0..40))].into_iter().collect();
        let real = [document(words(100..130), None), document(words(200..210), None)];
        let raw = [
            document(words(0..30), Some("a")),              // a copy
            document(words(300..320).repeat(2), Some("a")), // repetition
            document(words(0..30), Some("elsewhere")),      // a duplicate whose seed is unknown
        ];
        let collections = [Collection { name: "real", documents: &real }, Collection { name: "raw", documents: &raw }];
        let table = quality(&collections, &training, &FilterConfig::standard()).unwrap();
        let (real, raw) = (&table[0], &table[1]);
        assert_eq!((real.repetition, raw.repetition), (share(0, 2), share(1, 3)));
        // Two documents each: the third of raw, the duplicate, lies outside.
        assert_eq!((real.near_duplicates, raw.near_duplicates), (share(0, 2), share(0, 2)));
        assert_eq!((real.pair_copying, raw.pair_copying), (share(0, 0), share(1, 2)));
        // 40 words each: raw has 30 and 10 fresh ones there.
        assert_eq!(real.distinct, [share(40, 40), share(38, 38), share(36, 36), share(34, 34)]);
        assert_eq!(raw.distinct, [share(40, 40), share(38, 38), share(36, 36), share(34, 34)]);
        assert_eq!(real.novel, [share(32, 32), share(23 + 3, 26), share(18, 18)]);
        assert_eq!(raw.novel[0], share(36, 26 + 36 + 26));
        assert_eq!((raw.words.mean, raw.words.p50, raw.words.max), (100.0 / 3.0, 30, 40));
        assert_eq!(raw.bytes, raw_bytes(&collections[1]));
    }

    fn raw_bytes(collection: &Collection<'_>) -> u64 {
        collection.documents.iter().map(|d| d.text.len() as u64).sum()
    }

    #[test]
    fn distinct_counts_repeats_and_stops_at_the_word_limit() {
        let two = [bare_words("a b a b"), bare_words("a b c")];
        assert_eq!(distinct(&two, 1, 7), share(3, 7));
        assert_eq!(distinct(&two, 2, 7), share(3, 5)); // ab ba ab | ab bc
        assert_eq!(distinct(&two, 2, 6), share(2, 4));
        assert_eq!(distinct(&two, 4, 7), share(1, 1));
    }

    #[test]
    fn near_duplicates_count_each_later_document() {
        let texts = [0..50, 500..550, 0..50, 1..51, 0..50].map(|range| document(words(range), None));
        assert_eq!(near_duplicates(&texts, 0.7), share(3, 5));
    }

    #[test]
    fn nothing_to_look_at() {
        let table = quality(&[Collection { name: "kept", documents: &[] }], &HashMap::new(), &FilterConfig::standard());
        let row = &table.unwrap()[0];
        assert_eq!((row.repetition.value(), row.words), (None, Lengths::default()));
    }

    #[test]
    fn quantiles() {
        let lengths = Lengths::of((1..=100).rev().collect());
        assert_eq!(
            (lengths.p05, lengths.p25, lengths.p50, lengths.p75, lengths.p95, lengths.max),
            (5, 25, 50, 75, 95, 100)
        );
        assert_eq!(lengths.mean, 50.5);
        assert_eq!(Lengths::of(vec![7]).p05, 7);
    }
}
