//! RMSNorm in f32.

use crate::cpu::{Cpu, Shared, part};
use crate::simd::{LANES, dot, fma, kernel, sum_lanes};

/// Rows of one task.
const ROWS_TASK: usize = 128;

kernel! {
    fn forward_rows<const FMA: bool>(out: &mut [f32], inv_rms: &mut [f32], x: &[f32], weight: &[f32], eps: f32) {
        let width = weight.len();
        for ((out, x), inv) in out.chunks_exact_mut(width).zip(x.chunks_exact(width)).zip(inv_rms) {
            let r = 1.0 / (dot::<FMA>(x, x) / width as f32 + eps).sqrt();
            *inv = r;
            for ((out, x), w) in out.iter_mut().zip(x).zip(weight) {
                *out = x * r * w;
            }
        }
    }
}

kernel! {
    fn backward_rows<const FMA: bool>(
        dx: &mut [f32], dweight: &mut [f32], dout: &[f32], x: &[f32], inv_rms: &[f32], weight: &[f32],
    ) {
        let width = weight.len();
        for (row, &r) in inv_rms.iter().enumerate() {
            let at = row * width..(row + 1) * width;
            let (dx, dout, x) = (&mut dx[at.clone()], &dout[at.clone()], &x[at]);
            let scale = r * r * r * dot3::<FMA>(dout, weight, x) / width as f32;
            for ((((dx, dw), g), x), w) in dx.iter_mut().zip(&mut *dweight).zip(dout).zip(x).zip(weight) {
                *dx = fma::<FMA>(-scale, *x, fma::<FMA>(g * w, r, *dx));
                *dw = fma::<FMA>(g * r, *x, *dw);
            }
        }
    }
}

/// Σ a·b·c.
#[inline(always)]
fn dot3<const FMA: bool>(a: &[f32], b: &[f32], c: &[f32]) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let (a_body, a_tail) = a.as_chunks::<LANES>();
    let (b_body, b_tail) = b.as_chunks::<LANES>();
    let (c_body, c_tail) = c.as_chunks::<LANES>();
    for ((x, y), z) in a_body.iter().zip(b_body).zip(c_body) {
        for i in 0..LANES {
            lanes[i] = fma::<FMA>(x[i] * y[i], z[i], lanes[i]);
        }
    }
    let tail: f32 = a_tail.iter().zip(b_tail).zip(c_tail).map(|((x, y), z)| x * y * z).sum();
    sum_lanes(lanes) + tail
}

pub(crate) fn forward(cpu: &Cpu, out: &mut [f32], inv_rms: &mut [f32], x: &[f32], weight: &[f32], eps: f32) {
    let (rows, width) = (inv_rms.len(), weight.len());
    super::check_forward(out, inv_rms, x, weight);
    let (out, inv_rms) = (Shared::new(out), Shared::new(inv_rms));
    cpu.each(rows.div_ceil(ROWS_TASK), |i| {
        let rows = part(i, ROWS_TASK, rows);
        let at = rows.start * width..rows.end * width;
        // SAFETY: parts of different tasks do not overlap.
        let (out, inv_rms) = unsafe { (out.range(at.clone()), inv_rms.range(rows)) };
        forward_rows(out, inv_rms, &x[at], weight, eps);
    });
}

pub(crate) fn backward(
    cpu: &Cpu,
    dx: &mut [f32],
    dweight: &mut [f32],
    dout: &[f32],
    x: &[f32],
    inv_rms: &[f32],
    weight: &[f32],
) {
    let (rows, width) = (inv_rms.len(), weight.len());
    super::check_backward(dx, dweight, dout, x, inv_rms, weight);
    let tasks = rows.div_ceil(ROWS_TASK);
    let mut partial = vec![0.0; tasks * width];
    let (dx, parts) = (Shared::new(dx), Shared::new(&mut partial));
    cpu.each(tasks, |i| {
        let rows = part(i, ROWS_TASK, rows);
        let at = rows.start * width..rows.end * width;
        // SAFETY: parts of different tasks do not overlap.
        let (dx, sums) = unsafe { (dx.range(at.clone()), parts.range(i * width..(i + 1) * width)) };
        backward_rows(dx, sums, &dout[at.clone()], &x[at], &inv_rms[rows], weight);
    });
    for sums in partial.chunks_exact(width) {
        dweight.iter_mut().zip(sums).for_each(|(total, sum)| *total += sum);
    }
}
