//! The stage `generate`: d1 ~ Uniform(D), d2 ~ p(· | d1) from the tuned synthesizer, until enough tokens are written.
//!
//! | module | what lives there |
//! |---|---|
//! | [`seeds`] | the seed of each document, and its prompt |
//! | `schedule` | continuous batching, without model or files |
//! | [`store`] | files of synthetic documents, resume |
//! | [`timed`](write_made_up) | the same on made-up prompts, for benchmarks |

mod schedule;
pub mod seeds;
pub mod store;
#[cfg(test)]
mod tests;
mod timed;

use std::collections::HashSet;
use std::path::Path;

use cognate_base::{Monitor, Unit};
use cognate_corpus::Tokenizer;
use cognate_model::{DecodeCache, Decoder};
use cognate_ops::Device;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::sampling::Sampling;
use schedule::{Engine, Rules};
pub(crate) use schedule::{Finish, Prompts};
use seeds::{SPECIAL_TOKENS, SeedPrompts, Seeds, seed_of};
use store::{Records, Store};

pub use timed::write_made_up;

/// The version of the records and of how they come about; part of what a restart compares.
///
/// 2: a uniform number inverts the nucleus in the order of ids.
const FORMAT: u64 = 2;

/// How to generate.
#[derive(Clone, Debug, PartialEq)]
pub struct GenerateConfig {
    /// With the document's number, decides its seed and every draw.
    pub seed: u64,
    /// The number of the first document. Two folders, the second of which begins where the first ended, hold the documents that
    /// one with both targets would.
    pub first_document: u64,
    /// Stops with the first document at which the drawn tokens of all documents so far reach this.
    pub target_tokens: u64,
    /// How tokens are drawn.
    pub sampling: Sampling,
    /// Longest synthetic document, in tokens; a document that reaches it is cut and marked `cap`.
    pub max_new_tokens: usize,
    /// A longer seed keeps this many of its first tokens.
    pub max_seed_tokens: usize,
    /// Documents generated at a time. Changes the speed, never the documents.
    pub slots: usize,
    /// Documents per output file.
    pub shard_documents: usize,
    /// The synthesizer's fingerprint, for the records.
    pub synthesizer: String,
}

impl GenerateConfig {
    /// Refuses what cannot be meant.
    ///
    /// # Errors
    /// [`Error::Setting`], naming the field.
    pub fn check(&self) -> Result<()> {
        self.sampling.check()?;
        let positive = [
            ("target_tokens", self.target_tokens),
            ("max_new_tokens", self.max_new_tokens as u64),
            ("max_seed_tokens", self.max_seed_tokens as u64),
            ("slots", self.slots as u64),
            ("shard_documents", self.shard_documents as u64),
        ];
        match positive.into_iter().find(|&(_, value)| value == 0) {
            Some((field, value)) => Err(Error::setting(field, value, "at least 1")),
            None => Ok(()),
        }
    }

    /// Tokens that a slot may hold.
    pub(crate) fn capacity_tokens(&self) -> usize {
        SPECIAL_TOKENS + self.max_seed_tokens + self.max_new_tokens
    }

    /// Everything that the documents depend on.
    pub(crate) fn settings(&self, seeds: &Seeds, end_of_document: u32, related: u32) -> Map<String, Value> {
        let settings = [
            ("format", FORMAT.into()),
            ("sampling", self.sampling_record()),
            ("first_document", self.first_document.into()),
            ("target_tokens", self.target_tokens.into()),
            ("shard_documents", self.shard_documents.into()),
            ("synthesizer", self.synthesizer.as_str().into()),
            ("seeds", seeds.fingerprint().to_string().into()),
            ("special_tokens", json!({"end_of_document": end_of_document, "related": related})),
        ];
        settings.into_iter().map(|(name, value): (&str, Value)| (name.to_owned(), value)).collect()
    }

    /// The sampling settings as each record holds them.
    pub(crate) fn sampling_record(&self) -> Value {
        json!({
            "seed": self.seed, "temperature": self.sampling.temperature, "top_p": self.sampling.top_p,
            "max_seed_tokens": self.max_seed_tokens, "max_new_tokens": self.max_new_tokens,
        })
    }
}

/// What was generated. The same for a run that was interrupted and one that was not.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GenerateStats {
    /// Documents written.
    pub documents: u64,
    /// Their drawn tokens, closing end-of-document tokens included.
    pub tokens: u64,
    /// Tokens of their prompts.
    pub prompt_tokens: u64,
    /// Documents that ended with their end-of-document token.
    pub ended: u64,
    /// Documents cut at the cap.
    pub capped: u64,
    /// Documents whose seed was longer than `max_seed_tokens` and lost its end.
    pub seeds_cut: u64,
    /// Different seeds among the documents'.
    pub distinct_seeds: u64,
    /// Nats per drawn token under the untempered model, over all tokens.
    pub mean_log_probability: f64,
}

/// Generates synthetic documents into `out` (see [`store`]), or continues where an earlier call with the same settings stopped.
///
/// # Errors
/// [`Error::Interrupted`] when the monitor says so, with finished documents saved; otherwise as the variants of [`Error`] tell.
pub fn generate<D: Device>(
    model: &mut Decoder<D>,
    tokenizer: &Tokenizer,
    seeds: &Seeds,
    out: &Path,
    config: &GenerateConfig,
    monitor: &dyn Monitor,
) -> Result<GenerateStats> {
    config.check()?;
    let (model_vocab, vocab) = (model.config().vocab, tokenizer.vocab_size());
    if model_vocab < vocab {
        return Err(Error::Vocabulary { model: model_vocab, tokenizer: vocab });
    }
    let max_positions = model.config().max_positions;
    if config.capacity_tokens() > max_positions {
        return Err(Error::Context {
            max_positions,
            max_seed_tokens: config.max_seed_tokens,
            special: SPECIAL_TOKENS,
            max_new_tokens: config.max_new_tokens,
            excess: config.capacity_tokens() - max_positions,
        });
    }
    let cache = DecodeCache::new(model, config.slots, config.capacity_tokens());
    let mut engine = ModelEngine { slots: config.slots, vocab: model_vocab, cache, model };
    generate_with(&mut engine, tokenizer, seeds, out, config, monitor)
}

/// The stage behind its checks, for any engine.
fn generate_with(
    engine: &mut dyn Engine,
    tokenizer: &Tokenizer,
    seeds: &Seeds,
    out: &Path,
    config: &GenerateConfig,
    monitor: &dyn Monitor,
) -> Result<GenerateStats> {
    let (end_of_document, related) = (tokenizer.end_of_document(), tokenizer.related()?);
    let prompts =
        SeedPrompts { seeds, seed: config.seed, max_seed_tokens: config.max_seed_tokens, end_of_document, related };
    let rules = Rules {
        seed: config.seed,
        sampling: config.sampling,
        max_new_tokens: config.max_new_tokens,
        end_of_document,
        // It only ever stands before a document, never in one.
        never: vec![related],
        vocab: tokenizer.vocab_size(),
        target_tokens: config.target_tokens,
    };
    let records = Records {
        synthesizer: &config.synthesizer,
        sampling: config.sampling_record(),
        seed_id: &|number| prompts.named_seed(number).map(str::to_owned),
        decode: &|tokens| tokenizer.decode(tokens),
    };
    let settings = config.settings(seeds, end_of_document, related);
    let (mut store, mut progress) = Store::open(out, &settings, records, config)?;
    monitor.begin("generate", Some(config.target_tokens), Unit::Tokens);
    let outcome = schedule::run(engine, &prompts, &rules, &mut progress, &mut |finished| store.push(finished), monitor);
    monitor.end();
    if matches!(outcome, Err(Error::Interrupted)) {
        store.save_partial(&progress)?;
    }
    outcome?;
    let mut stats = store.finish()?;
    add_seed_figures(&mut stats, &prompts, config.first_document);
    Ok(stats)
}

/// Fills in what follows from the documents' numbers alone.
fn add_seed_figures(stats: &mut GenerateStats, prompts: &SeedPrompts<'_>, first: u64) {
    let mut distinct = HashSet::new();
    for number in first..first + stats.documents {
        let tokens = prompts.seed_tokens(number);
        if !prompts.seeds.is_empty() {
            distinct.insert(seed_of(prompts.seed, number, prompts.seeds.len()));
        }
        stats.seeds_cut += u64::from(tokens > prompts.max_seed_tokens);
        stats.prompt_tokens += (tokens.min(prompts.max_seed_tokens) + prompts.special_tokens()) as u64;
    }
    stats.distinct_seeds = distinct.len() as u64;
}

/// The synthesizer with its key/value cache.
struct ModelEngine<'a, D: Device> {
    slots: usize,
    vocab: usize,
    cache: DecodeCache<D>,
    model: &'a mut Decoder<D>,
}

impl<D: Device> Engine for ModelEngine<'_, D> {
    fn slots(&self) -> usize {
        self.slots
    }

    fn vocab(&self) -> usize {
        self.vocab
    }

    fn reset(&mut self, slot: usize) {
        self.cache.reset(slot);
    }

    fn advance(&mut self, work: &[(usize, &[u32])], logits: &mut Vec<f32>) -> Result<()> {
        Ok(self.model.advance(&mut self.cache, work, logits)?)
    }

    fn each(&self, tasks: usize, body: &(dyn Fn(usize) + Sync)) {
        self.model.device().each(tasks, body);
    }
}
