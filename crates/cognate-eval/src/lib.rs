//! How good a model is: the stage `evaluate`, and the diagnosis of a synthesizer.
//!
//! | module | what lives there |
//! |---|---|
//! | [`mod@perplexity`] | nats per token, perplexity, bits per byte on documents |
//! | [`mod@tasks`] | published tasks: multiple choice, last word, minimal pairs, short answers |
//! | [`mod@replm`] | triples that documents state, written from examples |
//! | [`mod@likelihood`] | log-likelihoods of several continuations, their common prefix read once |
//! | [`mod@relation`] | −log p(d2) after the true, a random and no related document |
//!
//! Nothing here trains, and nothing here writes files; [`tasks`] reads the files that it is pointed to.

mod error;
pub mod likelihood;
pub mod perplexity;
mod progress;
pub mod relation;
pub mod replm;
mod rows;
pub mod tasks;

pub use error::{Error, Result};
pub use perplexity::{DocumentScore, Perplexity, PerplexityOptions, TextPerplexity, ensemble_perplexity, perplexity};
pub use relation::{PairLoss, Relation, RelationOptions, relation};
