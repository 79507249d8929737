//! The rows of a plan.

use crate::estimate::{Estimate, PROGRAM_BYTES, StagePlan};
use crate::step::Step;

/// What `step` takes: as it was measured, or by estimate.
pub(super) fn row(estimate: &Estimate<'_>, step: Step) -> StagePlan {
    if let Some(row) = estimate.measured.rows.get(&step) {
        // What its process took beyond what it held already is at least what the stage takes in a run.
        let beyond = (row.memory_bytes as f64).max(step.stage_of().memory(estimate));
        return StagePlan { memory_bytes: (PROGRAM_BYTES + beyond).round() as u64, ..row.clone() };
    }
    let cost = step.stage_of().cost(estimate);
    let figures = [
        ("documents", cost.documents),
        ("tokens", cost.tokens),
        ("flops", cost.flops),
        ("bytes", cost.bytes),
        ("wall_s", cost.wall_s),
        ("memory_bytes", PROGRAM_BYTES),
    ];
    let is_estimate = |(name, figure): &(&str, f64)| *figure > 0.0 && !cost.known.contains(name);
    StagePlan {
        estimated: figures.into_iter().filter(is_estimate).map(|(name, _)| name).collect(),
        stage: step.stage(),
        arm: step.thing(estimate.recipe),
        documents: cost.documents.round() as u64,
        tokens: cost.tokens.round() as u64,
        flops: cost.flops,
        bytes: cost.bytes.round() as u64,
        wall_s: cost.wall_s,
        memory_bytes: (PROGRAM_BYTES + step.stage_of().memory(estimate)).round() as u64,
    }
}
