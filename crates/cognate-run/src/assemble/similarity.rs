//! Every arm beside the baseline in quarters of the validation documents, by how similar these are to the unique ones.

use std::collections::{BTreeMap, HashMap};

use cognate_results::{ArmBySimilarity, BySimilarity, Difference, Quarter, VALIDATION};

use super::Assembly;
use super::compare::Samples;
use super::samples::Sample;
use crate::error::Result;
use crate::recipe::PairMethod;
use crate::recipe::pair_methods::Neighbours;
use crate::stages::nearest::{self, NEAREST};
use crate::step::Step;

/// Parts of the documents.
const QUARTERS: usize = 4;
/// Documents of a quarter below which its interval says nothing.
const LEAST_DOCUMENTS: usize = 5;

impl Assembly<'_> {
    /// None where nothing was embedded, or too few documents are known.
    pub(super) fn by_similarity(&self) -> Result<Option<BySimilarity>> {
        let Some(baseline) = self.recipe.baseline() else { return Ok(None) };
        let Some(embedded) =
            self.embedding().map(|at| self.artifact(Step::Embed(at).folder(self.recipe))).transpose()?.flatten()
        else {
            return Ok(None);
        };
        if embedded.rows(NEAREST) == 0 {
            return Ok(None);
        }
        let mut nearest = nearest::read(&embedded.folder)?;
        if nearest.len() < QUARTERS * LEAST_DOCUMENTS {
            return Ok(None);
        }
        nearest.sort_by(|a, b| a.similarity.total_cmp(&b.similarity).then_with(|| a.document.cmp(&b.document)));
        let quarter_of: HashMap<&str, usize> = (nearest.iter().enumerate())
            .map(|(rank, found)| (found.document.as_str(), rank * QUARTERS / nearest.len()))
            .collect();
        let samples: Samples = self
            .all_samples()?
            .into_iter()
            .map(|seeds| {
                seeds
                    .into_iter()
                    .map(|of| of.get(VALIDATION).map_or_else(BTreeMap::new, |all| parted(all, &quarter_of)))
                    .collect()
            })
            .collect();
        let mut quarters = Vec::new();
        for quarter in 0..QUARTERS {
            let mut of = nearest.iter().filter(|found| quarter_of[found.document.as_str()] == quarter);
            let Some(paired) = self.paired(&samples, &measure(quarter), &[baseline])? else { return Ok(None) };
            let (first, last) = (of.next(), of.next_back());
            quarters.push(Quarter {
                from: first.map_or(0.0, |found| found.similarity),
                to: last.or(first).map_or(0.0, |found| found.similarity),
                documents: paired.documents,
                baseline: paired.means.statistic(|means| Some(means[0])).map_or(0.0, |found| found.value),
            });
        }
        let mut arms = Vec::new();
        for (at, arm) in self.recipe.arms.iter().enumerate().filter(|(at, arm)| *at != baseline && arm.evaluate) {
            let mut differences = Vec::new();
            for quarter in 0..QUARTERS {
                let Some(paired) = self.paired(&samples, &measure(quarter), &[baseline, at])? else { break };
                let found = paired.means.statistic(|means| Some(means[1] - means[0]));
                let Some((value, (low, high))) = found.and_then(|found| Some((found.value, found.interval?))) else {
                    break;
                };
                differences.push(Difference { value, low, high });
            }
            if differences.len() == QUARTERS {
                arms.push(ArmBySimilarity { arm: self.report_name(arm).to_owned(), differences });
            }
        }
        Ok(Some(BySimilarity { quarters, arms }))
    }

    /// The embedding behind the pairs that the report tells of, or the first that is made.
    fn embedding(&self) -> Option<usize> {
        let of_pairs = self.subject_pairs().and_then(|set| match &self.recipe.pairs[set].method {
            PairMethod::Neighbours(Neighbours { embedding }) => Some(self.recipe.embedding(embedding)),
            _ => None,
        });
        let first = || {
            Step::all(self.recipe).into_iter().find_map(|step| match step {
                Step::Embed(at) => Some(at),
                _ => None,
            })
        };
        of_pairs.or_else(first)
    }
}

/// What a quarter's sample is called.
fn measure(quarter: usize) -> String {
    format!("quarter {quarter}")
}

/// A sample's documents by their quarters; those that are in none are left out.
fn parted(all: &Sample, quarter_of: &HashMap<&str, usize>) -> BTreeMap<String, Sample> {
    let mut parts: BTreeMap<String, Sample> = BTreeMap::new();
    for ((item, weight), total) in all.items.iter().zip(&all.weights).zip(&all.totals) {
        if let Some(quarter) = quarter_of.get(item.as_str()) {
            parts.entry(measure(*quarter)).or_default().push(item.clone(), *weight, *total);
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_go_into_their_quarters_with_what_they_count() {
        let mut all = Sample::default();
        for (at, item) in ["a", "b", "c", "d"].into_iter().enumerate() {
            all.push(item.to_owned(), at as f64 + 1.0, 10.0 * at as f64);
        }
        let parts = parted(&all, &HashMap::from([("a", 3), ("c", 0), ("d", 3)]));
        let of = |quarter| &parts[&measure(quarter)];
        assert_eq!(
            (parts.len(), &of(0).items[..], &of(3).items[..]),
            (2, &["c".to_owned()][..], &["a".to_owned(), "d".to_owned()][..])
        );
        assert_eq!((&of(3).weights[..], &of(3).totals[..]), (&[1.0, 4.0][..], &[0.0, 30.0][..]));
    }
}
