//! What can go wrong while training.

use std::path::PathBuf;

use crate::Progress;

/// An error of the training crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read or written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The model or one of its checkpoints.
    #[error(transparent)]
    Model(#[from] cognate_model::Error),
    /// A training setting is impossible.
    #[error("{field} = {value}: {reason}")]
    Setting {
        /// The setting, by its name in recipes.
        field: &'static str,
        /// Its value.
        value: String,
        /// What was expected.
        reason: String,
    },
    /// Fewer tokens than a source that is read once must give.
    #[error("source {name} holds {found} tokens, and {needed} are needed without repeating any")]
    TooFewTokens {
        /// Which source.
        name: String,
        /// Tokens that it holds.
        found: u64,
        /// Tokens asked for.
        needed: u64,
    },
    /// The loss or the gradient is not a number.
    #[error("step {step}: the {what} is {value}; training stopped before this update. Last good checkpoint: {}", last.as_ref().map_or("none yet".into(), |path| path.display().to_string()))]
    NotFinite {
        /// Step, from 1.
        step: u64,
        /// `loss` or `gradient norm`.
        what: &'static str,
        /// The value.
        value: f64,
        /// The newest checkpoint.
        last: Option<PathBuf>,
        /// How far the training had come.
        progress: Box<Progress>,
    },
    /// Saved state that does not parse.
    #[error("{}: {reason}", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Saved state of another training run.
    #[error("{}: belongs to another training run (fingerprint {found}, this run has {expected})", path.display())]
    OtherRun {
        /// The file.
        path: PathBuf,
        /// What it says.
        found: String,
        /// What this run is.
        expected: String,
    },
    /// A token file cannot be written or read.
    #[error(transparent)]
    Tokens(#[from] cognate_corpus::Error),
    /// What teachers expect is of other documents.
    #[error("{}: is not of the documents of {}", path.display(), tokens.display())]
    NotTaught {
        /// The file with what they expect.
        path: PathBuf,
        /// The documents.
        tokens: PathBuf,
    },
    /// The user asked to stop; the state is saved.
    #[error("interrupted; the same command continues where it stopped")]
    Interrupted(#[from] cognate_base::Interrupted),
}
