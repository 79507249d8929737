//! `train` for an arm with a sweep: of its candidates, the one that is best on documents that no arm is scored on.
//!
//! Those documents are drawn from the selection split: no arm is trained on it, and none is scored on it.

use std::path::{Path, PathBuf};

use cognate_base::Monitor;
use cognate_base::files::write_atomic;
use cognate_corpus::{Document, ReadOptions, Reader, Tokenizer, without_shared_passages};
use cognate_eval::{DocumentScore, Perplexity, PerplexityOptions, perplexity};
use cognate_model::Decoder;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::training::{Trained, link};
use crate::context::{Context, Made};
use crate::error::{Error, Result};
use crate::recipe::Real;
use crate::stages::BATCH_TOKENS;
use crate::stages::held_out::draw;
use crate::step::{Replicate, Step, candidates};

/// File with the loss of every candidate on every document that the choice was made by.
const SELECTION: &str = "selection.jsonl";

/// How an arm chose.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sweep {
    /// Documents that it was chosen by.
    pub(crate) documents: u64,
    /// Documents drawn for that and left out, because they share a passage with what it was trained on.
    pub(crate) left_out: u64,
    pub(crate) candidates: Vec<Candidate>,
    /// The name of the candidate with the lowest loss.
    pub(crate) chosen: String,
}

/// A model that was tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Candidate {
    /// Its name in the recipe.
    pub(crate) name: String,
    /// Its loss on the documents of the choice; none where its training diverged, which is worse than any loss.
    pub(crate) nats_per_token: Option<f64>,
    pub(crate) stderr: Option<f64>,
    /// The stage that trained it for another arm, in words; none where it was trained for this one.
    pub(crate) reused: Option<String>,
    /// How its training diverged, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) diverged: Option<String>,
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
    /// Of each candidate, in their order; null where its training diverged.
    nats: Vec<Option<f64>>,
}

/// Scores the candidates of the arm at `arm` and takes the best one's model.
pub(crate) fn choose(context: &Context<'_>, arm: usize, folder: &Path, monitor: &dyn Monitor) -> Result<Made> {
    let recipe = context.recipe;
    let (documents, left_out) = selection(context, arm, monitor)?;
    let tokenizer = context.tokenizer()?;
    let steps = candidates(recipe, arm);
    let sweep = &recipe.arms[arm].sweep;
    let (mut tried, mut scores, mut flops, mut tokens) = (Vec::new(), Vec::new(), 0.0, 0);
    for (candidate, step) in sweep.iter().zip(&steps) {
        let reused = matches!(step, Step::Train(_)).then(|| step.label(recipe));
        let folder = step.folder(recipe);
        let outcome = match context.statistics::<Trained>(&folder)?.diverged {
            Some(how) => Err(how),
            None => score(context, &tokenizer, &folder, &documents, monitor)?,
        };
        let (nats_per_token, stderr, diverged, each) = match outcome {
            Ok((found, operations, each)) => {
                flops += operations;
                tokens += found.tokens;
                (Some(found.nats_per_token), found.stderr, None, Some(each))
            }
            Err(how) => (None, None, Some(how), None),
        };
        scores.push(each);
        tried.push(Candidate { name: candidate.name.clone(), nats_per_token, stderr, reused, diverged });
    }
    let best = best(&tried).ok_or_else(|| all_diverged(&recipe.arms[arm].name, &tried))?;
    let (mut made, mut trained) = take(context, steps[best], folder)?;
    write_selection(folder, &scores)?;
    made.rows(SELECTION, documents.len() as u64);
    let chosen = sweep[best].name.clone();
    trained.sweep = Some(Sweep { documents: documents.len() as u64, left_out, candidates: tried, chosen });
    made.work.statistics = json!(trained);
    (made.work.flops, made.work.tokens, made.work.documents) = (flops, tokens, documents.len() as u64);
    Ok(made)
}

/// What is found of a trained model, with its operations and each document's part; or how its last steps made it diverge.
type Scored = std::result::Result<(Perplexity, f64, Vec<DocumentScore>), String>;

/// Scores what is measured later: the model at the end of its training.
fn score(
    context: &Context<'_>,
    tokenizer: &Tokenizer,
    folder: &Path,
    documents: &[Document],
    monitor: &dyn Monitor,
) -> Result<Scored> {
    let options = PerplexityOptions::of(tokenizer, BATCH_TOKENS);
    let (mut model, _) = Decoder::load(context.device()?, &context.artifact(folder).path("final"))?;
    let (found, each) = match perplexity(&mut model, tokenizer, documents.iter().cloned().map(Ok), options, monitor) {
        Err(cognate_eval::Error::NotFinite { item, nats }) => return Ok(Err(format!("its loss on {item} is {nats}"))),
        scored => scored?,
    };
    let (scored, mean) = (found.tokens as f64, found.tokens as f64 / found.documents.max(1) as f64);
    let operations = model.config().forward_flops(scored, scored, mean / 2.0);
    Ok(Ok((found, operations, each)))
}

/// The place of the lowest loss; the first of equals. None where there is no loss.
fn best(candidates: &[Candidate]) -> Option<usize> {
    let losses = candidates.iter().enumerate().filter_map(|(at, candidate)| Some((at, candidate.nats_per_token?)));
    losses.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(at, _)| at)
}

fn all_diverged(arm: &str, tried: &[Candidate]) -> Error {
    let reason = |tried: &Candidate| Some(format!("{}: {}", tried.name, tried.diverged.as_ref()?));
    let reasons: Vec<String> = tried.iter().filter_map(reason).collect();
    Error::AllDiverged { arm: arm.to_owned(), reasons: reasons.join("; ") }
}

/// The place of the candidate that the arm at `arm` took with the recipe's own seed.
pub(crate) fn chosen(context: &Context<'_>, arm: usize) -> Result<usize> {
    let own = Step::Train(Replicate::own(context.recipe, arm)).folder(context.recipe);
    let trained: Trained = context.statistics(&own)?;
    let place = |sweep: Sweep| context.recipe.arms[arm].sweep.iter().position(|one| one.name == sweep.chosen);
    trained.sweep.and_then(place).ok_or_else(|| Error::Damaged {
        path: context.artifact(&own).path(crate::rundir::MANIFEST),
        message: "its statistics do not say which candidate was chosen".to_owned(),
    })
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

/// Refuses an arm that would be left without documents to choose by.
pub(crate) fn check(context: &Context<'_>, arm: usize) -> Result<()> {
    selection(context, arm, context.monitor).map(drop)
}

/// The documents to choose by, and how many were left out because they share a passage with what the arm is trained on: by those, a
/// model would be chosen for what it has memorised. As in `ingest`, a passage that many of all these documents hold counts for none.
fn selection(context: &Context<'_>, arm: usize, monitor: &dyn Monitor) -> Result<(Vec<Document>, u64)> {
    let recipe = context.recipe;
    let arm = &recipe.arms[arm];
    let ingest = context.artifact("ingest");
    let read = |split: &str| {
        let reader = Reader::open(&[ingest.path(&format!("{split}.jsonl.zst"))], &ReadOptions::default(), monitor)?;
        Ok::<_, Error>(reader.map(|record| record.map(|(_, document)| document)))
    };
    let numbers: Vec<u64> = (0..context.tokenized()?.selection.documents).collect();
    let drawn = draw(&numbers, arm.selection_documents, recipe.seed, "selection documents");
    let mut documents = Vec::new();
    for (number, document) in (0..).zip(read("selection")?) {
        let document = document?;
        if drawn.binary_search(&number).is_ok() {
            documents.push(document);
        }
    }
    let (words, most) = (recipe.corpus.contamination_words, recipe.corpus.contamination_documents);
    let sees_all = arm.trainings().any(|training| training.documents == Real::All);
    let oracle = if sees_all { Some(read("oracle")?) } else { None };
    let trained_on = read("unique")?.chain(oracle.into_iter().flatten());
    let (kept, left_out) = without_shared_passages(documents, trained_on, words, most)?;
    if kept.is_empty() {
        let reason = format!(
            "each of the {} documents drawn from the selection split shares a passage of {words} words with what it is trained on, which \
             at most {most} documents hold",
            drawn.len()
        );
        return Err(Error::NoSelection { arm: arm.name.clone(), reason, left_out: left_out as u64 });
    }
    Ok((kept, left_out as u64))
}

/// Writes what each candidate made of each document; a candidate that diverged has no scores.
fn write_selection(folder: &Path, scores: &[Option<Vec<DocumentScore>>]) -> Result<()> {
    let mut text = String::new();
    for (at, score) in scores.iter().flatten().next().into_iter().flatten().enumerate() {
        let loss = |each: &Vec<DocumentScore>| -each[at].log_likelihood - each[at].end_log_likelihood;
        let nats = scores.iter().map(|each| each.as_ref().map(loss));
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
    fn the_lowest_loss_is_best_and_the_first_of_equals_and_a_diverged_one_never() {
        let tried = |losses: &[Option<f64>]| -> Vec<Candidate> {
            let candidate = |&nats_per_token: &Option<f64>| Candidate {
                name: "a".to_owned(),
                nats_per_token,
                stderr: None,
                reused: None,
                diverged: nats_per_token.is_none().then(|| "the loss of step 3 is NaN".to_owned()),
            };
            losses.iter().map(candidate).collect()
        };
        assert_eq!(best(&tried(&[Some(4.0), Some(3.5), Some(3.75)])), Some(1));
        assert_eq!(best(&tried(&[Some(3.5), Some(4.0), Some(3.5)])), Some(0));
        assert_eq!(best(&tried(&[None, Some(4.0), Some(3.5), None])), Some(2));
        assert_eq!(best(&tried(&[None, None])), None);
    }
}
