//! Documents that no model writes: somebody who knows more tells them, from the seeds that a synthesizer would write from.

use std::path::Path;

use cognate_base::Monitor;
use cognate_corpus::{Document, Tokenizer};
use cognate_ops::Precision;
use serde_json::{Map, json};

use super::config::{GenerateConfig, GenerateStats};
use super::files::{Files, document_id};
use super::numbers::Numbers;
use super::schedule::Finish;
use super::seeds::Seeds;
use crate::error::Result;
use crate::metadata::{self, Marks};
use crate::sampling::Sampling;

/// Writes documents into `out` as [`generate`](super::generate) does, each as `tell` has it, which is given the document's number and its
/// seed's identifier; none where there are no seeds. A document is as long as it is told. Of what was interrupted the finished files are
/// taken up.
///
/// # Errors
/// [`Error::Interrupted`](crate::Error::Interrupted) when the monitor says so; otherwise as the variants of [`Error`](crate::Error) tell.
pub fn generate_told(
    tell: &dyn Fn(u64, Option<&str>) -> String,
    tokenizer: &Tokenizer,
    seeds: &Seeds,
    out: &Path,
    config: &GenerateConfig,
    monitor: &dyn Monitor,
) -> Result<GenerateStats> {
    // Nothing is cut: who tells reads all of a seed, and ends when all is said.
    let config = GenerateConfig {
        max_seed_tokens: usize::MAX,
        max_new_tokens: usize::MAX,
        // Nor is anything drawn from a model.
        sampling: Sampling::nucleus(1.0, 1.0),
        precision: Precision::F32,
        ..config.clone()
    };
    config.check()?;
    let related = tokenizer.related()?;
    seeds.check(tokenizer.vocab_size(), monitor)?;
    let prompts = config.prompts(seeds, tokenizer, related);
    let settings = config.settings(seeds, tokenizer, related, monitor)?;
    let (marks, numbers) = (Marks::of(tokenizer), Numbers::of(&config));
    let mut files = Files::open(out, &settings, &config, monitor)?;
    let (mut next, mut tokens, mut waiting) = (files.next(), files.tokens(), Vec::new());
    let (total, unit) = numbers.total();
    monitor.begin("generate", Some(total), unit);
    while !numbers.reached(next, tokens) {
        monitor.check()?;
        let seed = prompts.named_seed(next);
        let text = tell(next, seed);
        // The token that ends it is one of its own.
        let of_text = tokenizer.encode(&text)?.len() as u64 + 1;
        let mut fields = Map::new();
        if let Some(seed) = seed {
            fields.insert(metadata::SEED_ID.into(), seed.into());
        }
        metadata::insert_sample(&mut fields, next, config.samples_per_seed);
        fields.insert(metadata::SYNTHESIZER.into(), config.synthesizer.as_str().into());
        fields.insert(metadata::FINISH_REASON.into(), json!(Finish::Eod));
        fields.insert(metadata::TOKENS.into(), of_text.into());
        marks.insert(&mut fields, &text);
        waiting.push(Document { id: document_id(next), text, group: None, metadata: fields.into() });
        tokens += of_text;
        next += numbers.step;
        if files.is_full(waiting.len()) {
            files.write(std::mem::take(&mut waiting).into_iter())?;
        }
        monitor.advance(numbers.done(next, tokens), "");
    }
    monitor.end();
    if !waiting.is_empty() {
        files.write(waiting.into_iter())?;
    }
    files.figures(&prompts, monitor)
}
