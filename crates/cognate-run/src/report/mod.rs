//! The report of one experiment: `report.json` for programs, `report.html` for people, a closing table for the terminal.
//!
//! Nothing here measures anything or reads a run directory: the runner fills a [`Report`] and hands it over.

mod data;

pub use data::{
    Arm, Curve, Dropped, Environment, Example, ExampleText, GapClosed, LedgerEntry, Measure, ORACLE, Pairs, Point,
    REPETITION, Relation, RelationLoss, Report, SBP, SimilarityHistogram, SyntheticQuality, TaskScore, VALIDATION,
    Validation, gap_closed, validation_gap,
};

use std::io;
use std::path::{Path, PathBuf};

use cognate_base::files::write_atomic;

/// Writes `report.json` into `folder`, whole or not at all, and returns its path.
///
/// # Errors
/// When a file cannot be written (the message names it).
pub fn write(report: &Report, folder: &Path) -> io::Result<PathBuf> {
    let json = folder.join("report.json");
    write_atomic(&json, serde_json::to_string_pretty(report).map_err(io::Error::other)?)?;
    Ok(json)
}
