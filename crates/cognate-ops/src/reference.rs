//! The reference device: f64 and plain loops, slow and easy to read. Tests run whole models on it.

use crate::device::{Device, Heads, Precision, Soft, View, ViewMut};
use crate::operands::{holds, shapes, size};
use crate::{
    AdamW, RopeTable, adamw, attention, cross_entropy, embedding, matmul, norm, rope, soft_cross_entropy, swiglu,
};

/// Every op as its formula says, in f64, on one thread.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reference;

impl<'a> View<'a, Reference> {
    pub(crate) fn slice(&self) -> &'a [f64] {
        &self.buffer[self.range.clone()]
    }
}

impl ViewMut<'_, Reference> {
    pub(crate) fn slice(&mut self) -> &mut [f64] {
        &mut self.buffer[self.range.clone()]
    }
}

impl Device for Reference {
    type Buffer = Vec<f64>;
    type Indices = Vec<u32>;
    /// Weight, inputs, outputs.
    type Packed = (Vec<f64>, usize, usize);

    fn zeros(&self, len: usize) -> Vec<f64> {
        vec![0.0; len]
    }

    fn len(&self, buffer: &Vec<f64>) -> usize {
        buffer.len()
    }

    fn upload(&self, buffer: &mut Vec<f64>, offset: usize, values: &[f32]) {
        holds("upload", buffer.len(), offset, values.len());
        for (to, from) in buffer[offset..offset + values.len()].iter_mut().zip(values) {
            *to = f64::from(*from);
        }
    }

    fn download(&self, buffer: &Vec<f64>, offset: usize, values: &mut [f32]) {
        holds("download", buffer.len(), offset, values.len());
        for (to, from) in values.iter_mut().zip(&buffer[offset..]) {
            *to = *from as f32;
        }
    }

    fn indices(&self, values: &[u32]) -> Vec<u32> {
        values.to_vec()
    }

    fn each(&self, tasks: usize, body: &(dyn Fn(usize) + Sync)) {
        (0..tasks).for_each(body);
    }

    fn clear(&self, mut x: ViewMut<'_, Self>) {
        x.slice().fill(0.0);
    }

    fn copy(&self, mut out: ViewMut<'_, Self>, x: View<'_, Self>) {
        let (out, x) = (out.slice(), x.slice());
        shapes!("copy": out [x.len()]);
        out.copy_from_slice(x);
    }

    fn gather(&self, mut out: ViewMut<'_, Self>, x: View<'_, Self>, rows: &Vec<u32>, width: usize) {
        embedding::reference::gather(out.slice(), x.slice(), rows, width);
    }

    fn scatter(&self, mut out: ViewMut<'_, Self>, x: View<'_, Self>, rows: &Vec<u32>, width: usize) {
        embedding::reference::scatter(out.slice(), x.slice(), rows, width);
    }

    fn gather_backward(&self, mut dtable: ViewMut<'_, Self>, dx: View<'_, Self>, rows: &Vec<u32>, width: usize) {
        embedding::reference::gather_backward(dtable.slice(), dx.slice(), rows, width);
    }

    fn rms_norm(
        &self,
        mut out: ViewMut<'_, Self>,
        mut inv_rms: ViewMut<'_, Self>,
        x: View<'_, Self>,
        weight: View<'_, Self>,
        eps: f64,
    ) {
        norm::reference::forward(out.slice(), inv_rms.slice(), x.slice(), weight.slice(), eps);
    }

    fn rms_norm_backward(
        &self,
        mut dx: ViewMut<'_, Self>,
        mut dweight: ViewMut<'_, Self>,
        dout: View<'_, Self>,
        x: View<'_, Self>,
        inv_rms: View<'_, Self>,
        weight: View<'_, Self>,
    ) {
        let (dx, dweight) = (dx.slice(), dweight.slice());
        norm::reference::backward(dx, dweight, dout.slice(), x.slice(), inv_rms.slice(), weight.slice());
    }

    fn matmul(
        &self,
        mut out: ViewMut<'_, Self>,
        x: View<'_, Self>,
        weight: View<'_, Self>,
        inputs: usize,
        outputs: usize,
        add: bool,
    ) {
        matmul::reference::forward(out.slice(), x.slice(), weight.slice(), inputs, outputs, add);
    }

    fn pack(&self, weight: View<'_, Self>, inputs: usize, outputs: usize, _: Precision) -> (Vec<f64>, usize, usize) {
        matmul::check_pack(weight.slice(), inputs, outputs);
        (weight.slice().to_vec(), inputs, outputs)
    }

    fn matmul_packed(
        &self,
        mut out: ViewMut<'_, Self>,
        x: View<'_, Self>,
        (weight, inputs, outputs): &(Vec<f64>, usize, usize),
        add: bool,
    ) {
        let (out, x) = (out.slice(), x.slice());
        matmul::check_packed(out, x, *inputs, *outputs);
        matmul::reference::forward(out, x, weight, *inputs, *outputs, add);
    }

    fn matmul_input_gradient(
        &self,
        mut dx: ViewMut<'_, Self>,
        dout: View<'_, Self>,
        weight: View<'_, Self>,
        inputs: usize,
        outputs: usize,
    ) {
        matmul::reference::input_gradient(dx.slice(), dout.slice(), weight.slice(), inputs, outputs);
    }

    fn matmul_weight_gradient(
        &self,
        mut dweight: ViewMut<'_, Self>,
        dout: View<'_, Self>,
        x: View<'_, Self>,
        inputs: usize,
        outputs: usize,
    ) {
        matmul::reference::weight_gradient(dweight.slice(), dout.slice(), x.slice(), inputs, outputs);
    }

    fn rope(
        &self,
        mut qk: ViewMut<'_, Self>,
        mut inv_rms: ViewMut<'_, Self>,
        qkv: View<'_, Self>,
        norm: Option<(View<'_, Self>, View<'_, Self>)>,
        positions: &Vec<u32>,
        table: &RopeTable,
        heads: Heads,
        eps: f64,
    ) {
        let norm = norm.as_ref().map(|(q, k)| (q.slice(), k.slice()));
        rope::reference::forward(qk.slice(), inv_rms.slice(), qkv.slice(), norm, positions, table, heads, eps);
    }

    fn rope_backward(
        &self,
        mut dqkv: ViewMut<'_, Self>,
        mut dnorm: Option<ViewMut<'_, Self>>,
        qkv: View<'_, Self>,
        inv_rms: View<'_, Self>,
        norm: Option<(View<'_, Self>, View<'_, Self>)>,
        positions: &Vec<u32>,
        table: &RopeTable,
        heads: Heads,
    ) {
        let norm = norm.as_ref().map(|(q, k)| (q.slice(), k.slice()));
        let dnorm = dnorm.as_mut().map(|dnorm| dnorm.slice());
        rope::reference::backward(dqkv.slice(), dnorm, qkv.slice(), inv_rms.slice(), norm, positions, table, heads);
    }

    fn attention(
        &self,
        mut out: ViewMut<'_, Self>,
        mut lse: ViewMut<'_, Self>,
        qk: View<'_, Self>,
        qkv: View<'_, Self>,
        starts: &Vec<u32>,
        heads: Heads,
    ) {
        attention::reference::forward(out.slice(), lse.slice(), qk.slice(), qkv.slice(), starts, heads);
    }

    fn attention_backward(
        &self,
        mut dqkv: ViewMut<'_, Self>,
        dout: View<'_, Self>,
        out: View<'_, Self>,
        lse: View<'_, Self>,
        qk: View<'_, Self>,
        qkv: View<'_, Self>,
        starts: &Vec<u32>,
        heads: Heads,
    ) {
        let (dqkv, dout, out, lse) = (dqkv.slice(), dout.slice(), out.slice(), lse.slice());
        attention::reference::backward(dqkv, dout, out, lse, qk.slice(), qkv.slice(), starts, heads);
    }

    fn kv_cache(&self, positions: usize, heads: Heads, _: Precision) -> Vec<f64> {
        self.zeros(size(&[2, positions, heads.kv, heads.width]))
    }

    fn attention_cached(
        &self,
        mut out: ViewMut<'_, Self>,
        cache: &mut Vec<f64>,
        qk: View<'_, Self>,
        qkv: View<'_, Self>,
        slots: &Vec<u32>,
        positions: &Vec<u32>,
        capacity: usize,
        heads: Heads,
        _: Precision,
    ) {
        let rows = attention::Rows { qk: qk.slice(), qkv: qkv.slice(), slots, positions };
        attention::reference::cached(out.slice(), cache, &rows, capacity, heads);
    }

    fn swiglu(&self, mut out: ViewMut<'_, Self>, gate_up: View<'_, Self>, ffn: usize) {
        swiglu::reference::forward(out.slice(), gate_up.slice(), ffn);
    }

    fn swiglu_backward(
        &self,
        mut dgate_up: ViewMut<'_, Self>,
        dout: View<'_, Self>,
        gate_up: View<'_, Self>,
        ffn: usize,
    ) {
        swiglu::reference::backward(dgate_up.slice(), dout.slice(), gate_up.slice(), ffn);
    }

    fn cross_entropy(
        &self,
        mut losses: ViewMut<'_, Self>,
        mut logits: ViewMut<'_, Self>,
        targets: &Vec<u32>,
        first_target: usize,
        vocab: usize,
        gradient: Option<f64>,
    ) {
        let losses = losses.slice();
        let targets = cross_entropy::targets(targets, first_target, losses.len());
        cross_entropy::reference::forward(losses, logits.slice(), targets, vocab, gradient);
    }

    fn soft_cross_entropy(
        &self,
        mut losses: ViewMut<'_, Self>,
        mut logits: ViewMut<'_, Self>,
        targets: &Vec<u32>,
        soft: Soft<'_, Self>,
        first_target: usize,
        vocab: usize,
        scale: f64,
    ) {
        let losses = losses.slice();
        let rows = soft_cross_entropy::Rows {
            targets: cross_entropy::targets(targets, first_target, losses.len()),
            top: soft.top,
            ids: soft_cross_entropy::ids(soft.ids, first_target, losses.len(), soft.top),
            probabilities: soft.probabilities.slice(),
            share: soft.share,
            temperature: soft.temperature,
        };
        soft_cross_entropy::reference::backward(losses, logits.slice(), vocab, rows, scale);
    }

    fn sum(&self, x: View<'_, Self>) -> f64 {
        x.slice().iter().sum()
    }

    fn sum_of_squares(&self, x: View<'_, Self>) -> f64 {
        x.slice().iter().map(|v| v * v).sum()
    }

    fn adamw(
        &self,
        mut parameters: ViewMut<'_, Self>,
        gradients: View<'_, Self>,
        mut first_moment: ViewMut<'_, Self>,
        mut second_moment: ViewMut<'_, Self>,
        settings: &AdamW,
    ) {
        let (m, v) = (first_moment.slice(), second_moment.slice());
        adamw::reference::update(parameters.slice(), gradients.slice(), m, v, settings);
    }
}
