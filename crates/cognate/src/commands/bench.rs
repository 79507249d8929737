//! `bench`: how fast the engine is on this machine, one JSON object a command.

use std::time::Instant;

use cognate_base::process::peak_rss_bytes;
use cognate_model::{Config, Decoder};
use cognate_run::DeviceKind;
use cognate_synth::Sampling;
use cognate_synth::generate::TimedGeneration;
use cognate_train::StepBench;
use serde_json::json;

use super::shared::{Result, print_json};
use crate::args::{BenchArgs, BenchGenerateArgs, BenchTrainArgs};
use crate::failure::Failure;
use crate::terminal::Terminal;

pub(crate) fn bench(args: &BenchArgs, threads: usize, terminal: &Terminal) -> Result {
    match args {
        BenchArgs::Train(args) => train(args, threads, terminal),
        BenchArgs::Generate(args) => generate(args, threads, terminal),
    }
}

fn train(args: &BenchTrainArgs, threads: usize, terminal: &Terminal) -> Result {
    if !args.width.is_multiple_of(args.heads) {
        let expected = format!("a divisor of --width {}", args.width);
        return Err(Failure::setting("--heads", args.heads, &expected));
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
    config.check()?;
    let params = config.parameters();
    let bench = StepBench {
        config,
        batch: args.batch,
        context: args.context,
        steps: args.steps,
        scored_share: args.scored_share,
    };
    let times = bench.run(DeviceKind::default().open(threads)?, terminal)?;
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
        "simd": cognate_ops::isa().name(),
        "loss": times.loss,
    }))
}

fn generate(args: &BenchGenerateArgs, threads: usize, terminal: &Terminal) -> Result {
    let (mut model, _) = Decoder::load(DeviceKind::default().open(threads)?, &args.checkpoint)?;
    let sampling = Sampling::nucleus(1.0, 0.9);
    let short = (args.prompt_tokens, args.new_tokens.min(8));
    TimedGeneration::new(&mut model, args.batch.min(4), short, sampling, args.precision)?.run(terminal)?;
    let shape = (args.prompt_tokens, args.new_tokens);
    let mut generation = TimedGeneration::new(&mut model, args.batch, shape, sampling, args.precision)?;
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
        "simd": cognate_ops::isa().name(),
    }))
}
