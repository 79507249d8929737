//! Figures of published tasks: of the final models, and of the checkpoints on the way where these were measured.

use std::collections::BTreeMap;

use cognate_results::{Members, TASK_CURVES, TaskPoint, TaskScore};
use serde::Deserialize;

use super::Assembly;
use crate::error::{Error, Result};
use crate::stages::tasks::Scored;
use crate::step::{Replicate, Step};

/// What `evaluate` says of an arm's members; nothing where there is one.
#[derive(Deserialize)]
struct ByMembers {
    #[serde(default)]
    nats_by_members: Vec<f64>,
}

impl Assembly<'_> {
    /// The tasks' figures of the model `model`.
    pub(super) fn tasks(&self, model: Replicate) -> Result<BTreeMap<String, TaskScore>> {
        let scored: Option<Scored> = self.statistics(Step::Evaluate(model).folder(self.recipe))?;
        let score = |(name, scores): (String, cognate_eval::tasks::TaskScores)| {
            let cognate_eval::tasks::TaskScores { metric, value, stderr, n, metrics, .. } = scores;
            (name, TaskScore { metric, value, stderr, n, metrics })
        };
        Ok(scored.unwrap_or_default().tasks.into_iter().map(score).collect())
    }

    /// What arms of several models lose by how many of them are averaged.
    pub(super) fn members(&self) -> Result<Vec<Members>> {
        let mut found = Vec::new();
        for model in Replicate::measured(self.recipe) {
            let arm = &self.recipe.arms[model.arm];
            let scored: Option<ByMembers> = self.statistics(Step::Evaluate(model).folder(self.recipe))?;
            if let Some(nats) = scored.map(|scored| scored.nats_by_members).filter(|nats| !nats.is_empty()) {
                found.push(Members { arm: self.report_name(arm).to_owned(), seed: model.seed, nats });
            }
        }
        Ok(found)
    }

    /// What `cognate evaluate --all-checkpoints` left in the run directory, with the arms' names of the report.
    pub(super) fn task_curves(&self) -> Result<Vec<TaskPoint>> {
        let path = self.root.join(TASK_CURVES);
        if !path.exists() {
            return Ok(Vec::new());
        }
        let text = fs_err::read_to_string(&path)?;
        let models = Replicate::all(self.recipe);
        let point = |(at, line): (usize, &str)| {
            let mut point: TaskPoint = serde_json::from_str(line).map_err(|error| Error::Damaged {
                path: path.clone(),
                message: format!("line {}: {error}; write it again with `cognate evaluate --all-checkpoints`", at + 1),
            })?;
            if let Some(model) = models.iter().find(|model| model.folder(self.recipe) == point.arm) {
                self.report_name(&self.recipe.arms[model.arm]).clone_into(&mut point.arm);
                point.seed = Some(model.seed);
            }
            Ok(point)
        };
        text.lines().enumerate().map(point).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::recipe::Recipe;

    #[test]
    fn a_folder_of_another_seed_is_its_arm_with_that_seed() {
        let text = "name = \"a\"\nseeds = [0, 7]\n[corpus]\npaths = [\"d\"]\n[model]\nlayers = 1\nwidth = 8\nheads = 1\n\
                    [train]\nbudget_tokens = 100000\n[[arm]]\nkind = \"repetition\"\nname = \"plain\"\n";
        let recipe = Recipe::parse(Path::new("r.toml"), text).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let line = |arm: &str| {
            format!(
                "{{\"arm\":\"{arm}\",\"step\":1,\"tokens\":9,\"task\":\"t\",\"metric\":\"accuracy\",\"value\":0.5,\
                 \"stderr\":null,\"n\":4}}\n"
            )
        };
        let lines: String = ["plain", "plain-seed-7", "elsewhere"].into_iter().map(line).collect();
        fs_err::write(folder.path().join(TASK_CURVES), lines).unwrap();
        let found = Assembly { root: folder.path(), recipe: &recipe }.task_curves().unwrap();
        let named: Vec<_> = found.iter().map(|point| (point.arm.as_str(), point.seed)).collect();
        assert_eq!(named, [("repetition", Some(0)), ("repetition", Some(7)), ("elsewhere", None)]);
    }
}
