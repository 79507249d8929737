//! The stages of an experiment: a closed set, in their order, with their folders and code versions.

use std::path::PathBuf;

use crate::recipe::{ArmKind, Recipe};

/// The stages' names: modules, commands, recipe tables, folders and rows of the report are all called so.
pub const STAGE_NAMES: [&str; 10] =
    ["ingest", "tokenize", "embed", "pair", "train", "tune", "generate", "filter", "evaluate", "report"];

/// One stage of one recipe. `Train` and `Evaluate` work for an arm: its place in [`Recipe::arms`].
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
    Train(usize),
    /// The synthesizer, from the repetition arm's best checkpoint.
    Tune,
    /// The synthesizer's documents.
    Generate,
    /// Those of them that are kept.
    Filter,
    /// One final model, measured.
    Evaluate(usize),
    /// Everything, told.
    Report,
}

impl Step {
    /// All stages of `recipe`, in the order in which they run.
    pub fn all(recipe: &Recipe) -> Vec<Self> {
        let arms_of = |wanted: fn(&ArmKind) -> bool| {
            let arms = recipe.arms.iter().enumerate().filter(move |(_, arm)| wanted(&arm.kind));
            arms.map(|(at, _)| Self::Train(at)).collect::<Vec<_>>()
        };
        let mut steps = vec![Self::Ingest, Self::Tokenize];
        let synthesis = recipe.synthetic_tokens().is_some();
        if synthesis {
            steps.extend([Self::Embed, Self::Pair]);
        }
        steps.extend(arms_of(|kind| matches!(kind, ArmKind::Repetition)));
        if synthesis {
            steps.extend([Self::Tune, Self::Generate, Self::Filter]);
        }
        steps.extend(arms_of(|kind| matches!(kind, ArmKind::Sbp { .. })));
        steps.extend(arms_of(|kind| matches!(kind, ArmKind::Oracle { .. })));
        steps.extend((0..recipe.arms.len()).map(Self::Evaluate));
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
            Self::Tune => "tune",
            Self::Generate => "generate",
            Self::Filter => "filter",
            Self::Evaluate(_) => "evaluate",
            Self::Report => "report",
        }
    }

    /// The arm it works for, where it works for one.
    pub fn arm(self, recipe: &Recipe) -> Option<&str> {
        match self {
            Self::Train(at) | Self::Evaluate(at) => Some(&recipe.arms[at].name),
            _ => None,
        }
    }

    /// Its folder inside the run directory: an arm's training has the arm's name.
    pub fn folder(self, recipe: &Recipe) -> PathBuf {
        match self {
            Self::Train(at) => PathBuf::from(&recipe.arms[at].name),
            Self::Evaluate(at) => PathBuf::from("evaluate").join(&recipe.arms[at].name),
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
            // 2: drops what recites a training document, scores relevance, and measures more.
            Self::Filter => 2,
            // 2: the pairs that choose the checkpoint are not those that it is measured on.
            Self::Tune => 2,
            // 2: a uniform number inverts the nucleus in the order of ids.
            Self::Generate => 2,
            // 2: long documents in the windows of lm-evaluation-harness; figures per word and byte.
            Self::Evaluate(_) => 2,
            Self::Report => 1,
        }
    }

    /// Whether a partial folder is worth keeping: these stages checkpoint inside themselves, the others begin anew.
    pub fn resumes(self) -> bool {
        matches!(self, Self::Train(_) | Self::Tune | Self::Generate)
    }
}
