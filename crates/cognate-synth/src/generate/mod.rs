//! The stage `generate`: d1 ~ Uniform(D), d2 ~ p(· | d1) from the tuned synthesizer, until enough tokens are written.
//!
//! | module | what lives there |
//! |---|---|
//! | [`config`](GenerateConfig) | how to generate, and what was generated |
//! | `engine` | the decoder as what documents are drawn from |
//! | [`seeds`] | the seed of each document, and its prompt |
//! | `schedule` | continuous batching, without model or files |
//! | `precision` | what a lower precision costs |
//! | `numbers` | which documents, and when it is enough |
//! | [`files`] | files of synthetic documents, and [`join`] for the parts of one generation |
//! | `store` | the local decoder's documents on their way into them, resume |
//! | [`sample`](write_related) | a few documents of one text, to read |
//! | [`told`](generate_told) | documents that no model writes |
//! | [`timed`](TimedGeneration) | the same on made-up prompts, for benchmarks |

mod config;
mod engine;
pub mod files;
pub mod join;
mod numbers;
mod precision;
mod sample;
mod schedule;
pub mod seeds;
mod store;
#[cfg(test)]
mod tests;
mod timed;
mod told;

use std::path::Path;

use cognate_base::{Interrupted, Monitor, Unsaved, process};
use cognate_corpus::Tokenizer;
use cognate_model::{Config, DecodeCache, Decoder};
use cognate_ops::{Device, Precision};

use crate::error::{Error, Result};
use crate::metadata::Marks;
use crate::rows;
pub use config::{GenerateConfig, GenerateStats};
use engine::ModelEngine;
pub(crate) use engine::never;
pub(crate) use numbers::Numbers;
pub use numbers::{Part, Target};
pub use precision::PrecisionEffect;
pub use sample::{Sample, write_related};
use schedule::{Engine, Rules};
pub(crate) use schedule::{Finish, Prompts};
use seeds::{SPECIAL_TOKENS, Seeds};
use store::{Records, Store};
pub use timed::TimedGeneration;
pub use told::generate_told;

/// Generates synthetic documents into `out` (see [`files`]), or continues where an earlier call with the same settings stopped.
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
    let (related, rows) = (tokenizer.related()?, model.config().vocab);
    rows::check_frame(rows, tokenizer)?;
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
    let precision_effect = match config.precision {
        Precision::F32 => None,
        Precision::Int8 => precision::effect(model, &config.prompts(seeds, tokenizer, related), config, monitor)?,
    };
    check_memory(model.config(), config)?;
    let cache = DecodeCache::new(model, config.slots, config.capacity_tokens(), config.precision)?;
    let mut engine = ModelEngine { slots: config.slots, vocab: rows, cache, model };
    let stats = generate_with(&mut engine, tokenizer, seeds, out, config, monitor)?;
    Ok(GenerateStats { precision_effect, ..stats })
}

/// Bytes that generation holds at most: the synthesizer, its caches, and the prompts that are read at a time.
pub fn generate_bytes(
    model: &Config,
    slots: usize,
    max_seed_tokens: usize,
    max_new_tokens: usize,
    precision: Precision,
) -> f64 {
    let longest = SPECIAL_TOKENS.saturating_add(max_seed_tokens);
    // Prompts are begun until they are enough, the last one whole; every other slot is fed one token.
    let most = (schedule::PROMPT_TOKENS_PER_STEP.saturating_add(longest)).min(slots.saturating_mul(longest));
    model.decoding_bytes(slots, longest.saturating_add(max_new_tokens), most.saturating_add(slots), precision)
}

/// Refuses slots for whose caches there is no memory.
fn check_memory(model: &Config, config: &GenerateConfig) -> Result<()> {
    let total = process::memory().map_or(f64::MAX, |memory| memory.total as f64);
    let bytes = |slots| generate_bytes(model, slots, config.max_seed_tokens, config.max_new_tokens, config.precision);
    // Whatever the memory, a cache has as many numbers as can be counted.
    let fits = |slots: usize| bytes(slots) <= total.min(isize::MAX as f64);
    if fits(config.slots) {
        return Ok(());
    }
    // The largest that is the asked-for number halved some times: one that is useful, not the last one possible.
    let most = (0..usize::BITS).map(|shift| config.slots >> shift).find(|&slots| fits(slots));
    let each = (bytes(config.slots) - bytes(0)) / config.slots as f64 / f64::from(1 << 20);
    let expected = format!(
        "at most {}: each takes {each:.1} MiB of memory, and there is not so much",
        most.filter(|&most| most > 0).map_or_else(|| "none".to_owned(), |most| most.to_string())
    );
    Err(Error::setting("slots", config.slots, expected))
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
    // A logit for each token that has a row.
    let vocab = tokenizer.vocab_size().min(engine.vocab());
    seeds.check(vocab, monitor)?;
    let prompts = config.prompts(seeds, tokenizer, related);
    let numbers = Numbers::of(config);
    let rules = Rules {
        seed: config.seed,
        sampling: config.sampling,
        max_new_tokens: config.max_new_tokens,
        end_of_document,
        never: never(tokenizer, vocab),
        vocab,
        numbers,
    };
    let records = Records {
        synthesizer: &config.synthesizer,
        sampling: config.sampling_record(),
        samples_per_seed: config.samples_per_seed,
        seed_id: &|number| prompts.named_seed(number).map(str::to_owned),
        decode: &|tokens| Ok(tokenizer.decode(tokens)?),
        marks: Marks::of(tokenizer),
    };
    let settings = config.settings(seeds, tokenizer, related, monitor)?;
    let (mut store, mut progress) = Store::open(out, &settings, records, config, monitor)?;
    let (total, unit) = numbers.total();
    monitor.begin("generate", Some(total), unit);
    let unsaved = Unsaved::hold(monitor);
    let outcome = schedule::run(engine, &prompts, &rules, &mut progress, &mut |finished| store.push(finished), monitor);
    if outcome.as_ref().is_err_and(|error| Interrupted::caused(error)) {
        store.save_partial(&progress)?;
    }
    drop(unsaved);
    monitor.end();
    outcome?;
    store.finish(&prompts, monitor)
}
