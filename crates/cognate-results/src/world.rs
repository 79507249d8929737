//! What is known of a run on a made corpus, where the right answers can be computed.

use cognate_statistics::Estimate;
use serde::{Deserialize, Serialize};

use crate::report::{GapClosed, Measure};

/// A run on a made corpus beside the world that it is of. Losses are in nats a document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct World {
    /// The world's name.
    pub name: String,
    /// Tokens of a validation document on average, its closing one included: what turns nats per token into nats a document.
    pub tokens_per_document: f64,
    /// What predictors lose that know the world, the one that knows least first.
    pub floors: Vec<Floor>,
    /// What the final models lose.
    pub losses: Vec<DocumentLoss>,
    /// What the synthesizers have learned of their pairs.
    pub learned: Vec<LearnedShare>,
    /// How true the pairs are that were found.
    pub pairs: Vec<PairTruth>,
    /// What the synthetic documents are.
    pub written: Vec<JudgedCorpus>,
    /// The world's tasks by group; empty where its tasks have none.
    pub questions: Vec<QuestionGroup>,
    /// Arms that see one synthetic corpus, by how true it is; empty where the world writes none.
    #[serde(default)]
    pub truths: Vec<TruthPoint>,
}

/// What an arm closes of the gap with a synthetic corpus of which it is known how true it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TruthPoint {
    /// The arm.
    pub arm: String,
    /// The corpus.
    pub corpus: String,
    /// How the world wrote it, in a word or two, where it did: corpora of one kind stand on one line. `None` where a model wrote it.
    pub by_world: Option<String>,
    /// Share of the training tokens that is synthetic.
    pub share: f64,
    /// Of the kept documents, the share of statements that are true, or the probability that they have their seed's concept.
    pub truth: f64,
    /// What the arm closes of the gap on validation.
    pub gap: GapClosed,
}

/// What a predictor loses on the validation documents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Floor {
    /// Who it is.
    pub who: String,
    /// Its loss in nats a document.
    pub loss: Estimate,
}

/// What a final model loses on the validation documents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DocumentLoss {
    /// The arm.
    pub arm: String,
    /// The seed.
    pub seed: u64,
    /// Its loss in nats a document.
    pub loss: Estimate,
}

/// A synthesizer beside the Bayes-optimal predictor of d2 from d1. Losses are means over pairs, in nats a document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LearnedShare {
    /// The synthesizer.
    pub name: String,
    /// Pairs of one concept that measure it.
    pub pairs: u64,
    /// Pairs of which one document could not follow the other: false ones, left out.
    pub left_out: u64,
    /// −ln P(d2).
    pub marginal: f64,
    /// −ln P(d2 | d1).
    pub conditional: f64,
    /// The synthesizer's after d1.
    pub true_seed: f64,
    /// The synthesizer's after another pair's d1.
    pub random_seed: f64,
    /// The synthesizer's after nothing.
    pub no_seed: f64,
    /// (marginal − true_seed) / (marginal − conditional).
    pub share: Estimate,
    /// (random_seed − true_seed) / (marginal − conditional).
    pub share_by_seed: Estimate,
    /// −ln p(d2) of the model that it started from, without d1, and the share by that loss; `None` where an older version did
    /// not keep them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<(f64, Estimate)>,
}

/// The training pairs of a set, by what the world says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairTruth {
    /// The set.
    pub name: String,
    /// Training pairs.
    pub pairs: u64,
    /// Those of two documents with one concept.
    pub true_pairs: u64,
    /// True pairs of unique documents that the world names.
    pub named: u64,
    /// Those of them that are in the set.
    pub found: u64,
}

/// The kept documents of a synthetic corpus, judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JudgedCorpus {
    /// The corpus.
    pub name: String,
    /// What they are.
    pub measures: Vec<Measure>,
    /// P(c | d2) over P(c | d1), where concepts are inferred.
    pub calibration: Vec<CalibrationPoint>,
}

/// Documents and concepts with about one P(c | d1).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalibrationPoint {
    /// Mean P(c | d1).
    pub seed: f64,
    /// Mean P(c | what was written).
    pub written: f64,
    /// Mean P(c | what the world would write).
    pub ideal: f64,
    /// Documents and concepts.
    pub n: u64,
}

/// Questions of one group of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuestionGroup {
    /// The task.
    pub task: String,
    /// The group.
    pub group: String,
    /// Questions.
    pub n: u64,
    /// Share that the Bayes-optimal predictor answers right.
    pub bayes: Option<f64>,
    /// Share of who knows nobody, and says what is most often right. None of older runs, and of other tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guessed: Option<f64>,
    /// Share that each arm answers right, its mean over seeds.
    pub arms: Vec<(String, f64)>,
}
