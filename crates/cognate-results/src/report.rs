//! What a report holds, as `report.json` has it. The runner fills these; nothing here reads a run directory or draws.
//!
//! The names of [`Report`]'s first five fields, and of everything in [`Arm`], [`Validation`], [`TaskScore`],
//! [`GapClosed`] and [`LedgerEntry`], are a contract with readers outside this project and must not move. All numbers
//! must be finite: JSON has no NaN, so what could not be measured is `None` (`null`) or an entry left out.

use std::collections::BTreeMap;

use cognate_statistics::Estimate;
use serde::{Deserialize, Serialize};

use crate::dose::Doses;
use crate::members::Members;
use crate::provenance::{CardFacts, FileRecord};
use crate::related::{Pairs, Relation};
use crate::similarity::BySimilarity;
use crate::task_point::TaskPoint;
use crate::world::World;

/// Arm name of the baseline: the unique documents, repeated to the budget.
pub const REPETITION: &str = "repetition";
/// Arm name of synthetic bootstrapped pretraining: the unique documents repeated, the synthetic ones once.
pub const SBP: &str = "sbp";
/// Arm name of the upper bound: fresh unique documents to the budget.
pub const ORACLE: &str = "oracle";
/// The key of [`Report::gap_closed`] for validation nats per token.
pub const VALIDATION: &str = "validation";
/// The measure that is the mean of all tasks' figures, where there are several.
pub const TASK_AVERAGE: &str = "task average";

/// The key of [`Report::gap_closed`] for an arm: the measure (for [`SBP`]), or `MEASURE of ARM`.
#[must_use]
pub fn gap_key(measure: &str, arm: &str) -> String {
    if arm == SBP { measure.to_owned() } else { format!("{measure} of {arm}") }
}

/// What ends the measure of [`answer_nats`].
const ANSWER_NATS: &str = " answer nats";

/// The measure of how well a task's right answers are predicted: the mean of their −ln p.
#[must_use]
pub fn answer_nats(task: &str) -> String {
    format!("{task}{ANSWER_NATS}")
}

/// Whether less of a measure is better: of [`VALIDATION`] and of [`answer_nats`].
#[must_use]
pub fn is_in_nats(measure: &str) -> bool {
    measure == VALIDATION || measure.ends_with(ANSWER_NATS)
}

/// One experiment, measured: what `report.json` holds and `report.html` shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// The experiment's name, from its recipe.
    pub name: String,
    /// One entry per final model: an arm trained with several seeds has several entries of one name.
    pub arms: Vec<Arm>,
    /// Share of the distance from `repetition` to `oracle` that `sbp` covered, by what was measured
    /// (see [`VALIDATION`] and [`validation_gap`]).
    pub gap_closed: BTreeMap<String, GapClosed>,
    /// Every arm beside [`REPETITION`], and every control beside the arm that it is a control of.
    #[serde(default)]
    pub comparisons: Vec<ArmComparison>,
    /// What became of the generated documents: those that [`SBP`] takes most of.
    pub synthetic_quality: SyntheticQuality,
    /// The same of the other synthetic corpora.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub further_synthetic: Vec<SyntheticQuality>,
    /// What every stage cost, in the order in which the stages ran.
    pub ledger: Vec<LedgerEntry>,
    /// Losses on the way, one entry per final model.
    pub curves: Vec<Curve>,
    /// Tasks on the way, by arm, step and task; empty where no checkpoints were measured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub task_curves: Vec<TaskPoint>,
    /// Where the arms' gains sit; `None` where nothing was embedded or too little is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_similarity: Option<BySimilarity>,
    /// Arms of the same synthetic corpora in different shares; empty where there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub doses: Vec<Doses>,
    /// Arms of several models, each with each seed; empty where there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<Members>,
    /// How the documents were paired from which the generated ones come; `None` where no arm needed pairs.
    pub pairs: Option<Pairs>,
    /// The other sets of pairs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub further_pairs: Vec<Pairs>,
    /// What tuning taught their writer about related documents; `None` where nothing was tuned.
    pub relation: Option<Relation>,
    /// What it taught the other synthesizers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub further_relations: Vec<Relation>,
    /// What is known because the corpus is made; `None` where it was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub world: Option<World>,
    /// Seeds beside what was written from them and what really stands beside them.
    pub examples: Vec<Example>,
    /// The recipe as resolved, in TOML: every key, defaults included.
    pub recipe: String,
    /// What ran it, and how to run it again.
    pub environment: Environment,
    /// What a reader should know before trusting the numbers, one plain sentence each.
    pub notes: Vec<String>,
    /// What a reader should know of the controls: how each was made, and what it equals.
    #[serde(default)]
    pub controls: Vec<String>,
    /// Stages that are not finished, in words (`train sbp`); empty for a whole run.
    #[serde(default)]
    pub missing: Vec<String>,
    /// The files that went in and came out, by their content.
    #[serde(default)]
    pub files: Vec<FileRecord>,
    /// What the cards of the corpus and the models say and the rest of the report does not.
    #[serde(default)]
    pub cards: CardFacts,
}

impl Report {
    /// The synthetic corpora of which something is known, that of [`SBP`] first.
    #[must_use]
    pub fn corpora(&self) -> Vec<&SyntheticQuality> {
        let all = std::iter::once(&self.synthetic_quality).chain(&self.further_synthetic);
        all.filter(|corpus| **corpus != SyntheticQuality::default()).collect()
    }

    /// Whether there are several sets of pairs, synthesizers or synthetic corpora, so that each must be called by its name.
    #[must_use]
    pub fn has_several(&self) -> bool {
        !(self.further_synthetic.is_empty() && self.further_pairs.is_empty() && self.further_relations.is_empty())
    }

    /// The sets of pairs, that behind [`SBP`] first.
    #[must_use]
    pub fn pair_sets(&self) -> Vec<&Pairs> {
        self.pairs.iter().chain(&self.further_pairs).collect()
    }

    /// What is known of the synthesizers, that behind [`SBP`] first.
    #[must_use]
    pub fn relations(&self) -> Vec<&Relation> {
        self.relation.iter().chain(&self.further_relations).collect()
    }
}

/// One final model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arm {
    /// What kind of arm it is: [`REPETITION`], [`SBP`], [`ORACLE`] or a control.
    pub name: String,
    /// Seed of its initialisation and data order.
    pub seed: u64,
    /// Tokens seen in training, repetitions and synthetic tokens included.
    pub train_tokens: u64,
    /// Distinct real tokens that it could draw on.
    pub unique_tokens: u64,
    /// Synthetic tokens seen in training.
    pub synthetic_tokens: u64,
    /// How often each unique token was seen, on average: real training tokens / unique tokens.
    pub epochs: f64,
    /// Floating-point operations of training this model (a number of operations, not a rate). Not a `u64`: runs
    /// above 1.8e19 are ordinary.
    pub flops: f64,
    /// Operations of what this model needed before that training and repetition does not, whether or not another arm needed it too:
    /// for synthetic documents embedding, pairing, tuning, generating and filtering; for a chosen weight decay the other trainings
    /// of the sweep and scoring all of them, of [`REPETITION`] too; for related contexts embedding and the search for neighbours. The
    /// base model that tuning starts from is the repetition arm's, with all that it was chosen from, and not among it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub preparation_flops: f64,
    /// Operations of models that it, its synthesizers or its teachers start from or are, and of what these are made from, where repetition has
    /// them for nothing: what an arm costs without repetition beside it is this, [`Arm::preparation_flops`] and [`Arm::flops`].
    #[serde(default, skip_serializing_if = "is_zero")]
    pub base_flops: f64,
    /// Scores on the validation documents.
    pub validation: Validation,
    /// Scores on other tasks, by task name; empty where none were asked for.
    pub tasks: BTreeMap<String, TaskScore>,
}

/// Scores on held-out documents, each scored alone up to and including its end-of-document token.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Validation {
    /// Mean −log p over all scored tokens, in nats.
    pub nats_per_token: f64,
    /// Its standard error over documents; `None` for fewer than two, or where an older version did not keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stderr: Option<f64>,
    /// exp of [`Validation::nats_per_token`].
    pub perplexity: f64,
    /// Its standard error, as that of nats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub perplexity_stderr: Option<f64>,
    /// Summed −log₂ p over the bytes of the documents' UTF-8 text: comparable between tokenizers.
    pub bits_per_byte: f64,
    /// Its standard error, as that of nats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bits_per_byte_stderr: Option<f64>,
}

impl Validation {
    /// The standard errors of nats, perplexity and bits.
    #[must_use]
    pub fn errors(&self) -> [Option<f64>; 3] {
        [self.stderr, self.perplexity_stderr, self.bits_per_byte_stderr]
    }
}

fn is_zero(flops: &f64) -> bool {
    *flops == 0.0
}

/// One task's score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskScore {
    /// What was measured, as `accuracy` or `perplexity`.
    pub metric: String,
    /// The score, in the metric's unit.
    pub value: f64,
    /// Standard error of `value`, in its unit; `None` where none was computed.
    pub stderr: Option<f64>,
    /// Items scored.
    pub n: u64,
    /// Everything that was measured on the task, this score among it, by metric.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, Estimate>,
}

/// A share of the gap. 0 is `repetition`, 1 is `oracle`; below 0 is worse than `repetition`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GapClosed {
    /// The share; `None` where an arm is missing or the oracle is not better than repetition.
    pub mean: Option<f64>,
    /// Lower end of its interval; `None` where none was computed.
    pub low: Option<f64>,
    /// Upper end of its interval; `None` where none was computed.
    pub high: Option<f64>,
    /// Seeds that every one of the three arms was trained with.
    pub seeds: u64,
}

/// The difference between two arms on the same documents. The interval is of 95 %, from resampling documents and, where there are
/// several, seeds (docs/evaluation.md).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArmComparison {
    /// [`Arm::name`].
    pub arm: String,
    /// Name of the arm that it is compared with.
    pub against: String,
    /// What was measured: [`VALIDATION`] is nats per token, of which fewer are better; a task's name or [`TASK_AVERAGE`] a share of
    /// right answers, of which more are; what [`answer_nats`] makes of a task's name the nats of its right answers, of which fewer are.
    pub measure: String,
    /// `arm` minus `against`, over the seeds that both have.
    pub difference: f64,
    /// Lower end of its interval.
    pub low: f64,
    /// Upper end of its interval.
    pub high: f64,
    /// Seeds; with one, the interval covers documents alone.
    pub seeds: u64,
    /// Documents.
    pub documents: u64,
}

impl ArmComparison {
    /// Whether the interval leaves out 0.
    #[must_use]
    pub fn is_significant(&self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }
}

/// What became of the generated documents.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyntheticQuality {
    /// The corpus's name in the recipe; empty where an older version did not keep it.
    #[serde(default)]
    pub name: String,
    /// Who wrote it and from what, as a sentence. Empty where an older version did not keep it.
    #[serde(default)]
    pub made: String,
    /// Documents generated, before any filter.
    pub generated_documents: u64,
    /// Documents that passed every filter.
    pub kept_documents: u64,
    /// Tokens of the kept documents.
    pub kept_tokens: u64,
    /// Documents dropped, by reason, in the order of the filters. With the kept ones they add up to the generated ones.
    pub dropped: Vec<Dropped>,
    /// What the documents are like, beside real ones: lengths, repetition, novelty, …
    pub figures: Vec<QualityFigure>,
    /// What each rule of the filters alone would drop, of generated documents and of the unique ones. Empty where that was not counted.
    #[serde(default)]
    pub rules: Vec<QualityFigure>,
    /// How documents are related to their seeds, beside true and random pairs.
    pub pair_figures: Vec<QualityFigure>,
    /// How well relevance tells true pairs from random ones; `None` where too few pairs were held out.
    pub calibration: Option<Calibration>,
}

/// Scores of relevance on held-out true pairs against random ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// One for the forward score, one for the backward score.
    pub curves: Vec<RocCurve>,
    /// The forward score, in nats per token, below which a pair counts as irrelevant; `None` where too few pairs were held out to
    /// choose one, or the interval of the forward curve's area does not lie above 0.5.
    pub threshold: Option<f64>,
    /// Share of true pairs that score at least the threshold.
    pub true_above: Option<f64>,
    /// Share of random pairs that do.
    pub random_above: Option<f64>,
}

/// A receiver operating characteristic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RocCurve {
    /// Which score: `forward` or `backward`.
    pub score: String,
    /// Area under the curve: how often a true pair scores higher than a random one. 0.5 is chance.
    pub area: f64,
    /// Lower end of its 95 % interval.
    pub low: f64,
    /// Upper end of its 95 % interval.
    pub high: f64,
    /// True pairs scored.
    pub true_pairs: u64,
    /// Random pairs scored.
    pub random_pairs: u64,
    /// Share of random pairs and share of true pairs that score at least so much, for a falling score; from (0, 0) to (1, 1).
    pub points: Vec<(f64, f64)>,
}

/// One figure of several collections of documents or pairs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QualityFigure {
    /// What was measured, in words.
    pub name: String,
    /// Its unit, as in [`Measure::unit`].
    pub unit: String,
    /// How the 95 % intervals came about: `binomial`, `bootstrap`, …
    pub interval: String,
    /// The values.
    pub of: Vec<QualityValue>,
}

/// A figure of one collection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QualityValue {
    /// Whose: `validation text`, `generated` or `kept`; of pairs `synthetic`, `true neighbours` or `random pairs`.
    pub whose: String,
    /// The value.
    pub value: f64,
    /// Lower end of its 95 % interval.
    pub low: f64,
    /// Upper end of its 95 % interval.
    pub high: f64,
    /// What it was estimated from: documents, pairs, or what the name says.
    pub n: u64,
}

/// Documents that one filter dropped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dropped {
    /// Why, as the filter names it.
    pub reason: String,
    /// How many.
    pub documents: u64,
}

/// A measured number with its unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measure {
    /// What was measured, in words.
    pub name: String,
    /// The number; a share is between 0 and 1 and has the unit `share`, which is shown in percent.
    pub value: f64,
    /// Its unit, in words (`documents`, `tokens`, `share`, `nats per token`); empty for a bare number.
    pub unit: String,
    /// How many items it was measured on; `None` for a plain count.
    pub n: Option<u64>,
}

/// One row of the cost ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerEntry {
    /// Stage name.
    pub stage: String,
    /// The arm it worked for; `None` where several arms share its result.
    pub arm: Option<String>,
    /// Wall time in seconds, summed over interrupted attempts.
    pub wall_s: f64,
    /// Floating-point operations; 0 where the stage counts none.
    pub flops: f64,
    /// Tokens read or written; 0 where the stage counts none.
    pub tokens: u64,
    /// Documents (or pairs) worked on; 0 where the stage counts none.
    pub documents: u64,
    /// Most resident memory of the process while the stage ran, in bytes; `None` where the system does not tell.
    #[serde(default)]
    pub peak_rss_bytes: Option<u64>,
}

impl LedgerEntry {
    /// Counts `other`, which is a part of the same work.
    pub fn add(&mut self, other: &Self) {
        self.wall_s += other.wall_s;
        self.flops += other.flops;
        self.tokens += other.tokens;
        self.documents += other.documents;
        self.peak_rss_bytes = self.peak_rss_bytes.max(other.peak_rss_bytes);
    }
}

/// Losses of one final model on the way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Curve {
    /// [`Arm::name`].
    pub arm: String,
    /// [`Arm::seed`].
    pub seed: u64,
    /// Training loss of each logged step.
    pub train: Vec<Point>,
    /// Loss on validation documents, as the training loop measured it.
    pub validation: Vec<Point>,
}

/// One point of a loss curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// Training tokens seen so far.
    pub tokens: u64,
    /// Mean −log p in nats.
    pub nats_per_token: f64,
}

/// Losses, averaged over equally many neighbours where there are more than `most`.
#[must_use]
pub fn thinned(points: &[Point], most: usize) -> Vec<Point> {
    let run = points.len().div_ceil(most.max(1)).max(1);
    let mean = |points: &[Point]| Point {
        tokens: points.last().map_or(0, |last| last.tokens),
        nats_per_token: points.iter().map(|point| point.nats_per_token).sum::<f64>() / points.len() as f64,
    };
    points.chunks(run).map(mean).collect()
}

/// A seed, what was written from it, and a document that is really its neighbour.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// d1.
    pub seed: ExampleText,
    /// What the synthesizer wrote from d1.
    pub synthetic: ExampleText,
    /// A true d2 of d1.
    pub neighbour: ExampleText,
    /// Cosine similarity of the seed and its true neighbour.
    pub similarity: f64,
    /// Cosine similarity of the seed and the synthetic document; `None` where it was not embedded.
    pub synthetic_similarity: Option<f64>,
}

/// A document in an example.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExampleText {
    /// The document's id.
    pub id: String,
    /// Its whole text; the page shows its beginning.
    pub text: String,
}

/// What ran the experiment, and how to run it again. Holds no path and no host name, so that a report can be published.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Environment {
    /// Version of the program.
    pub version: String,
    /// Where the models ran, as `cpu`.
    pub device: String,
    /// Threads used.
    pub threads: u64,
    /// Model name of the processor; empty where the system does not tell.
    pub cpu: String,
    /// Highest resident memory of the process in bytes; `None` where the system does not tell.
    pub peak_rss_bytes: Option<u64>,
    /// Commands that repeat the experiment, in order.
    pub commands: Vec<String>,
}

impl Environment {
    /// Of a run that has not written a report yet: only the version that looks at it is known.
    #[must_use]
    pub fn unknown() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            device: String::new(),
            threads: 0,
            cpu: String::new(),
            peak_rss_bytes: None,
            commands: Vec::new(),
        }
    }
}

/// Share of the gap closed, from three losses in nats: (repetition − sbp) / (repetition − oracle). `None` where the
/// oracle is not better than repetition, since there is no gap then, or where a loss is not finite.
#[must_use]
pub fn gap_closed(repetition: f64, sbp: f64, oracle: f64) -> Option<f64> {
    let share = (repetition - sbp) / (repetition - oracle);
    (repetition > oracle && share.is_finite()).then_some(share)
}

/// The `validation` entry of [`Report::gap_closed`]: [`gap_closed`] of the arms' mean nats per token over the seeds
/// that all three have. A ratio of means, not a mean of ratios, which one seed with a tiny gap would dominate. Gives
/// no interval.
#[must_use]
pub fn validation_gap(arms: &[Arm]) -> GapClosed {
    let nats = |name: &str, seed: u64| {
        arms.iter().find(|arm| arm.name == name && arm.seed == seed).map(|arm| arm.validation.nats_per_token)
    };
    let mut sums = [0.0; 3];
    let mut seeds = 0;
    for arm in arms.iter().filter(|arm| arm.name == SBP) {
        if let (Some(repetition), Some(sbp), Some(oracle)) =
            (nats(REPETITION, arm.seed), nats(SBP, arm.seed), nats(ORACLE, arm.seed))
        {
            seeds += 1;
            for (sum, loss) in sums.iter_mut().zip([repetition, sbp, oracle]) {
                *sum += loss;
            }
        }
    }
    let [repetition, sbp, oracle] = sums.map(|sum| sum / (seeds as f64));
    GapClosed { mean: gap_closed(repetition, sbp, oracle), low: None, high: None, seeds }
}
