//! Curves over floating-point operations: where a point lies, and what a reader should know of the axis.

use super::curves::TaskPoint;
use super::data::Report;
use super::ledger::synthesis_of;

/// What the axis counts, as a caption says it.
const SYNTHESIS_COUNTS: &str = "A line of synthetic documents begins where finding pairs, tuning, generating and filtering ended: \
     what they cost counts. The base model that tuning starts from is the repetition arm's and does not.";
/// How an arm's operations lie between its tokens.
const EVENLY: &str = "Operations are spread evenly over an arm's tokens.";

impl Report {
    /// Operations up to a point of the training of `arm` with `seed`, and of what came before it; `None` where training it was
    /// not counted.
    pub(crate) fn flops_at(&self, arm: &str, seed: u64, tokens: u64) -> Option<f64> {
        let trained = self.arms.iter().find(|other| other.name == arm && other.seed == seed)?;
        let own = trained.flops * tokens as f64 / trained.train_tokens as f64;
        let before: f64 = synthesis_of(self, arm).map(|entry| entry.flops).sum();
        (trained.flops > 0.0 && trained.train_tokens > 0).then_some(before + own)
    }

    /// Gives the points of tasks their operations, as losses have theirs.
    pub(crate) fn count_task_curves(&mut self) {
        let flops = |point: &TaskPoint| self.flops_at(&point.arm, point.seed?, point.tokens);
        let counted: Vec<Option<f64>> = self.task_curves.iter().map(flops).collect();
        self.task_curves.iter_mut().zip(counted).for_each(|(point, flops)| point.flops = flops);
    }
}

/// Sentences about the axis, for a caption.
pub(super) fn axis_note(report: &Report) -> String {
    let shifted =
        report.arms.iter().any(|arm| report.flops_at(&arm.name, arm.seed, 0).is_some_and(|flops| flops > 0.0));
    if shifted { format!("{SYNTHESIS_COUNTS} {EVENLY}") } else { EVENLY.to_owned() }
}
