//! Every arm beside repetition, with intervals over seeds and documents, and the share of the gap that it closed.

use std::collections::BTreeMap;

use cognate_eval::DocumentScore;
use cognate_eval::bootstrap::{Means, Resampling, means};

use super::Assembly;
use crate::error::{Error, Result};
use crate::recipe::{Arm, ArmKind};
use crate::report::{self, ArmComparison, GapClosed, VALIDATION, gap_closed, validation_gap};
use crate::stage::{Replicate, Step};
use crate::stages::evaluate::read_scores;

/// Resamples of an interval.
const RESAMPLES: usize = 2000;
/// What an interval covers.
const CONFIDENCE: f64 = 0.95;

/// What two or three arms made of the validation documents, over the seeds that all of them have.
struct Paired {
    means: Means,
    seeds: u64,
    documents: u64,
}

impl Assembly<'_> {
    /// Differences from repetition, and shares of the gap: `validation` for the first `sbp` arm, `validation of NAME` for
    /// every other arm between the two.
    pub(super) fn compare(&self, arms: &[report::Arm]) -> Result<(Vec<ArmComparison>, BTreeMap<String, GapClosed>)> {
        let (mut comparisons, mut gaps) = (Vec::new(), BTreeMap::new());
        let place = |wanted: fn(&ArmKind) -> bool| self.recipe.arms.iter().position(|arm| wanted(&arm.kind));
        let Some(repetition) = place(|kind| *kind == ArmKind::Repetition) else { return Ok((comparisons, gaps)) };
        let oracle = place(|kind| matches!(kind, ArmKind::Oracle { .. }));
        for (at, arm) in self.recipe.arms.iter().enumerate().filter(|(at, _)| *at != repetition) {
            let name = self.report_name(arm);
            if let Some(paired) = self.paired(&[repetition, at])?
                && let Some(found) = paired.means.statistic(|means| Some(means[1] - means[0]))
                && let Some((low, high)) = found.interval
            {
                comparisons.push(ArmComparison {
                    arm: name.to_owned(),
                    against: self.report_name(&self.recipe.arms[repetition]).to_owned(),
                    measure: VALIDATION.to_owned(),
                    difference: found.value,
                    low,
                    high,
                    seeds: paired.seeds,
                    documents: paired.documents,
                });
            }
            if !matches!(arm.kind, ArmKind::Oracle { .. }) && arms.iter().any(|other| other.name == name) {
                let key = if name == report::SBP { VALIDATION.to_owned() } else { format!("{VALIDATION} of {name}") };
                gaps.insert(key, self.gap(arms, arm, repetition, at, oracle)?);
            }
        }
        Ok((comparisons, gaps))
    }

    /// The share of the gap that the arm at `at` closed.
    fn gap(
        &self,
        arms: &[report::Arm],
        arm: &Arm,
        repetition: usize,
        at: usize,
        oracle: Option<usize>,
    ) -> Result<GapClosed> {
        let name = self.report_name(arm);
        // The formula is about a repetition, an sbp and an oracle arm: here `arm` stands in the middle.
        let as_sbp = |other: &report::Arm| report::Arm { name: report::SBP.to_owned(), ..other.clone() };
        let mut compared: Vec<report::Arm> = arms.iter().filter(|other| other.name == name).map(as_sbp).collect();
        compared.extend(arms.iter().filter(|other| other.name != report::SBP && other.name != name).cloned());
        let mut gap = validation_gap(&compared);
        if let Some(oracle) = oracle
            && let Some(paired) = self.paired(&[repetition, at, oracle])?
            && let Some(found) = paired.means.statistic(|means| gap_closed(means[0], means[1], means[2]))
            && let Some((low, high)) = found.interval
        {
            (gap.low, gap.high) = (Some(low), Some(high));
        }
        Ok(gap)
    }

    /// The losses of `arms` on each document, over the seeds that all of them were evaluated with; none where there is no such
    /// seed, or only one document.
    fn paired(&self, arms: &[usize]) -> Result<Option<Paired>> {
        let folder = |arm: usize, seed: u64| self.artifact(Step::Evaluate(Replicate { arm, seed }).folder(self.recipe));
        let mut values = vec![Vec::new(); arms.len()];
        let mut first: Option<Vec<(String, u64)>> = None;
        for &seed in &self.recipe.seeds {
            let found: Vec<_> = arms.iter().map(|&arm| folder(arm, seed)).collect::<Result<_>>()?;
            let Some(found) = found.into_iter().collect::<Option<Vec<_>>>() else { continue };
            for (artifact, values) in found.iter().zip(&mut values) {
                let scores = read_scores(&artifact.folder)?;
                // The token that closes a document counts, as in the arm's own figure.
                let documents: Vec<(String, u64)> =
                    scores.iter().map(|score| (score.document.clone(), score.tokens + 1)).collect();
                let nats = |score: &DocumentScore| -score.log_likelihood - score.end_log_likelihood;
                values.push(scores.iter().map(nats).collect::<Vec<f64>>());
                match &first {
                    Some(first) if *first != documents => {
                        return Err(Error::Damaged {
                            path: artifact.folder.clone(),
                            message: "its documents are not those that the other arms were scored on".to_owned(),
                        });
                    }
                    Some(_) => {}
                    None => first = Some(documents),
                }
            }
        }
        let Some(documents) = first.filter(|documents| documents.len() > 1) else { return Ok(None) };
        let weights: Vec<f64> = documents.iter().map(|(_, tokens)| *tokens as f64).collect();
        let resampling = Resampling { resamples: RESAMPLES, confidence: CONFIDENCE, seed: self.recipe.seed };
        Ok(Some(Paired {
            means: means(&weights, &values, resampling)?,
            seeds: values[0].len() as u64,
            documents: documents.len() as u64,
        }))
    }
}
