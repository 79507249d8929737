//! What can go wrong with a model that comes from, or goes to, a user.

use std::path::{Path, PathBuf};

/// An error of the model crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A dial of the architecture is impossible.
    #[error("model configuration: {field} = {value}: {reason}")]
    Config {
        /// The dial, by its name in recipes.
        field: &'static str,
        /// Its value.
        value: String,
        /// What was expected.
        reason: String,
    },
    /// A file of a checkpoint cannot be read or written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// Something is given as a checkpoint and is none.
    #[error("{} {reason}", path.display())]
    NoCheckpoint {
        /// What was given.
        path: PathBuf,
        /// What it is.
        reason: String,
    },
    /// A checkpoint's configuration does not parse, lacks a field, or asks for what this decoder does not do.
    #[error("{}: field {field}: {reason}", path.display())]
    CheckpointConfig {
        /// The file.
        path: PathBuf,
        /// The field.
        field: String,
        /// What was expected.
        reason: String,
    },
    /// A weight file is damaged or does not fit its configuration.
    #[error("{}: {reason}", path.display())]
    CheckpointWeights {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the tensor's name.
        reason: String,
    },
    /// A token is not in the vocabulary.
    #[error("token {token} at position {position} of a batch is outside the model's vocabulary of {vocab}")]
    Token {
        /// The token.
        token: u32,
        /// Where it stands.
        position: usize,
        /// Vocabulary size.
        vocab: usize,
    },
    /// More tokens for a slot of a cache than it can hold.
    #[error("slot {slot} holds {used} tokens and has room for {capacity}; {more} more do not fit")]
    CacheFull {
        /// The slot.
        slot: usize,
        /// Tokens it holds.
        used: usize,
        /// Tokens it can hold.
        capacity: usize,
        /// Tokens that were to be added.
        more: usize,
    },
    /// More than this machine's memory would be needed.
    #[error(transparent)]
    TooLarge(#[from] cognate_base::process::TooLarge),
    /// The user asked to stop.
    #[error("interrupted; the same command continues where it stopped")]
    Interrupted(#[from] cognate_base::Interrupted),
}

impl Error {
    pub(crate) fn config(field: &'static str, value: impl ToString, reason: impl Into<String>) -> Self {
        Self::Config { field, value: value.to_string(), reason: reason.into() }
    }

    pub(crate) fn weights(path: &Path, reason: impl Into<String>) -> Self {
        Self::CheckpointWeights { path: path.to_path_buf(), reason: reason.into() }
    }
}
