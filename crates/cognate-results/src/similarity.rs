//! Where a gain sits: arms beside repetition, by how similar a validation document is to the unique document nearest to it. A gain that
//! comes from relations should sit where there are related documents.

use serde::{Deserialize, Serialize};

/// The validation documents in quarters by their similarity to the unique documents, the least similar first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BySimilarity {
    /// The quarters.
    pub quarters: Vec<Quarter>,
    /// Every arm but the baseline.
    pub arms: Vec<ArmBySimilarity>,
}

/// A quarter of the validation documents.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quarter {
    /// The lowest cosine of a document of it and the unique document nearest to that.
    pub from: f64,
    /// The highest.
    pub to: f64,
    /// How many they are.
    pub documents: u64,
    /// The baseline's loss on them, in nats per token, over its seeds.
    pub baseline: f64,
}

/// How an arm differs from the baseline in each quarter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArmBySimilarity {
    /// The arm.
    pub arm: String,
    /// Its differences, one for each quarter.
    pub differences: Vec<Difference>,
}

/// A difference in nats per token, below zero where the arm is better, with its interval of 95 % over documents and seeds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// The difference.
    pub value: f64,
    /// Where its interval begins.
    pub low: f64,
    /// Where it ends.
    pub high: f64,
}
