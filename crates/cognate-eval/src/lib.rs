//! How good a model is: the stage `evaluate`, and the diagnosis of a synthesizer.
//!
//! | module | what lives there |
//! |---|---|
//! | [`mod@perplexity`] | nats per token, perplexity, bits per byte on documents |
//! | [`mod@relation`] | −log p(d2) after the true, a random and no related document |
//!
//! Nothing here trains, and nothing here reads or writes files.

mod error;
pub mod perplexity;
mod progress;
mod ratio;
pub mod relation;

pub use error::{Error, Result};
pub use perplexity::{Perplexity, PerplexityOptions, perplexity};
pub use ratio::Estimate;
pub use relation::{Relation, RelationOptions, relation};
