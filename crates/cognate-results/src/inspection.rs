//! Synthetic documents beside their seeds and true neighbours, as `cognate inspect synthetic --json` has them.

use serde::Serialize;

use crate::report::ExampleText;

/// Documents drawn to be read.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Inspection {
    /// The run, or the folder or file.
    pub name: String,
    /// What was drawn from: `kept`, `dropped`, or `synthetic` where nothing was filtered.
    pub which: String,
    /// Documents there.
    pub of: u64,
    /// Seed of the draw.
    pub seed: u64,
    /// Whether only documents whose seed has a true neighbour were drawn.
    pub paired: bool,
    /// Whether pairs were there to take neighbours from.
    pub with_neighbours: bool,
    /// Those drawn, in the order in which they were written.
    pub documents: Vec<Inspected>,
}

/// One document with what belongs to it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Inspected {
    /// d1; none where the document does not name it.
    pub seed: Option<ExampleText>,
    /// The synthetic d2.
    pub synthetic: Written,
    /// The d2 of the corpus that is most similar to d1; none where no pair begins with d1.
    pub neighbour: Option<Neighbour>,
}

/// A synthetic document and what it says about itself; what it does not say is none.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Written {
    /// Its id.
    pub id: String,
    /// Its whole text.
    pub text: String,
    /// Why it was filtered out.
    pub dropped: Option<DropReason>,
    /// (log p(d2 | d1) − log p(d2)) / tokens, in nats.
    pub relevance: Option<f64>,
    /// (log p(d1 | d2) − log p(d1)) / tokens, in nats.
    pub cycle: Option<f64>,
    /// Nats per drawn token.
    pub mean_log_probability: Option<f64>,
    /// Drawn tokens.
    pub tokens: Option<u64>,
    /// `eod` or `stop`: it ended itself; `cap` or `length`: it was cut.
    pub finish_reason: Option<String>,
    /// What it shares with its seed.
    pub overlap: Option<Overlap>,
}

/// Why a filter dropped a document.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DropReason {
    /// The filter.
    pub reason: String,
    /// What it measured.
    pub detail: String,
}

/// What a document shares with its seed word for word, by bare words (see docs/filters.md).
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Overlap {
    /// Share of its words that stand in the seed too, in 0..=1; none for a text without words.
    pub share: Option<f64>,
    /// Most words in a row that stand in the seed too.
    pub longest_words: u64,
}

/// A true d2.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Neighbour {
    /// Its id.
    pub id: String,
    /// Its whole text.
    pub text: String,
    /// The cosine of its vector and the seed's.
    pub similarity: f64,
    /// What it shares with the seed.
    pub overlap: Option<Overlap>,
}
