//! What a report says of files: which went in, which came out, with which content; and what a card needs to know.

use serde::{Deserialize, Serialize};

/// A file of a run, by its content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRecord {
    /// The stage that wrote it, and the arm it worked for: `train sbp`; `input` for what the run was given.
    pub stage: String,
    /// Relative to the run directory; of an input its number, since a report holds no path outside of the run.
    pub path: String,
    /// BLAKE3 of its content, in hexadecimal.
    pub blake3: String,
    /// Its size; `None` of an input.
    pub size_bytes: Option<u64>,
    /// Records in it, where it holds records.
    pub rows: Option<u64>,
}

/// What cards say that the rest of the report does not hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardFacts {
    /// `[report] license`: what the documents and what is made from them may be used for, as the Hub writes it.
    pub license: Option<String>,
    /// `[report] languages`: ISO 639 codes; empty where the recipe does not say.
    pub languages: Vec<String>,
    /// Documents and tokens of the splits, by split.
    pub splits: Vec<Split>,
    /// How the synthetic documents were written; `None` where none were.
    pub synthesis: Option<Synthesis>,
    /// Parameters of a model; `None` before one was trained.
    pub parameters: Option<u64>,
    /// Longest document that any model was shown, in tokens.
    pub context_tokens: u64,
}

/// A split of the corpus.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// `validation`, `unique`, `oracle` or `selection`.
    pub name: String,
    /// Its documents.
    pub documents: u64,
    /// Its tokens; `None` before it was tokenized.
    pub tokens: Option<u64>,
}

/// How synthetic documents were written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Synthesis {
    /// `model`, `endpoint` or `entigraph`, as `[generate] method`; `world` where a made corpus' world wrote, of which the sampling says nothing.
    pub method: String,
    /// Sampling temperature.
    pub temperature: f64,
    /// Nucleus: the smallest set of tokens with this probability.
    pub top_p: f64,
    /// Longest document in tokens.
    pub max_new_tokens: u64,
    /// Seed of all random choices.
    pub seed: u64,
}
