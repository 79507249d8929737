//! The stages of an experiment: a closed set, in their order, with their folders and code versions.

use std::path::PathBuf;

use crate::recipe::{ArmKind, Recipe, Synthesis};

/// The stages' names: modules, commands, recipe tables, folders and rows of the report are all called so.
pub const STAGE_NAMES: [&str; 10] =
    ["ingest", "tokenize", "embed", "pair", "train", "tune", "generate", "filter", "evaluate", "report"];

/// The folder of trainings that an arm chooses from.
pub const SWEEP: &str = "sweep";

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

/// The weight decays that an arm chooses from; none where it chooses from none.
pub fn weight_decays(kind: &ArmKind) -> &[f64] {
    match kind {
        ArmKind::Regularised { weight_decays, .. } => weight_decays,
        _ => &[],
    }
}

/// The trainings from which an arm of the kind `regularised` chooses, by its place, each with its weight decay: that of `[train]` is
/// the repetition arm's, and is not trained again. All of them have the recipe's own seed.
pub fn candidates(recipe: &Recipe, arm: usize) -> Vec<(f64, Step)> {
    let repetition = recipe.arms.iter().position(|other| other.kind == ArmKind::Repetition);
    let step = |(decay, weight_decay): (usize, &f64)| match repetition {
        Some(repetition) if *weight_decay == recipe.train.weight_decay => {
            (*weight_decay, Step::Train(Replicate { arm: repetition, seed: recipe.seed }))
        }
        _ => (*weight_decay, Step::Sweep { arm, decay }),
    };
    weight_decays(&recipe.arms[arm].kind).iter().enumerate().map(step).collect()
}

/// What an arm of the kind `regularised` takes: its candidates, then the choice among them, then its other seeds. None for another.
fn sweep(recipe: &Recipe, arm: usize) -> Vec<Step> {
    if weight_decays(&recipe.arms[arm].kind).is_empty() {
        return Vec::new();
    }
    let (own, others): (Vec<_>, Vec<_>) = Replicate::of(recipe, arm).partition(|model| model.seed == recipe.seed);
    preparation(recipe, arm).into_iter().chain(own.into_iter().chain(others).map(Step::Train)).collect()
}

/// What the arm at `arm` needs before its own training and repetition does not, whether or not another arm needs it too. The base
/// model that tuning starts from is the repetition arm's, and not among it.
pub fn preparation(recipe: &Recipe, arm: usize) -> Vec<Step> {
    let written = recipe.synthetic_tokens_of(&recipe.arms[arm]).unwrap_or(0) > 0;
    match (&recipe.arms[arm].kind, recipe.arms[arm].kind.synthetic()) {
        (_, Some((synthesis, _))) if written => {
            let mut steps = vec![Step::Generate(synthesis), Step::Filter(synthesis)];
            if synthesis.is_tuned() {
                steps.splice(0..0, [Step::Embed, Step::Pair, Step::Tune(synthesis)]);
            }
            steps
        }
        (ArmKind::RelatedContext, _) => vec![Step::Embed],
        (ArmKind::Regularised { .. }, _) => {
            let candidates = candidates(recipe, arm).into_iter().map(|(_, step)| step);
            candidates.filter(|step| matches!(step, Step::Sweep { .. })).collect()
        }
        _ => Vec::new(),
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
    /// A model with one of the weight decays that an arm of the kind `regularised` chooses from.
    Sweep {
        /// The arm's place.
        arm: usize,
        /// The weight decay's place among the arm's.
        decay: usize,
    },
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
        let tunes = recipe.syntheses().any(Synthesis::is_tuned);
        if tunes || recipe.arms.iter().any(|arm| arm.kind == ArmKind::RelatedContext) {
            steps.push(Self::Embed);
        }
        if tunes {
            steps.push(Self::Pair);
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
        for arm in 0..recipe.arms.len() {
            steps.extend(sweep(recipe, arm));
        }
        steps.extend(arms_of(|kind| matches!(kind, ArmKind::RelatedContext)));
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
            Self::Train(_) | Self::Sweep { .. } => "train",
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
            Self::Sweep { arm, decay } => {
                let arm = &recipe.arms[arm];
                Some(format!("{}, weight decay {}", arm.name, weight_decays(&arm.kind)[decay]))
            }
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
            Self::Sweep { arm, decay } => {
                let arm = &recipe.arms[arm];
                let weight_decay = weight_decays(&arm.kind)[decay];
                PathBuf::from(SWEEP).join(&arm.name).join(format!("weight-decay-{weight_decay}"))
            }
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
        label(self.stage(), self.arm(recipe).as_deref())
    }

    /// Raised whenever a stage's code changes what the same configuration and inputs give: what the older code made is
    /// then refused instead of taken for the newer.
    pub fn version(self, recipe: &Recipe) -> u32 {
        match self {
            // 2: the least similarity by estimated precision; near-copies by their words.
            Self::Pair => 2,
            // 2: marks belong to words, and words are compared in one normal form.
            Self::Embed => 2,
            // 2: as for embed. 3: documents without text are dropped, metadata passes as it was written, and a folder stands for
            // the data below it too. 4: passages that many documents hold do not count.
            Self::Ingest => 4,
            // 2: patterns are matched as the reference does, long words are learned from in pieces, and the tokens around a document are
            // asked of the files beside a given tokenizer and written down.
            Self::Tokenize => 2,
            // 2: all rows are full, and a batch holds whole ones. 3: near-copies by their words.
            Self::Train(model) if recipe.arms[model.arm].kind == ArmKind::RelatedContext => 3,
            Self::Train(_) | Self::Sweep { .. } => 1,
            // 2: drops what recites a training document, scores relevance, and measures more. 3: long documents that relevance is
            // scored after are cut as seeds are. 4: drops what is no text. 5: words as in ingest's second version. 6: drops documents with special
            // tokens, counts what the filters drop of real text, and has no threshold where scores tell nothing. 7: counts what each rule drops.
            Self::Filter(_) => 7,
            // 2: the pairs that choose the checkpoint are not those that it is measured on. 3: long seeds that relations are measured
            // after are cut as in generation. 4: config.json says that the checkpoint is tuned. 5: the checkpoint is chosen by what it
            // makes of the right seed, and the untuned start is one of the candidates. 6: where none makes anything of it, by its loss.
            Self::Tune(_) => 6,
            // 2: a uniform number inverts the nucleus in the order of ids. 3: long seeds are cut at the end of a sentence or word. 4: records are
            // marked whose text holds a special token or cannot be encoded; documents without text are no seeds.
            Self::Generate(_) => 4,
            // 2: long documents in the windows of lm-evaluation-harness; figures per word and byte; every document's own score.
            Self::Evaluate(_) => 2,
            Self::Report => 1,
        }
    }

    /// Whether a partial folder is worth keeping: these stages checkpoint inside themselves, the others begin anew.
    pub fn resumes(self) -> bool {
        matches!(self, Self::Train(_) | Self::Sweep { .. } | Self::Tune(_) | Self::Generate(_))
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
                "train regularised, weight decay 0.1",
                "train regularised, weight decay 3.2",
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
        let recipe = with_arms(&format!("{arms}[[arm]]\nname = \"none-of-it\"\nkind = \"sbp\"\nsynthetic_share = 0\n"));
        let all = Step::all(&recipe);
        let steps = |at: usize| -> Vec<String> {
            let steps = preparation(&recipe, at);
            assert!(steps.iter().all(|step| all.contains(step)), "{at}: a stage that the recipe does not have");
            steps.into_iter().map(|step| step.label(&recipe)).collect()
        };
        let expected: [&[&str]; 9] = [
            &[],
            &["embed", "pair", "tune", "generate", "filter"],
            // Its pairs are those of sbp, shuffled: that another arm needs them too makes them no cheaper.
            &["embed", "pair", "tune random-pairs", "generate random-pairs", "filter random-pairs"],
            &["generate unconditional", "filter unconditional"],
            &[],
            &["embed"],
            &["train regularised, weight decay 0.1", "train regularised, weight decay 3.2"],
            &[],
            &[],
        ];
        for (at, expected) in expected.into_iter().enumerate() {
            assert_eq!(steps(at), expected, "{at}");
        }
    }
}
