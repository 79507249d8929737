//! Writes the logits of a checkpoint for made-up token ids, for `tools/reference/check_checkpoint.py --expected`.
//!
//! `cargo run --release -p cognate-model --example logits -- CHECKPOINT OUT.safetensors`

use std::path::PathBuf;

use cognate_model::checkpoint::write_tensors;
use cognate_model::{Batch, Decoder, IGNORE};
use cognate_ops::Cpu;

/// Tokens scored; a multiple of no block or tile.
const TOKENS: usize = 97;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut paths = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(checkpoint), Some(out)) = (paths.next(), paths.next()) else {
        return Err("usage: logits CHECKPOINT OUT.safetensors".into());
    };
    let (mut model, _) = Decoder::load(Cpu::new(2)?, &checkpoint)?;
    let vocab = model.config().vocab;
    // A walk that visits all parts of the vocabulary: steps of 7919, a prime.
    let ids: Vec<u32> = (0..TOKENS).map(|i| (i * 7919 % vocab) as u32).collect();
    let mut batch = Batch::new();
    batch.push(&ids, &[IGNORE; TOKENS]);
    let logits = model.logits(&batch)?;
    let ids: Vec<f32> = ids.iter().map(|&id| id as f32).collect();
    let tensors = [("ids", &[TOKENS][..], &ids[..]), ("logits", &[TOKENS, vocab][..], &logits[..])];
    Ok(write_tensors(&out, tensors.into_iter(), &[])?)
}
