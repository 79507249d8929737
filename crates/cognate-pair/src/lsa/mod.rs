//! Latent semantic analysis: the embedder that needs no outside model.
//!
//! Deerwester et al. 1990, with the weights of scikit-learn's `TfidfVectorizer(sublinear_tf=True)`: a document is the
//! vector of its words' weights (1 + ln tf) · (ln((1 + n) / (1 + df)) + 1), scaled to length 1; the matrix A of all
//! documents is cut to its largest singular values, A ≈ U·S·Vᵀ; a document's embedding is its row of U·S, scaled to
//! length 1.
//!
//! `words.rs` cuts text into words, `terms.rs` weighs them, `sparse.rs` multiplies, `svd.rs` cuts.

mod sparse;
mod svd;
mod terms;
mod words;

use cognate_base::Monitor;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{Error, Result, Vectors};

/// A document whose row of U·S is shorter than this (its row of A has length 1) shares nothing with the directions
/// kept, and what is left of it is rounding: it gets a zero vector.
const SHORTEST_ROW: f64 = 1e-5;

/// Singular values that can be asked for: the work grows with their square, the dense part of it with their cube.
const DIMENSIONS_MAX: usize = 4096;

/// The choices of [`lsa`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LsaConfig {
    /// Singular values kept, the width of the vectors; 256 is usual. A small corpus may have fewer.
    pub dimensions: usize,
    /// Seed of the random directions that the SVD starts from.
    pub seed: u64,
    /// A word in fewer documents than this is left out; 2 is usual (a word of one document relates it to no other).
    pub min_documents: usize,
    /// A word in more than this share of the documents is left out; 0.5 is usual.
    pub max_document_share: f64,
    /// At most so many words are kept, those in the most documents first, ties in the order of the words; 200,000 is
    /// usual.
    pub max_terms: usize,
}

impl LsaConfig {
    fn check(&self) -> Result<()> {
        let positive =
            [("dimensions", self.dimensions), ("min_documents", self.min_documents), ("max_terms", self.max_terms)];
        if let Some((field, _)) = positive.into_iter().find(|&(_, value)| value == 0) {
            return Err(Error::Config { field, found: "0".to_string(), expected: "at least 1" });
        }
        if self.dimensions > DIMENSIONS_MAX {
            let found = self.dimensions.to_string();
            return Err(Error::Config { field: "dimensions", found, expected: "at least 1 and at most 4096" });
        }
        if !(self.max_document_share > 0.0 && self.max_document_share <= 1.0) {
            let found = self.max_document_share.to_string();
            return Err(Error::Config { field: "max_document_share", found, expected: "above 0 and at most 1" });
        }
        Ok(())
    }
}

/// What [`lsa`] found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LsaStats {
    /// Documents embedded.
    pub documents: usize,
    /// Distinct words.
    pub distinct_words: usize,
    /// Words left out because they are in too few documents.
    pub rare_words: usize,
    /// Words left out because they are in too many documents.
    pub common_words: usize,
    /// Words left out because of `max_terms`.
    pub capped_words: usize,
    /// Words kept: the columns of the matrix.
    pub terms: usize,
    /// Weights in the matrix that are not zero.
    pub weights: usize,
    /// Dimensions asked for.
    pub requested_dimensions: usize,
    /// Dimensions there are: fewer where the corpus has fewer documents, terms or independent directions than asked
    /// for.
    pub dimensions: usize,
    /// Share of the matrix' squared weights that the dimensions keep, in [0, 1].
    pub explained: f64,
    /// The singular values, largest first.
    pub singular_values: Vec<f64>,
    /// Documents with a zero vector: none of their words is a term, or their terms are in no dimension that was kept.
    pub documents_without_vector: usize,
}

/// A fitted embedder: what [`lsa`] found, ready for documents that were not there.
#[derive(Clone, Debug)]
pub struct Lsa {
    terms: terms::Vocabulary,
    rank: usize,
    /// V: one row of `rank` numbers per term.
    directions: Vec<f32>,
    /// Length of the row of a document of the corpus before it is scaled, on average: what the directions hold of one.
    held: f64,
}

impl Lsa {
    /// [`lsa`], with the embedder itself.
    ///
    /// # Errors
    /// As [`lsa`].
    pub fn fit(
        texts: &[(String, String)],
        config: &LsaConfig,
        monitor: &dyn Monitor,
    ) -> Result<(Self, Vectors, LsaStats)> {
        let fitted = fit(texts, config, monitor)?;
        // From A = U·S·Vᵀ follows V = Aᵀ·(U·S)·S⁻².
        let rank = fitted.cut.rank;
        let mut directions = fitted.weights.transposed().times(&fitted.cut.rows, rank);
        let squares: Vec<f32> = fitted.cut.singular_values.iter().map(|s| (s * s) as f32).collect();
        directions.par_chunks_exact_mut(rank.max(1)).for_each(|row| {
            row.iter_mut().zip(&squares).for_each(|(value, square)| *value /= square);
        });
        let lengths: Vec<f64> = lengths(&fitted.cut.rows, rank).filter(|length| *length >= SHORTEST_ROW).collect();
        let held = lengths.iter().sum::<f64>() / lengths.len().max(1) as f64;
        let embedder = Self { terms: fitted.terms.clone(), rank, directions, held };
        let (vectors, stats) = fitted.into_vectors(texts, config);
        Ok((embedder, vectors, stats))
    }

    /// The vectors of other documents in the same space ("folding in", Deerwester et al. 1990): the row of weights a becomes a·V,
    /// scaled to length 1. A document of the corpus gets its own vector again, up to rounding.
    pub fn embed(&self, texts: &[(String, String)]) -> Vectors {
        self.fold_in(texts).0
    }

    /// [`embed`](Self::embed), with how much of each document the directions hold beside what they hold of one of the corpus on average, at
    /// most 1. The directions were made for the corpus: of another document they hold less, and scaling its vector to length 1 hides that. A
    /// cosine with it is to be multiplied by this where it is compared with cosines inside the corpus.
    pub fn fold_in(&self, texts: &[(String, String)]) -> (Vectors, Vec<f32>) {
        let mut data = self.terms.weigh(texts).times(&self.directions, self.rank);
        let held = lengths(&data, self.rank).map(|length| (length / self.held).min(1.0) as f32).collect();
        unit_rows(&mut data, self.rank);
        (Vectors { ids: texts.iter().map(|(id, _)| id.clone()).collect(), width: self.rank, data }, held)
    }
}

/// Embeds (id, text) documents; the vectors are in the order of the documents.
///
/// Bound: 12 products of the sparse matrix with a dense one of `dimensions` + 32 columns, each 2 · weights · columns
/// operations, and about as many dense products of 2 · (documents + terms) · columns² operations.
///
/// # Errors
/// When a setting is impossible, there are no documents, no word passes the limits, or the user asked to stop.
pub fn lsa(texts: &[(String, String)], config: &LsaConfig, monitor: &dyn Monitor) -> Result<(Vectors, LsaStats)> {
    Ok(fit(texts, config, monitor)?.into_vectors(texts, config))
}

/// Bytes that [`lsa`] holds at most beside the texts, of `documents` documents in which `entries` words stand (each word of a document
/// counts once), `terms` of them different: the counts, the weights by rows and by columns, and two dense matrices on each side.
pub fn lsa_bytes(documents: f64, terms: f64, entries: f64, dimensions: f64) -> f64 {
    let columns = (dimensions + svd::OVERSAMPLING as f64).min(documents).min(terms);
    let counts = entries * size_of::<(u32, u32)>() as f64;
    let weights = 2.0 * entries * (size_of::<u32>() + size_of::<f32>()) as f64;
    counts + weights + 2.0 * (documents + terms) * columns * size_of::<f32>() as f64
}

/// The cut matrix, and what it was made from.
struct Fitted {
    weights: sparse::Sparse,
    words: terms::Words,
    terms: terms::Vocabulary,
    cut: svd::Truncated,
}

fn fit(texts: &[(String, String)], config: &LsaConfig, monitor: &dyn Monitor) -> Result<Fitted> {
    config.check()?;
    if texts.is_empty() {
        return Err(Error::NoDocuments);
    }
    if texts.len() >= u32::MAX as usize {
        return Err(Error::TooManyDocuments { documents: texts.len() });
    }
    let (weights, words, terms) = terms::weigh(texts, config, monitor)?;
    let cut = svd::truncated(&weights, config.dimensions, config.seed, monitor)?;
    Ok(Fitted { weights, words, terms, cut })
}

impl Fitted {
    fn into_vectors(self, texts: &[(String, String)], config: &LsaConfig) -> (Vectors, LsaStats) {
        let Self { weights, words, mut cut, .. } = self;
        let squares: f64 = weights.values.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
        let kept: f64 = cut.singular_values.iter().map(|s| s * s).sum();
        let zeros = unit_rows(&mut cut.rows, cut.rank);
        let stats = LsaStats {
            documents: texts.len(),
            distinct_words: words.distinct,
            rare_words: words.rare,
            common_words: words.common,
            capped_words: words.capped,
            terms: weights.width,
            weights: weights.values.len(),
            requested_dimensions: config.dimensions,
            dimensions: cut.rank,
            explained: (kept / squares).clamp(0.0, 1.0),
            singular_values: cut.singular_values,
            documents_without_vector: zeros,
        };
        let ids = texts.iter().map(|(id, _)| id.clone()).collect();
        (Vectors { ids, width: cut.rank, data: cut.rows }, stats)
    }
}

/// The Euclidean length of each row.
fn lengths(rows: &[f32], width: usize) -> impl Iterator<Item = f64> + '_ {
    rows.chunks_exact(width.max(1)).map(|row| row.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt())
}

/// Scales rows to length 1, makes rows that are only rounding zero, and counts the latter.
fn unit_rows(rows: &mut [f32], width: usize) -> usize {
    let scale = |row: &mut [f32]| {
        let length = row.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
        let is_zero = length < SHORTEST_ROW;
        let factor = if is_zero { 0.0 } else { 1.0 / length };
        row.iter_mut().for_each(|x| *x = if is_zero { 0.0 } else { (f64::from(*x) * factor) as f32 });
        usize::from(is_zero)
    };
    rows.par_chunks_exact_mut(width.max(1)).map(scale).sum()
}
