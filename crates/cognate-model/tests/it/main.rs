//! The decoder against PyTorch, against finite differences, and against itself.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod checkpoints;
mod foreign;
mod golden;
mod gradients;
mod invariances;
mod refused;
mod sketches;

use cognate_model::{Batch, Config, Decoder};
use cognate_ops::Device;

/// A small decoder of every kind of part: grouped heads, a head width that is not width / heads.
fn small(qk_norm: bool, tied: bool) -> Config {
    Config {
        vocab: 97,
        width: 24,
        layers: 2,
        heads: 4,
        kv_heads: 2,
        head_width: 8,
        ffn: 40,
        max_positions: 256,
        rope_base: 1e4,
        rope_scaling: None,
        norm_eps: 1e-6,
        qk_norm,
        tied,
    }
}

/// A decoder whose norm weights are not all one.
fn decoder<D: Device>(device: D, config: Config, seed: u64) -> Decoder<D> {
    let mut values = Decoder::new(device.clone(), config.clone(), seed).unwrap().parameters();
    for (i, value) in values.iter_mut().enumerate() {
        *value *= 1.0 + 0.3 * (i as f32).sin();
    }
    Decoder::with_parameters(device, config, &values).unwrap()
}

/// `lengths` segments of made-up tokens, every token scored.
fn batch(lengths: &[usize], vocab: u32) -> Batch {
    let mut batch = Batch::new();
    let mut state = 12345u32;
    for &len in lengths {
        let tokens: Vec<u32> = (0..=len)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) % vocab
            })
            .collect();
        batch.push(&tokens[..len], &tokens[1..]);
    }
    batch
}
