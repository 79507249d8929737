//! The backward pass, written out block by block.

use cognate_ops::{Device, RopeTable, Soft, View, ViewMut};

use crate::decoder::{Context, head_norms};
use crate::layout::Block;
use crate::state::{BackwardState, BlockState, Placed, PlacedSoft, Shared, State, head_chunk};
use crate::{Batch, Config, Decoder, Gradients, Result};

impl<D: Device> Decoder<D> {
    /// Adds the gradients of `scale` · Σ −log p over the batch's scored targets, and returns that sum without the scale, in
    /// nats. With `scale` = 1 / (scored targets of the whole batch), gradients of several pieces add up to the mean's. Where the batch has
    /// teachers, −log p is mixed with what they expect ([`crate::SoftTargets`]).
    ///
    /// # Errors
    /// When a token is outside the vocabulary.
    pub fn loss_and_gradients(&mut self, batch: &Batch, gradients: &mut Gradients<D>, scale: f64) -> Result<f64> {
        self.check_tokens(batch)?;
        let placed = Placed::new(&self.device, batch);
        if placed.scored_len == 0 {
            return Ok(0.0);
        }
        self.reserve(placed.len, placed.longest, true)?;
        let device = self.device.clone();
        self.forward(&placed, &mut Context::Segments, true);
        self.head_backward(&placed, gradients, scale);
        self.blocks_backward(&placed, gradients);
        let Some(shared) = &self.state.shared else { unreachable!("reserved above") };
        Ok(device.sum(View::new(&shared.losses, 0..placed.scored_len)))
    }

    /// Head, cross-entropy and final norm in chunks of scored rows: forward, and at once backward, so that logits of one
    /// chunk are all that ever exists. Leaves the gradient by the output in the stream.
    fn head_backward(&mut self, placed: &Placed<D>, gradients: &mut Gradients<D>, scale: f64) {
        self.gather_scored(placed);
        let (n, m, d, v) = (placed.len, placed.scored_len, self.config.width, self.config.vocab);
        let chunk = head_chunk(&self.config);
        for start in (0..m).step_by(chunk) {
            let rows = start..(start + chunk).min(m);
            self.head_logits(rows.clone(), None);
            let State { shared: Some(shared), backward: Some(b), .. } = &mut self.state else {
                unreachable!("reserved by the caller")
            };
            let Shared { logits, losses, scored_normed, .. } = shared;
            let losses = ViewMut::new(losses, rows.clone());
            let all = 0..rows.len() * v;
            let logits_mut = ViewMut::new(logits, all.clone());
            match &placed.soft {
                None => self.device.cross_entropy(losses, logits_mut, &placed.targets, start, v, Some(scale)),
                Some(soft) => {
                    let PlacedSoft { top, share, temperature, ref ids, ref probabilities } = *soft;
                    let probabilities = View::new(probabilities, rows.start * top..rows.end * top);
                    let soft = Soft { top, ids, probabilities, share, temperature };
                    self.device.soft_cross_entropy(losses, logits_mut, &placed.targets, soft, start, v, scale);
                }
            }
            let at = rows.start * d..rows.end * d;
            let head = View::new(&self.parameters, self.layout.head.clone());
            let dlogits = View::new(logits, all);
            self.device.matmul_input_gradient(ViewMut::new(&mut b.scored, at.clone()), dlogits.clone(), head, d, v);
            let dhead = ViewMut::new(&mut gradients.buffer, self.layout.head.clone());
            self.device.matmul_weight_gradient(dhead, dlogits, View::new(scored_normed, at), d, v);
        }
        let State { shared: Some(shared), backward: Some(b), .. } = &mut self.state else {
            unreachable!("reserved by the caller")
        };
        self.device.clear(ViewMut::new(&mut b.normed, 0..m * d));
        self.device.rms_norm_backward(
            ViewMut::new(&mut b.normed, 0..m * d),
            ViewMut::new(&mut gradients.buffer, self.layout.final_norm.clone()),
            View::new(&b.scored, 0..m * d),
            View::new(&shared.scored, 0..m * d),
            View::new(&shared.scored_inv, 0..m),
            View::new(&self.parameters, self.layout.final_norm.clone()),
        );
        let by_scored = View::new(&b.normed, 0..m * d);
        self.device.scatter(ViewMut::new(&mut b.stream, 0..n * d), by_scored, &placed.scored, d);
    }

    /// All blocks from the last to the first, then the embedding.
    fn blocks_backward(&mut self, placed: &Placed<D>, gradients: &mut Gradients<D>) {
        let Self { device, config, layout, parameters, rope, state, .. } = self;
        let State { blocks, shared: Some(shared), backward: Some(b), .. } = state else {
            unreachable!("reserved by the caller")
        };
        let pass = Pass { device, config, parameters, rope, placed };
        for (block, s) in layout.blocks.iter().zip(blocks).rev() {
            pass.feed_forward(block, s, shared, b, &mut gradients.buffer);
            pass.attention(block, s, shared, b, &mut gradients.buffer);
        }
        let (n, d) = (placed.len, config.width);
        let dtable = ViewMut::new(&mut gradients.buffer, layout.embedding.clone());
        device.gather_backward(dtable, View::new(&b.stream, 0..n * d), &placed.tokens, d);
    }
}

/// What every block of one backward pass has in common.
struct Pass<'a, D: Device> {
    device: &'a D,
    config: &'a Config,
    parameters: &'a D::Buffer,
    rope: &'a RopeTable,
    placed: &'a Placed<D>,
}

impl<D: Device> Pass<'_, D> {
    fn weight(&self, range: &std::ops::Range<usize>) -> View<'_, D> {
        View::new(self.parameters, range.clone())
    }

    /// Adds to the stream's gradient what passes through the feed-forward half.
    fn feed_forward(
        &self,
        block: &Block,
        s: &BlockState<D>,
        shared: &mut Shared<D>,
        b: &mut BackwardState<D>,
        g: &mut D::Buffer,
    ) {
        let (device, n, d, f) = (self.device, self.placed.len, self.config.width, self.config.ffn);
        let gate_up = || View::new(&s.gate_up, 0..n * 2 * f);
        // Computed again rather than kept: one sweep against F numbers a token and layer.
        device.swiglu(ViewMut::new(&mut shared.activated, 0..n * f), gate_up(), f);
        let stream = View::new(&b.stream, 0..n * d);
        let activated = View::new(&shared.activated, 0..n * f);
        device.matmul_weight_gradient(ViewMut::new(g, block.down.clone()), stream.clone(), activated, f, d);
        let dactivated = ViewMut::new(&mut b.activated, 0..n * f);
        device.matmul_input_gradient(dactivated, stream, self.weight(&block.down), f, d);
        let dactivated = View::new(&b.activated, 0..n * f);
        device.swiglu_backward(ViewMut::new(&mut b.gate_up, 0..n * 2 * f), dactivated, gate_up(), f);
        let (normed, scratch) = (&mut shared.normed, &mut shared.scored_inv);
        device.rms_norm(
            ViewMut::new(normed, 0..n * d),
            ViewMut::new(scratch, 0..n),
            View::new(&s.middle, 0..n * d),
            self.weight(&block.ffn_norm),
            self.config.norm_eps,
        );
        let dgate_up = View::new(&b.gate_up, 0..n * 2 * f);
        let dweight = ViewMut::new(g, block.gate_up.clone());
        device.matmul_weight_gradient(dweight, dgate_up.clone(), View::new(normed, 0..n * d), d, 2 * f);
        let dnormed = ViewMut::new(&mut b.normed, 0..n * d);
        device.matmul_input_gradient(dnormed, dgate_up, self.weight(&block.gate_up), d, 2 * f);
        device.rms_norm_backward(
            ViewMut::new(&mut b.stream, 0..n * d),
            ViewMut::new(g, block.ffn_norm.clone()),
            View::new(&b.normed, 0..n * d),
            View::new(&s.middle, 0..n * d),
            View::new(&s.middle_inv, 0..n),
            self.weight(&block.ffn_norm),
        );
    }

    /// Adds to the stream's gradient what passes through the attention half.
    fn attention(
        &self,
        block: &Block,
        s: &BlockState<D>,
        shared: &mut Shared<D>,
        b: &mut BackwardState<D>,
        g: &mut D::Buffer,
    ) {
        let (device, heads, n, d) = (self.device, self.config.head_shape(), self.placed.len, self.config.width);
        let (qkv_len, qk_len, out_len) = (n * heads.qkv_width(), n * heads.qk_width(), n * heads.query_width());
        let stream = View::new(&b.stream, 0..n * d);
        let attended = || View::new(&s.attended, 0..out_len);
        let dweight = ViewMut::new(g, block.out.clone());
        device.matmul_weight_gradient(dweight, stream.clone(), attended(), heads.query_width(), d);
        let dattended = ViewMut::new(&mut b.attended, 0..out_len);
        device.matmul_input_gradient(dattended, stream, self.weight(&block.out), heads.query_width(), d);
        let qkv = || View::new(&s.qkv, 0..qkv_len);
        device.attention_backward(
            ViewMut::new(&mut b.qkv, 0..qkv_len),
            View::new(&b.attended, 0..out_len),
            attended(),
            View::new(&s.lse, 0..n * heads.query),
            View::new(&s.qk, 0..qk_len),
            qkv(),
            &self.placed.starts,
            heads,
        );
        let dnorm = (!block.head_norms.is_empty()).then(|| ViewMut::new(&mut *g, block.head_norms.clone()));
        device.rope_backward(
            ViewMut::new(&mut b.qkv, 0..qkv_len),
            dnorm,
            qkv(),
            View::new(&s.head_inv, 0..n * (heads.query + heads.kv)),
            head_norms(self.parameters, block),
            &self.placed.positions,
            self.rope,
            heads,
        );
        let (normed, scratch) = (&mut shared.normed, &mut shared.scored_inv);
        device.rms_norm(
            ViewMut::new(normed, 0..n * d),
            ViewMut::new(scratch, 0..n),
            View::new(&s.input, 0..n * d),
            self.weight(&block.attention_norm),
            self.config.norm_eps,
        );
        let dqkv = View::new(&b.qkv, 0..qkv_len);
        let dweight = ViewMut::new(g, block.qkv.clone());
        device.matmul_weight_gradient(dweight, dqkv.clone(), View::new(normed, 0..n * d), d, heads.qkv_width());
        let dnormed = ViewMut::new(&mut b.normed, 0..n * d);
        device.matmul_input_gradient(dnormed, dqkv, self.weight(&block.qkv), d, heads.qkv_width());
        device.rms_norm_backward(
            ViewMut::new(&mut b.stream, 0..n * d),
            ViewMut::new(g, block.attention_norm.clone()),
            View::new(&b.normed, 0..n * d),
            View::new(&s.input, 0..n * d),
            View::new(&s.input_inv, 0..n),
            self.weight(&block.attention_norm),
        );
    }
}
