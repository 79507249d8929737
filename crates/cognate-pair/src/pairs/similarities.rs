//! Does the embedder tell related documents from unrelated ones? Similarities of neighbours against those of random
//! pairs.

use std::fmt;

use cognate_base::random::{RngExt, stream};
use cognate_statistics::quantile::nearest;
use serde::{Deserialize, Serialize};

use crate::neighbours::Neighbours;
use crate::{Error, Result, Vectors};

/// Random pairs measured: the 99.9th percentile is then right to about 7 % of its tail (200 pairs lie beyond it).
const RANDOM_PAIRS: usize = 200_000;
/// The lower end of the histograms, the width of a bin, and how many there are: up to 1.
pub(super) const LOW: f32 = -0.2;
pub(super) const BINS: usize = 40;
pub(super) const BIN: f32 = (1.0 - LOW) / BINS as f32;
/// The share of random pairs that a suggested window leaves below it.
const FLOOR_SHARE: f64 = 0.999;
/// No ceiling: more than any cosine.
const CEILING: f32 = 2.0;

/// The similarities that make two documents related: min_similarity ≤ s < max_similarity.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// Below it, documents are unrelated.
    pub min_similarity: f32,
    /// From it on, they are near-copies.
    pub max_similarity: f32,
}

impl Window {
    /// Whether a similarity is in the window.
    pub fn contains(&self, similarity: f32) -> bool {
        self.min_similarity <= similarity && similarity < self.max_similarity
    }
}

/// Counts of similarities in bins of equal width from -0.2 to 1; lower ones are in the first bin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// Lower end of the first bin.
    pub low: f32,
    /// Width of a bin.
    pub bin: f32,
    /// Similarities in each bin.
    pub counts: Vec<u64>,
}

impl Histogram {
    fn of(values: &[f32]) -> Self {
        let mut counts = vec![0; BINS];
        for value in values {
            // A cast to an integer saturates, so that what is below the first bin counts in it.
            counts[(((value - LOW) / BIN) as usize).min(BINS - 1)] += 1;
        }
        Self { low: LOW, bin: BIN, counts }
    }
}

/// Quantiles of similarities (the value at the nearest rank).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quantiles {
    /// The smallest.
    pub min: f32,
    /// 1 % are lower.
    pub p01: f32,
    /// 10 % are lower.
    pub p10: f32,
    /// A quarter is lower.
    pub p25: f32,
    /// The median.
    pub p50: f32,
    /// Three quarters are lower.
    pub p75: f32,
    /// 90 % are lower.
    pub p90: f32,
    /// 99 % are lower.
    pub p99: f32,
    /// 99.9 % are lower.
    pub p999: f32,
    /// The largest.
    pub max: f32,
}

impl Quantiles {
    /// `sorted` ascends and is not empty.
    fn of(sorted: &[f32]) -> Self {
        let at = |share: f64| nearest(sorted, share);
        Self {
            min: at(0.0),
            p01: at(0.01),
            p10: at(0.1),
            p25: at(0.25),
            p50: at(0.5),
            p75: at(0.75),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(FLOOR_SHARE),
            max: at(1.0),
        }
    }
}

impl fmt::Display for Quantiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { p01, p50, p90, p99, p999, max, .. } = self;
        write!(
            f,
            "1 % below {p01:.3}, median {p50:.3}, 90 % below {p90:.3}, 99 % below {p99:.3}, 99.9 % below {p999:.3}, \
             largest {max:.3}"
        )
    }
}

/// Similarities of documents to all their neighbours, to their nearest one, and to random documents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Similarities {
    /// Neighbours counted, each document's own.
    pub neighbours: u64,
    /// Random pairs measured.
    pub random_pairs: u64,
    /// Of documents and each of their neighbours.
    pub neighbour_histogram: Histogram,
    /// Of random documents, on the same bins.
    pub random_histogram: Histogram,
    /// Of documents and each of their neighbours.
    pub neighbour_quantiles: Quantiles,
    /// Of documents and their nearest neighbour.
    pub nearest_quantiles: Quantiles,
    /// Of random documents.
    pub random_quantiles: Quantiles,
}

/// Measures the first `k` neighbours of each document, and 200,000 random pairs of different documents (those with a zero vector left out), drawn
/// with replacement from `seed`.
///
/// # Errors
/// When the neighbours are not those of the vectors, or fewer than two documents have a vector.
pub fn measure_similarities(vectors: &Vectors, neighbours: &Neighbours, k: usize, seed: u64) -> Result<Similarities> {
    let shape = (neighbours.len() * neighbours.k, neighbours.similarity.len());
    if neighbours.len() != vectors.len() || shape != (neighbours.ids.len(), neighbours.ids.len()) {
        return Err(Error::OtherNeighbours { neighbours: neighbours.len(), vectors: vectors.len() });
    }
    let present: Vec<usize> = (0..vectors.len()).filter(|&row| !vectors.is_zero(row)).collect();
    if present.len() < 2 {
        return Err(Error::TooFewRows { rows: present.len(), k: 1 });
    }
    let mut near: Vec<f32> = (0..neighbours.len()).flat_map(|row| neighbours.of(row).take(k)).map(|(_, s)| s).collect();
    let mut nearest: Vec<f32> =
        (0..neighbours.len()).filter_map(|row| neighbours.of(row).next()).map(|(_, s)| s).collect();
    if near.is_empty() {
        return Err(Error::OtherNeighbours { neighbours: 0, vectors: vectors.len() });
    }
    let mut random = stream(seed, "pair.random", 0);
    let mut apart: Vec<f32> = (0..RANDOM_PAIRS)
        .map(|_| {
            let first = random.random_range(0..present.len());
            let second = random.random_range(0..present.len() - 1);
            vectors.similarity(present[first], present[second + usize::from(second >= first)])
        })
        .collect();
    [&mut near, &mut nearest, &mut apart].into_iter().for_each(|values| values.sort_unstable_by(f32::total_cmp));
    Ok(Similarities {
        neighbours: near.len() as u64,
        random_pairs: apart.len() as u64,
        neighbour_histogram: Histogram::of(&near),
        random_histogram: Histogram::of(&apart),
        neighbour_quantiles: Quantiles::of(&near),
        nearest_quantiles: Quantiles::of(&nearest),
        random_quantiles: Quantiles::of(&apart),
    })
}

/// The window to use where nothing better is known: from the 99.9th percentile of unrelated documents on (related means closer than 999
/// of 1000 unrelated pairs, whatever the embedder's scale), without a ceiling.
///
/// Random pairs are unrelated but for chance. In a small corpus chance makes more than one of 1000 related, and the
/// observed percentile would be that of related documents; so the upper tail is also extrapolated from the median and
/// the 90th percentile, as an exponential one (for 8,000 abstracts under LSA: 0.487, observed 0.485), and the lower
/// value is taken.
pub fn suggest_window(similarities: &Similarities) -> Window {
    let Quantiles { p50, p90, p999, .. } = similarities.random_quantiles;
    // S(s) = 1/2 · exp(-(s - p50) / b): b from S(p90) = 1/10, then the floor from S(floor) = 1/1000.
    let exponential = p50 + (p90 - p50) * (500.0_f32.ln() / 5.0_f32.ln());
    let floor = p999.min(exponential);
    Window { min_similarity: floor, max_similarity: CEILING }
}
