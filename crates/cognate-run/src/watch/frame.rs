//! A run as lines of text: its stages with bars, its losses as curves, its answer.

use cognate_base::terminal::wrapped;

use super::Snapshot;
use super::plot::{Curve, plot};
use crate::duration::seconds;
use crate::status::{StageState, StageStatus};
use crate::step::{column, label};

/// Characters of a bar.
const BAR: usize = 20;
/// Signs of curves whose arms' letters are taken.
const SPARE: [char; 8] = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
/// The sign of the training loss.
const TRAINING: char = '·';
/// The least lines that a plot is worth.
const LEAST_PLOT: usize = 8;
/// More lines would not show more.
const MOST_PLOT: usize = 24;

pub(super) fn frame(snapshot: &Snapshot, answer: Option<&str>, width: usize, height: usize) -> Vec<String> {
    let status = &snapshot.status;
    let done = status.stages.iter().filter(|stage| stage.state == StageState::Done).count();
    let all = status.stages.len().max(1);
    let state = match &status.running {
        Some(holder) => format!("running ({holder})"),
        None if snapshot.finished() => "done".to_owned(),
        None => "not running; `cognate run` continues it".to_owned(),
    };
    let mut lines = vec![
        format!("{}: {state}", status.name),
        format!("{done} of {all} stages  {}", bar(done as f64 / all as f64)),
        String::new(),
    ];
    let answer = answer.iter().flat_map(|answer| wrapped(answer, width)).collect::<Vec<_>>();
    let below = if answer.is_empty() { 0 } else { answer.len() + 1 };
    let (legend, curves) = curves(snapshot);
    // The stages first; curves take what room is left, if it is worth it.
    let room = height.saturating_sub(lines.len() + below);
    lines.extend(stages(&status.stages, room));
    let room = height.saturating_sub(lines.len() + below + 2);
    let drawn = if room >= LEAST_PLOT { plot(&curves, width, room.min(MOST_PLOT)) } else { Vec::new() };
    if !drawn.is_empty() {
        lines.push(String::new());
        lines.push(format!("loss, nats per token: {legend}"));
        lines.extend(drawn);
    }
    if below > 0 {
        lines.push(String::new());
        lines.extend(answer);
    }
    lines.truncate(height);
    lines.iter().map(|line| clipped(line, width)).collect()
}

/// A line per stage; where there is no room for all, those around the one at work.
fn stages(stages: &[StageStatus], room: usize) -> Vec<String> {
    let at = stages.iter().position(|stage| stage.state != StageState::Done).unwrap_or(stages.len());
    let first = if stages.len() <= room { 0 } else { at.saturating_sub(room / 2).min(stages.len() - room) };
    let labels: Vec<String> = stages.iter().map(|stage| label(stage.stage, stage.arm.as_deref())).collect();
    let width = column(&labels);
    stages.iter().zip(&labels).skip(first).take(room).map(|(stage, label)| line(stage, label, width)).collect()
}

fn line(stage: &StageStatus, label: &str, width: usize) -> String {
    let time = stage.wall_s.map(seconds).unwrap_or_default();
    let state = stage.state.word();
    let detail = match &stage.progress {
        Some(progress) => {
            let amount = match progress.total {
                Some(total) if total > 0 => bar(progress.done as f64 / total as f64),
                _ => format!("{} {}", progress.done, progress.unit),
            };
            [amount, progress.what.clone(), progress.detail.clone()].join("  ")
        }
        None => String::new(),
    };
    format!("  {label:<width$}{state:<9}{time:>12}  {detail}").trim_end().to_owned()
}

/// `████████░░░░░░░░░░░░  41 %`.
fn bar(share: f64) -> String {
    let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
    // Full only when it is done.
    let full = (share * BAR as f64).floor() as usize;
    format!("{}{} {:>3.0} %", "█".repeat(full), "░".repeat(BAR - full), (share * 100.0).floor())
}

/// What each sign stands for, and the curves: training below, so that validation stays visible.
fn curves(snapshot: &Snapshot) -> (String, Vec<Curve<'_>>) {
    let mut legend = Vec::new();
    let mut curves: Vec<Curve<'_>> = Vec::new();
    if let Some((name, points)) = &snapshot.training {
        curves.push((TRAINING, points));
        legend.push(format!("{TRAINING} {name}, training"));
    }
    let mut taken = Vec::new();
    for (name, points) in &snapshot.validation {
        let letters = name.chars().filter(char::is_ascii_alphabetic).chain(SPARE);
        let sign = letters.into_iter().find(|letter| !taken.contains(letter)).unwrap_or('*');
        taken.push(sign);
        curves.push((sign, points));
        legend.push(format!("{sign} {name}"));
    }
    (legend.join("   "), curves)
}

fn clipped(line: &str, width: usize) -> String {
    line.chars().filter(|c| !c.is_control()).take(width).collect()
}
