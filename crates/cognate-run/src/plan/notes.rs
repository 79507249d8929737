//! What a reader of a plan should know beside the table.

use cognate_base::process;

use super::estimate::Estimate;
use super::{StagePlan, short};
use crate::arms::Diet;
use crate::recipe::{Arm, Contexts, PERPLEXITY, Recipe, Training};
use crate::stage::label;

impl Estimate<'_> {
    /// What holds for the whole recipe and for its arms.
    pub(super) fn notes(&self, stages: &[StagePlan], memory: Option<process::Memory>) -> Vec<String> {
        let survey = self.survey;
        let mut notes = vec![format!(
            "{} documents of {:.0} tokens on average{}; {:.2} bytes a token with a vocabulary of {}",
            survey.documents as u64,
            survey.tokens_per_document,
            if survey.whole { "" } else { " (extrapolated from parts of the corpus)" },
            survey.bytes_per_token(),
            survey.vocabulary,
        )];
        notes.extend(memory_note(stages, memory));
        notes.extend(self.lengths());
        notes.extend(self.recipe.arms.iter().flat_map(|arm| self.arm(arm)));
        notes.extend(self.too_few());
        notes.extend(others(self.recipe));
        notes
    }

    /// What long documents mean.
    fn lengths(&self) -> Option<String> {
        let context = self.recipe.model.context;
        let longer = 100.0 * self.survey.longer_than(context);
        if longer < 1.0 {
            return None;
        }
        Some(format!(
            "{longer:.0} % of the documents have more than [model] context = {context} tokens: training cuts them into pieces, and a \
             synthesizer seldom sees how one ends; write [corpus] chunk_tokens = {context} to have pieces that end somewhere, or raise the context"
        ))
    }

    /// What an arm is trained on, and what is wrong with that.
    fn arm(&self, arm: &Arm) -> Vec<String> {
        let (unique, oracle) = self.split_tokens();
        let Training { train, model, .. } = &arm.training;
        let tokens = self.training_tokens(&arm.training, self.recipe.seed);
        let diet = Diet::of(&arm.training, tokens, (unique as u64, oracle as u64));
        let mut notes = vec![format!(
            "{}: {} unique tokens seen {:.2} times, {} synthetic tokens",
            arm.name, diet.unique_tokens, diet.epochs, diet.synthetic_tokens
        )];
        let (batch, context) = (train.batch_tokens, model.context);
        if arm.training.contexts != Contexts::Single && !batch.is_multiple_of(context) {
            notes.push(format!(
                "{}: [train] batch_tokens = {batch} is no multiple of [model] context = {context}, so batches cut contexts of related \
                 documents; how many is counted",
                arm.name
            ));
        }
        if arm.training.max_epochs.is_some_and(|most| diet.epochs > most) {
            notes.push(format!(
                "{}: the corpus is too small for {} tokens of documents so fresh; the run would stop before training",
                arm.name, diet.train_tokens
            ));
        }
        notes
    }

    /// What stops the run before training, as far as the numbers of documents say so.
    fn too_few(&self) -> Option<String> {
        let (unique, neighbours) = (self.unique_documents(), self.recipe.pair.neighbours);
        let needs = !self.recipe.embeddings.is_empty();
        (needs && unique <= neighbours as f64).then(|| {
            format!(
                "about {unique:.0} documents are unique, and [pair] neighbours = {neighbours} of each are looked for: the run would stop \
                 before training; raise [corpus] unique_share or lower [pair] neighbours"
            )
        })
    }
}

/// The stage that takes most memory, beside what there is.
pub(super) fn memory_note(stages: &[StagePlan], memory: Option<process::Memory>) -> Option<String> {
    let most = stages.iter().max_by_key(|stage| stage.memory_bytes)?;
    let needed = format!(
        "{} takes most memory, about {}B",
        label(most.stage, most.arm.as_deref()),
        short(most.memory_bytes as f64)
    );
    let Some(process::Memory { total, available }) = memory else { return Some(needed) };
    let has = format!("this machine has {}B", short(total as f64));
    Some(match most.memory_bytes {
        need if need > total => {
            let too_large = stages.iter().filter(|stage| stage.memory_bytes > total).count();
            format!(
                "{needed}, and {has}: the run would fail there{}; shorten [model] or batch_tokens, or take a larger machine",
                if too_large > 1 { format!(" (and in {} other stages)", too_large - 1) } else { String::new() }
            )
        }
        need if need > available => {
            format!("{needed}; {has}, of which other programs hold all but {}B now", short(available as f64))
        }
        _ => format!("{needed}; {has}"),
    })
}

/// What is not counted, and how far the figures go.
fn others(recipe: &Recipe) -> Vec<String> {
    let mut notes = Vec::new();
    for corpus in &recipe.synthetic {
        let Some(endpoint) = &corpus.generate.endpoint else { continue };
        let url = &endpoint.url;
        notes.push(format!("generate: {url} writes the documents; its time is what this machine would take"));
    }
    let tasks: Vec<&str> =
        recipe.evaluate.tasks.iter().map(String::as_str).filter(|task| *task != PERPLEXITY).collect();
    if !tasks.is_empty() {
        notes.push(format!(
            "evaluate: published tasks ({}) are counted neither in FLOPs nor in time: how long their questions are is not looked at here",
            tasks.join(", ")
        ));
    }
    if !recipe.synthesizers.is_empty() {
        notes.push(
            "pairs are counted at most, and with them tuning, scoring relevance and an equal-flops arm: the similarity window is not \
             known yet"
                .to_owned(),
        );
    }
    notes
}
