//! Every arm beside repetition and every control beside what it is a control of, with intervals over seeds and documents, and the
//! share of the gap that each closed.

use std::collections::BTreeMap;

use cognate_results::{
    self as report, ArmComparison, GapClosed, VALIDATION, gap_closed, gap_key, is_in_nats, validation_gap,
};
use cognate_statistics::bootstrap::{Means, Resampling, means};

use super::Assembly;
use super::samples::Sample;
use crate::error::{Error, Result};
use crate::recipe::{Arm, Recipe};
use crate::step::{Replicate, Step};

/// Resamples of an interval.
const RESAMPLES: usize = 2000;
/// What an interval covers.
const CONFIDENCE: f64 = 0.95;

/// Every final model's samples: by arm, by seed, by measure.
pub(super) type Samples = Vec<Vec<BTreeMap<String, Sample>>>;

/// What two or three arms made of one measure's items, over the seeds that all of them have.
pub(super) struct Paired {
    pub(super) means: Means,
    seeds: u64,
    pub(super) documents: u64,
}

/// The share of the gap in a measure of which less is better, or more.
fn share(measure: &str) -> impl Fn(&[f64]) -> Option<f64> {
    let sign = if is_in_nats(measure) { 1.0 } else { -1.0 };
    move |means: &[f64]| gap_closed(sign * means[0], sign * means[1], sign * means[2])
}

impl Assembly<'_> {
    /// Differences from the baseline, differences of controls from the arms that they are controls of, and shares of the gap, on
    /// validation and on every task. A share stands under the measure's name for the subject, under [`gap_key`] for every other arm
    /// between baseline and ceiling.
    pub(super) fn compare(&self, arms: &[report::Arm]) -> Result<(Vec<ArmComparison>, BTreeMap<String, GapClosed>)> {
        let (mut comparisons, mut gaps) = (Vec::new(), BTreeMap::new());
        let Some(repetition) = self.recipe.baseline() else { return Ok((comparisons, gaps)) };
        let oracle = self.recipe.ceiling();
        let samples = self.all_samples()?;
        let all = || self.recipe.arms.iter().enumerate().filter(|(at, arm)| *at != repetition && arm.evaluate);
        for measure in measures(&samples) {
            for (at, arm) in all() {
                comparisons.extend(self.difference(&samples, measure, at, repetition)?);
                let name = self.report_name(arm);
                let trained = arms.iter().any(|other| other.name == name);
                if Some(at) == oracle || !trained {
                    continue;
                }
                let three =
                    oracle.map(|oracle| self.paired(&samples, measure, &[repetition, at, oracle])).transpose()?;
                let gap = match three.flatten() {
                    Some(paired) => gap_of(measure, &paired),
                    None if measure == VALIDATION => self.gap_without_documents(arms, arm),
                    None => continue,
                };
                gaps.insert(gap_key(measure, name), gap);
            }
            for (at, controlled) in controls(self.recipe, repetition) {
                comparisons.extend(self.difference(&samples, measure, at, controlled)?);
            }
        }
        Ok((comparisons, gaps))
    }

    /// The samples of every arm with every seed.
    pub(super) fn all_samples(&self) -> Result<Samples> {
        let of_arm = |arm| self.recipe.seeds.iter().map(move |&seed| self.samples(Replicate { arm, seed }));
        (0..self.recipe.arms.len()).map(|arm| of_arm(arm).collect()).collect()
    }

    /// How an arm differs from another in a measure; none where no seed of both was evaluated with at least two items.
    fn difference(
        &self,
        samples: &Samples,
        measure: &str,
        arm: usize,
        against: usize,
    ) -> Result<Option<ArmComparison>> {
        let Some(paired) = self.paired(samples, measure, &[against, arm])? else { return Ok(None) };
        let found = paired.means.statistic(|means| Some(means[1] - means[0]));
        let name = |at: usize| self.report_name(&self.recipe.arms[at]).to_owned();
        Ok(found.and_then(|found| found.interval.map(|(low, high)| (found.value, low, high))).map(
            |(difference, low, high)| ArmComparison {
                arm: name(arm),
                against: name(against),
                measure: measure.to_owned(),
                difference,
                low,
                high,
                seeds: paired.seeds,
                documents: paired.documents,
            },
        ))
    }

    /// The share of the validation gap that an arm closed, from the arms' figures alone.
    fn gap_without_documents(&self, arms: &[report::Arm], arm: &Arm) -> GapClosed {
        let name = self.report_name(arm);
        // The formula is about a repetition, an sbp and an oracle arm: here `arm` stands in the middle.
        let as_sbp = |other: &report::Arm| report::Arm { name: report::SBP.to_owned(), ..other.clone() };
        let mut compared: Vec<report::Arm> = arms.iter().filter(|other| other.name == name).map(as_sbp).collect();
        compared.extend(arms.iter().filter(|other| other.name != report::SBP && other.name != name).cloned());
        validation_gap(&compared)
    }

    /// What `arms` made of a measure's items, over the seeds that all of them were evaluated with; none where there is no such
    /// seed, or only one item.
    pub(super) fn paired(&self, samples: &Samples, measure: &str, arms: &[usize]) -> Result<Option<Paired>> {
        let mut totals = vec![Vec::new(); arms.len()];
        let mut first: Option<&Sample> = None;
        for (at, &seed) in self.recipe.seeds.iter().enumerate() {
            let found: Option<Vec<&Sample>> = arms.iter().map(|&arm| samples[arm][at].get(measure)).collect();
            for ((sample, totals), &arm) in found.iter().flatten().zip(&mut totals).zip(arms) {
                if !first.get_or_insert(*sample).pairs_with(sample) {
                    return Err(Error::Damaged {
                        path: self.root.join(Step::Evaluate(Replicate { arm, seed }).folder(self.recipe)),
                        message: format!("its documents of {measure} are not those that the other arms were scored on"),
                    });
                }
                totals.push(sample.totals.clone());
            }
        }
        let Some(Sample { items, weights, .. }) = first.filter(|first| first.items.len() > 1) else { return Ok(None) };
        let resampling = Resampling { resamples: RESAMPLES, confidence: CONFIDENCE, seed: self.recipe.seed };
        Ok(Some(Paired {
            means: means(weights, &totals, resampling)?,
            seeds: totals[0].len() as u64,
            documents: items.len() as u64,
        }))
    }
}

/// The controls, each with the arm that it is one of. Those of the baseline are not among them: beside that all arms stand.
fn controls(recipe: &Recipe, baseline: usize) -> Vec<(usize, usize)> {
    let evaluated = recipe.arms.iter().enumerate().filter(|(at, arm)| *at != baseline && arm.evaluate);
    let controls = evaluated.filter_map(|(at, arm)| Some((at, recipe.arm(arm.control_of.as_ref()?))));
    controls.filter(|(_, controlled)| *controlled != baseline).collect()
}

/// Every measure that a model has, validation first.
fn measures(samples: &Samples) -> Vec<&str> {
    let mut found: Vec<&str> = samples.iter().flatten().flat_map(|by| by.keys().map(String::as_str)).collect();
    found.sort_by_key(|measure| (*measure != VALIDATION, *measure));
    found.dedup();
    found
}

fn gap_of(measure: &str, paired: &Paired) -> GapClosed {
    let found = paired.means.statistic(share(measure));
    let (low, high) = found.and_then(|found| found.interval).unzip();
    GapClosed { mean: found.map(|found| found.value), low, high, seeds: paired.seeds }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_control_stands_once_beside_what_it_is_a_control_of() {
        let arm = |name: &str, decay: f64, of: &str| {
            format!("[[arm]]\nname = \"{name}\"\ntrain.weight_decay = {decay}\ncontrol_of = \"{of}\"\n")
        };
        let text = format!(
            "name = \"a\"\n[corpus]\npaths = [\"d\"]\n[model]\nlayers = 1\nwidth = 8\nheads = 1\n[train]\nbudget_tokens = 100000\n\
             [[arm]]\nkind = \"repetition\"\n[[arm]]\nkind = \"oracle\"\n{}{}{}evaluate = false\n",
            arm("b", 0.2, "repetition"),
            arm("c", 0.3, "oracle"),
            arm("d", 0.4, "b")
        );
        let recipe = Recipe::parse(Path::new("r.toml"), &text).unwrap();
        assert_eq!(controls(&recipe, 0), [(3, 1)], "that of repetition would be told twice, the last is not measured");
    }

    #[test]
    fn a_share_is_of_the_way_to_the_oracle_whichever_way_is_better() {
        let near = |found: Option<f64>, expected: f64| assert!((found.unwrap() - expected).abs() < 1e-12, "{found:?}");
        near(share(VALIDATION)(&[5.0, 4.75, 4.0]), 0.25);
        near(share(&report::answer_nats("blimp"))(&[5.0, 4.75, 4.0]), 0.25);
        near(share("blimp")(&[0.5, 0.55, 0.7]), 0.25);
        near(share("task average")(&[0.5, 0.45, 0.7]), -0.25);
        // Where the oracle is no better there is no gap.
        assert_eq!((share(VALIDATION)(&[5.0, 4.0, 5.5]), share("blimp")(&[0.5, 0.6, 0.4])), (None, None));
    }
}
