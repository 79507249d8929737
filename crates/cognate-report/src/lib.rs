//! What people read of an experiment: `report.html`, a closing table for the terminal, cards, comparisons of runs, documents beside
//! their seeds, the page of a run at work.
//!
//! Nothing here measures anything, and nothing knows a stage, a recipe's keys or a run directory. All is made of the data in
//! `cognate-results`.

mod answer;
mod arms;
mod cards;
mod charts;
mod compare;
mod curves;
#[cfg(test)]
#[path = "../../cognate-base/tests/damage/json.rs"]
mod damaged_json;
mod doses;
mod download;
mod dynamics;
mod first_screen;
mod gain;
mod html;
mod inspection;
#[cfg(test)]
mod largest;
mod ledger;
mod live;
mod losses;
mod lowest;
mod made;
mod markup;
mod members;
mod operations;
mod pairs;
mod quality;
#[cfg(test)]
#[path = "../../cognate-results/src/sample.rs"]
mod sample;
mod sections;
mod tasks;
mod terminal;
#[cfg(test)]
mod tests;

pub use cards::{dataset as dataset_card, model as model_card};
pub use compare::{
    ArmRow, Comparable, Compared, Comparison, KeyRow, ScaledArm, ScaledPoint, Scaling, Size, TaskRow, comparison_page,
    comparison_table,
};
pub use first_screen::page;
pub use inspection::{inspection_page, inspection_text, is_inspection_page};
pub use live::{live_page, waiting_page};
pub use terminal::closing_table;

use cognate_results::{Checkpoint, Pages, Report};

/// The pages and cards of this crate, for a runner.
#[derive(Clone, Copy, Debug, Default)]
pub struct Html;

impl Pages for Html {
    fn report(&self, report: &Report) -> String {
        page(report)
    }

    fn dataset_card(&self, report: &Report) -> Option<String> {
        dataset_card(report)
    }

    fn model_card(&self, report: &Report, checkpoint: Checkpoint<'_>) -> String {
        model_card(report, checkpoint)
    }
}

/// The answer in one sentence, behind the verdict on a synthesizer that makes nothing of its seed.
#[must_use]
pub fn headline(report: &Report) -> String {
    answer::answer(report).first().replace('\u{a0}', " ")
}
