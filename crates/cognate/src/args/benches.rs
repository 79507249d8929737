//! What `bench` takes.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use cognate_ops::Precision;

use super::numbers::{MOST_SMALL, most_of, number_of, whole, whole_of};

#[derive(Debug, Subcommand)]
pub(crate) enum BenchArgs {
    /// Time training steps of a decoder on made-up tokens: forward, backward, clipping, AdamW.
    Train(BenchTrainArgs),
    /// Time batched sampling from a checkpoint on made-up prompts.
    Generate(BenchGenerateArgs),
}

#[derive(Debug, Args)]
pub(crate) struct BenchTrainArgs {
    /// Number of blocks.
    #[arg(long, default_value_t = 6, value_parser = whole_of::<usize>("model", "layers"))]
    pub(crate) layers: usize,
    /// Width of the residual stream.
    #[arg(long, default_value_t = 384, value_parser = whole_of::<usize>("model", "width"))]
    pub(crate) width: usize,
    /// Query heads.
    #[arg(long, default_value_t = 6, value_parser = whole_of::<usize>("model", "heads"))]
    pub(crate) heads: usize,
    /// Key/value heads.
    #[arg(long, default_value_t = 6, value_parser = whole_of::<usize>("model", "kv_heads"))]
    pub(crate) kv_heads: usize,
    /// Feed-forward width.
    #[arg(long, default_value_t = 1024, value_parser = whole_of::<usize>("model", "ffn"))]
    pub(crate) ffn: usize,
    /// Vocabulary size.
    #[arg(long, default_value_t = 8192, value_parser = whole::<usize>(1, most_of("tokenize", "vocab_size")))]
    pub(crate) vocab: usize,
    /// Tokens a row.
    #[arg(long, default_value_t = 256, value_parser = whole_of::<usize>("model", "context"))]
    pub(crate) context: usize,
    /// Rows a step.
    #[arg(long, default_value_t = 16, value_parser = whole_of::<usize>("generate", "slots"))]
    pub(crate) batch: usize,
    /// Timed steps; two more come first.
    #[arg(long, default_value_t = 8, value_parser = whole::<usize>(1, MOST_SMALL))]
    pub(crate) steps: usize,
    /// Share of a row's tokens that is scored, from its end: what pairs are trained with.
    #[arg(long, default_value_t = 1.0, value_name = "SHARE", value_parser = number_of("embed", "max_document_share"))]
    pub(crate) scored_share: f64,
}

#[derive(Debug, Args)]
pub(crate) struct BenchGenerateArgs {
    /// A checkpoint directory.
    pub(crate) checkpoint: PathBuf,
    /// Sequences decoded together.
    #[arg(long, default_value_t = 64, value_parser = whole_of::<usize>("generate", "slots"))]
    pub(crate) batch: usize,
    /// Tokens of each prompt.
    #[arg(long, default_value_t = 128, value_parser = whole_of::<usize>("generate", "max_seed_tokens"))]
    pub(crate) prompt_tokens: usize,
    /// Tokens sampled after each prompt.
    #[arg(long, default_value_t = 128, value_parser = whole_of::<usize>("generate", "max_new_tokens"))]
    pub(crate) new_tokens: usize,
    /// In what numbers the model multiplies: f32 or int8.
    #[arg(long, default_value = "f32")]
    pub(crate) precision: Precision,
    /// Timed runs; one short run comes first.
    #[arg(long, default_value_t = 3, value_parser = whole::<usize>(1, MOST_SMALL))]
    pub(crate) runs: usize,
}
