//! The nodes of an experiment: a closed set, with their names and folders. What a stage does stands in its file in `stages/`, and what
//! it is made from in `graph.rs`.

use std::path::{Path, PathBuf};

use crate::recipe::{Recipe, Training, Writer};

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

    /// The models whose probabilities are averaged where this one is measured: itself, and those that are trained to stand beside it. A seed that
    /// the recipe does not name has none beside it.
    pub fn members(self, recipe: &Recipe) -> Vec<Self> {
        let members = if recipe.seeds.contains(&self.seed) { recipe.arms[self.arm].members as u64 } else { 1 };
        (0..members).map(|at| Self { seed: self.seed + at * MEMBERS_APART, ..self }).collect()
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

/// How far the seeds of an arm's members are apart: a prime, which nobody writes as a seed.
const MEMBERS_APART: u64 = 1_000_003;

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

/// The model that writes the corpus at `corpus`; none where its world does.
pub fn writer(recipe: &Recipe, corpus: usize) -> Option<Step> {
    recipe.synthetic[corpus].by.model().map(|writer| model(recipe, writer))
}

/// What the synthesizer at `synthesizer` starts from.
pub fn base_of(recipe: &Recipe, synthesizer: usize) -> Step {
    model(recipe, &recipe.synthesizers[synthesizer].base)
}

fn model(recipe: &Recipe, model: &Writer) -> Step {
    match model {
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
    /// One of [`Recipe::teachings`].
    Teach(usize),
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

/// What a node makes, by its place in the recipe. Stages that make things of one kind name them alike.
enum Thing {
    /// What there is one of.
    Only,
    /// One of [`Recipe::embeddings`].
    Embedding(usize),
    /// One of [`Recipe::pairs`].
    Pairs(usize),
    /// A training that an arm chooses from.
    Candidate { arm: usize, candidate: usize },
    /// A final model.
    Model(Replicate),
    /// One of [`Recipe::teachings`].
    Teaching(usize),
    /// One of [`Recipe::synthesizers`].
    Synthesizer(usize),
    /// One of [`Recipe::synthetic`].
    Corpus(usize),
}

impl Step {
    /// The stage's name, one of [`crate::rundir::STAGE_NAMES`], and what it makes: the one place that says this of every stage.
    fn parts(self) -> (&'static str, Thing) {
        match self {
            Self::Ingest => ("ingest", Thing::Only),
            Self::Tokenize => ("tokenize", Thing::Only),
            Self::Embed(at) => ("embed", Thing::Embedding(at)),
            Self::Pair(at) => ("pair", Thing::Pairs(at)),
            Self::Sweep { arm, candidate } => ("train", Thing::Candidate { arm, candidate }),
            Self::Train(model) => ("train", Thing::Model(model)),
            Self::Teach(at) => ("teach", Thing::Teaching(at)),
            Self::Tune(at) => ("tune", Thing::Synthesizer(at)),
            Self::Generate(at) => ("generate", Thing::Corpus(at)),
            Self::Filter(at) => ("filter", Thing::Corpus(at)),
            Self::Evaluate(model) => ("evaluate", Thing::Model(model)),
            Self::Report => ("report", Thing::Only),
        }
    }

    /// The stage's name: one of [`crate::rundir::STAGE_NAMES`].
    pub fn stage(self) -> &'static str {
        self.parts().0
    }

    /// The thing that it makes, for people: an arm with the seed where that is not the recipe's own. None where the stage makes one only,
    /// or the one that goes without saying.
    pub fn thing(self, recipe: &Recipe) -> Option<String> {
        match self.parts().1 {
            Thing::Model(model) => Some(model.label(recipe)),
            Thing::Candidate { arm, candidate } => {
                let arm = &recipe.arms[arm];
                Some(format!("{}, {}", arm.name, arm.sweep[candidate].name))
            }
            thing => thing.name(recipe).filter(|name| *name != LSA && *name != RELATED).map(str::to_owned),
        }
    }

    /// The seed of its random choices.
    pub fn seed(self, recipe: &Recipe) -> u64 {
        match self.parts().1 {
            Thing::Model(model) => model.seed,
            _ => recipe.seed,
        }
    }

    /// Its folder inside the run directory: that of its stage, and in it the thing's.
    pub fn folder(self, recipe: &Recipe) -> PathBuf {
        let (stage, thing) = self.parts();
        match thing {
            Thing::Model(model) => PathBuf::from(stage).join(model.folder(recipe)),
            Thing::Candidate { arm, candidate } => {
                let arm = &recipe.arms[arm];
                PathBuf::from("sweep").join(&arm.name).join(&arm.sweep[candidate].name)
            }
            thing => thing.name(recipe).map_or_else(|| PathBuf::from(stage), |name| Path::new(stage).join(name)),
        }
    }

    /// Stage and thing, for people: `train sbp`.
    pub fn label(self, recipe: &Recipe) -> String {
        label(self.stage(), self.thing(recipe).as_deref())
    }
}

impl Thing {
    /// Its name in the recipe; none where there is one only, or where it is a model of an arm.
    fn name(self, recipe: &Recipe) -> Option<&str> {
        match self {
            Self::Embedding(at) => Some(&recipe.embeddings[at].name),
            Self::Pairs(at) => Some(&recipe.pairs[at].name),
            Self::Teaching(at) => Some(&recipe.teachings[at].name),
            Self::Synthesizer(at) => Some(&recipe.synthesizers[at].name),
            Self::Corpus(at) => Some(&recipe.synthetic[at].name),
            Self::Only | Self::Candidate { .. } | Self::Model(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_has_room_behind_its_longest_label() {
        let labels = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(column(&labels(&["ingest", "train repetition"])), 24);
        assert_eq!(column(&labels(&["evaluate random-pairs, seed 1", "ingest"])), 31);
    }
}
