//! What each arm is trained on: real tokens, synthetic tokens, epochs. Every arm sees the same number of tokens.

use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::error::{Error, Result};
use crate::recipe::{Arm, ArmKind, Recipe};
use crate::stage::{Replicate, Step, preparation};
use crate::stages::documents::Tokenized;
use crate::stages::synthesis::further_rounds_flops;

/// What one arm sees in training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Diet {
    /// All training tokens: the budget, cut to whole steps.
    pub train_tokens: u64,
    /// Distinct real tokens that it draws on.
    pub unique_tokens: u64,
    /// Synthetic tokens among the training tokens.
    pub synthetic_tokens: u64,
    /// How often each distinct real token is seen on average.
    pub epochs: f64,
}

impl Diet {
    /// The diet of `arm` on splits of `unique` and `oracle` tokens.
    pub fn of(recipe: &Recipe, arm: &Arm, unique: u64, oracle: u64) -> Self {
        Self::of_tokens(recipe, arm, recipe.train.tokens(), (unique, oracle))
    }

    /// The same for a budget of its own.
    pub(crate) fn of_tokens(recipe: &Recipe, arm: &Arm, train_tokens: u64, (unique, oracle): (u64, u64)) -> Self {
        let synthetic_tokens = recipe.synthetic_tokens_of(arm).unwrap_or(0);
        let unique_tokens = match arm.kind {
            ArmKind::Oracle { .. } => unique + oracle,
            _ => unique,
        };
        let epochs = (train_tokens - synthetic_tokens) as f64 / unique_tokens.max(1) as f64;
        Self { train_tokens, unique_tokens, synthetic_tokens, epochs }
    }

    /// The same with the synthetic tokens that a stream really takes: it does not cut documents to fit.
    pub(crate) fn take_synthetic(&mut self, tokens: u64) {
        self.synthetic_tokens = tokens;
        self.epochs = self.train_tokens.saturating_sub(tokens) as f64 / self.unique_tokens.max(1) as f64;
    }
}

/// Everything that the first `sbp` arm costs with `seed`: the base model, which is the repetition arm's of the recipe's own seed, all
/// that the arm needs beside it, and its own training.
pub(crate) fn sbp_cost(recipe: &Recipe, seed: u64) -> Vec<Step> {
    let mut steps = Vec::new();
    if let Some(arm) = recipe.arms.iter().position(|arm| arm.kind == ArmKind::Repetition) {
        steps.push(Step::Train(Replicate { arm, seed: recipe.seed }));
    }
    if let Some(arm) = recipe.arms.iter().position(|arm| matches!(arm.kind, ArmKind::Sbp { .. })) {
        steps.extend(preparation(recipe, arm));
        steps.push(Step::Train(Replicate { arm, seed }));
    }
    steps
}

/// Of a stage's `flops` those that an arm needs. Filtering counts scores of relevance alone: where no document is dropped by them, they
/// are a measurement, which no arm would be the worse without.
pub(crate) fn needed_flops(recipe: &Recipe, step: Step, flops: f64) -> f64 {
    match step {
        Step::Filter(_) if recipe.filter.min_relevance.is_none() => 0.0,
        _ => flops,
    }
}

/// Steps of training that take as many operations as [`sbp_cost`], at what a step of repetition costs, to the nearest step.
pub(crate) fn steps_of(flops: f64, flops_per_step: f64) -> u64 {
    ((flops / flops_per_step).round() as u64).max(1)
}

/// Steps of an `equal-flops` arm.
pub(crate) fn equal_flops_steps(context: &Context<'_>, seed: u64) -> Result<u64> {
    let recipe = context.recipe;
    let flops = |step: Step| needed_flops(recipe, step, context.artifact(step.folder(recipe)).manifest.work.flops);
    let total: f64 = sbp_cost(recipe, seed).into_iter().map(flops).sum();
    let arm = recipe.arms.iter().position(|arm| arm.kind == ArmKind::Repetition).unwrap_or(0);
    let per_step = flops(Step::Train(Replicate { arm, seed })) / recipe.train.steps() as f64;
    Ok(steps_of(total + further_rounds_flops(context)?, per_step))
}

/// Refuses, before anything is trained, arms whose splits hold too few tokens or documents.
pub(crate) fn check_budgets(context: &Context<'_>) -> Result<()> {
    let tokenized = context.tokenized()?;
    context.recipe.arms.iter().try_for_each(|arm| check_budget(context.recipe, arm, &tokenized))
}

fn check_budget(recipe: &Recipe, arm: &Arm, tokenized: &Tokenized) -> Result<()> {
    let diet = Diet::of(recipe, arm, tokenized.unique.tokens, tokenized.oracle.tokens);
    if let ArmKind::Regularised { .. } = arm.kind
        && tokenized.oracle.documents == 0
    {
        return Err(Error::NoSelection { arm: arm.name.clone(), reason: "the oracle split is empty".to_owned() });
    }
    let neighbours = recipe.pair.neighbours;
    if arm.kind == ArmKind::RelatedContext && tokenized.unique.documents <= neighbours as u64 {
        let documents = tokenized.unique.documents;
        return Err(Error::TooFewNeighbours { arm: arm.name.clone(), neighbours, documents });
    }
    let ArmKind::Oracle { max_epochs } = arm.kind else { return Ok(()) };
    if diet.epochs <= max_epochs {
        return Ok(());
    }
    let wanted = match max_epochs {
        1.0 => "fresh documents only".to_owned(),
        more => format!("documents seen at most {more} times"),
    };
    Err(Error::TooFewTokens {
        arm: arm.name.clone(),
        needed: diet.train_tokens,
        wanted,
        split: "unique and oracle splits together",
        available: diet.unique_tokens,
        documents: tokenized.unique.documents + tokenized.oracle.documents,
        most: (diet.unique_tokens as f64 * max_epochs) as u64,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use cognate_corpus::TokenizeStats;

    use super::*;

    fn recipe(oracle: &str) -> Recipe {
        let text = format!(
            "name = \"a\"\n[corpus]\npaths = [\"d\"]\n[model]\nlayers = 1\nwidth = 8\nheads = 1\ncontext = 16\n\
             [train]\nbudget_tokens = 1000\nbatch_tokens = 160\n\
             [[arm]]\nkind = \"repetition\"\n[[arm]]\nkind = \"sbp\"\n[[arm]]\nkind = \"oracle\"\n{oracle}"
        );
        Recipe::parse(Path::new("r.toml"), &text).unwrap()
    }

    fn stats(documents: u64, tokens: u64) -> TokenizeStats {
        TokenizeStats { rejected: 0, documents, tokens, bytes: 0 }
    }

    fn tokenized(oracle: u64) -> Tokenized {
        Tokenized { vocabulary: 300, validation: stats(1, 9), unique: stats(5, 100), oracle: stats(40, oracle) }
    }

    #[test]
    fn all_arms_see_the_same_number_of_tokens() {
        let recipe = recipe("");
        let diets: Vec<Diet> = recipe.arms.iter().map(|arm| Diet::of(&recipe, arm, 100, 900)).collect();
        assert_eq!(diets[0], Diet { train_tokens: 960, unique_tokens: 100, synthetic_tokens: 0, epochs: 9.6 });
        assert_eq!(diets[1], Diet { train_tokens: 960, unique_tokens: 100, synthetic_tokens: 240, epochs: 7.2 });
        assert_eq!(diets[2], Diet { train_tokens: 960, unique_tokens: 1000, synthetic_tokens: 0, epochs: 0.96 });
    }

    #[test]
    fn a_corpus_too_small_for_the_oracle_is_refused_with_its_size() {
        let check = |oracle: &str, tokens| {
            let recipe = recipe(oracle);
            recipe.arms.iter().try_for_each(|arm| check_budget(&recipe, arm, &tokenized(tokens)))
        };
        check("", 900).unwrap();
        let error = check("", 700).expect_err("too few");
        assert_eq!(
            error.to_string(),
            "the corpus is too small for the arm `oracle`: its budget of 960 tokens asks for fresh documents only, \
             and the unique and oracle splits together hold 800 tokens in 45 documents"
        );
        assert_eq!(
            error.hint().unwrap(),
            "lower [train] budget_tokens to at most 800, add documents to [corpus] paths, or raise the arm's max_epochs"
        );
        check("max_epochs = 2", 700).unwrap();
        assert!(check("max_epochs = 2", 300).unwrap_err().to_string().contains("documents seen at most 2 times"));
    }
}
