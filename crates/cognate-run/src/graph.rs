//! What an experiment does and in which order: every node's stage, and all that a node is made from.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::arms::{costly, needed_flops};
use crate::context::Context;
use crate::error::Result;
use crate::estimate::Estimate;
use crate::recipe::{Recipe, Training};
use crate::rundir::{Identity, STAGE_NAMES};
use crate::stages::train::needs_of;
use crate::stages::{self, Stage};
use crate::step::{Replicate, Step, candidates};

/// Everything that `step` is made from, directly or not, and `step`, in the order in which they run.
pub(crate) fn behind(recipe: &Recipe, step: Step) -> Vec<Step> {
    let mut plan = Plan { recipe, steps: Vec::new(), seen: BTreeSet::new() };
    plan.add(step);
    plan.in_order()
}

/// What `model` needs before its own training and the baseline does not, whether or not another arm needs it too. The base model
/// that tuning starts from is mostly the baseline's, and not among it then, nor is what that was chosen from. What the arm itself chooses
/// from is its own cost, whoever trained it: of a baseline that chooses too, and where a candidate is the baseline's model. So arms
/// that try as much begin alike.
pub(crate) fn preparation(recipe: &Recipe, model: Replicate) -> Vec<Step> {
    let of_baseline = |arm| Replicate::of(recipe, arm).flat_map(|model| behind(recipe, Step::Train(model)));
    let mut free: BTreeSet<Step> = recipe.baseline().into_iter().flat_map(of_baseline).collect();
    // Scoring the candidates is the training of the recipe's own seed.
    for own in candidates(recipe, model.arm).into_iter().chain([Step::Train(Replicate::own(recipe, model.arm))]) {
        free.remove(&own);
    }
    let mut needed = made_from(recipe, model);
    add_members(recipe, model, &mut needed);
    let is_own = |step: &Step| *step == Step::Train(model) || matches!(step, Step::Ingest | Step::Tokenize);
    needed.into_iter().filter(|step| !is_own(step) && !free.contains(step)).collect()
}

/// What `model` is made from and [`preparation`] leaves out, since the baseline has it: models that others start from or that write or teach, and
/// what these are made from.
pub(crate) fn base(recipe: &Recipe, model: Replicate) -> Vec<Step> {
    let prepared = preparation(recipe, model);
    let mut needed = made_from(recipe, model);
    add_members(recipe, model, &mut needed);
    let is_base = |step: &Step| *step != Step::Train(model) && !prepared.contains(step);
    costly(needed).filter(is_base).collect()
}

/// Everything that a model is made from, and not what only its length follows from; the model too, where that is none.
fn made_from(recipe: &Recipe, model: Replicate) -> Vec<Step> {
    let arm = &recipe.arms[model.arm];
    match &arm.training.operations_of {
        // How long it is trained follows from what another cost; it is made from nothing of that.
        Some(_) => {
            let training = Training { operations_of: None, ..arm.training.clone() };
            needs_of(recipe, &training, model.seed).into_iter().flat_map(|step| behind(recipe, step)).collect()
        }
        None => behind(recipe, Step::Train(model)),
    }
}

/// Adds what the models are made from that `model` is averaged with where it is measured.
fn add_members(recipe: &Recipe, model: Replicate, steps: &mut Vec<Step>) {
    for member in model.members(recipe).into_iter().skip(1) {
        for step in behind(recipe, Step::Train(member)) {
            if !steps.contains(&step) {
                steps.push(step);
            }
        }
    }
}

/// Steps, each behind what it is made from.
struct Plan<'a> {
    recipe: &'a Recipe,
    steps: Vec<Step>,
    seen: BTreeSet<Step>,
}

impl Plan<'_> {
    fn add(&mut self, step: Step) {
        if self.seen.insert(step) {
            for needed in step.needs(self.recipe) {
                self.add(needed);
            }
            self.steps.push(step);
        }
    }

    /// Documents, vectors and pairs come first: what is wrong with them shows before anything is trained.
    fn in_order(mut self) -> Vec<Step> {
        let of_data = 4;
        let recipe = self.recipe;
        let rank = |step: &Step| match step {
            Step::Pair(set) if recipe.scorer_of(*set).is_some() => of_data,
            _ => STAGE_NAMES.iter().position(|name| *name == step.stage()).map_or(of_data, |at| at.min(of_data)),
        };
        self.steps.sort_by_key(rank);
        self.steps
    }
}

/// Everything that a model costs: what it is made from, base models among it, and its own training.
pub(crate) fn whole_cost(recipe: &Recipe, model: Replicate) -> Vec<Step> {
    let mut steps = behind(recipe, Step::Train(model));
    add_members(recipe, model, &mut steps);
    costly(steps).collect()
}

/// Operations of that by `estimate`: those that were measured, and the others as their stages say.
pub(crate) fn whole_flops(estimate: &Estimate<'_>, model: Replicate) -> f64 {
    let recipe = estimate.recipe;
    let flops = |step: Step| {
        let row = estimate.measured.rows.get(&step);
        needed_flops(recipe, step, row.map_or_else(|| step.stage_of().cost(estimate).flops, |row| row.flops))
    };
    whole_cost(recipe, model).into_iter().map(flops).sum()
}

impl Step {
    /// All stages of `recipe`, in the order in which they run: what its arms need, and no more. An arm that is not measured is trained once,
    /// and with another seed where something is made from that.
    ///
    /// Synthesizers come before the arms that they need not wait for: whether they use their seeds is known before the rest is paid.
    pub fn all(recipe: &Recipe) -> Vec<Self> {
        let mut plan = Plan { recipe, steps: Vec::new(), seen: BTreeSet::new() };
        plan.add(Self::Tokenize);
        let wanted = |model: &Replicate| recipe.arms[model.arm].evaluate || model.seed == recipe.seed;
        let models: Vec<Replicate> = Replicate::all(recipe).into_iter().filter(wanted).collect();
        for step in models.iter().flat_map(|model| behind(recipe, Self::Train(*model))) {
            if matches!(step, Self::Tune(_)) {
                plan.add(step);
            }
        }
        for model in models {
            plan.add(Self::Train(model));
        }
        for member in Replicate::measured(recipe).flat_map(|model| model.members(recipe)) {
            plan.add(Self::Train(member));
        }
        let mut steps = plan.in_order();
        steps.extend(Replicate::measured(recipe).map(Self::Evaluate));
        steps.push(Self::Report);
        steps
    }

    /// The stage with what it makes: the one place that names them all.
    pub(crate) fn stage_of(self) -> Box<dyn Stage> {
        match self {
            Self::Ingest => Box::new(stages::ingest::Ingest),
            Self::Tokenize => Box::new(stages::tokenize::Tokenize),
            Self::Embed(at) => Box::new(stages::embed::Embed(at)),
            Self::Pair(at) => Box::new(stages::pair::Pair(at)),
            Self::Sweep { arm, candidate } => Box::new(stages::train::Candidate { arm, candidate }),
            Self::Train(model) => Box::new(stages::train::Train(model)),
            Self::Teach(at) => Box::new(stages::teach::Teach(at)),
            Self::Tune(at) => Box::new(stages::tune::Tune(at)),
            Self::Generate(at) => Box::new(stages::generate::Generate(at)),
            Self::Filter(at) => Box::new(stages::filter::Filter(at)),
            Self::Evaluate(model) => Box::new(stages::evaluate::Evaluate(model)),
            Self::Report => Box::new(stages::report::Report),
        }
    }

    /// What it is made from, directly.
    pub fn needs(self, recipe: &Recipe) -> Vec<Self> {
        self.stage_of().needs(recipe)
    }

    /// The training that it does; none where it trains nothing, or takes what another has trained.
    pub fn training(self, recipe: &Recipe) -> Option<&Training> {
        self.stage_of().training(recipe)
    }

    /// Everything that its artifact depends on.
    pub(crate) fn identity(self, context: &Context<'_>) -> Result<Identity> {
        self.stage_of().identity(context)
    }

    /// The resolved keys that it depends on.
    pub(crate) fn resolved(self, recipe: &Recipe) -> Result<Value> {
        self.stage_of().resolved(recipe)
    }

    /// Raised whenever a stage's code changes what the same configuration and inputs give: what the older code made is
    /// then refused instead of taken for the newer.
    pub fn version(self, recipe: &Recipe) -> u32 {
        self.stage_of().version(recipe)
    }

    /// Whether a partial folder is worth keeping: these stages checkpoint inside themselves, the others begin anew.
    pub fn resumes(self) -> bool {
        self.stage_of().resumes()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// A recipe without arms.
    const HEAD: &str = "name = \"a\"\nseed = 5\nseeds = [4, 5]\n[corpus]\npaths = [\"d\"]\n[model]\nlayers = 1\nwidth = 8\nheads = 1\n\
                        [train]\nbudget_tokens = 100000\nweight_decay = 0.8\n";

    fn with_arms(arms: &str) -> Recipe {
        let text = format!("{HEAD}[[arm]]\nkind = \"repetition\"\n{arms}");
        Recipe::parse(Path::new("r.toml"), &text).unwrap()
    }

    fn labels(arms: &str) -> Vec<String> {
        let recipe = with_arms(arms);
        Step::all(&recipe)
            .into_iter()
            .filter(|step| step.stage() != "evaluate")
            .map(|step| step.label(&recipe))
            .collect()
    }

    #[test]
    fn candidates_are_trained_before_the_choice_and_the_choice_before_other_seeds() {
        assert_eq!(
            labels("[[arm]]\nkind = \"regularised\"\n"),
            [
                "ingest",
                "tokenize",
                "train repetition, seed 4",
                "train repetition",
                // That of 0.8 is repetition.
                "train regularised, weight-decay-0.1",
                "train regularised, weight-decay-3.2",
                "train regularised",
                "train regularised, seed 4",
                "report"
            ]
        );
    }

    #[test]
    fn contexts_of_related_documents_need_vectors() {
        let labels = labels("[[arm]]\nkind = \"related-context\"\n");
        assert_eq!(&labels[2..4], ["embed", "train repetition, seed 4"], "{labels:?}");
    }

    #[test]
    fn an_arm_is_prepared_by_what_repetition_does_not_need() {
        let kinds = ["sbp", "random-pairs", "unconditional", "oracle", "related-context", "regularised", "equal-flops"];
        let arms: String = kinds.iter().map(|kind| format!("[[arm]]\nkind = \"{kind}\"\n")).collect();
        let recipe = with_arms(&arms);
        let all = Step::all(&recipe);
        let steps = |at: usize| -> Vec<String> {
            let steps = preparation(&recipe, Replicate::own(&recipe, at));
            assert!(steps.iter().all(|step| all.contains(step)), "{at}: a stage that the recipe does not have");
            steps.into_iter().map(|step| step.label(&recipe)).collect()
        };
        let expected: [&[&str]; 8] = [
            &[],
            &["embed", "pair", "tune", "generate", "filter"],
            // Its pairs are those of sbp, shuffled: that another arm needs them too makes them no cheaper.
            &["embed", "pair", "pair shuffled", "tune shuffled", "generate shuffled", "filter shuffled"],
            &["generate unconditional", "filter unconditional"],
            &[],
            &["embed"],
            // One of the three that it chooses from is repetition's model, which makes trying it no cheaper.
            &["train regularised, weight-decay-0.1", "train repetition", "train regularised, weight-decay-3.2"],
            &[],
        ];
        for (at, expected) in expected.into_iter().enumerate() {
            assert_eq!(steps(at), expected, "{at}");
        }
    }

    #[test]
    fn an_arm_is_prepared_by_all_that_it_chooses_from_the_baseline_too() {
        let swept = |kind: &str| format!("[[arm]]\nkind = \"{kind}\"\ntrain.weight_decay = [0.1, 0.4]\n");
        let arms: String = ["repetition", "sbp", "oracle"].map(swept).concat();
        let recipe = Recipe::parse(Path::new("r.toml"), &(HEAD.to_owned() + &arms)).unwrap();
        let steps = |at: usize, seed: u64| -> Vec<String> {
            preparation(&recipe, Replicate { arm: at, seed }).into_iter().map(|step| step.label(&recipe)).collect()
        };
        let of_arm = |arm: &str| ["0.1", "0.4"].map(|decay| format!("train {arm}, weight-decay-{decay}"));
        assert_eq!(steps(0, 5), of_arm("repetition"));
        assert_eq!(steps(2, 5), of_arm("oracle"), "as much as repetition");
        // Its base model is repetition's, and was chosen by that.
        let written = ["embed", "pair", "tune", "generate", "filter"].map(str::to_owned);
        assert_eq!(steps(1, 5), [&written[..], &of_arm("sbp")].concat());
        // Another seed needs the choice that the recipe's own made.
        let chosen = |arm: &str| [&of_arm(arm)[..], &[format!("train {arm}")]].concat();
        assert_eq!((steps(0, 4), steps(2, 4)), (chosen("repetition"), chosen("oracle")));
    }
}
