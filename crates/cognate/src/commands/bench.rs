//! `bench`: how fast the engine is on this machine, one JSON object a command.

use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, Subcommand};
use cognate_base::process::peak_rss_bytes;
use cognate_model::{Config, Decoder};
use cognate_ops::{Cpu, Precision};
use cognate_synth::Sampling;
use cognate_synth::generate::TimedGeneration;
use cognate_train::StepBench;
use serde_json::json;

use super::{Result, print_json};
use crate::failure::Failure;
use crate::terminal::Terminal;

#[derive(Debug, Subcommand)]
pub(crate) enum BenchArgs {
    /// Time training steps of a decoder on made-up tokens: forward, backward, clipping, AdamW.
    Train(TrainArgs),
    /// Time batched sampling from a checkpoint on made-up prompts.
    Generate(GenerateArgs),
}

#[derive(Debug, Args)]
pub(crate) struct TrainArgs {
    /// Number of blocks.
    #[arg(long, default_value_t = 6)]
    layers: usize,
    /// Width of the residual stream.
    #[arg(long, default_value_t = 384)]
    width: usize,
    /// Query heads.
    #[arg(long, default_value_t = 6)]
    heads: usize,
    /// Key/value heads.
    #[arg(long, default_value_t = 6)]
    kv_heads: usize,
    /// Feed-forward width.
    #[arg(long, default_value_t = 1024)]
    ffn: usize,
    /// Vocabulary size.
    #[arg(long, default_value_t = 8192)]
    vocab: usize,
    /// Tokens a row.
    #[arg(long, default_value_t = 256)]
    context: usize,
    /// Rows a step.
    #[arg(long, default_value_t = 16)]
    batch: usize,
    /// Timed steps; two more come first.
    #[arg(long, default_value_t = 8)]
    steps: usize,
    /// Share of a row's tokens that is scored, from its end: what pairs are trained with.
    #[arg(long, default_value_t = 1.0, value_name = "SHARE")]
    scored_share: f64,
}

#[derive(Debug, Args)]
pub(crate) struct GenerateArgs {
    /// A checkpoint directory.
    checkpoint: PathBuf,
    /// Sequences decoded together.
    #[arg(long, default_value_t = 64)]
    batch: usize,
    /// Tokens of each prompt.
    #[arg(long, default_value_t = 128)]
    prompt_tokens: usize,
    /// Tokens sampled after each prompt.
    #[arg(long, default_value_t = 128)]
    new_tokens: usize,
    /// In what numbers the model multiplies: f32 or int8.
    #[arg(long, default_value = "f32")]
    precision: Precision,
    /// Timed runs; one short run comes first.
    #[arg(long, default_value_t = 3)]
    runs: usize,
}

pub(crate) fn bench(args: &BenchArgs, threads: usize, terminal: &Terminal) -> Result {
    match args {
        BenchArgs::Train(args) => train(args, threads, terminal),
        BenchArgs::Generate(args) => generate(args, threads, terminal),
    }
}

fn at_least_one(name: &str, value: usize) -> Result {
    if value == 0 { Err(Failure::setting(name, value, "a whole number of at least 1")) } else { Ok(()) }
}

fn train(args: &TrainArgs, threads: usize, terminal: &Terminal) -> Result {
    for (name, value) in [("--batch", args.batch), ("--context", args.context), ("--steps", args.steps)] {
        at_least_one(name, value)?;
    }
    if args.heads == 0 || !args.width.is_multiple_of(args.heads) {
        let expected = format!("a divisor of --width {}", args.width);
        return Err(Failure::setting("--heads", args.heads, &expected));
    }
    if !(args.scored_share > 0.0 && args.scored_share <= 1.0) {
        return Err(Failure::setting("--scored-share", args.scored_share, "a number above 0 and at most 1"));
    }
    let config = Config {
        vocab: args.vocab,
        width: args.width,
        layers: args.layers,
        heads: args.heads,
        kv_heads: args.kv_heads,
        head_width: args.width / args.heads,
        ffn: args.ffn,
        max_positions: args.context,
        rope_base: 1e4,
        rope_scaling: None,
        norm_eps: 1e-5,
        qk_norm: true,
        tied: true,
    };
    let params = config.parameters();
    let bench = StepBench {
        config,
        batch: args.batch,
        context: args.context,
        steps: args.steps,
        scored_share: args.scored_share,
    };
    let times = bench.run(Cpu::new(threads)?, terminal)?;
    let median = times.median_s();
    print_json(&json!({
        "params": params,
        "tokens_per_s": times.tokens as f64 / median,
        "gflops": times.flops / median / 1e9,
        "matmul_gflops": times.product_rate / 1e9,
        "fraction_of_matmul": times.flops / median / times.product_rate,
        "step_s": times.step_s,
        "peak_rss_bytes": peak_rss_bytes(),
        "threads": threads,
        "simd": format!("{:?}", cognate_ops::isa()).to_lowercase(),
        "loss": times.loss,
    }))
}

fn generate(args: &GenerateArgs, threads: usize, terminal: &Terminal) -> Result {
    let flags = [
        ("--batch", args.batch),
        ("--prompt-tokens", args.prompt_tokens),
        ("--new-tokens", args.new_tokens),
        ("--runs", args.runs),
    ];
    for (name, value) in flags {
        at_least_one(name, value)?;
    }
    let (mut model, _) = Decoder::load(Cpu::new(threads)?, &args.checkpoint)?;
    let sampling = Sampling::nucleus(1.0, 0.9);
    let short = (args.prompt_tokens, args.new_tokens.min(8));
    TimedGeneration::new(&mut model, args.batch.min(4), short, sampling, args.precision).run(terminal)?;
    let shape = (args.prompt_tokens, args.new_tokens);
    let mut generation = TimedGeneration::new(&mut model, args.batch, shape, sampling, args.precision);
    let mut rates = Vec::new();
    for _ in 0..args.runs {
        let start = Instant::now();
        generation.run(terminal)?;
        rates.push((args.batch * args.new_tokens) as f64 / start.elapsed().as_secs_f64());
    }
    let mut sorted = rates.clone();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    print_json(&json!({
        "batch": args.batch,
        "precision": args.precision.name(),
        "new_tokens_per_s": (sorted[(n - 1) / 2] + sorted[n / 2]) / 2.0,
        "runs": rates,
        "peak_rss_bytes": peak_rss_bytes(),
        "threads": threads,
        "simd": format!("{:?}", cognate_ops::isa()).to_lowercase(),
    }))
}
