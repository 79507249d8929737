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
mod document;
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
mod truthfulness;
mod words;
mod world;
mod writing;

pub use deal::{Deal, Symbols};
pub use dials::{Dial, Range};
pub use document::{Document, Split};
pub use error::{Error, Result};
pub use judged::{CalibrationBin, Judged, JudgedBiographies, JudgedPeople, JudgedSymbols};
pub use logs::log_sum_exp;
pub use mixture::{Concept, Mixture};
pub use truth::{Parameters, Told, Truth, TruthError, fingerprint};
pub use truthfulness::{Mistakes, Truthfulness};
pub use words::{symbols, text, words};
pub use world::{BiographyMeasures, Dials, Kind, Measures, SAMPLES, SymbolMeasures, World};
