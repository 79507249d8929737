//! The decoder and its forward pass.

use cognate_ops::{AdamW, Device, Precision, RopeTable, View, ViewMut};

use crate::decode::{Fed, PackedWeights};
use crate::layout::Block;
use crate::state::{BlockState, Placed, Shared, State, head_chunk};
use crate::{Batch, Config, Error, IGNORE, Layout, Result, initialise};

/// A decoder on a device: configuration, parameters in one flat buffer, and room for activations.
pub struct Decoder<D: Device> {
    pub(crate) device: D,
    pub(crate) config: Config,
    pub(crate) layout: Layout,
    pub(crate) parameters: D::Buffer,
    pub(crate) rope: RopeTable,
    pub(crate) state: State<D>,
    pub(crate) fed: Fed,
}

/// Gradients by all parameters, laid out as the parameters are.
pub struct Gradients<D: Device> {
    pub(crate) buffer: D::Buffer,
    len: usize,
}

/// Which earlier tokens a token attends to.
pub(crate) enum Context<'a, D: Device> {
    /// Those of its segment.
    Segments,
    /// Those of its slot in a cache, one buffer a block.
    Cache {
        buffers: &'a mut [D::Buffer],
        slots: &'a D::Indices,
        capacity: usize,
        packed: &'a PackedWeights<D>,
        precision: Precision,
    },
}

impl<D: Device> Decoder<D> {
    /// A decoder with initial parameters drawn from `seed`.
    ///
    /// # Errors
    /// When the configuration is impossible, or too large for this machine's memory.
    pub fn new(device: D, config: Config, seed: u64) -> Result<Self> {
        config.check()?;
        config.check_memory()?;
        let layout = Layout::new(&config);
        let values = initialise::parameters(&config, &layout, seed);
        Self::with_parameters(device, config, &values)
    }

    /// A decoder with given parameters, in the order of [`Layout`].
    ///
    /// # Errors
    /// When the configuration is impossible.
    ///
    /// # Panics
    /// When the number of values is not [`Config::parameters`].
    pub fn with_parameters(device: D, config: Config, values: &[f32]) -> Result<Self> {
        config.check()?;
        let layout = Layout::new(&config);
        assert_eq!(values.len(), layout.len(), "one value a parameter");
        let mut parameters = device.zeros(layout.len());
        device.upload(&mut parameters, 0, values);
        let rope = config.rope_table(0);
        Ok(Self { device, config, layout, parameters, rope, state: State::new(), fed: Fed::default() })
    }

    /// This decoder with `vocab` rows in its embedding and its head, at least as many as it has. Each new row is the mean of the old
    /// ones, so that a new token is neither likely nor unlikely and changes no distribution much (Hewitt 2021, "Initializing New Word
    /// Embeddings for Pretrained Language Models").
    ///
    /// # Errors
    /// When the larger configuration is impossible.
    ///
    /// # Panics
    /// When rows would be lost.
    pub fn with_rows(self, vocab: usize) -> Result<Self> {
        let old = self.config.vocab;
        assert!(vocab >= old, "{vocab} rows of {old}");
        let config = Config { vocab, ..self.config.clone() };
        config.check()?;
        let (layout, from) = (Layout::new(&config), self.parameters());
        let mut values = vec![0.0; layout.len()];
        for (to, tensor) in layout.tensors().iter().zip(self.layout.tensors()) {
            let kept = &from[tensor.range.clone()];
            values[to.range.start..][..kept.len()].copy_from_slice(kept);
        }
        let width = config.width;
        // A tied head is the embedding, and is filled twice with the same.
        for table in [layout.embedding.clone(), layout.head.clone()] {
            let (rows, new) = values[table].split_at_mut(old * width);
            let mut sums = vec![0.0f64; width];
            for row in rows.chunks_exact(width) {
                sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(*value));
            }
            for row in new.chunks_exact_mut(width) {
                row.iter_mut().zip(&sums).for_each(|(value, sum)| *value = (sum / old as f64) as f32);
            }
        }
        Self::with_parameters(self.device, config, &values)
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Where each parameter stands.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The device.
    pub fn device(&self) -> &D {
        &self.device
    }

    /// All parameters, in the order of [`Layout`].
    pub fn parameters(&self) -> Vec<f32> {
        let mut values = vec![0.0; self.layout.len()];
        self.device.download(&self.parameters, 0, &mut values);
        values
    }

    /// The parameters on the device, for what changes them outside the optimizer (finite differences).
    pub fn parameters_mut(&mut self) -> &mut D::Buffer {
        &mut self.parameters
    }

    /// Zero gradients for this decoder.
    pub fn gradients(&self) -> Gradients<D> {
        Gradients { buffer: self.device.zeros(self.layout.len()), len: self.layout.len() }
    }

    /// −log p, in nats, of every scored target of the batch, in order.
    ///
    /// # Errors
    /// When a token is outside the vocabulary.
    pub fn losses(&mut self, batch: &Batch) -> Result<Vec<f32>> {
        self.check_tokens(batch)?;
        let placed = Placed::new(&self.device, batch);
        if placed.scored_len == 0 {
            return Ok(Vec::new());
        }
        self.reserve(placed.len, placed.longest, false)?;
        let device = self.device.clone();
        let mut losses = vec![0.0; placed.scored_len];
        self.forward(&placed, &mut Context::Segments, false);
        self.head_losses(&placed);
        if let Some(shared) = &self.state.shared {
            device.download(&shared.losses, 0, &mut losses);
        }
        Ok(losses)
    }

    /// Logits (N, V) after every token of the batch; meant for tests and small inputs.
    ///
    /// # Errors
    /// When a token is outside the vocabulary.
    pub fn logits(&mut self, batch: &Batch) -> Result<Vec<f32>> {
        let mut everywhere = batch.clone();
        everywhere.targets.fill(0);
        let mut logits = Vec::with_capacity(batch.len() * self.config.vocab);
        self.each_logits(&everywhere, |rows| logits.extend_from_slice(rows))?;
        Ok(logits)
    }

    /// Hands the logits of the scored rows to `take`, several rows of V at a time, in order.
    ///
    /// # Errors
    /// When a token is outside the vocabulary.
    pub fn each_logits(&mut self, batch: &Batch, mut take: impl FnMut(&[f32])) -> Result<()> {
        self.check_tokens(batch)?;
        let placed = Placed::new(&self.device, batch);
        if placed.scored_len == 0 {
            return Ok(());
        }
        self.reserve(placed.len, placed.longest, false)?;
        self.forward(&placed, &mut Context::Segments, false);
        self.gather_scored(&placed);
        let (chunk, vocab) = (head_chunk(&self.config), self.config.vocab);
        let mut logits = vec![0.0; chunk.min(placed.scored_len) * vocab];
        for start in (0..placed.scored_len).step_by(chunk) {
            let rows = start..(start + chunk).min(placed.scored_len);
            let logits = &mut logits[..rows.len() * vocab];
            self.head_logits(rows, None);
            if let Some(shared) = &self.state.shared {
                self.device.download(&shared.logits, 0, logits);
            }
            take(logits);
        }
        Ok(())
    }

    pub(crate) fn check_tokens(&self, batch: &Batch) -> Result<()> {
        let vocab = self.config.vocab;
        let inside = |token: &u32| (*token as usize) < vocab;
        let bad = batch.tokens.iter().position(|token| !inside(token)).map(|at| (batch.tokens[at], at)).or_else(|| {
            let bad = |target: &u32| *target != IGNORE && !inside(target);
            batch.targets.iter().position(bad).map(|at| (batch.targets[at], at))
        });
        let bad = bad.or_else(|| {
            let ids = batch.soft.as_ref().map(|soft| &soft.ids)?;
            ids.iter().position(|token| !inside(token)).map(|at| (ids[at], at))
        });
        match bad {
            Some((token, position)) => Err(Error::Token { token, position, vocab }),
            None => Ok(()),
        }
    }

    /// Makes room for a batch of `tokens` tokens with positions below `positions`; refuses one that the machine has no memory for.
    pub(crate) fn reserve(&mut self, tokens: usize, positions: usize, backward: bool) -> Result<()> {
        self.state.reserve(&self.device, &self.config, tokens, backward)?;
        self.rope.extend(positions);
        Ok(())
    }

    /// Embedding and all blocks. Block states are kept for backward where `keep`, else the first one serves all.
    pub(crate) fn forward(&mut self, placed: &Placed<D>, context: &mut Context<'_, D>, keep: bool) {
        let Self { device, config, layout, parameters, rope, state, .. } = self;
        let (n, d) = (placed.len, config.width);
        let State { blocks, shared: Some(shared), .. } = state else { unreachable!("reserved by the caller") };
        let table = View::new(parameters, layout.embedding.clone());
        device.gather(ViewMut::new(&mut blocks[0].input, 0..n * d), table, &placed.tokens, d);
        let packed = match context {
            Context::Segments => None,
            Context::Cache { packed, .. } => Some(*packed),
        };
        let pass = Pass { device, config, parameters, packed, rope, placed };
        for (layer, block) in layout.blocks.iter().enumerate() {
            let at = if keep { layer } else { 0 };
            pass.attention(block, layer, &mut blocks[at], shared, context);
            pass.feed_forward(block, &mut blocks[at], shared);
            // The block's result is the next block's input, or the output.
            let (before, after) = blocks.split_at_mut(at + 1);
            let last = layer + 1 == config.layers;
            if last {
                device.copy(ViewMut::new(&mut shared.output, 0..n * d), View::new(&before[at].middle, 0..n * d));
            } else if keep {
                device.copy(ViewMut::new(&mut after[0].input, 0..n * d), View::new(&before[at].middle, 0..n * d));
            } else {
                let BlockState { input, middle, .. } = &mut before[0];
                device.copy(ViewMut::new(input, 0..n * d), View::new(middle, 0..n * d));
            }
            let target = match (last, keep) {
                (true, _) => &mut shared.output,
                (false, true) => &mut after[0].input,
                (false, false) => &mut before[0].input,
            };
            pass.add_down(block, &shared.activated, target);
        }
    }

    /// Picks the scored rows of the output and normalises them.
    pub(crate) fn gather_scored(&mut self, placed: &Placed<D>) {
        let Some(shared) = &mut self.state.shared else { unreachable!("reserved by the caller") };
        let (n, m, d) = (placed.len, placed.scored_len, self.config.width);
        let output = View::new(&shared.output, 0..n * d);
        self.device.gather(ViewMut::new(&mut shared.scored, 0..m * d), output, &placed.scored, d);
        self.device.rms_norm(
            ViewMut::new(&mut shared.scored_normed, 0..m * d),
            ViewMut::new(&mut shared.scored_inv, 0..m),
            View::new(&shared.scored, 0..m * d),
            View::new(&self.parameters, self.layout.final_norm.clone()),
            self.config.norm_eps,
        );
    }

    /// Logits of some of the scored rows, in the logits buffer; by the packed head where there is one.
    pub(crate) fn head_logits(&mut self, rows: std::ops::Range<usize>, packed: Option<&D::Packed>) {
        let Some(Shared { logits, scored_normed, .. }) = &mut self.state.shared else {
            unreachable!("reserved by the caller")
        };
        let (d, v) = (self.config.width, self.config.vocab);
        let x = View::new(scored_normed, rows.start * d..rows.end * d);
        let logits = ViewMut::new(logits, 0..rows.len() * v);
        match packed {
            Some(head) => self.device.matmul_packed(logits, x, head, false),
            None => {
                let head = View::new(&self.parameters, self.layout.head.clone());
                self.device.matmul(logits, x, head, d, v, false);
            }
        }
    }

    /// Losses of all scored rows, in the losses buffer.
    fn head_losses(&mut self, placed: &Placed<D>) {
        self.gather_scored(placed);
        let (chunk, vocab) = (head_chunk(&self.config), self.config.vocab);
        for start in (0..placed.scored_len).step_by(chunk) {
            let rows = start..(start + chunk).min(placed.scored_len);
            self.head_logits(rows.clone(), None);
            let Some(shared) = &mut self.state.shared else { unreachable!("reserved by the caller") };
            let logits = ViewMut::new(&mut shared.logits, 0..rows.len() * vocab);
            let losses = ViewMut::new(&mut shared.losses, rows.clone());
            self.device.cross_entropy(losses, logits, &placed.targets, start, vocab, None);
        }
    }
}

/// What every block of one forward pass has in common.
struct Pass<'a, D: Device> {
    device: &'a D,
    config: &'a Config,
    parameters: &'a D::Buffer,
    packed: Option<&'a PackedWeights<D>>,
    rope: &'a RopeTable,
    placed: &'a Placed<D>,
}

impl<D: Device> Pass<'_, D> {
    fn weight(&self, range: &std::ops::Range<usize>) -> View<'_, D> {
        View::new(self.parameters, range.clone())
    }

    /// out (N, O) = x (N, I) · weightᵀ, added where `add`.
    fn product(
        &self,
        out: ViewMut<'_, D>,
        x: View<'_, D>,
        weight: &std::ops::Range<usize>,
        (inputs, outputs): (usize, usize),
        add: bool,
    ) {
        match self.packed.and_then(|packed| packed.get(&weight.start)) {
            Some(packed) => self.device.matmul_packed(out, x, packed, add),
            None => self.device.matmul(out, x, self.weight(weight), inputs, outputs, add),
        }
    }

    /// middle = input + attention(norm(input)).
    fn attention(
        &self,
        block: &Block,
        layer: usize,
        s: &mut BlockState<D>,
        shared: &mut Shared<D>,
        context: &mut Context<'_, D>,
    ) {
        let (device, heads, n, d) = (self.device, self.config.head_shape(), self.placed.len, self.config.width);
        let (qkv_len, qk_len, out_len) = (n * heads.qkv_width(), n * heads.qk_width(), n * heads.query_width());
        let eps = self.config.norm_eps;
        device.rms_norm(
            ViewMut::new(&mut shared.normed, 0..n * d),
            ViewMut::new(&mut s.input_inv, 0..n),
            View::new(&s.input, 0..n * d),
            self.weight(&block.attention_norm),
            eps,
        );
        let normed = View::new(&shared.normed, 0..n * d);
        let qkv = ViewMut::new(&mut s.qkv, 0..qkv_len);
        self.product(qkv, normed, &block.qkv, (d, heads.qkv_width()), false);
        device.rope(
            ViewMut::new(&mut s.qk, 0..qk_len),
            ViewMut::new(&mut s.head_inv, 0..n * (heads.query + heads.kv)),
            View::new(&s.qkv, 0..qkv_len),
            head_norms(self.parameters, block),
            &self.placed.positions,
            self.rope,
            heads,
            eps,
        );
        let attended = ViewMut::new(&mut s.attended, 0..out_len);
        let (qk, qkv) = (View::new(&s.qk, 0..qk_len), View::new(&s.qkv, 0..qkv_len));
        match context {
            Context::Segments => {
                let lse = ViewMut::new(&mut s.lse, 0..n * heads.query);
                device.attention(attended, lse, qk, qkv, &self.placed.starts, heads);
            }
            Context::Cache { buffers, slots, capacity, precision, .. } => {
                let positions = &self.placed.positions;
                let cache = &mut buffers[layer];
                device.attention_cached(attended, cache, qk, qkv, slots, positions, *capacity, heads, *precision);
            }
        }
        device.copy(ViewMut::new(&mut s.middle, 0..n * d), View::new(&s.input, 0..n * d));
        let attended = View::new(&s.attended, 0..out_len);
        let middle = ViewMut::new(&mut s.middle, 0..n * d);
        self.product(middle, attended, &block.out, (heads.query_width(), d), true);
    }

    /// activated = swiglu(norm(middle)).
    fn feed_forward(&self, block: &Block, s: &mut BlockState<D>, shared: &mut Shared<D>) {
        let (device, n, d, f) = (self.device, self.placed.len, self.config.width, self.config.ffn);
        device.rms_norm(
            ViewMut::new(&mut shared.normed, 0..n * d),
            ViewMut::new(&mut s.middle_inv, 0..n),
            View::new(&s.middle, 0..n * d),
            self.weight(&block.ffn_norm),
            self.config.norm_eps,
        );
        let normed = View::new(&shared.normed, 0..n * d);
        let gate_up = ViewMut::new(&mut s.gate_up, 0..n * 2 * f);
        self.product(gate_up, normed, &block.gate_up, (d, 2 * f), false);
        device.swiglu(ViewMut::new(&mut shared.activated, 0..n * f), View::new(&s.gate_up, 0..n * 2 * f), f);
    }

    /// target += activated · downᵀ.
    fn add_down(&self, block: &Block, activated: &D::Buffer, target: &mut D::Buffer) {
        let (n, d, f) = (self.placed.len, self.config.width, self.config.ffn);
        let activated = View::new(activated, 0..n * f);
        self.product(ViewMut::new(target, 0..n * d), activated, &block.down, (f, d), true);
    }
}

/// The norm weights of queries and keys.
pub(crate) fn head_norms<'a, D: Device>(
    parameters: &'a D::Buffer,
    block: &Block,
) -> Option<(View<'a, D>, View<'a, D>)> {
    let range = &block.head_norms;
    let middle = range.start + range.len() / 2;
    (!range.is_empty()).then(|| (View::new(parameters, range.start..middle), View::new(parameters, middle..range.end)))
}

impl<D: Device> Gradients<D> {
    /// Sets all gradients to zero.
    pub fn clear(&mut self, device: &D) {
        device.clear(ViewMut::new(&mut self.buffer, 0..self.len));
    }

    /// √Σ g² over all parameters.
    pub fn norm(&self, device: &D) -> f64 {
        device.sum_of_squares(View::new(&self.buffer, 0..self.len)).sqrt()
    }

    /// The gradients on the device.
    pub fn buffer(&self) -> &D::Buffer {
        &self.buffer
    }

    /// All gradients, in the order of [`Layout`].
    pub fn download(&self, device: &D) -> Vec<f32> {
        let mut values = vec![0.0; self.len];
        device.download(&self.buffer, 0, &mut values);
        values
    }
}

/// AdamW's moments, laid out as the parameters are.
pub struct Moments<D: Device> {
    first: D::Buffer,
    second: D::Buffer,
    len: usize,
}

impl<D: Device> Moments<D> {
    /// Zero moments for a decoder.
    pub fn new(model: &Decoder<D>) -> Self {
        let len = model.layout.len();
        Self { first: model.device.zeros(len), second: model.device.zeros(len), len }
    }

    /// Moments saved by [`Moments::download`].
    ///
    /// # Panics
    /// When the numbers of values are not the decoder's number of parameters.
    pub fn upload(&mut self, device: &D, first: &[f32], second: &[f32]) {
        assert_eq!((first.len(), second.len()), (self.len, self.len), "one moment a parameter");
        device.upload(&mut self.first, 0, first);
        device.upload(&mut self.second, 0, second);
    }

    /// First and second moments, in the order of [`Layout`].
    pub fn download(&self, device: &D) -> (Vec<f32>, Vec<f32>) {
        let (mut first, mut second) = (vec![0.0; self.len], vec![0.0; self.len]);
        device.download(&self.first, 0, &mut first);
        device.download(&self.second, 0, &mut second);
        (first, second)
    }
}

impl<D: Device> Decoder<D> {
    /// One AdamW update; weight decay leaves the norms alone.
    pub fn update(&mut self, gradients: &Gradients<D>, moments: &mut Moments<D>, settings: &AdamW) {
        let plain = AdamW { weight_decay: 0.0, ..*settings };
        for (range, settings) in [(self.layout.decayed(), settings), (self.layout.undecayed(), &plain)] {
            self.device.adamw(
                ViewMut::new(&mut self.parameters, range.clone()),
                View::new(&gradients.buffer, range.clone()),
                ViewMut::new(&mut moments.first, range.clone()),
                ViewMut::new(&mut moments.second, range),
                settings,
            );
        }
    }
}
