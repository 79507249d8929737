//! The gap that arms of the same synthetic corpora close, by their share of it.

use serde::{Deserialize, Serialize};

use crate::report::GapClosed;

/// Arms that see the same synthetic corpora in different shares.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Doses {
    /// The corpora's names, with commas.
    pub corpora: String,
    /// The arms, the smallest share first.
    pub arms: Vec<Dose>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dose {
    /// The arm.
    pub arm: String,
    /// Share of its training tokens that is synthetic.
    pub share: f64,
    /// What it closes of the gap on validation.
    pub gap: GapClosed,
}
