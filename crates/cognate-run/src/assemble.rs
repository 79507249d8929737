//! From the manifests of a run directory to its report. Reads what is there: a run that is not finished gets a report
//! of what exists, with a note of what is missing.

mod cautions;
mod compare;
mod costs;
mod examples;
mod provenance;
mod quality_tables;
mod samples;
mod similarity;
mod task_scores;
mod trainings;
use std::path::Path;

use cognate_eval::Perplexity;
use cognate_pair::{Histogram, LsaStats, PairStats, Rule, UnseenStats};
use cognate_report::{
    self as report, Curve, Dropped, Environment, Measure, Point, Relation, RelationLoss, RelationPoint, Report,
    SimilarityHistogram, SyntheticQuality, Validation, thinned,
};
use cognate_synth::Reason;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::context::Settings;
use crate::error::{Error, Result};
use crate::metrics::Metrics;
use crate::recipe::{Arm, PairMethod, Recipe, Vectors};
use crate::rundir::{Artifact, MANIFEST, Manifest};
use crate::stages::filter::Filtered;
use crate::stages::train::training::Trained;
use crate::step::{Replicate, Step, writer};

/// Points of a training curve in a report; more are averaged.
const CURVE_POINTS: usize = 600;

/// A run directory to report on.
pub(crate) struct Assembly<'a> {
    pub(crate) root: &'a Path,
    pub(crate) recipe: &'a Recipe,
}

impl Assembly<'_> {
    /// The report of what the directory holds.
    pub(crate) fn report(&self, environment: Environment) -> Result<Report> {
        let (arms, curves, ledger) = (self.arms()?, self.curves()?, self.ledger()?);
        let mut notes = self.notes()?;
        notes.extend(self.lost_losses(&curves)?);
        let (comparisons, gap_closed) = self.compare(&arms)?;
        // Every stage's peak began anew, so the process's own is the last stage's.
        let peaks = ledger.iter().map(|entry| entry.peak_rss_bytes).max().flatten();
        let environment = Environment { peak_rss_bytes: environment.peak_rss_bytes.max(peaks), ..environment };
        let mut report = Report {
            name: self.recipe.name.clone(),
            gap_closed,
            comparisons,
            arms,
            synthetic_quality: self.synthetic_quality()?,
            ledger,
            curves,
            task_curves: self.task_curves()?,
            by_similarity: self.by_similarity()?,
            pairs: self.pairs()?,
            relation: self.relation()?,
            examples: self.examples()?,
            recipe: self.recipe.to_toml().map_err(|error| Error::Io(std::io::Error::other(error)))?,
            environment,
            notes,
            controls: self.control_notes()?,
            missing: self.missing()?,
            files: self.files()?,
            cards: self.card_facts()?,
        };
        report.count_task_curves();
        Ok(report)
    }

    /// A finished artifact by its folder's name, where there is one.
    fn artifact(&self, name: impl AsRef<Path>) -> Result<Option<Artifact>> {
        let folder = self.root.join(name);
        Ok(Manifest::read(&folder)?.map(|manifest| Artifact { folder, manifest }))
    }

    fn statistics<T: DeserializeOwned>(&self, name: impl AsRef<Path>) -> Result<Option<T>> {
        self.artifact(name)?.map(|artifact| statistics(&artifact)).transpose()
    }

    /// What an arm is called in the report: by its role where it has one, which is what readers look for.
    fn report_name<'a>(&self, arm: &'a Arm) -> &'a str {
        let recipe = self.recipe;
        let roles = [
            (recipe.baseline(), report::REPETITION),
            (recipe.subject(), report::SBP),
            (recipe.ceiling(), report::ORACLE),
        ];
        let holds = |at: &Option<usize>| at.is_some_and(|at| recipe.arms[at].name == arm.name);
        roles.iter().find(|(at, _)| holds(at)).map_or(&arm.name, |(_, role)| role)
    }

    /// The synthetic corpus that the report tells of: that of which its subject takes most, or the first.
    pub(crate) fn subject_corpus(&self) -> Option<usize> {
        let first = (!self.recipe.synthetic.is_empty()).then_some(0);
        self.recipe.subject_corpora().first().copied().or(first)
    }

    /// The synthesizer that wrote it.
    fn subject_synthesizer(&self) -> Option<usize> {
        match writer(self.recipe, self.subject_corpus()?) {
            Step::Tune(at) => Some(at),
            _ => None,
        }
    }

    /// The pairs that it learned from.
    fn subject_pairs(&self) -> Option<usize> {
        let synthesizer = &self.recipe.synthesizers[self.subject_synthesizer()?];
        Some(self.recipe.pair_set(&synthesizer.pairs))
    }

    /// What `step` left in its manifest, where there is such a step and it is finished.
    fn statistics_of<T: DeserializeOwned>(&self, step: Option<Step>) -> Result<Option<T>> {
        step.map_or(Ok(None), |step| self.statistics(step.folder(self.recipe)))
    }

    /// The report's entry for a final model, where it is finished.
    pub(crate) fn reported<'a>(&self, report: &'a Report, model: Replicate) -> Option<&'a report::Arm> {
        let name = self.report_name(&self.recipe.arms[model.arm]);
        report.arms.iter().find(|arm| arm.name == name && arm.seed == model.seed)
    }

    /// The arm's name in the report, with the seed, where that is not the recipe's own.
    fn report_label(&self, model: Replicate) -> String {
        let name = self.report_name(&self.recipe.arms[model.arm]);
        if model.seed == self.recipe.seed { name.to_owned() } else { format!("{name}, seed {}", model.seed) }
    }

    fn arms(&self) -> Result<Vec<report::Arm>> {
        let mut arms = Vec::new();
        for model in Replicate::measured(self.recipe) {
            let scores: Option<Perplexity> = self.statistics(Step::Evaluate(model).folder(self.recipe))?;
            let training = self.artifact(Step::Train(model).folder(self.recipe))?;
            let (Some(scores), Some(training)) = (scores, training) else { continue };
            let trained: Trained = statistics(&training)?;
            let Some(diet) = trained.diet else { continue };
            arms.push(report::Arm {
                name: self.report_name(&self.recipe.arms[model.arm]).to_owned(),
                seed: model.seed,
                train_tokens: trained.tokens,
                unique_tokens: diet.unique_tokens,
                synthetic_tokens: diet.synthetic_tokens,
                epochs: diet.epochs,
                flops: costs::training_flops(&training.manifest, &trained),
                preparation_flops: self.preparation_flops(model, &trained)?,
                validation: Validation {
                    nats_per_token: scores.nats_per_token,
                    stderr: scores.stderr,
                    perplexity: scores.perplexity,
                    perplexity_stderr: scores.perplexity_stderr,
                    bits_per_byte: scores.bits_per_byte,
                    bits_per_byte_stderr: scores.bits_per_byte_stderr,
                },
                tasks: self.tasks(model)?,
            });
        }
        Ok(arms)
    }

    pub(crate) fn curves(&self) -> Result<Vec<Curve>> {
        let mut curves = Vec::new();
        for model in Replicate::all(self.recipe) {
            // Of an arm that is not finished, as far as it has come.
            let metrics = Metrics::read(&self.root.join(Step::Train(model).folder(self.recipe)))?;
            let mut curve = Curve {
                arm: self.report_name(&self.recipe.arms[model.arm]).to_owned(),
                seed: model.seed,
                train: thinned(&metrics.train, CURVE_POINTS),
                validation: metrics.validation,
            };
            if let Some(artifact) = self.artifact(Step::Train(model).folder(self.recipe))? {
                let trained: Trained = statistics(&artifact)?;
                let measured = trained.curve.iter().filter_map(|point| {
                    let nats_per_token = point.validation_nats?;
                    Some(Point { tokens: point.tokens, nats_per_token })
                });
                curve.validation = measured.collect();
            }
            if !(curve.train.is_empty() && curve.validation.is_empty()) {
                curves.push(curve);
            }
        }
        Ok(curves)
    }

    fn synthetic_quality(&self) -> Result<SyntheticQuality> {
        let corpus = self.subject_corpus().filter(|corpus| self.recipe.is_related(*corpus)).map(Step::Filter);
        let Some(filtered) = self.statistics_of::<Filtered>(corpus)? else { return Ok(SyntheticQuality::default()) };
        let stats = &filtered.filter;
        let dropped = Reason::ALL.into_iter().map(|reason| Dropped {
            reason: reason.name().replace('_', " "),
            documents: stats.dropped.get(&reason).copied().unwrap_or(0),
        });
        Ok(SyntheticQuality {
            generated_documents: stats.read.documents,
            kept_documents: stats.kept.documents,
            kept_tokens: filtered.synthetic.tokens,
            dropped: dropped.collect(),
            figures: quality_tables::figures(&filtered),
            rules: quality_tables::rules(&filtered),
            pair_figures: quality_tables::pair_figures(&filtered),
            calibration: filtered.measured.calibration.as_ref().map(quality_tables::calibration),
        })
    }

    fn pairs(&self) -> Result<Option<report::Pairs>> {
        let Some(set) = self.subject_pairs() else { return Ok(None) };
        // Of pairs that are given nothing is known but their numbers.
        let PairMethod::Neighbours(embedding) = &self.recipe.pairs[set].method else { return Ok(None) };
        let Some(stats) = self.statistics_of::<PairStats>(Some(Step::Pair(set)))? else { return Ok(None) };
        let embedding = self.recipe.embedding(embedding);
        let embedder = match self.recipe.embeddings[embedding].vectors {
            Vectors::Lsa => {
                let stats = self.statistics_of::<LsaStats>(Some(Step::Embed(embedding)))?;
                format!("latent semantic analysis, {} dimensions", stats.map_or(0, |stats| stats.dimensions))
            }
            Vectors::File(_) => "given vectors".to_owned(),
        };
        let similarities = &stats.similarities;
        let count = |name: &str, value: usize, unit: &str| measure(name, value as f64, unit, None);
        Ok(Some(report::Pairs {
            embedder,
            min_similarity: f64::from(stats.window.min_similarity),
            max_similarity: f64::from(stats.window.max_similarity),
            chosen: chosen(&stats),
            counts: vec![
                count("documents", stats.documents, "documents"),
                count("documents with a related one", stats.documents_with_pairs, "documents"),
                count("pairs for training", stats.train_pairs, "pairs"),
                count("pairs held out", stats.held_out_pairs, "pairs"),
                count("documents of held-out pairs", stats.held_out_documents, "documents"),
                count("unseen documents with a related one", stats.unseen.with_pairs, "documents"),
                count("dropped as near-copies", stats.near_copies, "pairs"),
                count("dropped as not similar enough", stats.below_window, "pairs"),
                count("dropped because one document is held out", stats.straddling, "pairs"),
                measure("targets of a seed, mean", stats.targets_per_seed.mean, "documents", None),
                count("targets of a seed, most", stats.targets_per_seed.max as usize, "documents"),
            ],
            histogram: SimilarityHistogram {
                precision: stats.precision.from_bin.clone(),
                edges: edges(&similarities.neighbour_histogram),
                neighbours: similarities.neighbour_histogram.counts.clone(),
                random: similarities.random_histogram.counts.clone(),
            },
        }))
    }

    fn relation(&self) -> Result<Option<Relation>> {
        let tune = self.subject_synthesizer().map(Step::Tune);
        let Some(trained) = self.statistics_of::<Trained>(tune)? else { return Ok(None) };
        let losses = |relation: &cognate_eval::Relation| RelationLoss {
            true_seed: relation.true_seed,
            random_seed: relation.random_seed,
            no_seed: relation.no_seed,
            gain_over_random: relation.gain_over_random,
            gain_over_none: relation.gain_over_none,
        };
        let unseen = match self.subject_pairs() {
            Some(set) => {
                self.statistics_of::<PairsMeasured>(Some(Step::Pair(set)))?.is_some_and(|of| of.unseen.measure)
            }
            None => false,
        };
        let chosen_at = trained.curve.iter().find(|point| point.step == trained.best_step).map(|point| point.tokens);
        Ok(trained.relation.map(|relations| Relation {
            pairs: relations.after.pairs,
            unseen,
            before: losses(&relations.before),
            after: losses(&relations.after),
            unused: relations.after.is_nothing(),
            curve: trained.curve.iter().filter_map(relation_point).collect(),
            chosen_at: chosen_at.unwrap_or_default(),
        }))
    }
}

/// What the statistics of every set of pairs say of those that measure.
#[derive(Deserialize)]
struct PairsMeasured {
    #[serde(default)]
    unseen: UnseenStats,
}

fn statistics<T: DeserializeOwned>(artifact: &Artifact) -> Result<T> {
    serde_json::from_value(artifact.manifest.work.statistics.clone()).map_err(|error| Error::Damaged {
        path: artifact.path(MANIFEST),
        message: format!("its statistics are not those of this version: {error}"),
    })
}

fn measure(name: &str, value: f64, unit: &str, n: Option<u64>) -> Measure {
    Measure { name: name.to_owned(), value, unit: unit.to_owned(), n }
}

/// One more border than there are bins.
fn edges(histogram: &Histogram) -> Vec<f64> {
    let (low, bin) = (f64::from(histogram.low), f64::from(histogram.bin));
    // Rounded so that the last border is 1 and not 0.99999997.
    (0..=histogram.counts.len()).map(|i| ((low + bin * i as f64) * 1e6).round() / 1e6).collect()
}

/// What runs the experiment.
pub(crate) fn environment(settings: &Settings) -> Environment {
    let info = fs_err::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")).and_then(|rest| rest.split_once(':'));
    Environment {
        version: settings.version.clone(),
        device: settings.device.word().to_owned(),
        threads: settings.threads as u64,
        cpu: model.map_or_else(String::new, |(_, name)| name.trim().to_owned()),
        peak_rss_bytes: cognate_base::process::peak_rss_bytes(),
        commands: vec![settings.command.clone()],
    }
}

/// By what pairs were chosen, for people.
fn chosen(stats: &PairStats) -> String {
    let how = match stats.precision.rule {
        Rule::Given => "The least similarity was given.".to_owned(),
        Rule::TwoHills { valley } => format!(
            "The similarities of neighbours have two hills, strangers and related documents, with the valley at {valley:.2}: pairs lie behind it."
        ),
        Rule::StandingOut { strangers } => format!(
            "The similarities of neighbours have one hill. A pair stands out from it: no more than {strangers:.2} strangers are to be expected \
             so near to either of its documents."
        ),
        Rule::OneHill => "No similarity tells related documents from strangers: this corpus has no usable relation. Pairs are as similar as \
                          one in a thousand random pairs."
            .to_owned(),
    };
    format!("{how} Of the pairs, {:.0} % are true by estimate.", 100.0 * stats.precision.estimate)
}

fn relation_point(point: &cognate_train::Point) -> Option<RelationPoint> {
    Some(RelationPoint {
        tokens: point.tokens,
        true_seed: point.validation_nats?,
        random_seed: point.random_seed_nats?,
        no_seed: point.no_seed_nats?,
    })
}
