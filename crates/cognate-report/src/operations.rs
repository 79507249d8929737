//! Curves over floating-point operations: where a point lies, and what a reader should know of the axis.

use super::data::{Arm, Report};
use super::task_point::TaskPoint;

/// Where the line of an arm with synthetic documents begins.
const SYNTHESIS: &str = "for synthetic documents embedding, pairing, tuning, generating and filtering (the base model that tuning starts from \
     is the repetition arm's and does not count)";
/// Where the lines of the other arms begin that needed something.
const OTHERS: &str = "for a chosen weight decay the other trainings that it was chosen from, and scoring them; for related contexts embedding \
     and the search for neighbours";
/// How an arm's operations lie between its tokens.
const EVENLY: &str = "Operations are spread evenly over an arm's tokens.";

impl Report {
    /// Operations up to a point of the training of `arm` with `seed`, [`Arm::preparation_flops`](super::Arm::preparation_flops)
    /// included; `None` where training it was not counted.
    pub(crate) fn flops_at(&self, arm: &str, seed: u64, tokens: u64) -> Option<f64> {
        let trained = self.arms.iter().find(|other| other.name == arm && other.seed == seed)?;
        let own = trained.flops * tokens as f64 / trained.train_tokens as f64;
        (trained.flops > 0.0 && trained.train_tokens > 0).then_some(trained.preparation_flops + own)
    }

    /// Operations of an arm's training and of what it needed before, on average over its models; `None` where they were not counted.
    pub(super) fn flops_in_all(&self, arm: &str) -> Option<f64> {
        let models: Vec<&Arm> = self.arms.iter().filter(|other| other.name == arm).collect();
        let all: f64 = models.iter().map(|model| model.preparation_flops + model.flops).sum();
        let is_counted = !models.is_empty() && models.iter().all(|model| model.flops > 0.0);
        is_counted.then(|| all / models.len() as f64)
    }

    /// Gives the points of tasks their operations, as losses have theirs.
    pub fn count_task_curves(&mut self) {
        let flops = |point: &TaskPoint| self.flops_at(&point.arm, point.seed?, point.tokens);
        let counted: Vec<Option<f64>> = self.task_curves.iter().map(flops).collect();
        self.task_curves.iter_mut().zip(counted).for_each(|(point, flops)| point.flops = flops);
    }
}

/// Sentences about the axis, for a caption.
pub(super) fn axis_note(report: &Report) -> String {
    let prepared = || report.arms.iter().filter(|arm| arm.preparation_flops > 0.0);
    let written = prepared().any(|arm| arm.synthetic_tokens > 0).then_some(SYNTHESIS);
    let others = prepared().any(|arm| arm.synthetic_tokens == 0).then_some(OTHERS);
    let needed: Vec<&str> = written.into_iter().chain(others).collect();
    if needed.is_empty() {
        return EVENLY.to_owned();
    }
    format!(
        "A line begins at what its arm needed before its own training and repetition does not, whether or not another arm needed it \
         too: {}. What an arm chose from counts for it, repetition too. {EVENLY}",
        needed.join("; ")
    )
}

#[cfg(test)]
mod tests {
    use super::super::sample::sample;
    use super::*;

    #[test]
    fn the_axis_says_what_lines_begin_at_and_only_of_arms_that_are_there() {
        let mut report = sample();
        let said =
            |report: &Report| ["tuning, generating", "weight decay"].map(|words| axis_note(report).contains(words));
        assert_eq!(said(&report), [true, false]);
        report.arms[0].preparation_flops = 1.0;
        assert_eq!(said(&report), [true, true]);
        report.arms[1].preparation_flops = 0.0;
        assert_eq!(said(&report), [false, true]);
        report.arms[0].preparation_flops = 0.0;
        assert_eq!(axis_note(&report), EVENLY);
    }
}
