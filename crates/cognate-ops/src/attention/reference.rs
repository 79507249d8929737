//! Attention as its formulas say.

use super::Rows;
use crate::Heads;
use crate::operands::size;

/// Where the numbers of (row, head) start in qk and in qkv.
struct At(Heads);

impl At {
    fn q(&self, row: usize, head: usize) -> usize {
        row * self.0.qk_width() + head * self.0.width
    }
    fn k(&self, row: usize, kv: usize) -> usize {
        row * self.0.qk_width() + (self.0.query + kv) * self.0.width
    }
    fn dq(&self, row: usize, head: usize) -> usize {
        row * self.0.qkv_width() + head * self.0.width
    }
    fn dk(&self, row: usize, kv: usize) -> usize {
        row * self.0.qkv_width() + (self.0.query + kv) * self.0.width
    }
    fn v(&self, row: usize, kv: usize) -> usize {
        row * self.0.qkv_width() + (self.0.query + self.0.kv + kv) * self.0.width
    }
    fn out(&self, row: usize, head: usize) -> usize {
        row * self.0.query_width() + head * self.0.width
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(to: &mut [f64], factor: f64, from: &[f64]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += factor * from);
}

/// Calls `visit(first row of the segment, row, head)` for each row and query head.
fn each_row(starts: &[u32], heads: Heads, mut visit: impl FnMut(usize, usize, usize)) {
    for segment in starts.windows(2) {
        for row in segment[0] as usize..segment[1] as usize {
            (0..heads.query).for_each(|head| visit(segment[0] as usize, row, head));
        }
    }
}

pub(crate) fn forward(out: &mut [f64], lse: &mut [f64], qk: &[f64], qkv: &[f64], starts: &[u32], heads: Heads) {
    super::check_forward(out, lse, qk, qkv, starts, heads);
    let (at, width, scale) = (At(heads), heads.width, 1.0 / (heads.width as f64).sqrt());
    each_row(starts, heads, |first, row, head| {
        let kv = head / (heads.query / heads.kv);
        let q = &qk[at.q(row, head)..][..width];
        let scores: Vec<f64> = (first..=row).map(|j| scale * dot(q, &qk[at.k(j, kv)..][..width])).collect();
        let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let l = top + scores.iter().map(|s| (s - top).exp()).sum::<f64>().ln();
        lse[row * heads.query + head] = l;
        let out = &mut out[at.out(row, head)..][..width];
        out.fill(0.0);
        for (j, s) in (first..=row).zip(&scores) {
            add(out, (s - l).exp(), &qkv[at.v(j, kv)..][..width]);
        }
    });
}

pub(crate) fn backward(
    dqkv: &mut [f64],
    dout: &[f64],
    out: &[f64],
    lse: &[f64],
    qk: &[f64],
    qkv: &[f64],
    starts: &[u32],
    heads: Heads,
) {
    // Σ_e out·dout equals Σ_j p_j·dp_j, which is summed below: of `out` only the length is looked at.
    super::check_backward(dqkv, dout, out, lse, qk, qkv, starts, heads);
    let (at, width, scale) = (At(heads), heads.width, 1.0 / (heads.width as f64).sqrt());
    dqkv.fill(0.0);
    each_row(starts, heads, |first, row, head| {
        let kv = head / (heads.query / heads.kv);
        let q = &qk[at.q(row, head)..][..width];
        let dout = &dout[at.out(row, head)..][..width];
        let l = lse[row * heads.query + head];
        let p: Vec<f64> = (first..=row).map(|j| (scale * dot(q, &qk[at.k(j, kv)..][..width]) - l).exp()).collect();
        let dp: Vec<f64> = (first..=row).map(|j| dot(dout, &qkv[at.v(j, kv)..][..width])).collect();
        let mean = dot(&p, &dp);
        for (j, (p, dp)) in (first..=row).zip(p.iter().zip(&dp)) {
            let ds = p * (dp - mean) * scale;
            add(&mut dqkv[at.dq(row, head)..][..width], ds, &qk[at.k(j, kv)..][..width]);
            add(&mut dqkv[at.dk(j, kv)..][..width], ds, q);
            add(&mut dqkv[at.v(j, kv)..][..width], *p, dout);
        }
    });
}

/// Cached attention. This device's cache holds, for each slot, position and key/value head, the key, then the value.
pub(crate) fn cached(out: &mut [f64], cache: &mut [f64], rows: &Rows<'_, f64>, capacity: usize, heads: Heads) {
    super::check_cached(out, cache.len(), size(&[2, capacity, heads.kv, heads.width]), rows, capacity, heads);
    let &Rows { qk, qkv, slots, positions } = rows;
    let (at, width, scale) = (At(heads), heads.width, 1.0 / (heads.width as f64).sqrt());
    let key =
        |slot: u32, position: usize, kv: usize| ((slot as usize * capacity + position) * heads.kv + kv) * 2 * width;
    for (row, (&slot, &position)) in slots.iter().zip(positions).enumerate() {
        for kv in 0..heads.kv {
            let start = key(slot, position as usize, kv);
            cache[start..start + width].copy_from_slice(&qk[at.k(row, kv)..][..width]);
            cache[start + width..start + 2 * width].copy_from_slice(&qkv[at.v(row, kv)..][..width]);
        }
    }
    for (row, (&slot, &position)) in slots.iter().zip(positions).enumerate() {
        for head in 0..heads.query {
            let kv = head / (heads.query / heads.kv);
            let q = &qk[at.q(row, head)..][..width];
            let weights: Vec<f64> =
                (0..=position as usize).map(|j| (scale * dot(q, &cache[key(slot, j, kv)..][..width])).exp()).collect();
            let total: f64 = weights.iter().sum();
            let out = &mut out[at.out(row, head)..][..width];
            out.fill(0.0);
            for (j, weight) in weights.iter().enumerate() {
                add(out, weight / total, &cache[key(slot, j, kv) + width..][..width]);
            }
        }
    }
}
