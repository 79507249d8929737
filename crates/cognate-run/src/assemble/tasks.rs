//! Figures of published tasks: of the final models, and of the checkpoints on the way where these were measured.

use std::collections::BTreeMap;

use super::Assembly;
use crate::error::{Error, Result};
use crate::report::{TASK_CURVES, TaskPoint, TaskScore};
use crate::stage::{Replicate, Step};
use crate::stages::tasks::Scored;

impl Assembly<'_> {
    /// The tasks' figures of the model `model`.
    pub(super) fn tasks(&self, model: Replicate) -> Result<BTreeMap<String, TaskScore>> {
        let scored: Option<Scored> = self.statistics(Step::Evaluate(model).folder(self.recipe))?;
        let score = |(name, scores): (String, cognate_eval::tasks::TaskScores)| {
            let score = TaskScore { metric: scores.metric, value: scores.value, stderr: scores.stderr, n: scores.n };
            (name, score)
        };
        Ok(scored.unwrap_or_default().tasks.into_iter().map(score).collect())
    }

    /// What `cognate evaluate --all-checkpoints` left in the run directory, with the arms' names of the report.
    pub(super) fn task_curves(&self) -> Result<Vec<TaskPoint>> {
        let path = self.root.join(TASK_CURVES);
        if !path.exists() {
            return Ok(Vec::new());
        }
        let text = fs_err::read_to_string(&path)?;
        let point = |(at, line): (usize, &str)| {
            let mut point: TaskPoint = serde_json::from_str(line).map_err(|error| Error::Damaged {
                path: path.clone(),
                message: format!("line {}: {error}; write it again with `cognate evaluate --all-checkpoints`", at + 1),
            })?;
            if let Some(arm) = self.recipe.arms.iter().find(|arm| arm.name == point.arm) {
                self.report_name(arm).clone_into(&mut point.arm);
            }
            Ok(point)
        };
        text.lines().enumerate().map(point).collect()
    }
}
