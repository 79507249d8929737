//! The one training loop, for pretraining and for synthesizer-tuning: schedule, batches, optimizer state, checkpoints, resume.
//!
//! Tuning is other data ([`PairStream`] instead of [`PlainStream`]) and other initial weights, nothing else. A stream hands out
//! the batch of any step, so the position in the data is the step's number, and a resumed run needs nothing more.

mod bench;
mod checkpoint;
#[cfg(test)]
#[path = "../../cognate-base/tests/damage/json.rs"]
mod damaged_json;
mod denoise;
mod denoising_stream;
mod error;
mod metrics;
mod pair_stream;
mod plain_stream;
mod rows;
mod schedule;
mod source;
mod teach;
mod teachings;
mod tensorboard;
mod train;
mod validation;

use cognate_model::Batch;

pub use bench::{StepBench, StepTimes};
pub use checkpoint::{Point, Progress};
pub use denoise::{Denoiser, DenoisingTokens, SENTINELS, Shares};
pub use denoising_stream::DenoisingStream;
pub use error::Error;
pub use pair_stream::{PairStream, PairTokens};
pub use plain_stream::PlainStream;
pub use rows::related_rows;
pub use schedule::{Schedule, Shape, peak_rate_for};
pub use source::{Piece, Row, Source};
pub use teach::{TeachConfig, teach, teaching_bytes};
pub use teachings::{Teachings, TeachingsStats};
pub use train::{Contrast, Job, Outcome, TrainConfig, check_room, train, training_bytes};
pub use validation::validation_items;

/// Result with this crate's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The batches of a training run, by step.
pub trait Stream: Sync {
    /// Number of steps.
    fn steps(&self) -> u64;
    /// Tokens of all batches together.
    fn tokens(&self) -> u64;
    /// Replaces `batch` with the batch of step `step` (from 0).
    fn fill(&self, step: u64, batch: &mut Batch);
    /// What going through it is called while it goes on.
    fn work(&self) -> &'static str {
        "train"
    }
}
