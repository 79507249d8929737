//! The nodes of an experiment: a closed set, in their order, with their folders. What a stage is stands in its file in `stages/`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::recipe::{Recipe, Training, Writer};
use crate::rundir::STAGE_NAMES;
use crate::stages::train::needs_of;
use crate::stages::{self, Stage};

/// One final model: an arm, by its place in [`Recipe::arms`], trained with one of [`Recipe::seeds`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Replicate {
    /// The arm's place.
    pub arm: usize,
    /// Decides initialisation and order of the data.
    pub seed: u64,
}

impl Replicate {
    /// All of them, arm by arm.
    pub fn all(recipe: &Recipe) -> Vec<Self> {
        (0..recipe.arms.len()).flat_map(|arm| Self::of(recipe, arm)).collect()
    }

    /// Those that are measured, arm by arm.
    pub fn measured(recipe: &Recipe) -> impl Iterator<Item = Self> + use<'_> {
        Self::all(recipe).into_iter().filter(|model| recipe.arms[model.arm].evaluate)
    }

    /// Those of one arm.
    pub fn of(recipe: &Recipe, arm: usize) -> impl Iterator<Item = Self> + use<'_> {
        recipe.seeds.iter().map(move |&seed| Self { arm, seed })
    }

    /// That of the recipe's own seed.
    pub fn own(recipe: &Recipe, arm: usize) -> Self {
        Self { arm, seed: recipe.seed }
    }

    /// What people call it, and its folder with `between` before the number: the recipe's own seed goes without saying.
    fn name(self, recipe: &Recipe, between: &str) -> String {
        let arm = &recipe.arms[self.arm].name;
        if self.seed == recipe.seed { arm.clone() } else { format!("{arm}{between}{}", self.seed) }
    }

    /// `sbp`, or for another seed than the recipe's own `sbp, seed 7`.
    pub fn label(self, recipe: &Recipe) -> String {
        self.name(recipe, ", seed ")
    }

    /// `sbp`, or for another seed than the recipe's own `sbp-seed-7`: what one seed has made stays when more are asked for.
    pub fn folder(self, recipe: &Recipe) -> String {
        self.name(recipe, "-seed-")
    }
}

/// The arm that is trained so, and chooses from nothing.
fn trained_as(recipe: &Recipe, training: &Training) -> Option<usize> {
    recipe.arms.iter().position(|arm| arm.sweep.is_empty() && arm.training == *training)
}

/// The trainings that the arm at `arm` chooses from, with the recipe's own seed. What another arm is trained with is not trained again.
pub fn candidates(recipe: &Recipe, arm: usize) -> Vec<Step> {
    let step = |(candidate, of): (usize, &crate::recipe::Candidate)| match trained_as(recipe, &of.training) {
        Some(other) => Step::Train(Replicate::own(recipe, other)),
        None => Step::Sweep { arm, candidate },
    };
    recipe.arms[arm].sweep.iter().enumerate().map(step).collect()
}

/// The model that has the training of the candidate at `candidate` with another seed already; none where it must be trained.
pub fn same_training(recipe: &Recipe, model: Replicate, candidate: usize) -> Option<Step> {
    let other = trained_as(recipe, &recipe.arms[model.arm].sweep[candidate].training)?;
    Some(Step::Train(Replicate { arm: other, ..model }))
}

/// Everything that `step` is made from, directly or not, and `step`, in the order in which they run.
pub fn behind(recipe: &Recipe, step: Step) -> Vec<Step> {
    let mut plan = Plan { recipe, steps: Vec::new(), seen: BTreeSet::new() };
    plan.add(step);
    plan.in_order()
}

/// What `model` needs before its own training and the baseline does not, whether or not another arm needs it too. The base model
/// that tuning starts from is mostly the baseline's, and not among it then.
pub fn preparation(recipe: &Recipe, model: Replicate) -> Vec<Step> {
    let of_baseline = |arm| Replicate::of(recipe, arm).flat_map(|model| behind(recipe, Step::Train(model)));
    let free: BTreeSet<Step> = recipe.baseline().into_iter().flat_map(of_baseline).collect();
    let arm = &recipe.arms[model.arm];
    let needed: Vec<Step> = match &arm.training.operations_of {
        // How long it is trained follows from what another cost; it is made from nothing of that.
        Some(_) => {
            let training = Training { operations_of: None, ..arm.training.clone() };
            needs_of(recipe, &training, model.seed).into_iter().flat_map(|step| behind(recipe, step)).collect()
        }
        None => behind(recipe, Step::Train(model)),
    };
    let is_own = |step: &Step| *step == Step::Train(model) || matches!(step, Step::Ingest | Step::Tokenize);
    needed.into_iter().filter(|step| !is_own(step) && !free.contains(step)).collect()
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
        let rank = |step: &Step| {
            STAGE_NAMES.iter().position(|name| *name == step.stage()).map_or(of_data, |at| at.min(of_data))
        };
        self.steps.sort_by_key(rank);
        self.steps
    }
}

/// Stage and arm, for people.
pub(crate) fn label(stage: &str, arm: Option<&str>) -> String {
    arm.map_or_else(|| stage.to_owned(), |arm| format!("{stage} {arm}"))
}

/// Characters of a column that holds `labels`, with room behind the longest; never fewer than most recipes need, so that runs look
/// alike.
pub(crate) fn column(labels: &[String]) -> usize {
    labels.iter().map(|label| label.chars().count()).max().unwrap_or(0).max(22) + 2
}

/// The embedding and the other things that go without saying.
const LSA: &str = "lsa";
const RELATED: &str = "related";

/// Who writes the corpus at `corpus`.
pub fn writer(recipe: &Recipe, corpus: usize) -> Step {
    match &recipe.synthetic[corpus].by {
        Writer::Synthesizer(name) => Step::Tune(recipe.synthesizer(name)),
        Writer::Arm(name) => Step::Train(Replicate::own(recipe, recipe.arm(name))),
    }
}

/// One node of a recipe's graph: a stage, and the thing that it makes, by its place in the recipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Documents in, three splits out.
    Ingest,
    /// Splits to token files.
    Tokenize,
    /// Unique documents to vectors, one of [`Recipe::embeddings`].
    Embed(usize),
    /// One of [`Recipe::pairs`].
    Pair(usize),
    /// One of the trainings that an arm chooses from.
    Sweep {
        /// The arm's place.
        arm: usize,
        /// The candidate's place among the arm's.
        candidate: usize,
    },
    /// One final model.
    Train(Replicate),
    /// One of [`Recipe::synthesizers`].
    Tune(usize),
    /// The documents of one of [`Recipe::synthetic`].
    Generate(usize),
    /// Those of them that are kept.
    Filter(usize),
    /// One final model, measured.
    Evaluate(Replicate),
    /// Everything, told.
    Report,
}

impl Step {
    /// All stages of `recipe`, in the order in which they run: what its arms need, and no more.
    pub fn all(recipe: &Recipe) -> Vec<Self> {
        let mut plan = Plan { recipe, steps: Vec::new(), seen: BTreeSet::new() };
        plan.add(Self::Tokenize);
        for model in Replicate::all(recipe) {
            plan.add(Self::Train(model));
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

    /// The stage's name.
    pub fn stage(self) -> &'static str {
        self.stage_of().name()
    }

    /// The thing that it makes, for people: an arm with the seed where that is not the recipe's own. None where the stage makes one only,
    /// or the one that goes without saying.
    pub fn thing(self, recipe: &Recipe) -> Option<String> {
        match self {
            Self::Train(model) | Self::Evaluate(model) => Some(model.label(recipe)),
            Self::Sweep { arm, candidate } => {
                let arm = &recipe.arms[arm];
                Some(format!("{}, {}", arm.name, arm.sweep[candidate].name))
            }
            _ => self.stage_of().thing(recipe).filter(|name| *name != LSA && *name != RELATED).map(str::to_owned),
        }
    }

    /// The seed of its random choices.
    pub fn seed(self, recipe: &Recipe) -> u64 {
        match self {
            Self::Train(model) | Self::Evaluate(model) => model.seed,
            _ => recipe.seed,
        }
    }

    /// Its folder inside the run directory: that of its stage, and in it the thing's.
    pub fn folder(self, recipe: &Recipe) -> PathBuf {
        match self {
            Self::Train(model) | Self::Evaluate(model) => PathBuf::from(self.stage()).join(model.folder(recipe)),
            Self::Sweep { arm, candidate } => {
                let arm = &recipe.arms[arm];
                PathBuf::from("sweep").join(&arm.name).join(&arm.sweep[candidate].name)
            }
            other => other
                .stage_of()
                .thing(recipe)
                .map_or_else(|| PathBuf::from(other.stage()), |name| PathBuf::from(other.stage()).join(name)),
        }
    }

    /// Stage and thing, for people: `train sbp`.
    pub fn label(self, recipe: &Recipe) -> String {
        label(self.stage(), self.thing(recipe).as_deref())
    }

    /// The training that it does; none where it trains nothing, or takes what another has trained.
    pub fn training(self, recipe: &Recipe) -> Option<&Training> {
        self.stage_of().training(recipe)
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

    fn with_arms(arms: &str) -> Recipe {
        let text = format!(
            "name = \"a\"\nseed = 5\nseeds = [4, 5]\n[corpus]\npaths = [\"d\"]\n[model]\nlayers = 1\nwidth = 8\nheads = 1\n\
             [train]\nbudget_tokens = 100000\nweight_decay = 0.8\n[[arm]]\nkind = \"repetition\"\n{arms}"
        );
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
    fn a_column_has_room_behind_its_longest_label() {
        let labels = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(column(&labels(&["ingest", "train repetition"])), 24);
        assert_eq!(column(&labels(&["evaluate random-pairs, seed 1", "ingest"])), 31);
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
            &["train regularised, weight-decay-0.1", "train regularised, weight-decay-3.2"],
            &[],
        ];
        for (at, expected) in expected.into_iter().enumerate() {
            assert_eq!(steps(at), expected, "{at}");
        }
    }
}
