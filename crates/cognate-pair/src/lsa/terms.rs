//! Words into a sparse matrix of weights: which words are terms, and how much each weighs in a document.

use std::collections::HashMap;

use cognate_base::Monitor;
use rayon::prelude::*;

use super::LsaConfig;
use super::sparse::Sparse;
use super::words::each_word;
use crate::progress::Progress;
use crate::{Error, Result};

/// Documents counted together; a size, so that the result does not depend on threads.
const CHUNK: usize = 512;
/// In place of a term's number: the word is no term.
const NONE: u32 = u32::MAX;

/// Each term's number and inverse document frequency.
type Terms<'a> = HashMap<&'a str, (u32, f64)>;

/// The terms of a corpus, to weigh other documents with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Vocabulary(HashMap<String, (u32, f64)>);

impl Vocabulary {
    /// The weights of other documents: as in [`weigh`], with this corpus' terms and document frequencies.
    pub(crate) fn weigh(&self, texts: &[(String, String)]) -> Sparse {
        let terms: Terms<'_> = self.0.iter().map(|(word, &term)| (word.as_str(), term)).collect();
        let chunks: Vec<Counts> = texts.par_chunks(CHUNK).map(count).collect();
        weights(&chunks, &terms, texts.len())
    }
}

/// How many words there were, and how many were left out.
pub(crate) struct Words {
    pub(crate) distinct: usize,
    pub(crate) rare: usize,
    pub(crate) common: usize,
    pub(crate) capped: usize,
}

/// The words of a chunk of documents, by numbers that only this chunk knows.
#[derive(Default)]
struct Counts {
    /// Each word and the number of documents that hold it.
    words: Vec<(String, u32)>,
    /// Where each document's entries end.
    ends: Vec<usize>,
    /// (word, how often), document after document.
    entries: Vec<(u32, u32)>,
}

/// The documents' weights: one row per document, of length 1 or empty, one column per term.
pub(crate) fn weigh(
    texts: &[(String, String)],
    config: &LsaConfig,
    monitor: &dyn Monitor,
) -> Result<(Sparse, Words, Vocabulary)> {
    let progress = Progress::begin(monitor, "counting words", texts.len());
    let chunks: Result<Vec<Counts>> = texts
        .par_chunks(CHUNK)
        .map(|chunk| {
            progress.advance(chunk.len())?;
            Ok(count(chunk))
        })
        .collect();
    let chunks = chunks?;
    drop(progress);
    let (terms, words) = choose(&chunks, texts.len(), config)?;
    let owned = terms.iter().map(|(&word, &term)| (word.to_owned(), term)).collect();
    Ok((weights(&chunks, &terms, texts.len()), words, Vocabulary(owned)))
}

fn count(texts: &[(String, String)]) -> Counts {
    let mut counts = Counts::default();
    let mut numbers: HashMap<String, u32> = HashMap::new();
    let mut often: Vec<u32> = Vec::new();
    let mut buffer = String::new();
    for (_, text) in texts {
        let start = counts.entries.len();
        each_word(text, &mut buffer, |word| {
            let number = numbers.get(word).copied().unwrap_or_else(|| {
                let number = counts.words.len() as u32;
                numbers.insert(word.to_string(), number);
                counts.words.push((word.to_string(), 0));
                often.push(0);
                number
            });
            if often[number as usize] == 0 {
                counts.entries.push((number, 0));
                counts.words[number as usize].1 += 1;
            }
            often[number as usize] += 1;
        });
        for (number, count) in &mut counts.entries[start..] {
            *count = std::mem::take(&mut often[*number as usize]);
        }
        counts.ends.push(counts.entries.len());
    }
    counts
}

/// The words that are terms, numbered from the most frequent on: what products touch most then lies together in memory.
fn choose<'a>(chunks: &'a [Counts], documents: usize, config: &LsaConfig) -> Result<(Terms<'a>, Words)> {
    let mut all: HashMap<&str, usize> = HashMap::new();
    for (word, count) in chunks.iter().flat_map(|chunk| &chunk.words) {
        *all.entry(word).or_default() += *count as usize;
    }
    let most = config.max_document_share * documents as f64;
    let mut words = Words { distinct: all.len(), rare: 0, common: 0, capped: 0 };
    let mut kept: Vec<(&str, usize)> = Vec::new();
    for (word, count) in all {
        if count < config.min_documents {
            words.rare += 1;
        } else if count as f64 > most {
            words.common += 1;
        } else {
            kept.push((word, count));
        }
    }
    if kept.is_empty() {
        return Err(Error::NoTerms {
            documents,
            distinct: words.distinct,
            rare: words.rare,
            common: words.common,
            min_documents: config.min_documents,
            max_document_share: config.max_document_share,
        });
    }
    kept.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    words.capped = kept.len().saturating_sub(config.max_terms);
    kept.truncate(config.max_terms);
    let inverse = |count: usize| ((1.0 + documents as f64) / (1.0 + count as f64)).ln() + 1.0;
    let terms = kept.into_iter().enumerate().map(|(term, (word, count))| (word, (term as u32, inverse(count))));
    Ok((terms.collect(), words))
}

fn weights(chunks: &[Counts], terms: &Terms<'_>, documents: usize) -> Sparse {
    let parts: Vec<Sparse> = chunks
        .par_iter()
        .map(|chunk| {
            let known: Vec<(u32, f64)> =
                chunk.words.iter().map(|(word, _)| terms.get(word.as_str()).copied().unwrap_or((NONE, 0.0))).collect();
            let mut part = Sparse::empty(terms.len());
            let mut row: Vec<(u32, f64)> = Vec::new();
            let mut start = 0;
            for &end in &chunk.ends {
                row.clear();
                row.extend(chunk.entries[start..end].iter().filter_map(|&(number, often)| {
                    let (term, inverse) = known[number as usize];
                    (term != NONE).then(|| (term, (1.0 + f64::from(often).ln()) * inverse))
                }));
                row.sort_unstable_by_key(|&(term, _)| term);
                let length = row.iter().map(|(_, weight)| weight * weight).sum::<f64>().sqrt();
                part.push_row(row.iter().map(|&(term, weight)| (term, (weight / length) as f32)));
                start = end;
            }
            part
        })
        .collect();
    let mut all = Sparse::empty(terms.len());
    all.reserve(documents, parts.iter().map(|part| part.values.len()).sum());
    parts.into_iter().for_each(|part| all.append(&part));
    all
}

#[cfg(test)]
mod tests {
    use cognate_base::Silent;

    use super::*;

    fn texts(texts: &[&str]) -> Vec<(String, String)> {
        texts.iter().enumerate().map(|(i, text)| (i.to_string(), text.to_string())).collect()
    }

    fn config() -> LsaConfig {
        LsaConfig { dimensions: 2, seed: 0, min_documents: 1, max_document_share: 1.0, max_terms: 100 }
    }

    fn row(matrix: &Sparse, row: usize) -> Vec<(u32, f32)> {
        let range = matrix.offsets[row]..matrix.offsets[row + 1];
        matrix.columns[range.clone()].iter().copied().zip(matrix.values[range].iter().copied()).collect()
    }

    #[test]
    fn weights_are_those_worked_out_by_hand() {
        // Terms a b c in 2, 2 and 1 of 3 documents: idf = ln(4/3)+1 = 1.2876821, the same, ln(4/2)+1 = 1.6931472.
        // Row 0: a twice, b once: (1 + ln 2)·1.2876821 = 2.1802353 and 1.2876821, length 2.5321041.
        // Row 1: b once, c three times: 1.2876821 and (1 + ln 3)·1.6931472 = 3.5532595, length 3.7793886.
        let (matrix, words, _) = weigh(&texts(&["a B A", "c c b c", "a"]), &config(), &Silent).unwrap();
        assert_eq!((words.distinct, matrix.width), (3, 3));
        let expected =
            [vec![(0, 0.861_037), (1, 0.508_542_3)], vec![(1, 0.340_711_7), (2, 0.940_167_8)], vec![(0, 1.0)]];
        for (i, expected) in expected.iter().enumerate() {
            for (found, expected) in row(&matrix, i).iter().zip(expected) {
                assert_eq!(found.0, expected.0);
                assert!((found.1 - expected.1).abs() < 1e-6, "{found:?} {expected:?}"); // seven digits by hand
            }
            assert_eq!(row(&matrix, i).len(), expected.len());
        }
    }

    #[test]
    fn limits_leave_words_out_and_count_them() {
        let texts = texts(&["x all b", "x all b c", "y all c", "all y x"]);
        // all: 4 documents, x: 3, b, c and y: 2.
        let limits = LsaConfig { min_documents: 3, max_document_share: 0.75, ..config() };
        let (matrix, words, _) = weigh(&texts, &limits, &Silent).unwrap();
        assert_eq!((words.distinct, words.rare, words.common, words.capped, matrix.width), (5, 3, 1, 0, 1));
        assert!(row(&matrix, 2).is_empty(), "the third document has no term");
        let (matrix, words, _) = weigh(&texts, &LsaConfig { max_terms: 3, ..config() }, &Silent).unwrap();
        assert_eq!((words.capped, matrix.width), (2, 3), "all and x stay by count, b by its name");
        assert_eq!(row(&matrix, 2).len(), 1);
    }

    #[test]
    fn no_term_is_an_error_that_says_why() {
        let limits = LsaConfig { min_documents: 2, max_document_share: 0.5, ..config() };
        let error = weigh(&texts(&["a b", "a c"]), &limits, &Silent).err().unwrap();
        assert!(matches!(error, Error::NoTerms { distinct: 3, rare: 2, common: 1, .. }), "{error}");
    }
}
