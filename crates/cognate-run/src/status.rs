//! `cognate status`: how far a run is, from what lies in its directory.

use std::fmt;
use std::path::Path;

use cognate_results::StageProgress;
use serde::Serialize;

use crate::duration::seconds;
use crate::error::Result;
use crate::recipe::Recipe;
use crate::rundir::{Manifest, Progress, RECIPE, RunDirError, refuse_first_release, was_begun};
use crate::step::{Step, column, label};

/// How far a run is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    /// The experiment's name.
    pub name: String,
    /// Who writes into the directory now.
    pub running: Option<String>,
    /// Every stage, in its order.
    pub stages: Vec<StageStatus>,
}

/// How far a stage is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StageStatus {
    /// Its name.
    pub stage: &'static str,
    /// The thing that it makes, where its stage makes several.
    pub arm: Option<String>,
    /// Where it stands.
    pub state: StageState,
    /// Seconds spent on it so far.
    pub wall_s: Option<f64>,
    /// Tokens of a finished stage.
    pub tokens: Option<u64>,
    /// Documents of a finished stage.
    pub documents: Option<u64>,
    /// What an unfinished stage was last seen doing.
    pub progress: Option<Progress>,
}

/// Where a stage stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StageState {
    /// Finished.
    Done,
    /// Begun, and somebody works in the directory.
    Running,
    /// Begun, and nobody works in the directory: running again continues it.
    Stopped,
    /// Not begun.
    Waiting,
}

impl StageState {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Waiting => "waiting",
        }
    }
}

/// As the page of a run at work shows it.
impl From<&Status> for cognate_results::Progress {
    fn from(status: &Status) -> Self {
        Self {
            name: status.name.clone(),
            is_running: status.running.is_some(),
            stages: status.stages.iter().map(StageProgress::from).collect(),
        }
    }
}

impl From<&StageStatus> for StageProgress {
    fn from(stage: &StageStatus) -> Self {
        let progress = stage.progress.as_ref();
        let share = |progress: &Progress| {
            progress.total.filter(|total| *total > 0).map(|total| progress.done as f64 / total as f64)
        };
        Self {
            name: stage.arm.as_ref().map_or_else(|| stage.stage.to_owned(), |arm| format!("{} · {arm}", stage.stage)),
            state: stage.state.word(),
            is_done: stage.state == StageState::Done,
            share: progress.and_then(share),
            wall_s: stage.wall_s,
            detail: progress.map_or_else(String::new, |progress| progress.detail.clone()),
        }
    }
}

/// Looks at the run directory `root`.
///
/// # Errors
/// When it is no run directory, or something in it is damaged.
pub fn status(root: &Path) -> Result<Status> {
    let path = root.join(RECIPE);
    if !path.exists() {
        return Err(RunDirError::NoRun { folder: root.to_path_buf() }.into());
    }
    refuse_first_release(root)?;
    let recipe = Recipe::load(&path)?;
    let running = cognate_base::Claim::holder(root)?;
    let stages = Step::all(&recipe).into_iter().map(|step| stage(root, &recipe, step, running.is_some()));
    Ok(Status { name: recipe.name.clone(), stages: stages.collect::<Result<_>>()?, running })
}

fn stage(root: &Path, recipe: &Recipe, step: Step, running: bool) -> Result<StageStatus> {
    let waiting = StageStatus {
        stage: step.stage(),
        arm: step.thing(recipe),
        state: StageState::Waiting,
        wall_s: None,
        tokens: None,
        documents: None,
        progress: None,
    };
    if step == Step::Report {
        // One of what existed when somebody asked for it is not the run's last word.
        let whole =
            cognate_results::read(&root.join(cognate_results::JSON_FILE)).is_ok_and(|report| report.missing.is_empty());
        let state = if whole { StageState::Done } else { StageState::Waiting };
        return Ok(StageStatus { state, ..waiting });
    }
    let folder = root.join(step.folder(recipe));
    if let Some(manifest) = Manifest::read(&folder)? {
        return Ok(StageStatus {
            state: StageState::Done,
            wall_s: Some(manifest.wall_s),
            tokens: Some(manifest.work.tokens),
            documents: Some(manifest.work.documents),
            ..waiting
        });
    }
    if !was_begun(&folder) {
        return Ok(waiting);
    }
    let progress = Progress::read(&folder)?;
    let state = if running { StageState::Running } else { StageState::Stopped };
    Ok(StageStatus { state, wall_s: progress.as_ref().map(|progress| progress.spent_s), progress, ..waiting })
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.running {
            Some(holder) => writeln!(f, "{}: running ({holder})", self.name)?,
            None if self.stages.iter().all(|stage| stage.state == StageState::Done) => {
                writeln!(f, "{}: done", self.name)?
            }
            None => writeln!(f, "{}: not running; `cognate run` continues it", self.name)?,
        }
        let labels: Vec<String> = self.stages.iter().map(|row| label(row.stage, row.arm.as_deref())).collect();
        let width = column(&labels);
        for (stage, label) in self.stages.iter().zip(&labels) {
            let state = stage.state.word();
            let time = stage.wall_s.map(seconds).unwrap_or_default();
            let detail = stage.progress.as_ref().map(describe).unwrap_or_default();
            writeln!(f, "{}", format!("  {label:<width$}{state:<10}{time:>14}  {detail}").trim_end())?;
        }
        Ok(())
    }
}

fn describe(progress: &Progress) -> String {
    let share = match progress.total {
        Some(total) if total > 0 => format!("{:.0} %", 100.0 * progress.done as f64 / total as f64),
        _ => format!("{} {}", progress.done, progress.unit),
    };
    let parts = [progress.what.clone(), share, progress.detail.clone()];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
}
