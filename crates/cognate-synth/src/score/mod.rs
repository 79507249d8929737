//! Relevance: what the synthesizer itself, or a judge, says about a seed and the document written from it.
//!
//! | module | what lives there |
//! |---|---|
//! | [`relevance`] | pointwise mutual information of a pair, forward and backward |
//! | [`calibrate`] | the same on true and random pairs, and how well it tells them apart |
//! | [`judge`] | the answers of another model behind a completion server |

pub mod calibrate;
pub mod judge;
pub mod relevance;
