//! Synthetic documents: written by the tuned synthesizer, filtered, measured. The stages `generate` and `filter`.
//!
//! In the order of the data flow:
//!
//! | module | what lives there |
//! |---|---|
//! | [`sampling`] | logits to one token |
//! | [`mod@generate`] | seeds to synthetic documents, batched, resumable |
//! | [`endpoint`] | the same from a completion server |
//! | [`entigraph`] | texts about the entities of documents, by a chat server |
//! | [`metadata`] | what a synthetic document says about itself |
//! | [`score`] | how related a document is to its seed, by the synthesizer itself or by a judge |
//! | [`filter`] | which documents are kept, why not, and how good they are |
//!
//! Nothing here trains a model, and nothing here decides what is done with the documents.

pub mod endpoint;
pub mod entigraph;
mod error;
pub mod filter;
#[cfg(test)]
mod fuzz;
pub mod generate;
pub mod metadata;
mod rows;
pub mod sampling;
pub mod score;

pub use endpoint::{EndpointConfig, EndpointError, Key, Role, generate_endpoint};
pub use entigraph::{EntigraphStats, check_entigraph, generate_entigraph};
pub use error::{Error, Result};
pub use filter::quality::{Collection, Copied, Lengths, Quality, Training, pair_overlap, quality};
pub use filter::repetition::{Rule, Thresholds};
pub use filter::rules::{RuleShares, real_shares};
pub use filter::stage::{FilterInputs, FilterStats, RelevanceStats, Scoring, filter_bytes};
pub use filter::{FilterConfig, NEAR_COPY, Reason};
pub use generate::seeds::Seeds;
pub use generate::{
    GenerateConfig, GenerateStats, Part, PrecisionEffect, Sample, Target, generate, generate_bytes, generate_told,
    write_related,
};
pub use sampling::Sampling;
pub use score::calibrate::{Calibration, calibrate};
pub use score::judge::{JudgeConfig, JudgeStats, Judgement, KnownPairs};
pub use score::relevance::{Relevance, RelevanceOptions, TextPair, TokenPair, relevance, relevance_of_texts};
