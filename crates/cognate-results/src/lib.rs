//! What an experiment came to: the data of `report.json`, of a run at work and of documents beside their seeds, and the words for
//! their numbers.
//!
//! The runner fills these, and `cognate-report` makes pages of them. Neither knows the other.

#[cfg(test)]
extern crate self as cognate_results;

mod dose;
mod inspection;
mod members;
pub mod numbers;
mod operations;
mod pages;
mod progress;
mod provenance;
mod related;
mod report;
#[cfg(test)]
mod sample;
mod similarity;
mod task_point;
#[cfg(test)]
mod tests;
mod words;
mod world;

pub use dose::{Dose, Doses};
pub use inspection::{DropReason, Inspected, Inspection, Neighbour, Overlap, Written};
pub use members::Members;
pub use pages::{Checkpoint, Pages};
pub use progress::{Progress, StageProgress};
pub use provenance::{CardFacts, FileRecord, Split, Synthesis};
pub use related::{Pairs, Relation, RelationLoss, RelationPoint, SimilarityHistogram};
pub use report::{
    Arm, ArmComparison, Calibration, Curve, Dropped, Environment, Example, ExampleText, GapClosed, LedgerEntry,
    Measure, ORACLE, Point, QualityFigure, QualityValue, REPETITION, Report, RocCurve, SBP, SyntheticQuality,
    TASK_AVERAGE, TaskScore, VALIDATION, Validation, answer_nats, gap_closed, gap_key, is_in_nats, thinned,
    validation_gap,
};
pub use similarity::{ArmBySimilarity, BySimilarity, Difference, Quarter};
pub use task_point::{TASK_CURVES, TaskPoint};
pub use words::{counted, in_flops, short_nats, short_tokens};
pub use world::{
    CalibrationPoint, DocumentLoss, Floor, JudgedCorpus, LearnedShare, PairTruth, QuestionGroup, TruthPoint, World,
};

use std::io;
use std::path::Path;

use cognate_base::files::write_atomic;

/// File name of the report for programs.
pub const JSON_FILE: &str = "report.json";
/// File name of the report for people.
pub const HTML_FILE: &str = "report.html";

/// Names of arms that look the same in every figure of every report, in the order of their styles: one for each preset.
pub const ARM_KINDS: [&str; 8] =
    ["repetition", "sbp", "oracle", "random-pairs", "unconditional", "equal-flops", "regularised", "related-context"];

/// Writes [`JSON_FILE`] into `folder`, whole or not at all.
///
/// # Errors
/// When the file cannot be written (the message names it), or when a number is not finite (the message says what it is):
/// JSON would turn it into `null`, and no reader could tell it from one that was not measured.
pub fn write(report: &Report, folder: &Path) -> io::Result<()> {
    write_atomic(folder.join(JSON_FILE), to_json(report)?)
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
