//! Which documents are pairs, and which pairs are held out.
//!
//! `hold_out.rs` divides the documents, `similarities.rs` measures and suggests a window, `stats.rs` counts, `file.rs`
//! is the format on disk.

pub(crate) mod file;
pub(crate) mod hold_out;
pub(crate) mod similarities;
pub(crate) mod stats;

use serde::{Deserialize, Serialize};

use crate::neighbours::Neighbours;
use crate::{Error, Result, Vectors};
use hold_out::hold_out;
use similarities::{Window, measure_similarities, suggest_window};
use stats::{Degrees, PairStats};

/// The choices of [`select_pairs`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairConfig {
    /// Neighbours of each document that are looked at; at most those that were searched for.
    pub neighbours: usize,
    /// Neighbours less similar than this are unrelated. The paper's 0.75 belongs to its embedder; see
    /// [`suggest_window`](crate::suggest_window).
    pub min_similarity: f32,
    /// Neighbours at least this similar are near-copies, which teach copying; above 1, nothing is.
    pub max_similarity: f32,
    /// Share of the related documents that is held out, in [0, 1). 0.05 is usual.
    pub held_out_share: f64,
    /// Seed of the choice of held-out documents, and of the random pairs that are measured.
    pub seed: u64,
}

impl PairConfig {
    fn window(&self) -> Window {
        Window { min_similarity: self.min_similarity, max_similarity: self.max_similarity }
    }

    fn check(&self, k: usize) -> Result<()> {
        let bad = |field, found: String, expected| Err(Error::Config { field, found, expected });
        if self.neighbours == 0 || self.neighbours > k {
            let expected = "at least 1 and at most the neighbours that were searched for";
            return bad("neighbours", format!("{} (searched for: {k})", self.neighbours), expected);
        }
        if !(-1.0..=1.0).contains(&self.min_similarity) {
            return bad("min_similarity", self.min_similarity.to_string(), "a cosine, from -1 to 1");
        }
        if !(self.max_similarity > self.min_similarity && self.max_similarity.is_finite()) {
            let expected = "a number above min_similarity (above 1 to keep near-copies)";
            return bad("max_similarity", self.max_similarity.to_string(), expected);
        }
        if !(0.0..1.0).contains(&self.held_out_share) {
            return bad("held_out_share", self.held_out_share.to_string(), "at least 0 and below 1");
        }
        Ok(())
    }
}

/// Two related documents, by their numbers in the vectors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// The seed document, d1.
    pub first: u32,
    /// The target document, d2.
    pub second: u32,
    /// The cosine of their vectors; not a number where the pair is another tool's, which did not say it.
    pub similarity: f32,
}

/// The pairs of a corpus, in the order of (first, second). Each pair of related documents is there in both directions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pairs {
    /// To learn from.
    pub train: Vec<Pair>,
    /// To measure by: no document of these, and no near-copy of one, is in a training pair.
    pub held_out: Vec<Pair>,
}

/// Makes pairs of neighbours: two documents are related when one is a neighbour of the other with
/// min_similarity ≤ similarity < max_similarity.
///
/// # Errors
/// When a setting is impossible, the neighbours are not those of the vectors, nothing is in the window (the error
/// suggests another one), or there are too few pairs to hold some out.
pub fn select_pairs(vectors: &Vectors, neighbours: &Neighbours, config: &PairConfig) -> Result<(Pairs, PairStats)> {
    config.check(neighbours.k)?;
    let similarities = measure_similarities(vectors, neighbours, config.seed)?;
    let links = links(neighbours, config.neighbours);
    let near_copies: Vec<Pair> =
        links.iter().filter(|link| link.similarity >= config.max_similarity).copied().collect();
    let related: Vec<Pair> = links.iter().filter(|link| config.window().contains(link.similarity)).copied().collect();
    if related.is_empty() {
        return Err(Error::NoPairs {
            window: config.window(),
            suggested: suggest_window(&similarities),
            neighbours: Box::new(similarities.neighbour_quantiles),
            random: Box::new(similarities.random_quantiles),
        });
    }
    let held = hold_out(neighbours.len(), &related, &near_copies, config.held_out_share, config.seed);
    let mut pairs = Pairs::default();
    for link in &related {
        let turned = Pair { first: link.second, second: link.first, similarity: link.similarity };
        match (held[link.first as usize], held[link.second as usize]) {
            (true, true) => pairs.held_out.extend([*link, turned]),
            (false, false) => pairs.train.extend([*link, turned]),
            _ => {}
        }
    }
    pairs.train.sort_unstable_by_key(|pair| (pair.first, pair.second));
    pairs.held_out.sort_unstable_by_key(|pair| (pair.first, pair.second));
    let documents_with_pairs = stats::documents(&related, neighbours.len());
    if pairs.train.is_empty() || (config.held_out_share > 0.0 && pairs.held_out.is_empty()) {
        return Err(Error::TooFewPairs {
            related: documents_with_pairs,
            share: config.held_out_share,
            train: pairs.train.len(),
            held_out: pairs.held_out.len(),
        });
    }
    let stats = PairStats {
        documents: neighbours.len(),
        documents_with_pairs,
        held_out_documents: stats::documents(&pairs.held_out, neighbours.len()),
        train_documents: stats::documents(&pairs.train, neighbours.len()),
        train_pairs: pairs.train.len(),
        held_out_pairs: pairs.held_out.len(),
        near_copies: 2 * near_copies.len(),
        below_window: 2 * (links.len() - related.len() - near_copies.len()),
        straddling: 2 * related.len() - pairs.train.len() - pairs.held_out.len(),
        targets_per_seed: Degrees::of(&pairs.train, neighbours.len()),
        window: config.window(),
        similarities,
    };
    Ok((pairs, stats))
}

/// Each two documents of which one is among the first `k` neighbours of the other, once, the lower number first.
fn links(neighbours: &Neighbours, k: usize) -> Vec<Pair> {
    let mut links: Vec<Pair> = (0..neighbours.len())
        .flat_map(|document| {
            neighbours.of(document).take(k).map(move |(other, similarity)| {
                let document = document as u32;
                Pair { first: document.min(other), second: document.max(other), similarity }
            })
        })
        .collect();
    // Where the two directions were scored apart and differ by rounding, the larger score stays.
    links.sort_unstable_by(|a, b| {
        (a.first, a.second).cmp(&(b.first, b.second)).then(b.similarity.total_cmp(&a.similarity))
    });
    links.dedup_by_key(|link| (link.first, link.second));
    links
}
