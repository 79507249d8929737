//! `evaluate`: every final model on the validation split.

use std::path::Path;

use cognate_base::Monitor;
use cognate_base::files::write_atomic;
use cognate_corpus::{ReadOptions, Reader};
use cognate_eval::{DocumentLoss, PerplexityOptions, document_losses};
use cognate_model::Decoder;
use serde_json::json;

use super::train::BATCH_TOKENS;
use crate::context::{Context, Made};
use crate::error::{Error, Result};
use crate::rundir::Work;
use crate::stage::{Replicate, Step};

/// File with a model's scores.
const SCORES: &str = "scores.json";
/// File with a model's loss on each document, a [`DocumentLoss`] a line.
const DOCUMENTS: &str = "documents.jsonl";

/// The stage `evaluate` for one final model.
pub(crate) fn evaluate_stage(
    context: &Context<'_>,
    model: Replicate,
    folder: &Path,
    monitor: &dyn Monitor,
) -> Result<Made> {
    let arm = context.artifact(Step::Train(model).folder(context.recipe));
    let (mut model, _) = Decoder::load(context.device()?, &arm.path("final"))?;
    let tokenizer = context.tokenizer()?;
    let documents = context.artifact("ingest").path("validation.jsonl.zst");
    let reader = Reader::open(&[documents], &ReadOptions::default())?;
    let options = PerplexityOptions::of(&tokenizer, BATCH_TOKENS);
    let documents = reader.map(|record| record.map(|(_, document)| document));
    let (found, each) = document_losses(&mut model, &tokenizer, documents, options, monitor)?;
    let mut text = serde_json::to_string_pretty(&found).map_err(|error| Error::Io(error.into()))?;
    text.push('\n');
    write_atomic(folder.join(SCORES), text)?;
    write_losses(folder, &each)?;
    let mut made = Made::default();
    made.file(SCORES);
    made.rows(DOCUMENTS, found.documents);
    let (tokens, mean) = (found.tokens as f64, found.tokens as f64 / found.documents.max(1) as f64);
    made.work = Work {
        statistics: json!(found),
        flops: model.config().forward_flops(tokens, tokens, mean / 2.0),
        tokens: found.tokens,
        documents: found.documents,
    };
    Ok(made)
}

fn write_losses(folder: &Path, losses: &[DocumentLoss]) -> Result<()> {
    let mut text = String::new();
    for loss in losses {
        text.push_str(&serde_json::to_string(loss).map_err(|error| Error::Io(error.into()))?);
        text.push('\n');
    }
    Ok(write_atomic(folder.join(DOCUMENTS), text)?)
}

/// What [`evaluate_stage`] wrote into `folder` about each document.
pub(crate) fn read_losses(folder: &Path) -> Result<Vec<DocumentLoss>> {
    let path = folder.join(DOCUMENTS);
    let text = fs_err::read_to_string(&path)?;
    let loss = |(at, line): (usize, &str)| {
        serde_json::from_str(line)
            .map_err(|error| Error::Damaged { path: path.clone(), message: format!("line {}: {error}", at + 1) })
    };
    text.lines().enumerate().map(loss).collect()
}
