//! QK-norm and rotation in f32.

use super::RopeTable;
use crate::Heads;
use crate::cpu::{Cpu, Shared, part};
use crate::simd::{dot, kernel};

/// Rows of one task.
const ROWS_TASK: usize = 128;

kernel! {
    fn forward_head<const FMA: bool>(
        out: &mut [f32], y: &[f32], weight: Option<&[f32]>, cos: &[f32], sin: &[f32], eps: f32,
    ) -> f32 {
        let half = cos.len();
        let (y_low, y_high) = y.split_at(half);
        let (out_low, out_high) = out.split_at_mut(half);
        let (mut r, y_high) = (1.0, &y_high[..half]);
        match weight {
            Some(weight) => {
                r = 1.0 / (dot::<FMA>(y, y) / y.len() as f32 + eps).sqrt();
                let (w_low, w_high) = weight.split_at(half);
                let (w_high, sin, out_high) = (&w_high[..half], &sin[..half], &mut out_high[..half]);
                for i in 0..half {
                    let (a, b) = (y_low[i] * r * w_low[i], y_high[i] * r * w_high[i]);
                    out_low[i] = a * cos[i] - b * sin[i];
                    out_high[i] = b * cos[i] + a * sin[i];
                }
            }
            None => {
                let (sin, out_high) = (&sin[..half], &mut out_high[..half]);
                for i in 0..half {
                    out_low[i] = y_low[i] * cos[i] - y_high[i] * sin[i];
                    out_high[i] = y_high[i] * cos[i] + y_low[i] * sin[i];
                }
            }
        }
        r
    }
}

kernel! {
    /// Turns dy from the gradient by the rotated head into the gradient by `y`; adds to `dweight`.
    fn backward_head<const FMA: bool>(
        dy: &mut [f32], y: &[f32], norm: Option<(&[f32], &mut [f32])>, r: f32, cos: &[f32], sin: &[f32],
    ) {
        let half = cos.len();
        let (low, high) = dy.split_at_mut(half);
        let (sin, high) = (&sin[..half], &mut high[..half]);
        for i in 0..half {
            let (a, b) = (low[i], high[i]);
            low[i] = a * cos[i] + b * sin[i];
            high[i] = b * cos[i] - a * sin[i];
        }
        if let Some((weight, dweight)) = norm {
            let mut weighted = [0.0f32; 512];
            let weighted = &mut weighted[..dy.len()];
            for ((out, g), w) in weighted.iter_mut().zip(&*dy).zip(weight) {
                *out = g * w;
            }
            let scale = r * r * r * dot::<FMA>(weighted, y) / y.len() as f32;
            for (((dy, y), g), dw) in dy.iter_mut().zip(y).zip(&*weighted).zip(dweight) {
                *dw += *dy * y * r;
                *dy = g * r - y * scale;
            }
        }
    }
}

pub(crate) fn forward(
    cpu: &Cpu,
    qk: &mut [f32],
    inv_rms: &mut [f32],
    qkv: &[f32],
    norm: Option<(&[f32], &[f32])>,
    positions: &[u32],
    table: &RopeTable,
    heads: Heads,
    eps: f32,
) {
    let (count, width) = (heads.query + heads.kv, heads.width);
    let rows = positions.len();
    super::check_forward(qk, inv_rms, qkv, norm, positions, table, heads);
    let (qk, inv_rms) = (Shared::new(qk), Shared::new(inv_rms));
    cpu.each(rows.div_ceil(ROWS_TASK), |i| {
        for row in part(i, ROWS_TASK, rows) {
            // SAFETY: rows of different tasks do not overlap.
            let out = unsafe { qk.range(row * count * width..(row + 1) * count * width) };
            // SAFETY: likewise.
            let inv = unsafe { inv_rms.range(row * count..(row + 1) * count) };
            let (cos, sin) = table.at(positions[row]);
            let y = &qkv[row * heads.qkv_width()..][..count * width];
            for (head, (out, y)) in out.chunks_exact_mut(width).zip(y.chunks_exact(width)).enumerate() {
                let weight = norm.map(|(q, k)| if head < heads.query { q } else { k });
                inv[head] = forward_head(out, y, weight, cos, sin, eps);
            }
        }
    });
}

pub(crate) fn backward(
    cpu: &Cpu,
    dqkv: &mut [f32],
    dnorm: Option<&mut [f32]>,
    qkv: &[f32],
    inv_rms: &[f32],
    norm: Option<(&[f32], &[f32])>,
    positions: &[u32],
    table: &RopeTable,
    heads: Heads,
) {
    let (count, width) = (heads.query + heads.kv, heads.width);
    let rows = positions.len();
    super::check_backward(dqkv, dnorm.as_deref(), qkv, inv_rms, norm, positions, table, heads);
    let tasks = rows.div_ceil(ROWS_TASK);
    let mut partial = vec![0.0; tasks * 2 * width];
    let (dqkv, parts) = (Shared::new(dqkv), Shared::new(&mut partial));
    cpu.each(tasks, |i| {
        // SAFETY: parts of different tasks do not overlap.
        let sums = unsafe { parts.range(i * 2 * width..(i + 1) * 2 * width) };
        let (dq, dk) = sums.split_at_mut(width);
        for row in part(i, ROWS_TASK, rows) {
            let start = row * heads.qkv_width();
            // SAFETY: rows of different tasks do not overlap.
            let dy = unsafe { dqkv.range(start..start + count * width) };
            let y = &qkv[start..start + count * width];
            let (cos, sin) = table.at(positions[row]);
            for (head, (dy, y)) in dy.chunks_exact_mut(width).zip(y.chunks_exact(width)).enumerate() {
                let norm = norm.map(|(q, k)| if head < heads.query { (q, &mut *dq) } else { (k, &mut *dk) });
                backward_head(dy, y, norm, inv_rms[row * count + head], cos, sin);
            }
        }
    });
    if let Some(dnorm) = dnorm {
        for sums in partial.chunks_exact(2 * width) {
            dnorm.iter_mut().zip(sums).for_each(|(total, sum)| *total += sum);
        }
    }
}
