//! `evaluate --all-checkpoints`: what a model can do, and when in training it came.

use std::path::{Path, PathBuf};

use cognate_base::files::AtomicFile;
use cognate_results::{TASK_CURVES, TaskPoint};
use serde_json::Value;

use super::evaluate::{Job, write_lines};
use super::shared::Result;
use crate::failure::Failure;

/// So many points make a curve.
const FEW: usize = 4;

/// A training with fewer than [`FEW`] checkpoints.
fn shortest(checkpoints: &[Checkpoint]) -> Option<&str> {
    let of = |arm: &str| checkpoints.iter().filter(|checkpoint| checkpoint.arm == arm).count();
    checkpoints.iter().map(|checkpoint| checkpoint.arm.as_str()).find(|arm| of(arm) < FEW)
}

/// A checkpoint of a training.
struct Checkpoint {
    arm: String,
    step: u64,
    tokens: u64,
    path: PathBuf,
}

/// Measures every checkpoint below `folder` and writes a line for each task and checkpoint, all of them or none.
pub(super) fn evaluate_all(job: &Job<'_>, folder: &Path) -> Result {
    let checkpoints = all_in(folder)?;
    if let Some(arm) = shortest(&checkpoints) {
        tracing::warn!(
            "{arm} has fewer than {FEW} checkpoints, which make no curve: `[train] keep_checkpoints` in the recipe keeps more of a training"
        );
    }
    let path = job.args.curves_out.clone().unwrap_or_else(|| folder.join(TASK_CURVES));
    let mut file = AtomicFile::create(&path)?;
    let mut points = Vec::new();
    for (at, checkpoint) in checkpoints.iter().enumerate() {
        let Checkpoint { arm, step, tokens, path } = checkpoint;
        tracing::info!("checkpoint {} of {}: {}", at + 1, checkpoints.len(), path.display());
        let found = job.measure(path, None, false)?;
        let tasks = found.get("tasks").and_then(Value::as_object).into_iter().flatten();
        for (task, score) in tasks {
            let text = |field: &str| score[field].as_str().unwrap_or_default().to_owned();
            let point = |group: Option<&String>, figure: &Value| TaskPoint {
                arm: arm.clone(),
                seed: None,
                step: *step,
                tokens: *tokens,
                flops: None,
                task: task.clone(),
                group: group.cloned(),
                metric: text("metric"),
                value: figure["value"].as_f64().unwrap_or(f64::NAN),
                stderr: figure["stderr"].as_f64(),
                n: figure["n"].as_u64().unwrap_or(0),
            };
            points.push(point(None, score));
            let groups = score["groups"].as_object().into_iter().flatten();
            points.extend(groups.map(|(group, figure)| point(Some(group), figure)));
        }
    }
    write_lines(&mut file, &points)?;
    file.commit()?;
    if job.args.json {
        return super::shared::print_json(&points);
    }
    points.retain(|point| point.group.is_none());
    super::shared::print(&table(&points))
}

/// The checkpoints of a training folder, or of every training folder of a run, by arm and step.
fn all_in(folder: &Path) -> Result<Vec<Checkpoint>> {
    let mut found = Vec::new();
    if folder.join("checkpoints").is_dir() {
        let name = folder.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        found.extend(of_training(&name, folder)?);
    } else if folder.join("train").is_dir() {
        // What synthesizers have seen is no measure of a final model, so these lie elsewhere.
        for entry in fs_err::read_dir(folder.join("train"))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let training = trained_in(folder, &entry.path())?;
            if training.join("checkpoints").is_dir() {
                found.extend(of_training(&name, &training)?);
            } else {
                tracing::warn!(
                    "{name} has no checkpoints here and is left out: they are gone, or `--reuse` took it from a run on another file system; \
                     measure that run"
                );
            }
        }
    }
    if found.is_empty() {
        let expected = "a run directory or a training's folder, with checkpoints/step-* in it";
        return Err(Failure::setting("--all-checkpoints", folder.display(), expected));
    }
    found.sort_by(|a, b| (&a.arm, a.step).cmp(&(&b.arm, b.step)));
    Ok(found)
}

/// The folder in which the model of `arm`'s folder was trained: another one of the run, where the arm took what was trained there.
fn trained_in(run: &Path, arm: &Path) -> Result<PathBuf> {
    let Ok(manifest) = fs_err::read_to_string(arm.join("manifest.json")) else { return Ok(arm.to_path_buf()) };
    let manifest: Value = serde_json::from_str(&manifest).map_err(std::io::Error::from)?;
    let taken = manifest["statistics"]["taken"]["folder"].as_str();
    Ok(taken.map_or_else(|| arm.to_path_buf(), |folder| run.join(folder)))
}

fn of_training(arm: &str, folder: &Path) -> Result<Vec<Checkpoint>> {
    let mut found = Vec::new();
    for entry in fs_err::read_dir(folder.join("checkpoints"))? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some(step) = name.strip_prefix("step-").and_then(|step| step.parse().ok()) else { continue };
        let file = path.join("training.json");
        let state: Value = serde_json::from_str(&fs_err::read_to_string(&file)?).map_err(std::io::Error::from)?;
        let tokens = state["progress"]["tokens"].as_u64().ok_or_else(|| {
            let found = format!("{}: {}", file.display(), state["progress"]["tokens"]);
            Failure::setting("progress.tokens", found, "the tokens seen so far, a whole number")
        })?;
        found.push(Checkpoint { arm: arm.to_owned(), step, tokens, path });
    }
    Ok(found)
}

fn table(points: &[TaskPoint]) -> String {
    let mut out = format!("{:<20}{:>14}  {:<16}{:<24}{:>10}\n", "arm", "tokens", "task", "metric", "value");
    for point in points {
        let TaskPoint { arm, tokens, task, metric, value, .. } = point;
        let stderr = point.stderr.map_or_else(String::new, |stderr| format!(" ± {stderr:.4}"));
        out += &format!("{arm:<20}{tokens:>14}  {task:<16}{metric:<24}{value:>10.4}{stderr}\n");
    }
    out
}
