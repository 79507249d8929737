//! `evaluate`: every arm's final model on the validation split and on published tasks.

use std::path::Path;

use cognate_base::Monitor;
use cognate_base::files::write_atomic;
use cognate_corpus::{ReadOptions, Reader};
use cognate_eval::{PerplexityOptions, perplexity};
use cognate_model::Decoder;
use serde_json::json;

use super::tasks;
use super::train::BATCH_TOKENS;
use crate::context::{Context, Made};
use crate::error::{Error, Result};
use crate::rundir::Work;
use crate::stage::Step;

/// File with one arm's scores.
const SCORES: &str = "scores.json";

/// The stage `evaluate` for the arm at `at`.
pub(crate) fn evaluate_stage(context: &Context<'_>, at: usize, folder: &Path, monitor: &dyn Monitor) -> Result<Made> {
    let arm = context.artifact(Step::Train(at).folder(context.recipe));
    let (mut model, _) = Decoder::load(context.device()?, &arm.path("final"))?;
    let tokenizer = context.tokenizer()?;
    let documents = context.artifact("ingest").path("validation.jsonl.zst");
    let reader = Reader::open(&[documents], &ReadOptions::default())?;
    let options = PerplexityOptions::of(&tokenizer, BATCH_TOKENS);
    let documents = reader.map(|record| record.map(|(_, document)| document));
    let (found, _) = perplexity(&mut model, &tokenizer, documents, options, monitor)?;
    let scored = tasks::score(context.recipe, &mut model, &tokenizer, folder, monitor)?;
    let mut statistics = json!(found);
    if !scored.tasks.is_empty() {
        statistics["tasks"] = json!(scored.tasks);
    }
    let mut text = serde_json::to_string_pretty(&statistics).map_err(|error| Error::Io(error.into()))?;
    text.push('\n');
    write_atomic(folder.join(SCORES), text)?;
    let mut made = Made::default();
    made.file(SCORES);
    if !scored.tasks.is_empty() {
        made.file(tasks::QUESTIONS);
    }
    let (tokens, mean) = (found.tokens as f64, found.tokens as f64 / found.documents.max(1) as f64);
    made.work = Work {
        statistics,
        flops: model.config().forward_flops(tokens, tokens, mean / 2.0),
        tokens: found.tokens,
        documents: found.documents,
    };
    Ok(made)
}
