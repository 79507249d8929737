//! Which related documents are near-copies: those that share most of their word 5-grams. Their vectors do not tell: one story told twice
//! for readers of two ages has a cosine of 0.97 and a third of its 5-grams in common, and is the best of pairs.

use cognate_base::Monitor;
use cognate_base::shingles::Shingles;
use rayon::prelude::*;

use crate::Result;

/// Words of an n-gram, as in Lee et al. 2022 (arXiv 2107.06499) and FineWeb.
const WORDS: usize = 5;

/// The n-grams of all documents, by which near-copies are known.
#[derive(Debug, Default)]
pub struct Copies {
    shingles: Vec<Shingles>,
    similarity: f64,
}

impl Copies {
    /// Of texts in the order of the vectors: two documents are near-copies from this Jaccard similarity of their distinct word 5-grams on.
    /// Four bytes a word are held.
    ///
    /// # Errors
    /// When the user asked to stop.
    pub fn of<T: AsRef<str> + Sync>(texts: &[T], similarity: f64, monitor: &dyn Monitor) -> Result<Self> {
        let shingles = texts.par_iter().map(|text| {
            monitor.check()?;
            Ok(Shingles::of(text.as_ref(), WORDS))
        });
        Ok(Self { shingles: shingles.collect::<Result<_>>()?, similarity })
    }

    /// No two documents are near-copies.
    pub fn none() -> Self {
        Self::default()
    }

    /// Whether two documents are near-copies.
    pub fn are(&self, first: u32, second: u32) -> bool {
        let of = |document: u32| self.shingles.get(document as usize);
        match (of(first), of(second)) {
            (Some(first), Some(second)) => first.jaccard(second) >= self.similarity,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use cognate_base::Silent;

    use super::*;

    #[test]
    fn near_copies_share_their_words_in_a_row() {
        let words = |range: std::ops::Range<usize>| range.map(|i| format!("w{i} ")).collect::<String>();
        // Of 40 words the first have 36 5-grams. The second lacks ten words at the end and has none of its own: 26 of 36.
        let texts = [words(0..40), words(0..30), words(40..80), words(0..40).to_uppercase()];
        let are = |similarity: f64, second| Copies::of(&texts, similarity, &Silent).unwrap().are(0, second);
        assert!(are(0.72, 1) && !are(0.73, 1));
        assert!(!are(0.1, 2) && are(1.0, 3));
        assert!(!Copies::none().are(0, 3));
    }
}
