//! Generation as the stage does it, on made-up prompts and for a fixed number of tokens: what a benchmark times.

use cognate_base::Monitor;
use cognate_base::random::{self, Rng};
use cognate_model::{DecodeCache, Decoder};
use cognate_ops::{Device, Precision};

use super::engine::ModelEngine;
use super::numbers::Numbers;
use super::schedule::{self, Progress, Prompts, Rules};
use crate::error::Result;
use crate::sampling::Sampling;

/// Prompts of uniform tokens.
struct MadeUp {
    tokens: usize,
    vocab: usize,
}

impl Prompts for MadeUp {
    fn prompt(&self, number: u64) -> Vec<u32> {
        let mut stream = random::stream(0, "bench", number);
        (0..self.tokens).map(|_| (stream.next_u64() % self.vocab as u64) as u32).collect()
    }

    fn seed_id(&self, _number: u64) -> &str {
        "a made-up prompt"
    }
}

/// The same number of documents of the same length, again and again.
pub struct TimedGeneration<'a, D: Device> {
    engine: ModelEngine<'a, D>,
    prompts: MadeUp,
    rules: Rules,
}

impl<'a, D: Device> TimedGeneration<'a, D> {
    /// Makes the cache for `documents` documents of `new_tokens` tokens each, after prompts of `prompt_tokens`, all at the same time.
    /// No document ends early.
    ///
    /// # Errors
    /// When the machine has no memory for it.
    pub fn new(
        model: &'a mut Decoder<D>,
        documents: usize,
        (prompt_tokens, new_tokens): (usize, usize),
        sampling: Sampling,
        precision: Precision,
    ) -> Result<Self> {
        let (vocab, end_of_document) = (model.config().vocab, 0);
        let cache = DecodeCache::new(model, documents, prompt_tokens + new_tokens, precision)?;
        let rules = Rules {
            seed: 0,
            sampling,
            max_new_tokens: new_tokens,
            end_of_document,
            never: vec![end_of_document],
            vocab,
            numbers: Numbers::first_few(documents as u64),
        };
        let engine = ModelEngine { slots: documents, vocab, cache, model };
        Ok(Self { engine, prompts: MadeUp { tokens: prompt_tokens, vocab }, rules })
    }

    /// Writes the documents and throws them away.
    ///
    /// # Errors
    /// When the sampling settings are impossible, a logit is not a number, the model refuses, or the monitor asks to stop.
    pub fn run(&mut self, monitor: &dyn Monitor) -> Result<()> {
        let Self { engine, prompts, rules } = self;
        schedule::run(engine, prompts, rules, &mut Progress::default(), &mut |_| Ok(()), monitor)
    }
}
