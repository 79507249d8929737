//! The activations: one set of buffers, sized for the largest batch seen, so that a step allocates nothing.

use cognate_base::process::check_memory;
use cognate_ops::Device;

use crate::{Batch, Config, IGNORE, Result, SoftTargets};

/// What one block keeps for backward.
pub(crate) struct BlockState<D: Device> {
    /// Residual stream before the block (N, D).
    pub(crate) input: D::Buffer,
    /// 1/rms of it (N).
    pub(crate) input_inv: D::Buffer,
    /// Queries, keys, values (N, (H+2K)·E).
    pub(crate) qkv: D::Buffer,
    /// 1/rms of queries and keys (N, H+K).
    pub(crate) head_inv: D::Buffer,
    /// Queries and keys, normalised and rotated (N, (H+K)·E).
    pub(crate) qk: D::Buffer,
    /// Log-sum-exp of the scores (N, H).
    pub(crate) lse: D::Buffer,
    /// What attention returns (N, H·E).
    pub(crate) attended: D::Buffer,
    /// Residual stream between attention and feed-forward (N, D).
    pub(crate) middle: D::Buffer,
    /// 1/rms of it (N).
    pub(crate) middle_inv: D::Buffer,
    /// Gates and ups (N, 2F).
    pub(crate) gate_up: D::Buffer,
}

/// Buffers that every block uses in turn, and those of the head.
pub(crate) struct Shared<D: Device> {
    /// A normalised residual stream (N, D).
    pub(crate) normed: D::Buffer,
    /// SwiGLU's result (N, F).
    pub(crate) activated: D::Buffer,
    /// Residual stream after the last block (N, D).
    pub(crate) output: D::Buffer,
    /// Its scored rows (N at most, D).
    pub(crate) scored: D::Buffer,
    /// 1/rms of them.
    pub(crate) scored_inv: D::Buffer,
    /// The scored rows, normalised.
    pub(crate) scored_normed: D::Buffer,
    /// Logits of one chunk of scored rows (chunk, V).
    pub(crate) logits: D::Buffer,
    /// Losses of the scored rows.
    pub(crate) losses: D::Buffer,
}

/// Buffers of the backward pass.
pub(crate) struct BackwardState<D: Device> {
    /// Gradient by the residual stream (N, D).
    pub(crate) stream: D::Buffer,
    /// Gradient by a normalised stream (N, D), or by the scored rows.
    pub(crate) normed: D::Buffer,
    /// Gradient by the scored rows, normalised.
    pub(crate) scored: D::Buffer,
    /// Gradient by SwiGLU's result (N, F).
    pub(crate) activated: D::Buffer,
    /// Gradient by gates and ups (N, 2F).
    pub(crate) gate_up: D::Buffer,
    /// Gradient by attention's result (N, H·E).
    pub(crate) attended: D::Buffer,
    /// Gradient by queries, keys and values (N, (H+2K)·E).
    pub(crate) qkv: D::Buffer,
}

/// All activations of a decoder.
pub(crate) struct State<D: Device> {
    /// Tokens that the buffers have room for.
    tokens: usize,
    /// One a block where backward follows, else one in all.
    pub(crate) blocks: Vec<BlockState<D>>,
    pub(crate) shared: Option<Shared<D>>,
    pub(crate) backward: Option<BackwardState<D>>,
}

/// Logits of a chunk: at most this many numbers, 16 MiB in f32.
const LOGITS: usize = 1 << 22;

/// Scored rows that go through the head at a time.
pub(crate) fn head_chunk(config: &Config) -> usize {
    (LOGITS / config.vocab).clamp(64, 1024)
}

impl<D: Device> State<D> {
    pub(crate) fn new() -> Self {
        Self { tokens: 0, blocks: Vec::new(), shared: None, backward: None }
    }

    /// Makes room for `tokens` tokens, with what backward needs where `backward`.
    ///
    /// # Errors
    /// When the machine has no memory for so many.
    pub(crate) fn reserve(&mut self, device: &D, config: &Config, tokens: usize, backward: bool) -> Result<()> {
        if tokens > self.tokens {
            let bytes = config.parameter_bytes() + numbers(config, tokens, backward) * size_of::<f32>() as f64;
            check_memory("a batch of so many tokens", bytes)?;
            *self = Self { tokens, ..Self::new() };
        }
        let blocks = if backward { config.layers } else { 1 };
        while self.blocks.len() < blocks {
            let [input, input_inv, qkv, head_inv, qk, lse, attended, middle, middle_inv, gate_up] =
                block_lens(config, self.tokens).map(|len| device.zeros(len));
            let block = BlockState { input, input_inv, qkv, head_inv, qk, lse, attended, middle, middle_inv, gate_up };
            self.blocks.push(block);
        }
        if self.shared.is_none() {
            let [normed, activated, output, scored, scored_inv, scored_normed, logits, losses] =
                shared_lens(config, self.tokens).map(|len| device.zeros(len));
            let shared = Shared { normed, activated, output, scored, scored_inv, scored_normed, logits, losses };
            self.shared = Some(shared);
        }
        if backward && self.backward.is_none() {
            let [stream, normed, scored, activated, gate_up, attended, qkv] =
                backward_lens(config, self.tokens).map(|len| device.zeros(len));
            self.backward = Some(BackwardState { stream, normed, scored, activated, gate_up, attended, qkv });
        }
        Ok(())
    }
}

/// Lengths of the buffers of a [`BlockState`] for `n` tokens, in the order of its fields.
fn block_lens(config: &Config, n: usize) -> [usize; 10] {
    let heads = config.head_shape();
    [
        n * config.width,
        n,
        n * heads.qkv_width(),
        n * (heads.query + heads.kv),
        n * heads.qk_width(),
        n * heads.query,
        n * heads.query_width(),
        n * config.width,
        n,
        n * 2 * config.ffn,
    ]
}

/// The same of [`Shared`].
fn shared_lens(config: &Config, n: usize) -> [usize; 8] {
    let (stream, logits) = (n * config.width, head_chunk(config).min(n) * config.vocab);
    [stream, n * config.ffn, stream, stream, n, stream, logits, n]
}

/// The same of [`BackwardState`].
fn backward_lens(config: &Config, n: usize) -> [usize; 7] {
    let (stream, heads) = (n * config.width, config.head_shape());
    [stream, stream, stream, n * config.ffn, n * 2 * config.ffn, n * heads.query_width(), n * heads.qkv_width()]
}

/// Numbers that the activations of a batch of `tokens` tokens are, with what backward keeps and needs where `backward`. A float, since
/// the product of sizes that each are possible need not be.
pub(crate) fn numbers(config: &Config, tokens: usize, backward: bool) -> f64 {
    let sum = |lens: &[usize]| lens.iter().map(|len| *len as f64).sum::<f64>();
    let blocks = if backward { config.layers } else { 1 };
    let passing = if backward { sum(&backward_lens(config, tokens)) } else { 0.0 };
    blocks as f64 * sum(&block_lens(config, tokens)) + sum(&shared_lens(config, tokens)) + passing
}

/// A batch on the device.
pub(crate) struct Placed<D: Device> {
    /// N.
    pub(crate) len: usize,
    pub(crate) tokens: D::Indices,
    pub(crate) positions: D::Indices,
    /// First token of each segment, then N.
    pub(crate) starts: D::Indices,
    /// Number of scored rows M.
    pub(crate) scored_len: usize,
    /// Scored rows, in order.
    pub(crate) scored: D::Indices,
    /// Their targets.
    pub(crate) targets: D::Indices,
    /// What teachers expect of them.
    pub(crate) soft: Option<PlacedSoft<D>>,
    /// Longest segment.
    pub(crate) longest: usize,
}

/// What teachers expect, on the device.
pub(crate) struct PlacedSoft<D: Device> {
    pub(crate) top: usize,
    pub(crate) share: f64,
    pub(crate) temperature: f64,
    /// (M, K).
    pub(crate) ids: D::Indices,
    /// (M, K).
    pub(crate) probabilities: D::Buffer,
}

impl<D: Device> PlacedSoft<D> {
    /// # Panics
    /// When there is not a row for each of `scored` targets.
    fn new(device: &D, soft: &SoftTargets, scored: usize) -> Self {
        assert_eq!((soft.ids.len(), soft.probabilities.len()), (scored * soft.top, scored * soft.top), "K a target");
        let mut probabilities = device.zeros(soft.probabilities.len());
        device.upload(&mut probabilities, 0, &soft.probabilities);
        let SoftTargets { top, share, temperature, .. } = *soft;
        Self { top, share, temperature, ids: device.indices(&soft.ids), probabilities }
    }
}

impl<D: Device> Placed<D> {
    pub(crate) fn new(device: &D, batch: &Batch) -> Self {
        let mut starts = batch.starts.clone();
        starts.push(batch.len() as u32);
        let rows = batch.targets.iter().enumerate().filter(|(_, target)| **target != IGNORE);
        let (scored, targets): (Vec<u32>, Vec<u32>) = rows.map(|(row, target)| (row as u32, *target)).unzip();
        Self {
            len: batch.len(),
            tokens: device.indices(&batch.tokens),
            positions: device.indices(&batch.positions),
            starts: device.indices(&starts),
            scored_len: scored.len(),
            scored: device.indices(&scored),
            targets: device.indices(&targets),
            // Of teachers that count nothing nothing is asked, so that the loss is the plain one to the bit.
            soft: batch
                .soft
                .as_ref()
                .filter(|soft| soft.share > 0.0)
                .map(|soft| PlacedSoft::new(device, soft, scored.len())),
            longest: batch.segments().map(|s| s.len()).max().unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use cognate_ops::Reference;

    use super::*;

    #[test]
    fn the_numbers_of_activations_are_those_of_the_buffers() {
        let config = Config {
            vocab: 300,
            width: 12,
            layers: 3,
            heads: 4,
            kv_heads: 2,
            head_width: 6,
            ffn: 20,
            max_positions: 64,
            rope_base: 1e4,
            rope_scaling: None,
            norm_eps: 1e-6,
            qk_norm: true,
            tied: true,
        };
        for backward in [false, true] {
            let mut state: State<Reference> = State::new();
            state.reserve(&Reference, &config, 70, backward).unwrap();
            let mut held = 0;
            for b in &state.blocks {
                let lens = [&b.input, &b.input_inv, &b.qkv, &b.head_inv, &b.qk, &b.lse, &b.attended, &b.middle];
                held += lens.into_iter().chain([&b.middle_inv, &b.gate_up]).map(Vec::len).sum::<usize>();
            }
            let s = state.shared.as_ref().unwrap();
            let lens = [&s.normed, &s.activated, &s.output, &s.scored, &s.scored_inv, &s.scored_normed, &s.logits];
            held += lens.into_iter().chain([&s.losses]).map(Vec::len).sum::<usize>();
            if let Some(b) = &state.backward {
                let lens = [&b.stream, &b.normed, &b.scored, &b.activated, &b.gate_up, &b.attended, &b.qkv];
                held += lens.into_iter().map(Vec::len).sum::<usize>();
            }
            assert_eq!(numbers(&config, 70, backward), held as f64, "backward: {backward}");
        }
    }
}
