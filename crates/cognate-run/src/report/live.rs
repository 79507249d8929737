//! The page of a run at work: how far it is, then the report of what exists. It asks for itself again every few seconds,
//! without a script.

use super::data::Report;
use super::html::{Cell, body, document, section, table};
use super::markup::Markup;
use super::numbers::{NONE, duration, percent};
use crate::status::{StageState, StageStatus, Status};

/// Seconds after which a browser asks again.
const REFRESH_S: u32 = 5;

/// The page of a run as it is now.
pub(crate) fn live_page(report: &Report, status: &Status) -> String {
    let done = status.stages.iter().filter(|stage| stage.state == StageState::Done).count();
    let state = match &status.running {
        Some(_) => "running",
        None if done == status.stages.len() => "done",
        None => "not running; cognate run continues it",
    };
    let line = format!("{}: {state}, {done} of {} stages done", status.name, status.stages.len());
    document(&format!("{} · {state}", status.name), &line, Some(REFRESH_S), |page| {
        page.leaf("p", &[("class", &"kicker"), ("role", &"status")], &line);
        body(page, report);
        stages(page, status);
    })
}

/// The page of a directory in which no run has begun.
pub(crate) fn waiting_page() -> String {
    let line = "There is no run here yet. This page looks again every few seconds.";
    document("Waiting for a run", line, Some(REFRESH_S), |page| page.leaf("h1", &[], line))
}

fn stages(page: &mut Markup, status: &Status) {
    let row = |stage: &StageStatus| {
        let name = stage.arm.as_ref().map_or_else(|| stage.stage.to_owned(), |arm| format!("{} · {arm}", stage.stage));
        let state = match stage.state {
            StageState::Done => "done",
            StageState::Running => "running",
            StageState::Stopped => "stopped",
            StageState::Waiting => "waiting",
        };
        let progress = stage.progress.as_ref();
        let share = match (stage.state, progress.and_then(|progress| progress.total).filter(|total| *total > 0)) {
            (StageState::Done, _) => 1.0,
            (_, Some(total)) => progress.map_or(0.0, |progress| progress.done as f64 / total as f64),
            _ => 0.0,
        };
        let detail = progress.map_or_else(String::new, |progress| progress.detail.clone());
        vec![
            Cell::new(name),
            Cell::new(state),
            Cell::bar(if share > 0.0 { percent(share.min(1.0)) } else { NONE.to_owned() }, share),
            Cell::new(stage.wall_s.map_or_else(|| NONE.to_owned(), duration)),
            Cell::new(detail),
        ]
    };
    section(page, "stages", "Stages", |page| {
        let rows: Vec<Vec<Cell>> = status.stages.iter().map(row).collect();
        table(page, "How far each stage is", &["stage", "state", "progress", "time", "last seen"], &rows);
    });
}
