//! `evaluate`: every final model on the validation split and on published tasks.

use std::path::Path;

use cognate_base::Monitor;
use cognate_base::files::write_atomic;
use cognate_corpus::{ReadOptions, Reader};
use cognate_eval::{DocumentScore, PerplexityOptions, perplexity};
use cognate_model::Decoder;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::tasks;
use super::train::BATCH_TOKENS;
use crate::context::{Context, Made};
use crate::error::{Error, Result};
use crate::rundir::Work;
use crate::stage::{Replicate, Step};

/// File with a model's scores.
const SCORES: &str = "scores.json";
/// File with a model's loss on each document, a [`DocumentScore`] a line.
const DOCUMENTS: &str = "documents.jsonl";

/// The stage `evaluate` for one final model.
pub(crate) fn evaluate_stage(
    context: &Context<'_>,
    model: Replicate,
    folder: &Path,
    monitor: &dyn Monitor,
) -> Result<Made> {
    let arm = context.made(Step::Train(model));
    let (mut model, _) = Decoder::load(context.device()?, &arm.path("final"))?;
    let tokenizer = context.tokenizer()?;
    let documents = context.artifact("ingest").path("validation.jsonl.zst");
    let reader = Reader::open(&[documents], &ReadOptions::default(), monitor)?;
    let options = PerplexityOptions::of(&tokenizer, BATCH_TOKENS);
    let documents = reader.map(|record| record.map(|(_, document)| document));
    let (found, each) = perplexity(&mut model, &tokenizer, documents, options, monitor)?;
    let scored = tasks::score(context.recipe, &mut model, &tokenizer, folder, monitor)?;
    let mut statistics = json!(found);
    if !scored.tasks.is_empty() {
        statistics["tasks"] = json!(scored.tasks);
    }
    let mut text = serde_json::to_string_pretty(&statistics).map_err(|error| Error::Io(error.into()))?;
    text.push('\n');
    write_atomic(folder.join(SCORES), text)?;
    write_scores(folder, &each)?;
    let mut made = Made::default();
    made.file(SCORES);
    made.rows(DOCUMENTS, found.documents);
    if !scored.tasks.is_empty() {
        made.file(tasks::QUESTIONS);
    }
    // Documents are scored whole; questions, and they alone, are fed through a cache.
    let (tokens, mean, questions) =
        (found.tokens as f64, found.tokens as f64 / found.documents.max(1) as f64, model.fed());
    made.work = Work {
        statistics,
        flops: model.config().forward_flops(tokens, tokens, mean / 2.0) + questions.flops,
        tokens: found.tokens + questions.tokens,
        documents: found.documents,
    };
    Ok(made)
}

fn write_scores(folder: &Path, scores: &[DocumentScore]) -> Result<()> {
    let mut text = String::new();
    for score in scores {
        text.push_str(&serde_json::to_string(score).map_err(|error| Error::Io(error.into()))?);
        text.push('\n');
    }
    Ok(write_atomic(folder.join(DOCUMENTS), text)?)
}

/// What [`evaluate_stage`] wrote into `folder` about each document.
pub(crate) fn read_scores(folder: &Path) -> Result<Vec<DocumentScore>> {
    read_lines(&folder.join(DOCUMENTS))
}

/// The JSON objects of a file, one a line.
pub(crate) fn read_lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let damaged = |message: String| Error::Damaged { path: path.to_owned(), message };
    // Its stage is finished, so it was there.
    let text = fs_err::read_to_string(path).map_err(|error| damaged(error.kind().to_string()))?;
    let object = |(at, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error| damaged(format!("line {}: {error}", at + 1)))
    };
    text.lines().enumerate().map(object).collect()
}
