//! What people read of an experiment: `report.json` for programs, `report.html` for people, a closing table for the terminal, cards,
//! comparisons of runs, documents beside their seeds, the page of a run at work.
//!
//! Nothing here measures anything, and nothing knows a stage, a recipe's keys or a run directory. Whoever has them fills a [`Report`], an
//! [`Inspection`] or a [`Progress`] and hands it over.

mod answer;
mod arms;
mod cards;
mod charts;
mod compare;
mod curves;
#[cfg(test)]
#[path = "../../cognate-base/tests/damage/json.rs"]
mod damaged_json;
mod data;
mod dose;
mod doses;
mod download;
mod ensemble;
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
mod numbers;
mod operations;
mod pairs;
mod provenance;
mod quality;
mod related;
#[cfg(test)]
mod sample;
mod sections;
mod similarity;
mod task_point;
mod tasks;
mod terminal;
#[cfg(test)]
mod tests;
mod world;

pub use cards::{Checkpoint, dataset as dataset_card, model as model_card};
pub use compare::{
    ArmRow, Comparable, Compared, Comparison, KeyRow, ScaledArm, ScaledPoint, Scaling, Size, TaskRow, comparison_page,
    comparison_table,
};
pub use data::{
    Arm, ArmComparison, Calibration, Curve, Dropped, Environment, Example, ExampleText, GapClosed, LedgerEntry,
    Measure, ORACLE, Point, QualityFigure, QualityValue, REPETITION, Report, RocCurve, SBP, SyntheticQuality,
    TASK_AVERAGE, TaskScore, VALIDATION, Validation, answer_nats, gap_closed, gap_key, is_in_nats, validation_gap,
};
pub use dose::{Dose, Doses};
pub use ensemble::Members;
pub use first_screen::page;
pub use inspection::{
    DropReason, Inspected, Inspection, Neighbour, Overlap, Written, inspection_page, inspection_text,
    is_inspection_page,
};
pub use live::{Progress, StageProgress, live_page, waiting_page};
pub use losses::thinned;
pub use provenance::{CardFacts, FileRecord, Split, Synthesis};
pub use related::{Pairs, Relation, RelationLoss, RelationPoint, SimilarityHistogram};
pub use similarity::{ArmBySimilarity, BySimilarity, Difference, Quarter};
pub use task_point::{TASK_CURVES, TaskPoint};
pub use terminal::closing_table;
pub use world::{
    CalibrationPoint, DocumentLoss, Floor, JudgedCorpus, LearnedShare, PairTruth, QuestionGroup, TruthPoint, World,
};

use std::io;
use std::path::{Path, PathBuf};

use cognate_base::files::write_atomic;

/// File name of the report for programs.
pub const JSON_FILE: &str = "report.json";
/// File name of the report for people.
pub const HTML_FILE: &str = "report.html";

/// Names of arms that look the same in every figure of every report, in the order of their styles: one for each preset.
pub const ARM_KINDS: [&str; 8] =
    ["repetition", "sbp", "oracle", "random-pairs", "unconditional", "equal-flops", "regularised", "related-context"];

/// Writes [`JSON_FILE`] and [`HTML_FILE`] into `folder`, each whole or not at all, and returns the path of the page.
///
/// # Errors
/// When a file cannot be written (the message names it), or when a number is not finite (the message says what it is):
/// JSON would turn it into `null`, and no reader could tell it from one that was not measured.
pub fn write(report: &Report, folder: &Path) -> io::Result<PathBuf> {
    let json = to_json(report)?;
    write_atomic(folder.join(JSON_FILE), json)?;
    let page_path = folder.join(HTML_FILE);
    write_atomic(&page_path, page(report))?;
    Ok(page_path)
}

/// The answer in one sentence, behind the verdict on a synthesizer that makes nothing of its seed.
#[must_use]
pub fn headline(report: &Report) -> String {
    answer::answer(report).first().replace('\u{a0}', " ")
}

/// A loss for a narrow column of a terminal.
#[must_use]
pub fn short_nats(value: f64) -> String {
    let text = numbers::decimals(value, 2);
    if text.chars().count() > 6 { format!("{value:.0e}") } else { text }
}

/// Operations for a sentence: `2.43 TFLOP`.
#[must_use]
pub fn in_flops(value: f64) -> String {
    numbers::flops(value).replace('\u{a0}', " ")
}

/// A count with its noun for a sentence: `1 round`, `2 rounds`.
#[must_use]
pub fn counted(value: u64, singular: &str, plural: &str) -> String {
    numbers::counted(value, singular, plural).replace('\u{a0}', " ")
}

/// A count of tokens for a terminal: `800 k`.
#[must_use]
pub fn short_tokens(value: f64) -> String {
    charts::trim_zeros(&numbers::tokens(value.round().max(0.0) as u64)).replace('\u{a0}', " ")
}

/// Reads a `report.json` that [`write()`] wrote.
///
/// # Errors
/// When the file cannot be read, or is not such a report; the message names the file, and the line where it is wrong.
pub fn read(path: &Path) -> io::Result<Report> {
    let json = fs_err::read_to_string(path)?;
    serde_json::from_str(&json).map_err(|error| {
        let message = format!("{} is not a report that this version can read: {error}", path.display());
        io::Error::new(io::ErrorKind::InvalidData, message)
    })
}

/// The report as JSON, indented, with a final line break.
fn to_json(report: &Report) -> io::Result<String> {
    let mut json = serde_json::to_string_pretty(report).map_err(io::Error::other)?;
    json.push('\n');
    let refuse = |what: &str| {
        let message = format!("the report of {} holds a number that is not finite: {what}", report.name);
        Err(io::Error::new(io::ErrorKind::InvalidData, message))
    };
    // serde_json writes what is not finite as null without a word. Where a number must stand, reading it back fails ...
    if let Err(error) = serde_json::from_str::<Report>(&json) {
        return refuse(json.lines().nth(error.line().saturating_sub(1)).unwrap_or_default().trim());
    }
    // ... and where null is allowed, it must mean that nothing was measured.
    let gaps = report.gap_closed.values().flat_map(|gap| [gap.mean, gap.low, gap.high]);
    let errors = report.arms.iter().flat_map(|arm| arm.tasks.values()).map(|score| score.stderr);
    let errors = errors.chain(report.arms.iter().flat_map(|arm| arm.validation.errors()));
    let metrics = report.arms.iter().flat_map(|arm| arm.tasks.values()).flat_map(|score| score.metrics.values());
    let errors = errors.chain(metrics.map(|metric| metric.stderr));
    let errors = errors.chain(report.task_curves.iter().map(|point| point.stderr));
    let similarities = report.examples.iter().map(|example| example.synthetic_similarity);
    let others = errors.map(|value| ("stderr", value)).chain(similarities.map(|value| ("synthetic_similarity", value)));
    let others = others.chain(report.task_curves.iter().map(|point| ("flops", point.flops)));
    let mut optional = gaps.map(|value| ("gap_closed", value)).chain(others);
    match optional.find(|(_, value)| value.is_some_and(|value| !value.is_finite())) {
        Some((name, _)) => refuse(name),
        None => Ok(json),
    }
}
