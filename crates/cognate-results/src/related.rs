//! What a report holds of sets of pairs, and of what tuning on them taught.

use cognate_statistics::Estimate;
use serde::{Deserialize, Serialize};

use crate::report::Measure;

/// A set of pairs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pairs {
    /// The set's name in the recipe; empty where an older version did not keep it.
    #[serde(default)]
    pub name: String,
    /// How documents became vectors, in words (`latent semantic analysis, 256 dimensions`). Empty of pairs that are not neighbours: then
    /// the similarities are 0, the histogram is empty, and `chosen` says where they come from.
    pub embedder: String,
    /// Lowest cosine similarity of a pair.
    pub min_similarity: f64,
    /// Highest cosine similarity of a pair: above it two documents count as copies of each other; above 1, none do for it.
    pub max_similarity: f64,
    /// By what pairs were chosen, as a sentence, with the estimated share of true ones. Empty where that was not estimated.
    #[serde(default)]
    pub chosen: String,
    /// Counts: documents, documents with a pair, pairs for training, pairs held out, near-copies dropped, …
    pub counts: Vec<Measure>,
    /// Similarity of neighbours against that of random documents.
    pub histogram: SimilarityHistogram,
}

/// Two histograms on the same bins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimilarityHistogram {
    /// For each bin, the estimated share of true ones among neighbours at least as similar as its lower end; empty where that was not
    /// estimated.
    #[serde(default)]
    pub precision: Vec<Option<f64>>,
    /// Ascending borders of the bins, in cosine similarity: one more than there are bins.
    pub edges: Vec<f64>,
    /// Neighbouring documents per bin.
    pub neighbours: Vec<u64>,
    /// Random pairs of documents per bin.
    pub random: Vec<u64>,
}

/// −log p(d2 | ·) on held-out pairs, before and after tuning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relation {
    /// The synthesizer's name in the recipe; empty where an older version did not keep it.
    #[serde(default)]
    pub name: String,
    /// What it was made from, as a sentence. Empty where an older version did not keep it.
    #[serde(default)]
    pub made: String,
    /// Whether it learned from shuffled pairs, which nothing but chance relates.
    #[serde(default)]
    pub control: bool,
    /// Held-out pairs scored.
    pub pairs: u64,
    /// Whether no model has seen the documents d2. If not, they were held out of tuning alone, and the base model has been trained on them.
    #[serde(default)]
    pub unseen: bool,
    /// The base model, as tuning found it.
    pub before: RelationLoss,
    /// The synthesizer.
    pub after: RelationLoss,
    /// Whether the true seed may save the synthesizer nothing: an interval of 95 % of what it saves reaches down to 0.
    #[serde(default)]
    pub unused: bool,
    /// The same over tuning, on the held-out pairs that chose the checkpoint; empty where that was not measured.
    #[serde(default)]
    pub curve: Vec<RelationPoint>,
    /// Tokens of tuning at which the synthesizer was taken.
    #[serde(default)]
    pub chosen_at: u64,
}

/// Losses on held-out pairs at one place of tuning, in nats per token of d2.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelationPoint {
    /// Tokens tuned on.
    pub tokens: u64,
    /// After the true d1.
    pub true_seed: f64,
    /// After a random other document.
    pub random_seed: f64,
    /// After nothing.
    pub no_seed: f64,
}

impl RelationPoint {
    /// What the true seed saves over a random one or over none, the smaller of the two, in nats per token.
    #[must_use]
    pub fn seed_gain(&self) -> f64 {
        (self.random_seed - self.true_seed).min(self.no_seed - self.true_seed)
    }
}

/// Mean −log p over d2's tokens, in nats per token, by what stood before d2.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelationLoss {
    /// The true related document d1.
    pub true_seed: Estimate,
    /// A random other document.
    pub random_seed: Estimate,
    /// Nothing.
    pub no_seed: Estimate,
    /// What the true seed saves over a random one: what the model knows about this relation. Its error is that of the paired
    /// difference, smaller than the two losses' own.
    pub gain_over_random: Estimate,
    /// What the true seed saves over none.
    pub gain_over_none: Estimate,
}
