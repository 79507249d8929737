//! The activations: one set of buffers, sized for the largest batch seen, so that a step allocates nothing.

use cognate_ops::Device;

use crate::{Batch, Config, IGNORE};

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
    pub(crate) fn reserve(&mut self, device: &D, config: &Config, tokens: usize, backward: bool) {
        if tokens > self.tokens {
            *self = Self { tokens, ..Self::new() };
        }
        let n = self.tokens;
        let heads = config.head_shape();
        let zeros = |len: usize| device.zeros(len);
        let blocks = if backward { config.layers } else { 1 };
        while self.blocks.len() < blocks {
            self.blocks.push(BlockState {
                input: zeros(n * config.width),
                input_inv: zeros(n),
                qkv: zeros(n * heads.qkv_width()),
                head_inv: zeros(n * (heads.query + heads.kv)),
                qk: zeros(n * heads.qk_width()),
                lse: zeros(n * heads.query),
                attended: zeros(n * heads.query_width()),
                middle: zeros(n * config.width),
                middle_inv: zeros(n),
                gate_up: zeros(n * 2 * config.ffn),
            });
        }
        if self.shared.is_none() {
            self.shared = Some(Shared {
                normed: zeros(n * config.width),
                activated: zeros(n * config.ffn),
                output: zeros(n * config.width),
                scored: zeros(n * config.width),
                scored_inv: zeros(n),
                scored_normed: zeros(n * config.width),
                logits: zeros(head_chunk(config).min(n) * config.vocab),
                losses: zeros(n),
            });
        }
        if backward && self.backward.is_none() {
            self.backward = Some(BackwardState {
                stream: zeros(n * config.width),
                normed: zeros(n * config.width),
                scored: zeros(n * config.width),
                activated: zeros(n * config.ffn),
                gate_up: zeros(n * 2 * config.ffn),
                attended: zeros(n * heads.query_width()),
                qkv: zeros(n * heads.qkv_width()),
            });
        }
    }
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
    /// Longest segment.
    pub(crate) longest: usize,
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
            longest: batch.segments().map(|s| s.len()).max().unwrap_or(0),
        }
    }
}
