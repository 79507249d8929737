//! How true a world is asked to write.

use serde::{Deserialize, Serialize};

/// How true a world is asked to write.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Truthfulness {
    /// The probability of what is true.
    pub truth: f64,
    /// Whether what is false is false each time.
    pub mistakes: Mistakes,
}

impl Truthfulness {
    /// With mistakes that are drawn anew each time.
    pub(crate) fn independent(truth: f64) -> Self {
        Self { truth, mistakes: Mistakes::Independent }
    }
}

/// How mistakes are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mistakes {
    /// Each time anew: of several documents most agree on the truth, where that is likelier than any one mistake.
    Independent,
    /// Once for each fact, or each seed in a world of symbols, and the same ever after: who has learned something wrong.
    Consistent,
}
