//! How good a collection of documents is, in figures that need no judge, for collections side by side.
//!
//! Figures that move with the amount of text are taken from equal amounts: near-duplicates among the first so many documents, as
//! many as the smallest collection has, distinct n-grams and self-BLEU on samples of fixed size. Every figure has its interval:
//! binomial for shares of documents (Wilson), bootstrap over documents for the others, see [`cognate_statistics::interval`].

use std::collections::HashMap;

use cognate_base::Monitor;
use cognate_corpus::Document;
use cognate_statistics::interval::{bootstrap, mean, quantile};
use cognate_statistics::quantile::not_exceeded;
use cognate_statistics::{Figure, Share};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::diversity::{distinct, self_bleu};
use super::duplicates::{Duplicates, MinHash, Signature};
use super::repetition::{Thresholds, repetition};
use super::verbatim::{Fragments, VerbatimIndex};
use super::{FilterConfig, NEAR_COPY, NEAR_DUPLICATE, SHINGLE_WORDS, Verdict, containment, judge};
use crate::error::Result;
use crate::metadata;
use cognate_base::shingles::{Shingles, Word, bare_words};

/// Lengths of the n-grams whose novelty is measured; of length 1 it is that of the vocabulary.
pub const NOVELTY_WORDS: [usize; 4] = [1, 5, 8, 13];

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
        let quantile = |percent: usize| not_exceeded(&lengths, percent);
        Self {
            mean: lengths.iter().sum::<u64>() as f64 / lengths.len() as f64,
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
    /// Their mean.
    pub mean_words: Option<Figure>,
    /// Their quartiles.
    pub quartiles: [Option<Figure>; 3],
    /// Documents that fail one of Gopher's repetition rules.
    pub repetition: Share,
    /// Documents, among equally many of each collection, that are near-duplicates of an earlier one.
    pub near_duplicates: Share,
    /// Documents, among equally many of each collection, that some filter drops: what a rule says of a document by itself, and
    /// near-duplicates of those that are left. Without cases in statistics of versions that did not count them.
    #[serde(default)]
    pub dropped: Share,
    /// Documents that are near-copies of their seed, of those whose seed is known.
    pub pair_copying: Share,
    /// How much of a document is made of pieces of its seed, of those whose seed is known.
    pub copied_from_seed: Copied,
    /// How much of a document is made of pieces of the training documents.
    pub copied_from_training: Copied,
    /// Words and word 5-, 8- and 13-grams (see [`NOVELTY_WORDS`]) that no training document has, of all occurrences.
    pub novel: [Option<Figure>; 4],
    /// Different word 1-, 2-, 3- and 4-grams among all, in blocks of [`DISTINCT_WORDS`](super::diversity::DISTINCT_WORDS) words;
    /// `n` counts blocks.
    pub distinct: [Option<Figure>; 4],
    /// Mean BLEU-4 of [`SELF_BLEU_DOCUMENTS`](super::diversity::SELF_BLEU_DOCUMENTS) documents, each against the others.
    pub self_bleu: Option<Figure>,
}

/// Extractive fragments, as in Newsroom (see docs/filters.md): means over documents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Copied {
    /// Share of a document's words that are in fragments.
    pub coverage: Option<Figure>,
    /// Mean length in words of the fragment that a word is in.
    pub density: Option<Figure>,
    /// A document's longest fragment, in words.
    pub longest: Option<Figure>,
    /// The longest of all, in words.
    pub most: u64,
}

/// A collection under a name.
#[derive(Clone, Copy, Debug)]
pub struct Collection<'a> {
    /// As in [`Quality::name`].
    pub name: &'a str,
    /// Its documents, in order.
    pub documents: &'a [Document],
}

/// The training documents: their texts by id, and all their word n-grams.
#[derive(Debug, Default)]
pub struct Training {
    pub(crate) texts: HashMap<String, String>,
    pub(crate) index: VerbatimIndex,
    /// Texts of other documents that may be seeds.
    pub(crate) seeds: HashMap<String, String>,
}

impl Training {
    /// Indexes texts by id; 12 bytes per word beside the texts.
    ///
    /// # Errors
    /// When the monitor interrupts.
    pub fn new(texts: HashMap<String, String>, monitor: &dyn Monitor) -> Result<Self> {
        let mut training = Self { texts, ..Self::default() };
        let texts: Vec<&str> = training.by_id().into_iter().map(|(_, text)| text).collect();
        training.index = VerbatimIndex::new(&texts, monitor)?;
        Ok(training)
    }

    /// Their texts in the order of their identifiers, which is that of the index.
    pub(crate) fn by_id(&self) -> Vec<(&str, &str)> {
        let mut texts: Vec<(&str, &str)> = self.texts.iter().map(|(id, text)| (id.as_str(), text.as_str())).collect();
        texts.sort_unstable();
        texts
    }

    /// The text of the document that a synthetic one names as its seed, where it is known.
    pub(crate) fn seed_of(&self, document: &Document) -> Result<Option<&str>> {
        let text = |id| self.texts.get(id).or_else(|| self.seeds.get(id));
        Ok(metadata::seed_id(document)?.and_then(text).map(String::as_str))
    }
}

/// Compares collections of documents. Seeds are looked up in `training`, and n-grams outside it are novel.
///
/// # Errors
/// When a document's metadata has a field of the wrong type, or the monitor interrupts.
pub fn quality(
    collections: &[Collection<'_>],
    training: &Training,
    config: &FilterConfig,
    monitor: &dyn Monitor,
) -> Result<Vec<Quality>> {
    let fewest = collections.iter().map(|c| c.documents.len()).filter(|&n| n > 0).min().unwrap_or(0);
    collections.iter().map(|collection| of_one(collection, training, config, fewest, monitor)).collect()
}

fn of_one(
    collection: &Collection<'_>,
    training: &Training,
    config: &FilterConfig,
    fewest_documents: usize,
    monitor: &dyn Monitor,
) -> Result<Quality> {
    let documents = collection.documents;
    let words: Vec<Vec<Word>> = each(documents, monitor, |document| bare_words(&document.text))?;
    let seeds: Vec<Option<&str>> =
        documents.iter().map(|document| training.seed_of(document)).collect::<Result<Vec<_>>>()?;
    // A measure of the text, whatever the filters are set to.
    let published = Thresholds::published();
    let failed: Vec<bool> = each(documents, monitor, |document| repetition(&document.text, &published).is_some())?;
    let lengths: Vec<u64> = words.iter().map(|words| words.len() as u64).collect();
    let overlap = overlap(&words, &seeds, &training.index, monitor)?;
    let equally_many = &documents[..fewest_documents.min(documents.len())];
    Ok(Quality {
        name: collection.name.to_owned(),
        documents: documents.len() as u64,
        bytes: documents.iter().map(|d| d.text.len() as u64).sum(),
        mean_words: mean(&lengths.iter().map(|&words| words as f64).collect::<Vec<_>>(), monitor)?,
        quartiles: [0.25, 0.5, 0.75].map(|share| quantile(&lengths, share)),
        words: Lengths::of(lengths),
        repetition: Share::of(failed.into_iter()),
        near_duplicates: near_duplicates(equally_many, config.near_duplicate.unwrap_or(NEAR_DUPLICATE), monitor)?,
        dropped: dropped(equally_many, training, config, monitor)?,
        pair_copying: pair_copying(documents, &seeds, config.near_copy.unwrap_or(NEAR_COPY), monitor)?,
        copied_from_seed: overlap.seed,
        copied_from_training: overlap.training,
        novel: overlap.novel,
        distinct: distinct(&words, monitor)?,
        self_bleu: self_bleu(&words, monitor)?,
    })
}

/// Something of each item, on all threads.
pub(super) fn each<T: Sync, U: Send>(
    items: &[T],
    monitor: &dyn Monitor,
    of: impl Fn(&T) -> U + Sync + Send,
) -> Result<Vec<U>> {
    Ok(items.par_iter().map(|item| monitor.check().map(|()| of(item))).collect::<Result<_, _>>()?)
}

/// Near-duplicates of earlier documents.
pub(super) fn near_duplicates(documents: &[Document], threshold: f64, monitor: &dyn Monitor) -> Result<Share> {
    let mut seen = Duplicates::new(threshold);
    let mut found = Vec::with_capacity(documents.len());
    for (shingles, signature) in prepared(documents, monitor)? {
        monitor.check()?;
        let Some(signature) = signature else {
            found.push(false);
            continue;
        };
        found.push(seen.find(&shingles, &signature).is_some());
        seen.add(shingles, &signature);
    }
    Ok(Share::of(found.into_iter()))
}

/// What documents are compared by.
fn prepared(documents: &[Document], monitor: &dyn Monitor) -> Result<Vec<(Shingles, Option<Signature>)>> {
    let hashes = MinHash::new();
    each(documents, monitor, |document| {
        let shingles = Shingles::of(&document.text, SHINGLE_WORDS);
        let signature = hashes.signature(&shingles);
        (shingles, signature)
    })
}

/// Documents that the filters together drop. Real ones are judged by what concerns them: they have no seed and no end.
fn dropped(documents: &[Document], training: &Training, config: &FilterConfig, monitor: &dyn Monitor) -> Result<Share> {
    let alone = |document: &Document| -> Result<bool> {
        let verdict = judge(document, training.seed_of(document)?, &training.index, config)?;
        let irrelevant =
            config.min_relevance.zip(metadata::relevance(document)?).is_some_and(|(least, found)| found < least);
        Ok(verdict != Verdict::Keep || irrelevant)
    };
    let alone = each(documents, monitor, alone)?;
    let mut seen = config.near_duplicate.map(Duplicates::new);
    let mut dropped = Vec::with_capacity(documents.len());
    for (alone, (shingles, signature)) in alone.into_iter().zip(prepared(documents, monitor)?) {
        monitor.check()?;
        let mut drops = alone?;
        if let (false, Some(seen), Some(signature)) = (drops, &mut seen, signature) {
            drops = seen.find(&shingles, &signature).is_some();
            if !drops {
                seen.add(shingles, &signature);
            }
        }
        dropped.push(drops);
    }
    Ok(Share::of(dropped.into_iter()))
}

fn pair_copying(
    documents: &[Document],
    seeds: &[Option<&str>],
    threshold: f64,
    monitor: &dyn Monitor,
) -> Result<Share> {
    let copies = documents
        .par_iter()
        .zip(seeds)
        .map(|(document, seed)| {
            monitor.check()?;
            Ok(seed.map(|seed| containment(&document.text, seed) >= threshold))
        })
        .collect::<Result<Vec<Option<bool>>>>()?;
    Ok(Share::of(copies.into_iter().flatten()))
}

/// What documents share word for word with their seeds and with the training documents.
struct Overlap {
    seed: Copied,
    training: Copied,
    novel: [Option<Figure>; 4],
}

fn overlap(
    documents: &[Vec<Word>],
    seeds: &[Option<&str>],
    index: &VerbatimIndex,
    monitor: &dyn Monitor,
) -> Result<Overlap> {
    let runs: Vec<(Option<Vec<usize>>, Vec<usize>)> = documents
        .par_iter()
        .zip(seeds)
        .map(|(words, seed)| {
            monitor.check()?;
            Ok((seed.map(|seed| VerbatimIndex::of_one(seed).runs(words)), index.runs(words)))
        })
        .collect::<Result<_>>()?;
    let units: Vec<[(f64, f64); 10]> = runs
        .iter()
        .map(|(seed, training)| {
            let [a, b, c] = fragment_figures(seed.as_deref().unwrap_or_default());
            let [d, e, f] = fragment_figures(training);
            let [one, five, eight, thirteen] = NOVELTY_WORDS.map(|n| novel(training, n));
            [a, b, c, d, e, f, one, five, eight, thirteen]
        })
        .collect();
    let [a, b, c, d, e, f, one, five, eight, thirteen] = bootstrap(&units, monitor)?;
    let most = |runs: &mut dyn Iterator<Item = usize>| runs.max().unwrap_or(0) as u64;
    Ok(Overlap {
        seed: Copied {
            coverage: a,
            density: b,
            longest: c,
            most: most(&mut runs.iter().flat_map(|(seed, _)| seed.iter().flatten().copied())),
        },
        training: Copied {
            coverage: d,
            density: e,
            longest: f,
            most: most(&mut runs.iter().flat_map(|(_, training)| training.iter().copied())),
        },
        novel: [one, five, eight, thirteen],
    })
}

/// Coverage, density and longest run, as terms of means over documents; a document without words says nothing.
fn fragment_figures(runs: &[usize]) -> [(f64, f64); 3] {
    let Some(fragments) = Fragments::of(runs) else { return [(0.0, 0.0); 3] };
    let longest = runs.iter().copied().max().unwrap_or(0) as f64;
    [(fragments.coverage, 1.0), (fragments.density, 1.0), (longest, 1.0)]
}

/// n-grams from whose first word on no n words are known, and all n-grams.
fn novel(runs: &[usize], n: usize) -> (f64, f64) {
    let ngrams = (runs.len() + 1).saturating_sub(n);
    (runs[..ngrams].iter().filter(|&&run| run < n).count() as f64, ngrams as f64)
}

/// What d2 takes over from d1 in pairs (d1, d2) of texts: the figures of [`Quality`] that need no collection. For true pairs they
/// say how much related documents share anyway.
///
/// # Errors
/// When the monitor interrupts.
pub fn pair_overlap(pairs: &[(&str, &str)], near_copy: f64, monitor: &dyn Monitor) -> Result<(Share, Copied)> {
    let words: Vec<Vec<Word>> = each(pairs, monitor, |(_, d2)| bare_words(d2))?;
    let seeds: Vec<Option<&str>> = pairs.iter().map(|&(d1, _)| Some(d1)).collect();
    let copies: Vec<bool> = each(pairs, monitor, |(d1, d2)| containment(d2, d1) >= near_copy)?;
    let overlap = overlap(&words, &seeds, &VerbatimIndex::default(), monitor)?;
    Ok((Share::of(copies.into_iter()), overlap.seed))
}

#[cfg(test)]
mod tests {
    use cognate_base::Silent;
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
        Document { id: "d".into(), text, group: None, metadata: metadata.into() }
    }

    fn share(count: u64, n: u64) -> Share {
        Share { count, n }
    }

    #[test]
    fn figures_of_a_small_collection_by_hand() {
        let training = Training::new([("a".to_owned(), words(0..40))].into_iter().collect(), &Silent).unwrap();
        let real = [document(words(100..130), None), document(words(200..210), None)];
        let raw = [
            document(words(0..30), Some("a")),              // a copy
            document(words(300..320).repeat(2), Some("a")), // repetition
            document(words(0..30), Some("elsewhere")),      // a duplicate whose seed is unknown
        ];
        let collections = [Collection { name: "real", documents: &real }, Collection { name: "raw", documents: &raw }];
        let table = quality(&collections, &training, &FilterConfig::standard(), &Silent).unwrap();
        let (real, raw) = (&table[0], &table[1]);
        assert_eq!((real.repetition, raw.repetition), (share(0, 2), share(1, 3)));
        // Two documents each: the third of raw, the duplicate, lies outside.
        assert_eq!((real.near_duplicates, raw.near_duplicates), (share(0, 2), share(0, 2)));
        assert_eq!((real.pair_copying, raw.pair_copying), (share(0, 0), share(1, 2)));
        let value = |figure: Option<Figure>| figure.map(|figure| (figure.value, figure.n));
        assert_eq!(real.novel.map(value), [Some((1.0, 2)), Some((1.0, 2)), Some((1.0, 2)), Some((1.0, 1))]);
        // Raw has 30, 40 and 30 words, and 26, 36 and 26 5-grams; only the second document's are new.
        assert_eq!(raw.novel.map(value)[..2], [Some((40.0 / 100.0, 3)), Some((36.0 / 88.0, 3))]);
        assert_eq!((value(real.copied_from_seed.density), real.copied_from_seed.most), (None, 0));
        let (seed, all) = (raw.copied_from_seed, raw.copied_from_training);
        // A whole document is a fragment of 30 words in its seed, the other shares none; the third has no known seed.
        assert_eq!((value(seed.coverage), value(seed.density)), (Some((0.5, 2)), Some((15.0, 2))));
        assert_eq!((value(all.density), value(all.longest), all.most), (Some((20.0, 3)), Some((20.0, 3)), 30));
        assert_eq!((raw.words.mean, raw.words.p50, raw.words.max), (100.0 / 3.0, 30, 40));
        assert_eq!(raw.quartiles.map(|q| q.unwrap().value), [30.0, 30.0, 40.0]);
        assert_eq!(raw.bytes, raw_bytes(&collections[1]));
    }

    fn raw_bytes(collection: &Collection<'_>) -> u64 {
        collection.documents.iter().map(|d| d.text.len() as u64).sum()
    }

    #[test]
    fn near_duplicates_count_each_later_document() {
        let texts = [0..50, 500..550, 0..50, 1..51, 0..50].map(|range| document(words(range), None));
        assert_eq!(near_duplicates(&texts, 0.7, &Silent).unwrap(), share(3, 5));
    }

    #[test]
    fn what_the_filters_together_drop_is_counted_alike_for_written_and_real_text() {
        let training = Training::new([("a".to_owned(), words(0..100))].into_iter().collect(), &Silent).unwrap();
        // Too short, recited, and a near-duplicate of one that stays; not one of what was dropped.
        let real = [
            document(words(200..205), None),
            document(words(300..360) + &words(10..60), None),
            document(words(400..460), None),
            document(words(401..461), None),
            document(words(300..350), None),
        ];
        let cut = |range| {
            let mut document = document(words(range), Some("a"));
            document.metadata.insert("finish_reason".into(), json!("cap"));
            document
        };
        let far = |range| {
            let mut document = document(words(range), Some("a"));
            document.metadata.insert("relevance".into(), json!(0.1));
            document
        };
        // Cut, a copy of its seed, far from it, and two that stay; the sixth lies outside.
        let raw = [
            cut(500..560),
            document(words(20..80), Some("a")),
            far(600..660),
            document(words(500..560), Some("a")),
            document(words(700..760), Some("a")),
            document(words(700..760), Some("a")),
        ];
        let config = FilterConfig { min_relevance: Some(0.2), ..FilterConfig::standard() };
        let collections = [Collection { name: "real", documents: &real }, Collection { name: "raw", documents: &raw }];
        let table = quality(&collections, &training, &config, &Silent).unwrap();
        assert_eq!((table[0].dropped, table[1].dropped), (share(3, 5), share(3, 5)));
    }

    #[test]
    fn nothing_to_look_at() {
        let collections = [Collection { name: "kept", documents: &[] }];
        let row = &quality(&collections, &Training::default(), &FilterConfig::standard(), &Silent).unwrap()[0];
        assert_eq!((row.repetition.figure(), row.words), (None, Lengths::default()));
        assert_eq!((row.mean_words, row.quartiles, row.novel, row.self_bleu), (None, [None; 3], [None; 4], None));
    }

    #[test]
    fn pairs_by_hand() {
        let (seed, half, other) = (words(0..40), words(0..20) + &words(50..70), words(80..120));
        let (copies, copied) = pair_overlap(&[(&seed, &seed), (&seed, &half), (&seed, &other)], 0.5, &Silent).unwrap();
        assert_eq!(copies, share(1, 3));
        assert_eq!((copied.coverage.unwrap().value, copied.density.unwrap().value), (0.5, (40.0 + 10.0) / 3.0));
        assert_eq!((copied.longest.unwrap().value, copied.most), (20.0, 40));
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
