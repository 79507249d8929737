//! What a stage would take: arithmetic on what the corpus looks like and how fast the machine is. Each stage's own part stands in its
//! file; here is what they share, and what is known before.

mod known;
mod sizes;
#[cfg(test)]
mod tests;

use std::path::Path;

use cognate_model::Config;
use cognate_pair::{lsa_bytes, neighbours_bytes, neighbours_needed};

use crate::arms::steps_of;
use crate::recipe::{Embed, Recipe, SeedsOf, Training, model_config};
use crate::stages::Stage;
use crate::step::Replicate;

pub use known::StagePlan;
pub(crate) use known::{Measured, Size, Speed, Survey};

/// Bytes that the training of `stage` leaves on disk at most, with a vocabulary of `vocabulary`: the newest checkpoints and the best one,
/// each with two moments beside the weights. `best` and `final` are second names of files in them. None where nothing is trained.
pub(crate) fn trained_bytes(recipe: &Recipe, stage: &dyn Stage, vocabulary: usize) -> Option<f64> {
    let keep = stage.keeps_checkpoints(recipe)?;
    let config = config_of(recipe, stage, vocabulary)?;
    Some((keep as f64 + 1.0) * 3.0 * config.parameter_bytes())
}

/// The decoder that a stage works with; none where it works with none.
pub(crate) fn config_of(recipe: &Recipe, stage: &dyn Stage, vocabulary: usize) -> Option<Config> {
    stage.model(recipe).map(|model| model_config(recipe, model, vocabulary))
}

/// Which work of its models a stage does, and the bytes of memory that it holds for it; none where it is done elsewhere. A step of
/// training ends with a whole document: `with_longest` counts one as long as the context, which no document need be.
pub(crate) fn needed_memory(
    recipe: &Recipe,
    stage: &dyn Stage,
    vocabulary: usize,
    with_longest: bool,
) -> Option<(&'static str, f64)> {
    let longest = |context: usize| if with_longest { context } else { 0 };
    let config = config_of(recipe, stage, vocabulary)?;
    stage.model_memory(recipe, &config, &longest)
}

/// Operations of the search for the neighbours of `documents` vectors of `width` numbers: every pair of them is multiplied once.
pub(crate) fn search_flops(documents: f64, width: f64) -> f64 {
    documents.powi(2) * width
}

/// What a synthesis writes.
pub(crate) struct Written {
    pub(crate) documents: f64,
    /// Tokens of one.
    pub(crate) length: f64,
    /// Tokens of the seed that it is written from.
    pub(crate) seed: f64,
}

/// What is known before anything is run.
pub(crate) struct Estimate<'a> {
    pub(crate) recipe: &'a Recipe,
    pub(crate) survey: &'a Survey,
    /// What the stages that were done for it have shown.
    pub(crate) measured: &'a Measured,
    pub(crate) speed: &'a Speed,
    /// Operations of everything that a model costs, as `graph.rs` adds them, which lies above the stages.
    pub(crate) whole_flops: fn(&Estimate<'_>, Replicate) -> f64,
}

/// Packed bytes of a byte of text, as zstd leaves plain English.
pub(crate) const PACKED: f64 = 0.35;
/// Bytes of a file of vectors or pairs that are hashed, read and written again in a second.
const GIVEN_BYTES_PER_S: f64 = 50e6;
/// Operations per second of the dense products that the neighbour search consists of, per thread.
const PAIR_FLOPS_PER_S: f64 = 50e9;
/// Bytes of a word and the space behind it, as in plain English.
pub(crate) const WORD_BYTES: f64 = 6.0;
/// Bytes of text for each different word of a document, as in documents of some hundred words.
pub(crate) const ENTRY_BYTES: f64 = 9.0;
/// Bytes that the program itself holds before any stage: its code, threads, and what is kept of earlier stages.
pub(crate) const PROGRAM_BYTES: f64 = 30e6;

/// What a stage takes, before it is rounded.
#[derive(Default)]
pub(crate) struct Cost {
    pub(crate) documents: f64,
    pub(crate) tokens: f64,
    pub(crate) flops: f64,
    /// On disk.
    pub(crate) bytes: f64,
    pub(crate) wall_s: f64,
    /// The figures that follow from the recipe and what was measured.
    pub(crate) known: &'static [&'static str],
}

impl Estimate<'_> {
    /// The decoder that a stage works with, or the recipe's.
    pub(crate) fn config(&self, stage: &dyn Stage) -> Config {
        let (recipe, vocabulary) = (self.recipe, self.vocabulary());
        config_of(recipe, stage, vocabulary).unwrap_or_else(|| model_config(recipe, &recipe.model, vocabulary))
    }

    /// Bytes of memory that a stage holds for the work of its model; 0 where that is done elsewhere.
    pub(crate) fn model_memory(&self, stage: &dyn Stage) -> f64 {
        needed_memory(self.recipe, stage, self.vocabulary(), true).map_or(0.0, |(_, bytes)| bytes)
    }

    /// Numbers of a vector of an embedding.
    fn dimensions(&self, embedding: &str) -> f64 {
        self.recipe.embeddings[self.recipe.embedding(embedding)].embed.dimensions as f64
    }

    /// Operations of the search for neighbours among the unique documents, by an embedding.
    pub(crate) fn search_flops(&self, embedding: &str) -> f64 {
        search_flops(self.unique_documents(), self.dimensions(embedding))
    }

    /// Bytes that a search for neighbours takes.
    pub(crate) fn search_bytes(&self, embedding: &str, neighbours: usize) -> f64 {
        let unique = self.unique_documents();
        let k = neighbours_needed(neighbours, unique as usize) as f64;
        // Near-copies are known by texts and their n-grams, which are as many as their words.
        let copies = self.unique_bytes() * (1.0 + size_of::<u32>() as f64 / WORD_BYTES);
        neighbours_bytes(unique, self.dimensions(embedding), k) + copies
    }

    /// Bytes that embedding the unique documents takes, their texts included.
    pub(crate) fn embedding_bytes(&self, embed: &Embed) -> f64 {
        let text = self.unique_bytes();
        let terms = self.different_words(text).min(embed.max_terms as f64);
        text + lsa_bytes(self.unique_documents(), terms, text / ENTRY_BYTES, embed.dimensions as f64)
    }

    /// Different words of so many bytes of text: Heaps' law, with the exponent and the factor that plain English has.
    pub(crate) fn different_words(&self, bytes: f64) -> f64 {
        20.0 * (bytes / WORD_BYTES).sqrt()
    }

    /// Seconds of forward passes of `flops` operations.
    pub(crate) fn passes_s(&self, flops: f64) -> f64 {
        flops / self.speed.training_flops_per_s
    }

    /// Seconds of `steps` training steps that take `flops` operations together.
    pub(crate) fn steps_s(&self, config: &Config, flops: f64, steps: f64) -> f64 {
        self.passes_s(flops) + steps * config.parameters() as f64 * self.speed.update_s
    }

    /// Tokens of a training: its budget, or what comes of the rows of everything that another arm costs.
    pub(crate) fn training_tokens(&self, training: &Training, seed: u64) -> u64 {
        let (recipe, train) = (self.recipe, &training.train);
        let Some(other) = &training.operations_of else { return train.tokens() };
        let flops = (self.whole_flops)(self, Replicate { arm: recipe.arm(other), seed });
        let config = model_config(recipe, &training.model, self.vocabulary());
        let tokens = train.batch_tokens as f64;
        let context = self.mean().min(training.model.context as f64) / 2.0;
        steps_of(flops, config.training_flops(tokens, tokens, context)) * train.batch_tokens as u64
    }

    /// What is written for the corpus at `corpus`.
    pub(crate) fn written(&self, corpus: usize) -> Written {
        let (synthetic, mean) = (&self.recipe.synthetic[corpus], self.mean());
        let generate = &synthetic.generate;
        let need = self.recipe.synthetic_tokens(corpus) as f64;
        let length = mean.min(generate.max_new_tokens as f64);
        let seed = if synthetic.seeds == SeedsOf::None { 0.0 } else { mean.min(generate.max_seed_tokens as f64) };
        Written { documents: need * (1.0 + generate.oversample) / length, length, seed }
    }

    /// Seconds that taking a given file takes.
    pub(crate) fn given_s(&self, path: &Path) -> f64 {
        let file = fs_err::metadata(self.recipe.at(path));
        file.map_or(0.0, |file| file.len() as f64 / GIVEN_BYTES_PER_S)
    }

    /// Seconds that `flops` of the search for neighbours take.
    pub(crate) fn search_s(&self, flops: f64) -> f64 {
        flops / (PAIR_FLOPS_PER_S * self.speed.threads as f64)
    }

    pub(crate) fn token_bytes(&self, tokens: f64, documents: f64) -> f64 {
        let size = if self.vocabulary() < 65_500 { 2.0 } else { 4.0 };
        tokens * size + documents * 20.0
    }

    /// The newest checkpoints and the best one, each with two moments beside the weights.
    pub(crate) fn training_bytes(&self, stage: &dyn Stage) -> f64 {
        let bytes = trained_bytes(self.recipe, stage, self.vocabulary());
        // Of an arm with a sweep, other seeds are trained as the chosen candidate is.
        bytes.unwrap_or_else(|| {
            (self.recipe.train.keep_checkpoints as f64 + 1.0) * 3.0 * self.config(stage).parameter_bytes()
        })
    }
}
