//! How long an arm is trained that gets as many operations as another one cost in all.

use super::training::Trained;
use crate::arms::{costly, needed_flops, steps_of};
use crate::context::Context;
use crate::error::Result;
use crate::recipe::{Denoisers, Model, Training, model_config};
use crate::stages::filter::further_rounds_flops;
use crate::step::{Replicate, Step};

/// Steps of `training` to as many operations as `other` cost in all, at what a step of the baseline costs.
pub(crate) fn equal_flops_steps(context: &Context<'_>, other: Replicate, training: &Training) -> Result<u64> {
    let recipe = context.recipe;
    let mut total = 0.0;
    for step in costly((context.behind)(recipe, Step::Train(other))) {
        let mut flops = context.made(step).manifest.work.flops;
        if let Step::Generate(corpus) = step {
            flops += further_rounds_flops(context, corpus)?;
        }
        total += needed_flops(recipe, step, flops);
    }
    Ok(steps_of(total, flops_per_step(context, training, other.seed)?))
}

/// What a step's operations follow from.
fn of_a_step(training: &Training) -> (&Model, usize, Option<Denoisers>) {
    (&training.model, training.train.batch_tokens, training.train.denoisers)
}

/// Operations of a step of `training`: those of the baseline where its model and steps are the same, else by formula.
pub(crate) fn flops_per_step(context: &Context<'_>, training: &Training, seed: u64) -> Result<f64> {
    let recipe = context.recipe;
    if let Some(arm) = recipe.baseline()
        && let Some(artifact) = context.artifact_if(Step::Train(Replicate { arm, seed }).folder(recipe))
        && recipe.arms[arm].sweep.is_empty()
        && of_a_step(&recipe.arms[arm].training) == of_a_step(training)
    {
        let trained: Trained = context.statistics(Step::Train(Replicate { arm, seed }).folder(recipe))?;
        return Ok(artifact.manifest.work.flops / trained.steps.max(1) as f64);
    }
    let config = model_config(recipe, &training.model, context.tokenized()?.vocabulary);
    let read = training.train.denoisers.map_or(1.0, |denoisers| denoisers.shares().positions());
    let tokens = training.train.batch_tokens as f64 * read;
    Ok(config.training_flops(tokens, tokens, training.model.context as f64 / 2.0))
}
