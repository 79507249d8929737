//! What a checkpoint scored on a task, as a run directory and a report hold it.

use serde::{Deserialize, Serialize};

/// File of [`TaskPoint`]s in a run directory, as JSON Lines.
pub const TASK_CURVES: &str = "task_curves.jsonl";

/// A task's figure at one checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskPoint {
    /// The arm; in [`TASK_CURVES`] its folder.
    pub arm: String,
    /// Its seed, where the report knows the folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Training steps so far.
    pub step: u64,
    /// Training tokens seen so far.
    pub tokens: u64,
    /// Operations up to here, [`Arm::preparation_flops`](super::Arm::preparation_flops) included; `None` in [`TASK_CURVES`], and where
    /// the arm's training was not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flops: Option<f64>,
    /// The task.
    pub task: String,
    /// Of which of its groups, such as a paradigm of BLiMP; none for the task as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// What was measured, as `accuracy` or `perplexity`.
    pub metric: String,
    /// Its value.
    pub value: f64,
    /// Standard error of `value`; `None` for fewer than two items.
    pub stderr: Option<f64>,
    /// Items scored.
    pub n: u64,
}
