//! Attention of new rows against a key/value cache, in f32: the decoding side.
//!
//! The cache holds, for each slot and key/value head, the keys in blocks of 16 positions (capacity/16, E, 16), so that 16
//! scores are computed together from one contiguous run, then the values (capacity, E). A row's result depends on its own
//! slot alone. Bound: bytes, one read of the slot's keys and values a row.

use crate::Heads;
use crate::cpu::{Cpu, Shared};
use crate::simd::{LANES, exp, fma, kernel, max, sum_lanes};

/// New rows and where they belong.
pub(crate) struct Rows<'a> {
    pub(crate) qk: &'a [f32],
    pub(crate) qkv: &'a [f32],
    pub(crate) slots: &'a [u32],
    pub(crate) positions: &'a [u32],
}

/// Partial sums a score or an output is split into, to keep both multiply-add units busy.
const CHAINS: usize = 4;

kernel! {
    /// out (E) = softmax(scale · ⟨q, keys⟩) · values over the first `len` positions; `scores` is scratch.
    fn attend<const FMA: bool>(
        out: &mut [f32], q: &[f32], keys: &[f32], values: &[f32], scores: &mut [f32], len: usize, scale: f32,
    ) {
        let width = q.len();
        for (scores, keys) in scores.chunks_exact_mut(LANES).zip(keys.chunks_exact(width * LANES)) {
            let mut sums = [[0.0f32; LANES]; CHAINS];
            let (keys, _) = keys.as_chunks::<LANES>();
            for (q, keys) in q.chunks(CHAINS).zip(keys.chunks(CHAINS)) {
                for ((sum, q), key) in sums.iter_mut().zip(q).zip(keys) {
                    for i in 0..LANES {
                        sum[i] = fma::<FMA>(*q, key[i], sum[i]);
                    }
                }
            }
            for i in 0..LANES {
                scores[i] = (sums[0][i] + sums[1][i]) + (sums[2][i] + sums[3][i]);
            }
        }
        let scores = &mut scores[..len];
        let top = max(scores);
        let mut lanes = [0.0f32; LANES];
        for chunk in scores.chunks_mut(LANES) {
            for (s, lane) in chunk.iter_mut().zip(&mut lanes) {
                *s = exp::<FMA>(scale * (*s - top));
                *lane += *s;
            }
        }
        let inverse = 1.0 / sum_lanes(lanes);
        for (at, out) in out.chunks_mut(CHAINS * LANES).enumerate() {
            weigh::<FMA>(out, scores, &values[at * CHAINS * LANES..], width, inverse);
        }
    }
}

/// out (up to 64 columns) = inverse · Σ_j weights_j · values_j, rows of `values` being `stride` apart.
#[inline(always)]
fn weigh<const FMA: bool>(out: &mut [f32], weights: &[f32], values: &[f32], stride: usize, inverse: f32) {
    let mut sums = [0.0f32; CHAINS * LANES];
    if out.len() == CHAINS * LANES {
        for (j, weight) in weights.iter().enumerate() {
            let row = &values[j * stride..j * stride + CHAINS * LANES];
            for (sum, v) in sums.iter_mut().zip(row) {
                *sum = fma::<FMA>(*weight, *v, *sum);
            }
        }
    } else {
        for (j, weight) in weights.iter().enumerate() {
            let row = &values[j * stride..j * stride + out.len()];
            for (sum, v) in sums.iter_mut().zip(row) {
                *sum = fma::<FMA>(*weight, *v, *sum);
            }
        }
    }
    for (out, sum) in out.iter_mut().zip(sums) {
        *out = sum * inverse;
    }
}

pub(crate) fn forward(cpu: &Cpu, out: &mut [f32], cache: &mut [f32], rows: &Rows<'_>, capacity: usize, heads: Heads) {
    let (count, width) = (rows.slots.len(), heads.width);
    assert!(capacity.is_multiple_of(LANES), "capacity {capacity}");
    assert_eq!((rows.qk.len(), rows.qkv.len()), (count * heads.qk_width(), count * heads.qkv_width()));
    assert_eq!((out.len(), rows.positions.len()), (count * heads.query_width(), count));
    let half = capacity * width;
    let start = |slot: u32, kv: usize| (slot as usize * heads.kv + kv) * 2 * half;
    for (row, (&slot, &position)) in rows.slots.iter().zip(rows.positions).enumerate() {
        let position = position as usize;
        assert!(position < capacity, "position {position} of a cache of {capacity}");
        for kv in 0..heads.kv {
            let (keys, values) = cache[start(slot, kv)..][..2 * half].split_at_mut(half);
            let block = &mut keys[position / LANES * width * LANES..][..width * LANES];
            let key = &rows.qk[row * heads.qk_width() + (heads.query + kv) * width..][..width];
            for (e, k) in key.iter().enumerate() {
                block[e * LANES + position % LANES] = *k;
            }
            let value = &rows.qkv[row * heads.qkv_width() + (heads.query + heads.kv + kv) * width..][..width];
            values[position * width..][..width].copy_from_slice(value);
        }
    }
    let (cache, out, group) = (&*cache, Shared::new(out), heads.query / heads.kv);
    let scale = 1.0 / (width as f32).sqrt();
    cpu.each(count, |row| {
        let len = rows.positions[row] as usize + 1;
        let mut scores = vec![0.0; len.next_multiple_of(LANES)];
        for head in 0..heads.query {
            let (keys, values) = cache[start(rows.slots[row], head / group)..][..2 * half].split_at(half);
            let keys = &keys[..scores.len() * width];
            let q = &rows.qk[row * heads.qk_width() + head * width..][..width];
            let at = row * heads.query_width() + head * width;
            // SAFETY: each task writes its own row.
            attend(unsafe { out.range(at..at + width) }, q, keys, values, &mut scores, len, scale);
        }
    });
}
