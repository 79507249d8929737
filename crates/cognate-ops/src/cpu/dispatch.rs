//! The operations of the CPU device, each handed to the file that does it.

use super::{Cpu, Shared, part};
use crate::device::{Device, Heads, Precision, Soft, View, ViewMut};
use crate::memory::prefer_huge_pages;
use crate::operands::{holds, shapes};
use crate::{
    AdamW, PackedWeight, RopeTable, adamw, attention, cross_entropy, embedding, matmul, norm, rope, soft_cross_entropy,
    swiglu,
};

impl Device for Cpu {
    type Buffer = Vec<f32>;
    type Indices = Vec<u32>;
    type Packed = PackedWeight;

    fn zeros(&self, len: usize) -> Vec<f32> {
        let mut numbers = vec![0.0; len];
        prefer_huge_pages(&mut numbers);
        numbers
    }

    fn len(&self, buffer: &Vec<f32>) -> usize {
        buffer.len()
    }

    fn upload(&self, buffer: &mut Vec<f32>, offset: usize, values: &[f32]) {
        holds("upload", buffer.len(), offset, values.len());
        buffer[offset..offset + values.len()].copy_from_slice(values);
    }

    fn download(&self, buffer: &Vec<f32>, offset: usize, values: &mut [f32]) {
        holds("download", buffer.len(), offset, values.len());
        values.copy_from_slice(&buffer[offset..offset + values.len()]);
    }

    fn indices(&self, values: &[u32]) -> Vec<u32> {
        values.to_vec()
    }

    fn each(&self, tasks: usize, body: &(dyn Fn(usize) + Sync)) {
        self.pool.each(tasks, body);
    }

    fn clear(&self, mut x: ViewMut<'_, Self>) {
        let x = x.slice();
        let all = x.len();
        let shared = Shared::new(x);
        const PART: usize = 1 << 18;
        self.each(all.div_ceil(PART), |i| {
            // SAFETY: parts of different tasks do not overlap.
            unsafe { shared.range(part(i, PART, all)) }.fill(0.0);
        });
    }

    fn copy(&self, mut out: ViewMut<'_, Self>, x: View<'_, Self>) {
        let (out, x) = (out.slice(), x.slice());
        shapes!("copy": out [x.len()]);
        let shared = Shared::new(out);
        const PART: usize = 1 << 16;
        self.each(x.len().div_ceil(PART), |i| {
            let at = part(i, PART, x.len());
            // SAFETY: parts of different tasks do not overlap.
            unsafe { shared.range(at.clone()) }.copy_from_slice(&x[at]);
        });
    }

    fn gather(&self, mut out: ViewMut<'_, Self>, x: View<'_, Self>, rows: &Vec<u32>, width: usize) {
        embedding::cpu::gather(self, out.slice(), x.slice(), rows, width);
    }

    fn scatter(&self, mut out: ViewMut<'_, Self>, x: View<'_, Self>, rows: &Vec<u32>, width: usize) {
        embedding::cpu::scatter(self, out.slice(), x.slice(), rows, width);
    }

    fn gather_backward(&self, mut dtable: ViewMut<'_, Self>, dx: View<'_, Self>, rows: &Vec<u32>, width: usize) {
        embedding::cpu::gather_backward(self, dtable.slice(), dx.slice(), rows, width);
    }

    fn rms_norm(
        &self,
        mut out: ViewMut<'_, Self>,
        mut inv_rms: ViewMut<'_, Self>,
        x: View<'_, Self>,
        weight: View<'_, Self>,
        eps: f64,
    ) {
        norm::cpu::forward(self, out.slice(), inv_rms.slice(), x.slice(), weight.slice(), eps as f32);
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
        norm::cpu::backward(self, dx, dweight, dout.slice(), x.slice(), inv_rms.slice(), weight.slice());
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
        matmul::cpu::forward(self, out.slice(), x.slice(), weight.slice(), inputs, outputs, add);
    }

    fn pack(&self, weight: View<'_, Self>, inputs: usize, outputs: usize, precision: Precision) -> PackedWeight {
        PackedWeight::new(self, weight.slice(), inputs, outputs, precision)
    }

    fn matmul_packed(&self, mut out: ViewMut<'_, Self>, x: View<'_, Self>, weight: &PackedWeight, add: bool) {
        weight.forward(self, out.slice(), x.slice(), add);
    }

    fn matmul_input_gradient(
        &self,
        mut dx: ViewMut<'_, Self>,
        dout: View<'_, Self>,
        weight: View<'_, Self>,
        inputs: usize,
        outputs: usize,
    ) {
        matmul::cpu::input_gradient(self, dx.slice(), dout.slice(), weight.slice(), inputs, outputs);
    }

    fn matmul_weight_gradient(
        &self,
        mut dweight: ViewMut<'_, Self>,
        dout: View<'_, Self>,
        x: View<'_, Self>,
        inputs: usize,
        outputs: usize,
    ) {
        matmul::cpu::weight_gradient(self, dweight.slice(), dout.slice(), x.slice(), inputs, outputs);
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
        rope::cpu::forward(self, qk.slice(), inv_rms.slice(), qkv.slice(), norm, positions, table, heads, eps as f32);
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
        rope::cpu::backward(self, dqkv.slice(), dnorm, qkv.slice(), inv_rms.slice(), norm, positions, table, heads);
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
        attention::cpu::forward(self, out.slice(), lse.slice(), qk.slice(), qkv.slice(), starts, heads);
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
        let saved = attention::cpu::Saved { out: out.slice(), lse: lse.slice(), qk: qk.slice(), qkv: qkv.slice() };
        attention::cpu::backward(self, dqkv.slice(), dout.slice(), &saved, starts, heads);
    }

    fn kv_cache(&self, positions: usize, heads: Heads, precision: Precision) -> Vec<f32> {
        self.zeros(attention::cached::len(positions, heads, precision))
    }

    fn attention_cached(
        &self,
        mut out: ViewMut<'_, Self>,
        cache: &mut Vec<f32>,
        qk: View<'_, Self>,
        qkv: View<'_, Self>,
        slots: &Vec<u32>,
        positions: &Vec<u32>,
        capacity: usize,
        heads: Heads,
        precision: Precision,
    ) {
        let rows = attention::Rows { qk: qk.slice(), qkv: qkv.slice(), slots, positions };
        attention::cached::forward(self, out.slice(), cache, &rows, capacity, heads, precision);
    }

    fn swiglu(&self, mut out: ViewMut<'_, Self>, gate_up: View<'_, Self>, ffn: usize) {
        swiglu::cpu::forward(self, out.slice(), gate_up.slice(), ffn);
    }

    fn swiglu_backward(
        &self,
        mut dgate_up: ViewMut<'_, Self>,
        dout: View<'_, Self>,
        gate_up: View<'_, Self>,
        ffn: usize,
    ) {
        swiglu::cpu::backward(self, dgate_up.slice(), dout.slice(), gate_up.slice(), ffn);
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
        cross_entropy::cpu::forward(self, losses, logits.slice(), targets, vocab, gradient.map(|scale| scale as f32));
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
            share: soft.share as f32,
            temperature: soft.temperature as f32,
        };
        soft_cross_entropy::cpu::backward(self, losses, logits.slice(), vocab, rows, scale as f32);
    }

    fn sum(&self, x: View<'_, Self>) -> f64 {
        x.slice().iter().map(|&v| f64::from(v)).sum()
    }

    fn sum_of_squares(&self, x: View<'_, Self>) -> f64 {
        adamw::cpu::sum_of_squares(self, x.slice())
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
        adamw::cpu::update(self, parameters.slice(), gradients.slice(), m, v, settings);
    }
}
