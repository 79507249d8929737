//! The page of a run at work: how far it is, then the report of what exists. It asks for itself again every few seconds,
//! without a script.

use cognate_results::numbers::{NONE, duration, percent};
use cognate_results::{Progress, Report, StageProgress};

use super::first_screen::body;
use super::html::{Cell, document, section, table};
use super::markup::Markup;

/// Seconds after which a browser asks again.
const REFRESH_S: u32 = 5;

/// The page of a run as it is now: how far it is, and the report of what exists.
#[must_use]
pub fn live_page(report: &Report, progress: &Progress) -> String {
    let Progress { name, is_running, stages } = progress;
    let done = stages.iter().filter(|stage| stage.is_done).count();
    let state = match is_running {
        true => "running",
        false if done == stages.len() => "done",
        false => "not running; cognate run continues it",
    };
    let line = format!("{name}: {state}, {done} of {} stages done", stages.len());
    document(&format!("{name} · {state}"), &line, Some(REFRESH_S), |page| {
        page.leaf("p", &[("class", &"kicker"), ("role", &"status")], &line);
        body(page, report);
        table_of(page, stages);
    })
}

/// The page of a directory in which no run has begun.
#[must_use]
pub fn waiting_page() -> String {
    let line = "There is no run here yet. This page looks again every few seconds.";
    document("Waiting for a run", line, Some(REFRESH_S), |page| page.leaf("h1", &[], line))
}

fn table_of(page: &mut Markup, stages: &[StageProgress]) {
    let row = |stage: &StageProgress| {
        let share = if stage.is_done { 1.0 } else { stage.share.unwrap_or(0.0) };
        vec![
            Cell::new(stage.name.clone()),
            Cell::new(stage.state),
            Cell::bar(if share > 0.0 { percent(share.min(1.0)) } else { NONE.to_owned() }, share),
            Cell::new(stage.wall_s.map_or_else(|| NONE.to_owned(), duration)),
            Cell::new(stage.detail.clone()),
        ]
    };
    section(page, "stages", "Stages", |page| {
        let rows: Vec<Vec<Cell>> = stages.iter().map(row).collect();
        table(page, "How far each stage is", &["stage", "state", "progress", "time", "last seen"], &rows);
    });
}
