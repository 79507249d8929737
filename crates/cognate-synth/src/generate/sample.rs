//! A few documents of one text, to read.

use cognate_base::Monitor;
use cognate_corpus::{Cut, Tokenizer};
use cognate_model::{DecodeCache, Decoder};
use cognate_ops::{Device, Precision};
use serde::Serialize;

use super::engine::{ModelEngine, never};
use super::numbers::Numbers;
use super::schedule::{self, Finish, Finished, Progress, Prompts, Rules};
use super::seeds::SPECIAL_TOKENS;
use crate::error::{Error, Result};
use crate::rows;
use crate::sampling::Sampling;

/// Documents written at the same time.
const SLOTS: usize = 32;

/// A document that was written.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sample {
    /// What it says.
    pub text: String,
    /// Drawn tokens, the closing end-of-document token included.
    pub tokens: usize,
    /// Nats per drawn token under the untempered model.
    pub mean_log_probability: f64,
    /// `eod`: it ended itself; `cap`: it was cut.
    pub finish_reason: &'static str,
}

struct OneSeed(Vec<u32>);

impl Prompts for OneSeed {
    fn prompt(&self, _number: u64) -> Vec<u32> {
        self.0.clone()
    }

    fn seed_id(&self, _number: u64) -> &str {
        "the given text"
    }
}

/// Writes `count` documents related to `text`, of at most `max_new_tokens` tokens. A text that does not fit in front of them is cut,
/// as the second value says. The same `seed` gives the same documents, and more of them with a
/// larger `count`.
///
/// # Errors
/// When the settings are impossible, the text has no tokens, a token has no row in the model's embedding, the tokenizer has no token for related documents, a
/// logit is not a number, or the monitor interrupts.
pub fn write_related<D: Device>(
    model: &mut Decoder<D>,
    tokenizer: &Tokenizer,
    text: &str,
    (count, max_new_tokens): (usize, usize),
    (sampling, seed): (Sampling, u64),
    monitor: &dyn Monitor,
) -> Result<(Vec<Sample>, Option<Cut>)> {
    sampling.check()?;
    let related = tokenizer.related()?;
    let (rows, max_positions) = (model.config().vocab, model.config().max_positions);
    rows::check_frame(rows, tokenizer)?;
    let room = max_positions.saturating_sub(SPECIAL_TOKENS.saturating_add(max_new_tokens));
    if max_new_tokens == 0 || room == 0 {
        let expected =
            format!("from 1 to {}, so that the model's context holds a seed too", max_positions.saturating_sub(3));
        return Err(Error::setting("max_new_tokens", max_new_tokens, expected));
    }
    let mut tokens = tokenizer.encode(text)?;
    if tokens.is_empty() {
        return Err(Error::setting("seed-text", "an empty text", "a document to start from"));
    }
    rows::check(&tokens, rows, tokenizer, || "the given text".to_owned())?;
    let cut = tokenizer.cut(&tokens, room);
    tokens.truncate(cut.map_or(room, |cut| cut.tokens));
    let mut prompt = vec![tokenizer.begin_of_document()];
    prompt.extend(tokens);
    prompt.push(related);
    let slots = count.clamp(1, SLOTS);
    let cache = DecodeCache::new(model, slots, prompt.len() + max_new_tokens, Precision::F32)?;
    let mut engine = ModelEngine { slots, vocab: rows, cache, model };
    let vocab = tokenizer.vocab_size().min(rows);
    let rules = Rules {
        seed,
        sampling,
        max_new_tokens,
        end_of_document: tokenizer.end_of_document(),
        never: never(tokenizer, vocab),
        vocab,
        numbers: Numbers::first_few(count as u64),
    };
    let mut samples = Vec::new();
    let mut sink = |finished: &Finished| {
        let total = f64::from_bits(finished.log_probability_bits);
        samples.push(Sample {
            text: tokenizer.decode(&finished.tokens)?,
            tokens: finished.tokens.len(),
            mean_log_probability: total / finished.tokens.len().max(1) as f64,
            finish_reason: match finished.finish {
                Finish::Eod => "eod",
                Finish::Cap => "cap",
            },
        });
        Ok(())
    };
    schedule::run(&mut engine, &OneSeed(prompt), &rules, &mut Progress::default(), &mut sink, monitor)?;
    Ok((samples, cut))
}
