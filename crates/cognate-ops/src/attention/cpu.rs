//! Attention over whole segments in f32: small products on blocks of query rows.

use std::cell::RefCell;
use std::ops::Range;

use crate::Heads;
use crate::cpu::{Cpu, Shared};
use crate::matmul::{Operand, Target, product};
use crate::simd::{LANES, dot, exp, kernel, max, sum_lanes};

/// Query rows of one block: the scores of 64 rows against 1024 keys fill an eighth of a 2 MiB L2 cache.
const BLOCK: usize = 64;

/// What forward leaves for backward.
pub(crate) struct Saved<'a> {
    pub(crate) out: &'a [f32],
    pub(crate) lse: &'a [f32],
    pub(crate) qk: &'a [f32],
    pub(crate) qkv: &'a [f32],
}

thread_local! {
    /// Scores, and in backward their gradients, of one block.
    static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Runs `work` on `len` numbers of this thread's scratch, with any content.
pub(super) fn with_scratch(len: usize, work: impl FnOnce(&mut [f32])) {
    SCRATCH.with_borrow_mut(|scratch| {
        if scratch.len() < len {
            scratch.resize(len, 0.0);
        }
        work(&mut scratch[..len]);
    });
}

kernel! {
    /// Turns scores into e^{scale·(s − max)} and returns their log-sum-exp and 1 / their sum.
    fn softmax<const FMA: bool>(scores: &mut [f32], scale: f32) -> (f32, f32) {
        let top = max(scores);
        let mut lanes = [0.0f32; LANES];
        let (body, tail) = scores.as_chunks_mut::<LANES>();
        for chunk in body {
            for i in 0..LANES {
                chunk[i] = exp::<FMA>(scale * (chunk[i] - top));
                lanes[i] += chunk[i];
            }
        }
        let mut rest = 0.0;
        for s in tail {
            *s = exp::<FMA>(scale * (*s - top));
            rest += *s;
        }
        let total = sum_lanes(lanes) + rest;
        (scale * top + total.ln(), 1.0 / total)
    }
}

kernel! {
    fn scale_all<const FMA: bool>(x: &mut [f32], factor: f32) {
        x.iter_mut().for_each(|v| *v *= factor);
    }
}

kernel! {
    /// Turns scores into probabilities p and dp into scale·p·(dp − mean).
    fn probabilities_and_gradients<const FMA: bool>(scores: &mut [f32], dp: &mut [f32], lse: f32, scale: f32, mean: f32) {
        for (s, d) in scores.iter_mut().zip(dp) {
            let p = exp::<FMA>(scale * *s - lse);
            *s = p;
            *d = p * (*d - mean) * scale;
        }
    }
}

kernel! {
    fn inner<const FMA: bool>(a: &[f32], b: &[f32]) -> f32 {
        dot::<FMA>(a, b)
    }
}

/// One segment, one key/value head.
struct Task<'a> {
    heads: Heads,
    rows: Range<usize>,
    kv: usize,
    qk: &'a [f32],
    qkv: &'a [f32],
}

impl Task<'_> {
    fn scale(&self) -> f32 {
        1.0 / (self.heads.width as f32).sqrt()
    }

    fn query_heads(&self) -> Range<usize> {
        let group = self.heads.query / self.heads.kv;
        self.kv * group..(self.kv + 1) * group
    }

    fn blocks(&self) -> impl Iterator<Item = Range<usize>> {
        let len = self.rows.len();
        (0..len).step_by(BLOCK).map(move |start| start..(start + BLOCK).min(len))
    }

    /// Index in qk of the queries of `head`, or of the keys where `head` is H + kv, at a row of the segment.
    fn in_qk(&self, row: usize, head: usize) -> usize {
        (self.rows.start + row) * self.heads.qk_width() + head * self.heads.width
    }

    /// Index in qkv, likewise; values are head H + K + kv.
    fn in_qkv(&self, row: usize, head: usize) -> usize {
        (self.rows.start + row) * self.heads.qkv_width() + head * self.heads.width
    }

    /// Index in out.
    fn in_out(&self, row: usize, head: usize) -> usize {
        (self.rows.start + row) * self.heads.query_width() + head * self.heads.width
    }

    fn key_head(&self) -> usize {
        self.heads.query + self.kv
    }

    fn value_head(&self) -> usize {
        self.heads.query + self.heads.kv + self.kv
    }

    /// Lanes are rows `stride` apart; k runs along a row.
    fn along(x: &[f32], start: usize, stride: usize) -> Operand {
        Operand::rows(&x[start..], stride)
    }

    /// Lanes are the numbers of a row; k runs over rows `stride` apart.
    fn across(x: &[f32], start: usize, stride: usize) -> Operand {
        Operand::columns(&x[start..], stride)
    }

    /// scores (block rows, keys up to the block's end) = ⟨q, k⟩, unscaled and unmasked.
    fn scores(&self, scores: &mut [f32], block: &Range<usize>, head: usize) {
        let (keys, stride) = (block.end, self.heads.qk_width());
        assert!(scores.len() >= block.len() * keys);
        // SAFETY: forward and backward checked every operand, so segment rows lie inside them; scores holds rows × keys numbers.
        unsafe {
            product(
                (block.len(), keys, self.heads.width),
                Target { start: scores.as_mut_ptr(), stride: keys, add: false },
                Self::along(self.qk, self.in_qk(block.start, head), stride),
                Self::along(self.qk, self.in_qk(0, self.key_head()), stride),
            );
        }
    }

    fn forward(&self, out: Shared<'_, f32>, lse: Shared<'_, f32>) {
        for head in self.query_heads() {
            for block in self.blocks() {
                let keys = block.end;
                with_scratch(block.len() * keys, |scores| {
                    self.scores(scores, &block, head);
                    for (row, scores) in block.clone().zip(scores.chunks_exact_mut(keys)) {
                        let (seen, unseen) = scores.split_at_mut(row + 1);
                        let (l, inverse) = softmax(seen, self.scale());
                        scale_all(seen, inverse);
                        unseen.fill(0.0);
                        let at = (self.rows.start + row) * self.heads.query + head;
                        // SAFETY: this task owns its segment's rows of its query heads.
                        let lse = unsafe { lse.range(at..at + 1) };
                        lse[0] = l;
                    }
                    let stride = self.heads.qkv_width();
                    // SAFETY: as in `scores`; this task owns the block's rows of out at its query heads.
                    unsafe {
                        product(
                            (block.len(), self.heads.width, keys),
                            Target {
                                start: out.pointer(self.in_out(block.start, head)),
                                stride: self.heads.query_width(),
                                add: false,
                            },
                            Self::along(scores, 0, keys),
                            Self::across(self.qkv, self.in_qkv(0, self.value_head()), stride),
                        );
                    }
                });
            }
        }
    }

    fn backward(&self, dqkv: Shared<'_, f32>, dout: &[f32], saved: &Saved<'_>) {
        for row in 0..self.rows.len() {
            for head in [self.key_head(), self.value_head()] {
                let at = self.in_qkv(row, head);
                // SAFETY: this task owns its segment's rows of its key and value head.
                unsafe { dqkv.range(at..at + self.heads.width) }.fill(0.0);
            }
        }
        for head in self.query_heads() {
            for block in self.blocks() {
                let keys = block.end;
                with_scratch(2 * block.len() * keys, |scratch| {
                    let (p, ds) = scratch.split_at_mut(block.len() * keys);
                    self.scores(p, &block, head);
                    self.probability_gradients(p, ds, &block, head, dout, saved);
                    self.accumulate(dqkv, p, ds, &block, head, dout);
                });
            }
        }
    }

    /// On entry p holds scores; on return p holds probabilities and ds the gradients by the unscaled scores.
    fn probability_gradients(
        &self,
        p: &mut [f32],
        ds: &mut [f32],
        block: &Range<usize>,
        head: usize,
        dout: &[f32],
        saved: &Saved<'_>,
    ) {
        let (keys, width) = (block.end, self.heads.width);
        // SAFETY: as in `scores`.
        unsafe {
            product(
                (block.len(), keys, width),
                Target { start: ds.as_mut_ptr(), stride: keys, add: false },
                Self::along(dout, self.in_out(block.start, head), self.heads.query_width()),
                Self::along(self.qkv, self.in_qkv(0, self.value_head()), self.heads.qkv_width()),
            );
        }
        for ((row, p), ds) in block.clone().zip(p.chunks_exact_mut(keys)).zip(ds.chunks_exact_mut(keys)) {
            let at = self.in_out(row, head);
            let mean = inner(&dout[at..at + width], &saved.out[at..at + width]);
            let l = saved.lse[(self.rows.start + row) * self.heads.query + head];
            let (p, p_unseen) = p.split_at_mut(row + 1);
            let (ds, ds_unseen) = ds.split_at_mut(row + 1);
            probabilities_and_gradients(p, ds, l, self.scale(), mean);
            p_unseen.fill(0.0);
            ds_unseen.fill(0.0);
        }
    }

    /// dq = ds · k, dk += dsᵀ · q, dv += pᵀ · dout.
    fn accumulate(
        &self,
        dqkv: Shared<'_, f32>,
        p: &[f32],
        ds: &[f32],
        block: &Range<usize>,
        head: usize,
        dout: &[f32],
    ) {
        let (keys, width, rows) = (block.end, self.heads.width, block.len());
        let (qk_stride, stride) = (self.heads.qk_width(), self.heads.qkv_width());
        let target = |row, head, add| Target { start: dqkv.pointer(self.in_qkv(row, head)), stride, add };
        // SAFETY: as in `scores`; this task owns the segment's rows of dqkv at its query, key and value heads.
        unsafe {
            product(
                (rows, width, keys),
                target(block.start, head, false),
                Self::along(ds, 0, keys),
                Self::across(self.qk, self.in_qk(0, self.key_head()), qk_stride),
            );
            product(
                (keys, width, rows),
                target(0, self.key_head(), true),
                Self::across(ds, 0, keys),
                Self::across(self.qk, self.in_qk(block.start, head), qk_stride),
            );
            product(
                (keys, width, rows),
                target(0, self.value_head(), true),
                Self::across(p, 0, keys),
                Self::across(dout, self.in_out(block.start, head), self.heads.query_width()),
            );
        }
    }
}

/// Number of tasks, and the task of a number.
fn tasks<'a>(qk: &'a [f32], qkv: &'a [f32], starts: &'a [u32], heads: Heads) -> (usize, impl Fn(usize) -> Task<'a>) {
    let segments = starts.len().saturating_sub(1);
    (segments * heads.kv, move |i| {
        let (segment, kv) = (i / heads.kv, i % heads.kv);
        Task { heads, rows: starts[segment] as usize..starts[segment + 1] as usize, kv, qk, qkv }
    })
}

pub(crate) fn forward(
    cpu: &Cpu,
    out: &mut [f32],
    lse: &mut [f32],
    qk: &[f32],
    qkv: &[f32],
    starts: &[u32],
    heads: Heads,
) {
    super::check_forward(out, lse, qk, qkv, starts, heads);
    let (count, task) = tasks(qk, qkv, starts, heads);
    let (out, lse) = (Shared::new(out), Shared::new(lse));
    cpu.each(count, |i| task(i).forward(out, lse));
}

pub(crate) fn backward(cpu: &Cpu, dqkv: &mut [f32], dout: &[f32], saved: &Saved<'_>, starts: &[u32], heads: Heads) {
    super::check_backward(dqkv, dout, saved.out, saved.lse, saved.qk, saved.qkv, starts, heads);
    let (count, task) = tasks(saved.qk, saved.qkv, starts, heads);
    let dqkv = Shared::new(dqkv);
    cpu.each(count, |i| task(i).backward(dqkv, dout, saved));
}
