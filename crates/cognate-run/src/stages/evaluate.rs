//! `evaluate`: every final model on the validation split and on published tasks.

use std::path::Path;

use cognate_base::Monitor;
use cognate_base::files::write_atomic;
use cognate_corpus::{ReadOptions, Reader};
use cognate_eval::{DocumentScore, PerplexityOptions, ensemble_perplexity};
use cognate_model::{Decoder, Ensemble};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::BATCH_TOKENS;
use super::{Place, Stage, tasks};
use crate::context::{Config, Context, Inputs, Made};
use crate::error::{Error, Result};
use crate::estimate::{Cost, Estimate};
use crate::recipe::{Model, PERPLEXITY, Recipe, max_positions};
use crate::rundir::Work;
use crate::step::{Replicate, Step};

/// File with a model's scores.
const SCORES: &str = "scores.json";
/// File with a model's loss on each document, a [`DocumentScore`] a line.
const DOCUMENTS: &str = "documents.jsonl";

/// One final model, measured.
pub(crate) struct Evaluate(pub(crate) Replicate);

impl Stage for Evaluate {
    fn step(&self) -> Step {
        Step::Evaluate(self.0)
    }

    fn version(&self, _: &Recipe) -> u32 {
        // 2: long documents in the windows of lm-evaluation-harness; figures per word and byte; every document's own score.
        2
    }

    fn needs(&self, recipe: &Recipe) -> Vec<Step> {
        self.0.members(recipe).into_iter().map(Step::Train).collect()
    }

    fn config(&self, recipe: &Recipe, config: &mut Config) -> Result<()> {
        config.put_without("evaluate", &recipe.evaluate, &["data_dir"])?;
        if !only_split(recipe) {
            config.put("seed", recipe.seed)?; // draws examples
        }
        match self.0.members(recipe).len() {
            1 => Ok(()),
            members => config.put("arm", json!({"members": members})),
        }
    }

    fn inputs(&self, context: &Context<'_>, inputs: &mut Inputs<'_>) -> Result<()> {
        inputs.add("the validation documents", context.artifact("ingest"), "validation.jsonl.zst")?;
        let arm = context.made(Step::Train(self.0));
        inputs.add("the model", arm, "final/model.safetensors")?;
        inputs.add("the model's configuration", arm, "final/config.json")?;
        inputs.add_tokenizer(arm, "final/")?;
        for (at, member) in self.0.members(context.recipe).into_iter().enumerate().skip(1) {
            inputs.add(&format!("member {}", at + 1), context.made(Step::Train(member)), "final/model.safetensors")?;
        }
        for (task, files) in tasks::tasks(context.recipe, Some(&context.artifact("ingest").folder))? {
            for (name, path) in tasks::inputs(&task, &files) {
                inputs.file(&name, path)?;
            }
        }
        Ok(())
    }

    fn work(&self, context: &Context<'_>, place: Place<'_>, monitor: &dyn Monitor) -> Result<Made> {
        work(context, self.0, place.folder, monitor)
    }

    fn model<'a>(&self, recipe: &'a Recipe) -> Option<&'a Model> {
        Some(&recipe.arms[self.0.arm].training.model)
    }

    fn model_memory(
        &self,
        recipe: &Recipe,
        model: &cognate_model::Config,
        _longest: &dyn Fn(usize) -> usize,
    ) -> Option<(&'static str, f64)> {
        let members = self.0.members(recipe).len();
        let bytes = members as f64 * model.scoring_bytes(BATCH_TOKENS + max_positions(recipe));
        // One model is the least that was trained.
        (members > 1).then_some(("measuring this recipe's ensemble", bytes))
    }

    fn cost(&self, estimate: &Estimate<'_>) -> Cost {
        let (documents, tokens) = estimate.validation();
        let config = estimate.config(self);
        let members = estimate.recipe.arms[self.0.arm].members as f64;
        let flops = members * config.forward_flops(tokens, tokens, tokens / documents.max(1.0) / 2.0);
        let known: &[&str] = match (estimate.measured.tokenized.is_some(), only_split(estimate.recipe)) {
            (true, true) => &["documents", "tokens"],
            (true, false) => &["documents"],
            (false, _) => &[],
        };
        Cost { documents, tokens, flops, bytes: 1e3, wall_s: estimate.passes_s(flops), known }
    }

    fn memory(&self, estimate: &Estimate<'_>) -> f64 {
        let members = estimate.recipe.arms[self.0.arm].members as f64;
        members * estimate.config(self).scoring_bytes(BATCH_TOKENS + max_positions(estimate.recipe))
    }
}

/// Whether it measures on the validation split alone, and on no published task.
fn only_split(recipe: &Recipe) -> bool {
    recipe.evaluate.tasks.iter().all(|task| task == PERPLEXITY)
}

fn work(context: &Context<'_>, model: Replicate, folder: &Path, monitor: &dyn Monitor) -> Result<Made> {
    let mut members = Vec::new();
    for member in model.members(context.recipe) {
        members.push(Decoder::load(context.device()?, &context.made(Step::Train(member)).path("final"))?.0);
    }
    let mut model = Ensemble::new(members)?;
    let tokenizer = context.tokenizer()?;
    let documents = context.artifact("ingest").path("validation.jsonl.zst");
    let reader = Reader::open(&[documents], &ReadOptions::default(), monitor)?;
    let options = PerplexityOptions::of(&tokenizer, BATCH_TOKENS);
    let documents = reader.map(|record| record.map(|(_, document)| document));
    let (found, each, by_members) = ensemble_perplexity(&mut model, &tokenizer, documents, options, monitor)?;
    let scored =
        tasks::score((context.recipe, &context.artifact("ingest").folder), &mut model, &tokenizer, folder, monitor)?;
    let mut statistics = json!(found);
    if by_members.len() > 1 {
        statistics["nats_by_members"] = json!(by_members);
    }
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
        flops: model.members().len() as f64 * model.config().forward_flops(tokens, tokens, mean / 2.0)
            + questions.flops,
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

/// What the stage wrote into `folder` about each document.
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
