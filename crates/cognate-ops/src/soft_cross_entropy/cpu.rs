//! The mixture in f32.

use super::Rows;
use crate::cpu::{Cpu, Shared, part};
use crate::simd::{LANES, exp, kernel, max, sum_lanes};

/// Rows of one task.
const ROWS_TASK: usize = 16;

/// One row's teacher.
struct Row<'a> {
    target: usize,
    ids: &'a [u32],
    probabilities: &'a [f32],
    share: f32,
    temperature: f32,
}

kernel! {
    /// The known tokens' logits are put aside in `known` first, so that the others' sum holds nothing that must be taken off it again.
    fn row<const FMA: bool>(logits: &mut [f32], known: &mut [f32], row: &Row<'_>, scale: f32) -> f32 {
        let Row { target, ids, probabilities, share, temperature } = *row;
        let inverse = 1.0 / temperature;
        let top = max(logits);
        let at_target = logits[target];
        for (known, id) in known.iter_mut().zip(ids) {
            *known = std::mem::replace(&mut logits[*id as usize], f32::NEG_INFINITY);
        }
        let (mut lanes, mut soft_lanes) = ([0.0f32; LANES], [0.0f32; LANES]);
        let (body, tail) = logits.as_chunks::<LANES>();
        for chunk in body {
            for i in 0..LANES {
                lanes[i] += exp::<FMA>(chunk[i] - top);
                soft_lanes[i] += exp::<FMA>((chunk[i] - top) * inverse);
            }
        }
        let (mut total, mut others) = (sum_lanes(lanes), sum_lanes(soft_lanes));
        for z in tail {
            total += exp::<FMA>(*z - top);
            others += exp::<FMA>((*z - top) * inverse);
        }
        let mut soft_total = others;
        for z in known.iter() {
            total += exp::<FMA>(*z - top);
            soft_total += exp::<FMA>((*z - top) * inverse);
        }
        let soft_ln = soft_total.ln();
        let (mut mass, mut expected) = (0.0f32, 0.0f32);
        for (z, q) in known.iter().zip(probabilities) {
            mass += *q;
            expected += *q * (soft_ln - (*z - top) * inverse);
        }
        let rest = if ids.len() < logits.len() { (1.0 - mass).max(0.0) } else { 0.0 };
        let others = others.max(f32::MIN_POSITIVE);
        if rest > 0.0 {
            expected += rest * (soft_ln - others.ln());
        }
        let hard = total.ln() + (top - at_target);
        let loss = (1.0 - share) * hard + share * temperature * temperature * expected;

        let hard_factor = (1.0 - share) * scale / total;
        let soft_scale = share * temperature * scale;
        let soft_factor = soft_scale * (mass + rest) / soft_total;
        let other_factor = soft_factor - soft_scale * rest / others;
        let gradient = |z: f32, factor: f32| {
            hard_factor * exp::<FMA>(z - top) + factor * exp::<FMA>((z - top) * inverse)
        };
        let (body, tail) = logits.as_chunks_mut::<LANES>();
        for z in body.iter_mut().flatten() {
            *z = gradient(*z, other_factor);
        }
        for z in tail {
            *z = gradient(*z, other_factor);
        }
        for ((z, q), id) in known.iter().zip(probabilities).zip(ids) {
            logits[*id as usize] = gradient(*z, soft_factor) - soft_scale * *q;
        }
        logits[target] -= (1.0 - share) * scale;
        loss
    }
}

pub(crate) fn backward(
    cpu: &Cpu,
    losses: &mut [f32],
    logits: &mut [f32],
    vocab: usize,
    rows: Rows<'_, f32>,
    scale: f32,
) {
    let count = losses.len();
    super::check(losses, logits, vocab, rows);
    let top = rows.top;
    let (losses, logits) = (Shared::new(losses), Shared::new(logits));
    cpu.each(count.div_ceil(ROWS_TASK), |i| {
        let mut known = vec![0.0; top];
        for at in part(i, ROWS_TASK, count) {
            // SAFETY: rows of different tasks do not overlap.
            let (loss, logits) = unsafe { (losses.range(at..at + 1), logits.range(at * vocab..(at + 1) * vocab)) };
            let teacher = Row {
                target: rows.targets[at] as usize,
                ids: &rows.ids[at * top..][..top],
                probabilities: &rows.probabilities[at * top..][..top],
                share: rows.share,
                temperature: rows.temperature,
            };
            loss[0] = row(logits, &mut known, &teacher, scale);
        }
    });
}
