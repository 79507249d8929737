//! The decoder: configuration, parameters, forward, backward, cached decoding, and checkpoints that other tools open.
//!
//! One architecture, written out by hand: Llama-3 blocks, with RMSNorm on queries and keys where the configuration says so
//! (the ecosystem's Qwen3). It is generic over a [`cognate_ops::Device`] and knows nothing of threads, SIMD or f32.
//!
//! Shape letters as in `cognate-ops`. A batch is one flat run of N tokens in segments (documents, or a pair of documents);
//! there is no batch axis and no padding, and attention never crosses a segment.

mod backward;
mod batch;
pub mod checkpoint;
mod config;
mod decode;
mod decoder;
mod ensemble;
mod error;
mod initialise;
mod layout;
mod memory;
mod score;
mod state;

pub use batch::{Batch, IGNORE, SoftTargets};
pub use config::{Config, Family, Llama3Scaling};
pub use decode::{DecodeCache, Fed, Feed};
pub use decoder::{Decoder, Gradients, Moments};
pub use ensemble::{Ensemble, EnsembleCache};
pub use error::Error;
pub use layout::{Layout, Tensor};
pub use score::{ScoreItem, score, score_tokens};

/// Result with this crate's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;
