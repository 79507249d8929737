//! From the manifests of a run directory to its report. Reads what is there: a run that is not finished gets a report
//! of what exists, with a note of what is missing.

mod cautions;
mod compare;
mod costs;
mod examples;
mod provenance;
mod quality_tables;
mod samples;
mod shares;
mod similarity;
mod synthesis;
mod task_scores;
mod trainings;
mod worlds;
use std::path::Path;

use cognate_eval::Perplexity;
use cognate_results::{self as results, Curve, Environment, Point, Report, Validation, thinned};
use serde::de::DeserializeOwned;

use crate::context::Settings;
use crate::error::{Error, Result};
use crate::metrics::Metrics;
use crate::recipe::{Arm, Recipe};
use crate::rundir::{Artifact, MANIFEST, Manifest};
use crate::stages::train::training::Trained;
use crate::step::{Replicate, Step};

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
        let (synthetic_quality, further_synthetic) = self.synthetic()?;
        let (pairs, further_pairs) = self.pair_sets()?;
        let (relation, further_relations) = self.relations()?;
        // Every stage's peak began anew, so the process's own is the last stage's.
        let peaks = ledger.iter().map(|entry| entry.peak_rss_bytes).max().flatten();
        let environment = Environment { peak_rss_bytes: environment.peak_rss_bytes.max(peaks), ..environment };
        let doses = self.doses(&gap_closed);
        let world = self.world(&gap_closed)?;
        let mut report = Report {
            name: self.recipe.name.clone(),
            doses,
            members: self.members()?,
            gap_closed,
            comparisons,
            arms,
            synthetic_quality: synthetic_quality.unwrap_or_default(),
            further_synthetic,
            ledger,
            curves,
            task_curves: self.task_curves()?,
            by_similarity: self.by_similarity()?,
            pairs,
            further_pairs,
            relation,
            further_relations,
            world,
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
            (recipe.baseline(), results::REPETITION),
            (recipe.subject(), results::SBP),
            (recipe.ceiling(), results::ORACLE),
        ];
        let holds = |at: &Option<usize>| at.is_some_and(|at| recipe.arms[at].name == arm.name);
        roles.iter().find(|(at, _)| holds(at)).map_or(&arm.name, |(_, role)| role)
    }

    /// What `step` left in its manifest, where there is such a step and it is finished.
    fn statistics_of<T: DeserializeOwned>(&self, step: Option<Step>) -> Result<Option<T>> {
        step.map_or(Ok(None), |step| self.statistics(step.folder(self.recipe)))
    }

    /// The report's entry for a final model, where it is finished.
    pub(crate) fn reported<'a>(&self, report: &'a Report, model: Replicate) -> Option<&'a results::Arm> {
        let name = self.report_name(&self.recipe.arms[model.arm]);
        report.arms.iter().find(|arm| arm.name == name && arm.seed == model.seed)
    }

    /// The arm's name in the report, with the seed, where that is not the recipe's own.
    fn report_label(&self, model: Replicate) -> String {
        let name = self.report_name(&self.recipe.arms[model.arm]);
        if model.seed == self.recipe.seed { name.to_owned() } else { format!("{name}, seed {}", model.seed) }
    }

    fn arms(&self) -> Result<Vec<results::Arm>> {
        let mut arms = Vec::new();
        for model in Replicate::measured(self.recipe) {
            let scores: Option<Perplexity> = self.statistics(Step::Evaluate(model).folder(self.recipe))?;
            let training = self.artifact(Step::Train(model).folder(self.recipe))?;
            let (Some(scores), Some(training)) = (scores, training) else { continue };
            let trained: Trained = statistics(&training)?;
            let Some(diet) = trained.diet else { continue };
            arms.push(results::Arm {
                name: self.report_name(&self.recipe.arms[model.arm]).to_owned(),
                seed: model.seed,
                train_tokens: trained.tokens,
                unique_tokens: diet.unique_tokens,
                synthetic_tokens: diet.synthetic_tokens,
                epochs: diet.epochs,
                flops: costs::training_flops(&training.manifest, &trained),
                preparation_flops: self.preparation_flops(model, &trained)?,
                base_flops: self.base_flops(model)?,
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
}

fn statistics<T: DeserializeOwned>(artifact: &Artifact) -> Result<T> {
    serde_json::from_value(artifact.manifest.work.statistics.clone()).map_err(|error| Error::Damaged {
        path: artifact.path(MANIFEST),
        message: format!("its statistics are not those of this version: {error}"),
    })
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
