//! What an arm of several models loses, by how many of them are averaged.

use serde::{Deserialize, Serialize};

/// The loss of an arm's members together, for one seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Members {
    /// The arm.
    pub arm: String,
    /// The seed of the first of them.
    pub seed: u64,
    /// Nats per token on validation of the first member, the first two, and so on.
    pub nats: Vec<f64>,
}
