//! The seam between a model and the machine: opaque buffers, and one method for each op.

use std::ops::Range;

use crate::operands::size;
use crate::{AdamW, RopeTable};

/// Part of a device buffer, to read.
pub struct View<'a, D: Device> {
    /// The buffer that holds it.
    pub buffer: &'a D::Buffer,
    /// Elements of the buffer.
    pub range: Range<usize>,
}

impl<D: Device> Clone for View<'_, D> {
    fn clone(&self) -> Self {
        Self { buffer: self.buffer, range: self.range.clone() }
    }
}

/// Part of a device buffer, to write.
pub struct ViewMut<'a, D: Device> {
    /// The buffer that holds it.
    pub buffer: &'a mut D::Buffer,
    /// Elements of the buffer.
    pub range: Range<usize>,
}

impl<'a, D: Device> View<'a, D> {
    /// The elements `range` of `buffer`.
    pub fn new(buffer: &'a D::Buffer, range: Range<usize>) -> Self {
        Self { buffer, range }
    }
}

impl<'a, D: Device> ViewMut<'a, D> {
    /// The elements `range` of `buffer`.
    pub fn new(buffer: &'a mut D::Buffer, range: Range<usize>) -> Self {
        Self { buffer, range }
    }
}

impl<D: Device> ViewMut<'_, D> {
    /// The same part, for a shorter while.
    pub fn again(&mut self) -> ViewMut<'_, D> {
        ViewMut { buffer: self.buffer, range: self.range.clone() }
    }
}

/// What teachers expect of rows, and how much it counts.
pub struct Soft<'a, D: Device> {
    /// K.
    pub top: usize,
    /// Their likeliest tokens, all of a row different. Rows of K that count as the targets do.
    pub ids: &'a D::Indices,
    /// The tokens' probabilities (M, K) at the temperature; those of a row sum to at most 1.
    pub probabilities: View<'a, D>,
    /// α, in [0, 1].
    pub share: f64,
    /// T > 0.
    pub temperature: f64,
}

/// How the rows of an attention tensor are divided into heads. A row of `qkv` is H query heads, then K key heads, then K
/// value heads, each of E numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heads {
    /// H.
    pub query: usize,
    /// K; divides H, and query head h reads key/value head h / (H / K).
    pub kv: usize,
    /// E, even.
    pub width: usize,
}

impl Heads {
    /// Asserts what the fields promise, and that their products are sizes.
    pub(crate) fn check(self) {
        let Self { query, kv, width } = self;
        assert!(
            kv > 0 && query.is_multiple_of(kv),
            "heads: {query} query heads cannot share {kv} key/value heads evenly"
        );
        assert!(width > 0 && width.is_multiple_of(2), "heads: a width of {width}, expected an even number");
        size(&[query.saturating_add(kv.saturating_mul(2)), width]);
    }

    /// Numbers in a row of queries: H·E.
    pub fn query_width(self) -> usize {
        self.query * self.width
    }

    /// Numbers in a row of keys, or of values: K·E.
    pub fn kv_width(self) -> usize {
        self.kv * self.width
    }

    /// Numbers in a row of `qkv`: (H + 2K)·E.
    pub fn qkv_width(self) -> usize {
        (self.query + 2 * self.kv) * self.width
    }

    /// Numbers in a row of queries and keys: (H + K)·E.
    pub fn qk_width(self) -> usize {
        (self.query + self.kv) * self.width
    }
}

/// In what numbers decoding multiplies and remembers. Sums, norms, positions, softmax and activations are f32 in either case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// Weights, inputs of products, keys and values as f32.
    #[default]
    F32,
    /// Weights and inputs of products as 8-bit whole numbers with a scale a row; keys and values as bfloat16.
    Int8,
}

impl Precision {
    /// As recipes, flags and records write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Int8 => "int8",
        }
    }
}

impl std::str::FromStr for Precision {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = [Self::F32, Self::Int8].into_iter().find(|precision| precision.name() == name);
        known.ok_or_else(|| "expected f32 or int8".to_owned())
    }
}

/// A machine that holds numbers and runs the ops. Ops "write" unless the doc says that they "add".
///
/// Sizes are part of an op's contract: a device may panic on a mismatch, since shapes come from the model, never from a
/// user's input.
pub trait Device: Clone + Send + Sync + 'static {
    /// A flat run of numbers on the device.
    type Buffer: Send + Sync;
    /// Token ids, positions or row numbers on the device.
    type Indices: Send + Sync;
    /// A weight in the order in which products read it.
    type Packed: Send + Sync;

    /// A buffer of `len` zeros.
    fn zeros(&self, len: usize) -> Self::Buffer;
    /// Number of elements.
    fn len(&self, buffer: &Self::Buffer) -> usize;
    /// Copies host values to `buffer[offset..]`.
    fn upload(&self, buffer: &mut Self::Buffer, offset: usize, values: &[f32]);
    /// Copies `buffer[offset..]` to host values, rounding to f32.
    fn download(&self, buffer: &Self::Buffer, offset: usize, values: &mut [f32]);
    /// Copies host indices to the device.
    fn indices(&self, values: &[u32]) -> Self::Indices;
    /// Runs `body` on the host, for each number below `tasks`, on as many threads as the device has of it.
    fn each(&self, tasks: usize, body: &(dyn Fn(usize) + Sync));

    /// Sets a range to zero.
    fn clear(&self, x: ViewMut<'_, Self>);
    /// Copies `x` to `out`, of the same length.
    fn copy(&self, out: ViewMut<'_, Self>, x: View<'_, Self>);
    /// Copies the rows `rows` of `x` (any, width) to `out` (rows, width). (Folder `embedding`.)
    fn gather(&self, out: ViewMut<'_, Self>, x: View<'_, Self>, rows: &Self::Indices, width: usize);
    /// Writes the rows of `x` to the rows `rows` of `out`, which are distinct; other rows of `out` become zero.
    fn scatter(&self, out: ViewMut<'_, Self>, x: View<'_, Self>, rows: &Self::Indices, width: usize);
    /// Adds row i of `dx` to row `rows[i]` of `dtable`; rows may repeat.
    fn gather_backward(&self, dtable: ViewMut<'_, Self>, dx: View<'_, Self>, rows: &Self::Indices, width: usize);

    /// out (N, D) = x / rms(x) · weight, inv_rms (N) = 1 / rms(x). (Folder `norm`.)
    fn rms_norm(
        &self,
        out: ViewMut<'_, Self>,
        inv_rms: ViewMut<'_, Self>,
        x: View<'_, Self>,
        weight: View<'_, Self>,
        eps: f64,
    );
    /// Adds the gradients of [`Device::rms_norm`] to `dx` (N, D) and `dweight` (D).
    fn rms_norm_backward(
        &self,
        dx: ViewMut<'_, Self>,
        dweight: ViewMut<'_, Self>,
        dout: View<'_, Self>,
        x: View<'_, Self>,
        inv_rms: View<'_, Self>,
        weight: View<'_, Self>,
    );

    /// out (N, O) = x (N, I) · weightᵀ, weight (O, I); adds to `out` where `add`. (Folder `matmul`.)
    fn matmul(
        &self,
        out: ViewMut<'_, Self>,
        x: View<'_, Self>,
        weight: View<'_, Self>,
        inputs: usize,
        outputs: usize,
        add: bool,
    );
    /// A copy of `weight` (O, I) for many products: what few rows are multiplied by again and again.
    fn pack(&self, weight: View<'_, Self>, inputs: usize, outputs: usize, precision: Precision) -> Self::Packed;
    /// [`Device::matmul`] with a packed weight: to the same bits where it was packed in f32.
    fn matmul_packed(&self, out: ViewMut<'_, Self>, x: View<'_, Self>, weight: &Self::Packed, add: bool);
    /// dx (N, I) = dout (N, O) · weight (O, I).
    fn matmul_input_gradient(
        &self,
        dx: ViewMut<'_, Self>,
        dout: View<'_, Self>,
        weight: View<'_, Self>,
        inputs: usize,
        outputs: usize,
    );
    /// Adds doutᵀ (O, N) · x (N, I) to dweight (O, I).
    fn matmul_weight_gradient(
        &self,
        dweight: ViewMut<'_, Self>,
        dout: View<'_, Self>,
        x: View<'_, Self>,
        inputs: usize,
        outputs: usize,
    );

    /// qk (N, (H+K)·E) = RoPE(RMSNorm(q, k)) of the first H+K heads of `qkv`; inv_rms (N, H+K). Without `norm` (weights of
    /// q and of k, E each) only the rotation. (Folder `rope`.)
    fn rope(
        &self,
        qk: ViewMut<'_, Self>,
        inv_rms: ViewMut<'_, Self>,
        qkv: View<'_, Self>,
        norm: Option<(View<'_, Self>, View<'_, Self>)>,
        positions: &Self::Indices,
        table: &RopeTable,
        heads: Heads,
        eps: f64,
    );
    /// Replaces the first H+K heads of `dqkv`, on entry the gradient by `qk`, with the gradient by `qkv`; adds to `dnorm`
    /// (q's E numbers, then k's).
    fn rope_backward(
        &self,
        dqkv: ViewMut<'_, Self>,
        dnorm: Option<ViewMut<'_, Self>>,
        qkv: View<'_, Self>,
        inv_rms: View<'_, Self>,
        norm: Option<(View<'_, Self>, View<'_, Self>)>,
        positions: &Self::Indices,
        table: &RopeTable,
        heads: Heads,
    );

    /// Causal attention inside each segment: out (N, H·E), lse (N, H) = log Σ exp of a row's scaled scores. `starts` holds
    /// the first row of each segment, then N. Values are the last K heads of `qkv`. (Folder `attention`.)
    fn attention(
        &self,
        out: ViewMut<'_, Self>,
        lse: ViewMut<'_, Self>,
        qk: View<'_, Self>,
        qkv: View<'_, Self>,
        starts: &Self::Indices,
        heads: Heads,
    );
    /// Writes dqkv (N, (H+2K)·E): gradients by the rotated queries and keys, and by the values.
    fn attention_backward(
        &self,
        dqkv: ViewMut<'_, Self>,
        dout: View<'_, Self>,
        out: View<'_, Self>,
        lse: View<'_, Self>,
        qk: View<'_, Self>,
        qkv: View<'_, Self>,
        starts: &Self::Indices,
        heads: Heads,
    );
    /// A cache of keys and values of that many positions, over all slots.
    fn kv_cache(&self, positions: usize, heads: Heads, precision: Precision) -> Self::Buffer;
    /// Stores the key and value of each row r in a cache at position `positions[r]` of slot `slots[r]`, then attends: row r sees
    /// positions `0..=positions[r]` of its slot. The rows of a slot stand together, in the order of their positions. The cache is of
    /// [`Device::kv_cache`] with slots · `capacity` positions and the same precision; `capacity` is a multiple of 16. A row of
    /// `out` (N, H·E) depends on its own slot alone, to the bit.
    fn attention_cached(
        &self,
        out: ViewMut<'_, Self>,
        cache: &mut Self::Buffer,
        qk: View<'_, Self>,
        qkv: View<'_, Self>,
        slots: &Self::Indices,
        positions: &Self::Indices,
        capacity: usize,
        heads: Heads,
        precision: Precision,
    );

    /// out (N, F) = silu(gate) · up of gate_up (N, 2F): F gates, then F ups a row. (Folder `swiglu`.)
    fn swiglu(&self, out: ViewMut<'_, Self>, gate_up: View<'_, Self>, ffn: usize);
    /// Writes dgate_up (N, 2F).
    fn swiglu_backward(&self, dgate_up: ViewMut<'_, Self>, dout: View<'_, Self>, gate_up: View<'_, Self>, ffn: usize);

    /// losses (M) = −log `softmax(logits)[target]` of logits (M, V); replaces the logits with d(scale · Σ losses)/dlogits
    /// where `gradient` is given. (Folder `cross_entropy`.)
    fn cross_entropy(
        &self,
        losses: ViewMut<'_, Self>,
        logits: ViewMut<'_, Self>,
        targets: &Self::Indices,
        first_target: usize,
        vocab: usize,
        gradient: Option<f64>,
    );

    /// losses (M) of logits (M, V) against the targets and what teachers expect of the same rows; replaces the logits with d(scale · Σ
    /// losses)/dlogits. (Folder `soft_cross_entropy`.)
    fn soft_cross_entropy(
        &self,
        losses: ViewMut<'_, Self>,
        logits: ViewMut<'_, Self>,
        targets: &Self::Indices,
        soft: Soft<'_, Self>,
        first_target: usize,
        vocab: usize,
        scale: f64,
    );

    /// Σ x, in f64 and in order.
    fn sum(&self, x: View<'_, Self>) -> f64;
    /// Σ x². The sum is taken in f64 over fixed chunks.
    fn sum_of_squares(&self, x: View<'_, Self>) -> f64;
    /// One AdamW update of `parameters`, with gradients multiplied by `gradient_scale` first. (Folder `adamw`.)
    fn adamw(
        &self,
        parameters: ViewMut<'_, Self>,
        gradients: View<'_, Self>,
        first_moment: ViewMut<'_, Self>,
        second_moment: ViewMut<'_, Self>,
        settings: &AdamW,
    );
}
