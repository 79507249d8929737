//! Corpora whose documents share a concept that is known, and what can be computed because it is.
//!
//! A world is made from its dials and a seed, and from nothing else. It writes documents, says which of them are truly related, and
//! answers exactly what no real corpus can: how likely a document is, which concept it has, what one document tells of another.

pub mod bigrams;
pub mod biographies;
#[cfg(test)]
#[path = "../../cognate-base/tests/damage/json.rs"]
mod damaged_json;
mod deal;
mod dials;
mod draws;
mod error;
pub mod ginc;
mod judged;
mod limits;
mod logs;
mod mixture;
#[cfg(test)]
mod tests;
mod truth;
mod words;
mod world;
mod writing;

use serde::{Deserialize, Serialize};

pub use deal::{Deal, Symbols};
pub use dials::{Dial, Range};
pub use error::{Error, Result};
pub use judged::{CalibrationBin, Judged, JudgedBiographies, JudgedPeople, JudgedSymbols};
pub use logs::log_sum_exp;
pub use mixture::{Concept, Mixture};
pub use truth::{Parameters, Told, Truth, TruthError, fingerprint};
pub use words::{symbols, text, words};
pub use world::{BiographyMeasures, Dials, Document, Kind, Measures, SAMPLES, SymbolMeasures, World};
pub use writing::{Mistakes, Truthfulness};

/// The parts that a world deals its documents to, as the splits of a corpus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// What all models may see.
    Unique,
    /// What the oracle alone sees.
    Oracle,
    /// What results are scored on.
    Validation,
    /// What choices are made on.
    Selection,
}

impl Split {
    /// All of them, in the order in which a world writes them.
    pub const ALL: [Self; 4] = [Self::Unique, Self::Oracle, Self::Validation, Self::Selection];

    /// Its name in files and identifiers.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unique => "unique",
            Self::Oracle => "oracle",
            Self::Validation => "validation",
            Self::Selection => "selection",
        }
    }

    /// What its documents are drawn for, as the purpose of a random stream.
    fn purpose(self) -> &'static str {
        match self {
            Self::Unique => "world unique",
            Self::Oracle => "world oracle",
            Self::Validation => "world validation",
            Self::Selection => "world selection",
        }
    }
}
