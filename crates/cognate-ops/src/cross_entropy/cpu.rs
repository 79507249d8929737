//! Cross-entropy in f32.

use crate::cpu::{Cpu, Shared, part};
use crate::simd::{LANES, exp, kernel, max, sum_lanes};

/// Rows of one task.
const ROWS_TASK: usize = 16;

kernel! {
    fn row_loss<const FMA: bool>(logits: &mut [f32], target: usize, gradient: Option<f32>) -> f32 {
        let top = max(logits);
        let at_target = logits[target];
        let mut lanes = [0.0f32; LANES];
        let (body, tail) = logits.as_chunks_mut::<LANES>();
        for chunk in &mut *body {
            for i in 0..LANES {
                let e = exp::<FMA>(chunk[i] - top);
                lanes[i] += e;
                if gradient.is_some() {
                    chunk[i] = e;
                }
            }
        }
        let mut rest = 0.0;
        for z in &mut *tail {
            let e = exp::<FMA>(*z - top);
            rest += e;
            if gradient.is_some() {
                *z = e;
            }
        }
        let total = sum_lanes(lanes) + rest;
        if let Some(scale) = gradient {
            let factor = scale / total;
            logits.iter_mut().for_each(|e| *e *= factor);
            logits[target] -= scale;
        }
        total.ln() + (top - at_target)
    }
}

pub(crate) fn forward(
    cpu: &Cpu,
    losses: &mut [f32],
    logits: &mut [f32],
    targets: &[u32],
    vocab: usize,
    gradient: Option<f32>,
) {
    let rows = losses.len();
    super::check(losses, logits, targets, vocab);
    let (losses, logits) = (Shared::new(losses), Shared::new(logits));
    cpu.each(rows.div_ceil(ROWS_TASK), |i| {
        for row in part(i, ROWS_TASK, rows) {
            // SAFETY: rows of different tasks do not overlap.
            let (loss, logits) = unsafe { (losses.range(row..row + 1), logits.range(row * vocab..(row + 1) * vocab)) };
            loss[0] = row_loss(logits, targets[row] as usize, gradient);
        }
    });
}
