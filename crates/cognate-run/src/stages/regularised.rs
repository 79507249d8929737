//! `train` for an arm of the kind `regularised`: of the models that were trained with several weight decays, the one that is best on
//! documents that no arm is scored on.
//!
//! Those documents are drawn from the oracle split: no arm is scored on it, and this arm, which is repetition but for its weight decay,
//! is not trained on it. So nothing that another arm sees or is measured by changes when this arm is there.

use std::path::{Path, PathBuf};

use cognate_base::Monitor;
use cognate_base::files::write_atomic;
use cognate_corpus::{Document, ReadOptions, Reader, without_shared_passages};
use cognate_eval::{DocumentScore, PerplexityOptions, perplexity};
use cognate_model::Decoder;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::train::{BATCH_TOKENS, Trained, draw, link};
use crate::context::{Context, Made};
use crate::error::{Error, Result};
use crate::recipe::ArmKind;
use crate::stage::{Replicate, Step, candidates};

/// File with the loss of every candidate on every document that the choice was made by.
const SELECTION: &str = "selection.jsonl";

/// How a weight decay was chosen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sweep {
    /// Documents that it was chosen by.
    pub(crate) documents: u64,
    /// Documents drawn for that and left out, because they share a passage with the unique split.
    pub(crate) left_out: u64,
    pub(crate) candidates: Vec<Candidate>,
    /// The weight decay of the candidate with the lowest loss.
    pub(crate) chosen: f64,
}

/// A model that was tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Candidate {
    pub(crate) weight_decay: f64,
    /// Its loss on the documents of the choice.
    pub(crate) nats_per_token: f64,
    pub(crate) stderr: Option<f64>,
    /// The stage that trained it for another arm, in words; none where it was trained for this one.
    pub(crate) reused: Option<String>,
}

/// A model that another stage trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Taken {
    /// The stage, in words.
    pub(crate) from: String,
    /// Its folder in the run directory.
    pub(crate) folder: PathBuf,
    /// Operations of that training.
    pub(crate) flops: f64,
}

/// A line of [`SELECTION`].
#[derive(Serialize)]
struct Selected<'a> {
    document: &'a str,
    /// Scored tokens, the one that closes the document among them.
    tokens: u64,
    /// Of each candidate, in their order.
    nats: Vec<f64>,
}

/// Scores the candidates of the arm at `arm` and takes the best one's model.
pub(crate) fn choose(context: &Context<'_>, arm: usize, folder: &Path, monitor: &dyn Monitor) -> Result<Made> {
    let recipe = context.recipe;
    let (documents, left_out) = selection(context, arm)?;
    let tokenizer = context.tokenizer()?;
    let options = PerplexityOptions::of(&tokenizer, BATCH_TOKENS);
    let steps = candidates(recipe, arm);
    let (mut tried, mut scores, mut flops, mut tokens) = (Vec::new(), Vec::new(), 0.0, 0);
    for (weight_decay, step) in &steps {
        let trained = context.artifact(step.folder(recipe));
        // What is compared is what is measured later: the model at the end of its training.
        let (mut model, _) = Decoder::load(context.device()?, &trained.path("final"))?;
        let (found, each) = perplexity(&mut model, &tokenizer, documents.iter().cloned().map(Ok), options, monitor)?;
        let (scored, mean) = (found.tokens as f64, found.tokens as f64 / found.documents.max(1) as f64);
        flops += model.config().forward_flops(scored, scored, mean / 2.0);
        tokens += found.tokens;
        scores.push(each);
        tried.push(Candidate {
            weight_decay: *weight_decay,
            nats_per_token: found.nats_per_token,
            stderr: found.stderr,
            reused: matches!(step, Step::Train(_)).then(|| step.label(recipe)),
        });
    }
    let best = best(&tried);
    let (mut made, mut trained) = take(context, steps[best].1, folder)?;
    write_selection(folder, &scores)?;
    made.rows(SELECTION, documents.len() as u64);
    let chosen = tried[best].weight_decay;
    trained.sweep = Some(Sweep { documents: documents.len() as u64, left_out, candidates: tried, chosen });
    made.work.statistics = json!(trained);
    (made.work.flops, made.work.tokens, made.work.documents) = (flops, tokens, documents.len() as u64);
    Ok(made)
}

/// The place of the lowest loss; the first of equals.
fn best(candidates: &[Candidate]) -> usize {
    let losses = candidates.iter().map(|candidate| candidate.nats_per_token);
    losses.enumerate().min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(at, _)| at)
}

/// The weight decay that the arm at `arm` was given by the recipe's own seed.
pub(crate) fn chosen(context: &Context<'_>, arm: usize) -> Result<f64> {
    let own = Step::Train(Replicate { arm, seed: context.recipe.seed }).folder(context.recipe);
    let trained: Trained = context.statistics(&own)?;
    let missing = || Error::Damaged {
        path: context.artifact(&own).path(crate::rundir::MANIFEST),
        message: "its statistics do not say which weight decay was chosen".to_owned(),
    };
    trained.sweep.map(|sweep| sweep.chosen).ok_or_else(missing)
}

/// Gives `folder` what a finished training left.
pub(crate) fn take(context: &Context<'_>, step: Step, folder: &Path) -> Result<(Made, Trained)> {
    let from = step.folder(context.recipe);
    let artifact = context.artifact(&from);
    let mut made = Made::default();
    for file in &artifact.manifest.files {
        let target = folder.join(&file.path);
        if let Some(parent) = target.parent() {
            fs_err::create_dir_all(parent)?;
        }
        if target.exists() {
            fs_err::remove_file(&target)?;
        }
        link(&artifact.path(&file.path), &target)?;
        made.file(&file.path);
    }
    let mut trained: Trained = context.statistics(&from)?;
    let flops = artifact.manifest.work.flops;
    trained.taken = Some(Taken { from: step.label(context.recipe), folder: from, flops });
    made.work.statistics = json!(trained);
    Ok((made, trained))
}

/// The documents to choose by, and how many were left out because they share a passage with the unique split: by those, a model
/// would be chosen for what it has memorised.
fn selection(context: &Context<'_>, arm: usize) -> Result<(Vec<Document>, u64)> {
    let recipe = context.recipe;
    let arm = &recipe.arms[arm];
    let ArmKind::Regularised { selection_documents, .. } = arm.kind else { return Ok((Vec::new(), 0)) };
    let ingest = context.artifact("ingest");
    let read = |split: &str| {
        let reader = Reader::open(&[ingest.path(&format!("{split}.jsonl.zst"))], &ReadOptions::default())?;
        Ok::<_, Error>(reader.map(|record| record.map(|(_, document)| document)))
    };
    let numbers: Vec<u64> = (0..context.tokenized()?.oracle.documents).collect();
    let drawn = draw(&numbers, selection_documents, recipe.seed, "selection documents");
    let mut documents = Vec::new();
    for (number, document) in (0..).zip(read("oracle")?) {
        let document = document?;
        if drawn.binary_search(&number).is_ok() {
            documents.push(document);
        }
    }
    let words = recipe.corpus.contamination_words;
    let (kept, left_out) = without_shared_passages(documents, read("unique")?, words)?;
    if kept.is_empty() {
        let reason = format!(
            "each of the {} documents drawn from the oracle split shares a passage of {words} words with the unique split",
            drawn.len()
        );
        return Err(Error::NoSelection { arm: arm.name.clone(), reason });
    }
    Ok((kept, left_out as u64))
}

fn write_selection(folder: &Path, scores: &[Vec<DocumentScore>]) -> Result<()> {
    let mut text = String::new();
    for (at, score) in scores.first().into_iter().flatten().enumerate() {
        let nats = scores.iter().map(|each| -each[at].log_likelihood - each[at].end_log_likelihood);
        let line = Selected { document: &score.document, tokens: score.tokens + 1, nats: nats.collect() };
        text.push_str(&serde_json::to_string(&line).map_err(|error| Error::Io(error.into()))?);
        text.push('\n');
    }
    Ok(write_atomic(folder.join(SELECTION), text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_loss_is_best_and_the_first_of_equals() {
        let tried = |losses: &[f64]| -> Vec<Candidate> {
            let candidate =
                |&nats_per_token: &f64| Candidate { weight_decay: 0.1, nats_per_token, stderr: None, reused: None };
            losses.iter().map(candidate).collect()
        };
        assert_eq!(best(&tried(&[4.0, 3.5, 3.75])), 1);
        assert_eq!(best(&tried(&[3.5, 4.0, 3.5])), 0);
    }
}
