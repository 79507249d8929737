//! The stages of an experiment: a closed set, in their order, with their folders and code versions.

use std::path::PathBuf;

use crate::recipe::{ArmKind, Recipe, Synthesis};

/// The stages' names: modules, commands, recipe tables, folders and rows of the report are all called so.
pub const STAGE_NAMES: [&str; 10] =
    ["ingest", "tokenize", "embed", "pair", "train", "tune", "generate", "filter", "evaluate", "report"];

/// One final model: an arm, by its place in [`Recipe::arms`], trained with one of [`Recipe::seeds`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

    /// Those of one arm.
    pub fn of(recipe: &Recipe, arm: usize) -> impl Iterator<Item = Self> + use<'_> {
        recipe.seeds.iter().map(move |&seed| Self { arm, seed })
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

/// One stage of one recipe. `Train` and `Evaluate` work for a final model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Documents in, three splits out.
    Ingest,
    /// Splits to token files.
    Tokenize,
    /// Unique documents to vectors.
    Embed,
    /// Vectors to pairs.
    Pair,
    /// One final model.
    Train(Replicate),
    /// The synthesizer, from the repetition arm's best checkpoint.
    Tune(Synthesis),
    /// The synthesizer's documents.
    Generate(Synthesis),
    /// Those of them that are kept.
    Filter(Synthesis),
    /// One final model, measured.
    Evaluate(Replicate),
    /// Everything, told.
    Report,
}

impl Step {
    /// All stages of `recipe`, in the order in which they run.
    pub fn all(recipe: &Recipe) -> Vec<Self> {
        let arms_of = |wanted: fn(&ArmKind) -> bool| {
            let models = Replicate::all(recipe).into_iter().filter(move |model| wanted(&recipe.arms[model.arm].kind));
            models.map(Self::Train).collect::<Vec<_>>()
        };
        let mut steps = vec![Self::Ingest, Self::Tokenize];
        if recipe.syntheses().any(Synthesis::is_tuned) {
            steps.extend([Self::Embed, Self::Pair]);
        }
        steps.extend(arms_of(|kind| matches!(kind, ArmKind::Repetition)));
        for synthesis in recipe.syntheses() {
            if synthesis.is_tuned() {
                steps.push(Self::Tune(synthesis));
            }
            steps.extend([Self::Generate(synthesis), Self::Filter(synthesis)]);
        }
        steps.extend(arms_of(|kind| matches!(kind, ArmKind::Sbp { .. })));
        steps.extend(arms_of(|kind| matches!(kind, ArmKind::Oracle { .. })));
        steps.extend(arms_of(|kind| matches!(kind, ArmKind::RandomPairs { .. } | ArmKind::Unconditional { .. })));
        steps.extend(arms_of(|kind| matches!(kind, ArmKind::EqualFlops)));
        steps.extend(Replicate::all(recipe).into_iter().map(Self::Evaluate));
        steps.push(Self::Report);
        steps
    }

    /// The stage's name.
    pub fn stage(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Tokenize => "tokenize",
            Self::Embed => "embed",
            Self::Pair => "pair",
            Self::Train(_) => "train",
            Self::Tune(_) => "tune",
            Self::Generate(_) => "generate",
            Self::Filter(_) => "filter",
            Self::Evaluate(_) => "evaluate",
            Self::Report => "report",
        }
    }

    /// The arm it works for, where it works for one or for one kind of control, with the seed where that is not the recipe's own.
    pub fn arm(self, recipe: &Recipe) -> Option<String> {
        match self {
            Self::Train(model) | Self::Evaluate(model) => Some(model.label(recipe)),
            Self::Tune(synthesis) | Self::Generate(synthesis) | Self::Filter(synthesis) => {
                synthesis.control().map(str::to_owned)
            }
            _ => None,
        }
    }

    /// The seed of its random choices.
    pub fn seed(self, recipe: &Recipe) -> u64 {
        match self {
            Self::Train(model) | Self::Evaluate(model) => model.seed,
            _ => recipe.seed,
        }
    }

    /// Its folder inside the run directory: an arm's training has the arm's name.
    pub fn folder(self, recipe: &Recipe) -> PathBuf {
        match self {
            Self::Train(model) => PathBuf::from(model.folder(recipe)),
            Self::Evaluate(model) => PathBuf::from("evaluate").join(model.folder(recipe)),
            Self::Tune(synthesis) | Self::Generate(synthesis) | Self::Filter(synthesis) => {
                PathBuf::from(match synthesis.control() {
                    Some(control) => format!("{}-{control}", self.stage()),
                    None => self.stage().to_owned(),
                })
            }
            other => PathBuf::from(other.stage()),
        }
    }

    /// Stage and arm, for people: `train sbp`.
    pub fn label(self, recipe: &Recipe) -> String {
        match self.arm(recipe) {
            Some(arm) => format!("{} {arm}", self.stage()),
            None => self.stage().to_owned(),
        }
    }

    /// Raised whenever a stage's code changes what the same configuration and inputs give: what the older code made is
    /// then refused instead of taken for the newer.
    pub fn version(self) -> u32 {
        match self {
            Self::Ingest | Self::Tokenize | Self::Embed | Self::Pair => 1,
            Self::Train(_) => 1,
            // 2: drops what recites a training document, scores relevance, and measures more. 3: long documents that relevance is
            // scored after are cut as seeds are.
            Self::Filter(_) => 3,
            // 2: the pairs that choose the checkpoint are not those that it is measured on.
            Self::Tune(_) => 2,
            // 2: a uniform number inverts the nucleus in the order of ids. 3: long seeds are cut at the end of a sentence or word.
            Self::Generate(_) => 3,
            // 2: long documents in the windows of lm-evaluation-harness; figures per word and byte; every document's own score.
            Self::Evaluate(_) => 2,
            Self::Report => 1,
        }
    }

    /// Whether a partial folder is worth keeping: these stages checkpoint inside themselves, the others begin anew.
    pub fn resumes(self) -> bool {
        matches!(self, Self::Train(_) | Self::Tune(_) | Self::Generate(_))
    }
}
