//! What each arm is trained on: real tokens, synthetic tokens, epochs. Every arm sees the same number of tokens.

use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::error::{Error, Result};
use crate::recipe::{Arm, Contexts, Real, Recipe, Training};
use crate::stages::tokenized::Tokenized;
use crate::step::Step;

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
    /// What `training` sees of splits of `unique` and `oracle` tokens, over `train_tokens`.
    pub(crate) fn of(training: &Training, train_tokens: u64, (unique, oracle): (u64, u64)) -> Self {
        let shares = training.synthetic.iter().map(|(_, share)| Training::tokens_of(*share, train_tokens));
        let synthetic_tokens = shares.sum::<u64>().min(train_tokens);
        let unique_tokens = match training.documents {
            Real::All => unique + oracle,
            Real::Unique => unique,
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

/// How often each token of the unique text is seen by `arm`, of splits of so many tokens of the unique and of the oracle split; none where
/// it sees fresh documents too, its length follows from what another arm cost, or the model that it starts from has seen text before.
pub(crate) fn epochs_of_unique(arm: &Arm, splits: (u64, u64)) -> Option<f64> {
    let training = &arm.training;
    let of_unique = training.documents == Real::Unique && training.operations_of.is_none();
    (of_unique && training.init.is_none()).then(|| Diet::of(training, training.train.tokens(), splits).epochs)
}

/// Of the steps that a model is made from, those that it costs: base models are among them, its own training is.
pub(crate) fn costly(behind: Vec<Step>) -> impl Iterator<Item = Step> {
    behind.into_iter().filter(|step| !matches!(step, Step::Ingest | Step::Tokenize))
}

/// Of a stage's `flops` those that an arm needs. Filtering counts scores of relevance alone: where no document is dropped by them, they
/// are a measurement, which no arm would be the worse without.
pub(crate) fn needed_flops(recipe: &Recipe, step: Step, flops: f64) -> f64 {
    match step {
        Step::Filter(at) if recipe.synthetic[at].filter.min_relevance.is_none() => 0.0,
        _ => flops,
    }
}

/// Steps of training that take `flops` operations, at `flops_per_step`, to the nearest step.
pub(crate) fn steps_of(flops: f64, flops_per_step: f64) -> u64 {
    ((flops / flops_per_step).round() as u64).max(1)
}

/// Refuses, before anything is trained, arms whose splits hold too few tokens or documents.
pub(crate) fn check_budgets(context: &Context<'_>) -> Result<()> {
    let tokenized = context.tokenized()?;
    context.recipe.arms.iter().try_for_each(|arm| check_budget(context.recipe, arm, &tokenized))
}

fn check_budget(recipe: &Recipe, arm: &Arm, tokenized: &Tokenized) -> Result<()> {
    if !arm.sweep.is_empty() && tokenized.selection.documents == 0 {
        let reason = "the selection split is empty".to_owned();
        return Err(Error::NoSelection { arm: arm.name.clone(), reason, left_out: 0 });
    }
    arm.trainings().try_for_each(|training| check_training(recipe, arm, training, tokenized))
}

fn check_training(recipe: &Recipe, arm: &Arm, training: &Training, tokenized: &Tokenized) -> Result<()> {
    let diet = Diet::of(training, training.train.tokens(), (tokenized.unique.tokens, tokenized.oracle.tokens));
    let neighbours = recipe.pair.neighbours;
    if training.contexts != Contexts::Single && tokenized.unique.documents <= neighbours as u64 {
        let documents = tokenized.unique.documents;
        return Err(Error::TooFewNeighbours { arm: arm.name.clone(), neighbours, documents });
    }
    let Some(max_epochs) = training.max_epochs.filter(|most| diet.epochs > *most) else { return Ok(()) };
    let fresh = training.documents == Real::All;
    let wanted = match max_epochs {
        1.0 => "fresh documents only".to_owned(),
        more => format!("documents seen at most {more} times"),
    };
    Err(Error::TooFewTokens {
        arm: arm.name.clone(),
        needed: diet.train_tokens - diet.synthetic_tokens,
        wanted,
        split: if fresh { "unique and oracle splits together" } else { "unique split" },
        available: diet.unique_tokens,
        documents: tokenized.unique.documents + if fresh { tokenized.oracle.documents } else { 0 },
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
        Tokenized {
            vocabulary: 300,
            validation: stats(1, 9),
            unique: stats(5, 100),
            oracle: stats(40, oracle),
            selection: stats(1, 9),
        }
    }

    #[test]
    fn all_arms_see_the_same_number_of_tokens() {
        let recipe = recipe("");
        let diet = |arm: &Arm| Diet::of(&arm.training, arm.training.train.tokens(), (100, 900));
        let diets: Vec<Diet> = recipe.arms.iter().map(diet).collect();
        assert_eq!(diets[0], Diet { train_tokens: 960, unique_tokens: 100, synthetic_tokens: 0, epochs: 9.6 });
        assert_eq!(diets[1], Diet { train_tokens: 960, unique_tokens: 100, synthetic_tokens: 240, epochs: 7.2 });
        assert_eq!(diets[2], Diet { train_tokens: 960, unique_tokens: 1000, synthetic_tokens: 0, epochs: 0.96 });
    }

    #[test]
    fn how_often_text_was_seen_is_not_known_of_an_arm_that_goes_on_from_a_model() {
        let recipe = recipe("[[arm]]\nname = \"more\"\ninit = \"repetition\"\n");
        let times: Vec<Option<f64>> = recipe.arms.iter().map(|arm| epochs_of_unique(arm, (100, 900))).collect();
        // repetition, sbp, the oracle with its fresh documents, and the one that goes on.
        assert_eq!(times, [Some(9.6), Some(7.2), None, None]);
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
