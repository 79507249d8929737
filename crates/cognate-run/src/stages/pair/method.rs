//! What every method of pairs says and does, and what they share: the pairs of another set, and the end.

use std::path::Path;

use cognate_base::Monitor;
use cognate_pair::{Pairs, UnseenStats, read_pairs, write_pairs};
use serde_json::{Map, Value, json};

use crate::context::{Context, Inputs, Made};
use crate::error::Result;
use crate::estimate::Estimate;
use crate::recipe::{Model, PairSet, Recipe};
use crate::rundir::Work;
use crate::stages::held_out::ids;
use crate::step::Step;

/// A method of pairs, by its keys. That it has texts of its own, or takes the pairs of another set, its keys say.
pub(crate) trait Method {
    /// What its pairs are made from, directly.
    fn needs(&self, recipe: &Recipe) -> Vec<Step>;

    /// Changes what decides its pairs beside its keys and what it reads.
    fn config(&self, _recipe: &Recipe, _own: &mut Map<String, Value>) {}

    /// Adds the content of what it reads beside the documents, the pairs of the set that it takes from, and the tokenizer of texts of its own.
    fn inputs(&self, _context: &Context<'_>, _inputs: &mut Inputs<'_>) -> Result<()> {
        Ok(())
    }

    /// Makes the pairs.
    fn work(&self, job: &Job<'_>) -> Result<Made>;

    /// The shape of the decoder that it works with; none where it works with none.
    fn model<'a>(&self, _recipe: &'a Recipe) -> Option<&'a Model> {
        None
    }

    /// Which work that decoder does, and the bytes of memory that it holds for it.
    fn model_memory(&self, _recipe: &Recipe, _model: &cognate_model::Config) -> Option<(&'static str, f64)> {
        None
    }

    /// What the pairs of the set at `set` take beside being written.
    fn cost(&self, estimate: &Estimate<'_>, set: usize) -> Effort;

    /// Bytes of memory that making the pairs of the set at `set` takes.
    fn memory(&self, estimate: &Estimate<'_>, set: usize) -> f64 {
        estimate.unique_bytes() + estimate.pairs(set) * PAIR_BYTES
    }

    /// What its pairs are, as a report says it; none where similarities say more.
    fn told(&self) -> Option<String>;

    /// What it passes over, in words, and in what unit.
    fn passed_over(&self) -> (&'static str, &'static str) {
        ("passed over, of documents of other splits", "pairs")
    }

    /// What gives more pairs.
    fn more(&self) -> &'static str {
        "raise [corpus] unique_share, or give more"
    }
}

/// Bytes of a pair in memory, and on disk.
pub(crate) const PAIR_BYTES: f64 = 24.0;

/// What making pairs takes.
#[derive(Default)]
pub(crate) struct Effort {
    pub(crate) flops: f64,
    pub(crate) wall_s: f64,
    /// On disk, of texts of their own.
    pub(crate) texts_bytes: f64,
}

/// Pairs to make: of which set, from what, and where to.
#[derive(Clone, Copy)]
pub(crate) struct Job<'a> {
    pub(crate) context: &'a Context<'a>,
    /// The set's place in the recipe.
    pub(crate) set: usize,
    pub(crate) folder: &'a Path,
    pub(crate) monitor: &'a dyn Monitor,
}

/// The pairs of another set.
pub(crate) struct Source {
    /// Its place in the recipe.
    pub(crate) set: usize,
    /// What its pairs name.
    pub(crate) ids: Vec<String>,
    /// How many of these are, or were made of, unique documents.
    pub(crate) unique: usize,
}

impl Job<'_> {
    pub(crate) fn pairs(&self) -> &PairSet {
        &self.context.recipe.pairs[self.set]
    }

    pub(crate) fn seed(&self) -> u64 {
        self.context.recipe.seed
    }

    /// What the stage is called in messages.
    pub(crate) fn label(&self) -> String {
        Step::Pair(self.set).label(self.context.recipe)
    }

    /// What is known of the set called `of`.
    pub(crate) fn source(&self, of: &str) -> Result<Source> {
        let set = self.context.recipe.pair_set(of);
        let (ids, unique) = ids(self.context, set, self.monitor)?;
        Ok(Source { set, ids, unique })
    }

    /// Pairs of a file of another set.
    pub(crate) fn read(&self, source: &Source, file: &str) -> Result<Vec<cognate_pair::Pair>> {
        let artifact = self.context.made(Step::Pair(source.set));
        Ok(read_pairs(&artifact.path(file), &source.ids, self.monitor)?)
    }

    /// Writes the pairs of documents with these `ids`, and what was counted of them.
    pub(crate) fn write(&self, mut made: Made, ids: &[String], pairs: &Pairs, statistics: Value) -> Result<Made> {
        for (file, pairs) in [("train.parquet", &pairs.train), ("held_out.parquet", &pairs.held_out)] {
            write_pairs(&self.folder.join(file), ids, pairs)?;
            made.rows(file, pairs.len() as u64);
        }
        made.work = Work { statistics, documents: ids.len() as u64, ..Work::default() };
        Ok(made)
    }
}

/// Says at once where what measures is not unseen.
pub(crate) fn tell_unseen(label: &str, unseen: &UnseenStats) {
    if !unseen.measure {
        let more = match unseen.documents {
            0 => "Vectors or pairs that name the selection split's documents, where there is one, would do",
            _ => "A larger [corpus] selection_share gives more",
        };
        tracing::warn!(
            "{label}: {} of the selection split's documents have a related unique one, too few to measure by. So pairs of unique documents \
             measure, which [pair] held_out_share holds out of tuning. But the base model has been trained on their texts, and what a seed \
             is worth will look like too little. {more}",
            unseen.with_pairs
        );
    }
}

impl Source {
    /// What is counted of pairs that were taken from it, with its held-out pairs.
    pub(crate) fn counts(&self, pairs: &Pairs) -> Value {
        let measure = pairs.held_out.iter().any(|pair| pair.second as usize >= self.unique);
        counts(pairs, 0, UnseenStats { measure, ..UnseenStats::default() })
    }
}

/// What is counted of pairs that were not looked for.
pub(crate) fn counts(pairs: &Pairs, passed_over: u64, unseen: UnseenStats) -> Value {
    let (train, held_out) = (pairs.train.len(), pairs.held_out.len());
    json!({"train_pairs": train, "held_out_pairs": held_out, "passed_over": passed_over, "unseen": unseen})
}

impl Estimate<'_> {
    /// Bytes on disk of texts that are as long as documents, two for each of so many pairs.
    pub(crate) fn texts_bytes(&self, pairs: f64) -> f64 {
        2.0 * pairs * (self.survey.bytes_per_document * crate::estimate::PACKED + self.token_bytes(self.mean(), 1.0))
    }

    /// Bytes of memory for each different word of the unique documents.
    pub(crate) fn words_bytes(&self) -> f64 {
        self.different_words(self.unique_bytes()) * WORD_BYTES
    }

    /// Seconds of making so many bytes of text into tokens.
    pub(crate) fn encode_s(&self, bytes: f64) -> f64 {
        bytes / self.survey.encode_bytes_per_s
    }
}

/// Bytes of a word in a table of words.
const WORD_BYTES: f64 = 100.0;
