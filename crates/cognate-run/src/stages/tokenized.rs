//! What `tokenize` leaves in its manifest.

use cognate_corpus::TokenizeStats;
use serde::{Deserialize, Serialize};

/// Statistics of `tokenize`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tokenized {
    /// Entries of the vocabulary: the largest token + 1.
    pub(crate) vocabulary: usize,
    pub(crate) validation: TokenizeStats,
    pub(crate) unique: TokenizeStats,
    pub(crate) oracle: TokenizeStats,
    pub(crate) selection: TokenizeStats,
}
