//! AdamW and the gradient norm in f32, one sweep each.

use super::AdamW;
use crate::cpu::{Cpu, Shared, part};
use crate::simd::{dot, fma, kernel};

/// Elements of one task: 64 KiB of each buffer.
const TASK: usize = 1 << 14;
/// Elements summed in f32 before the sum goes on in f64.
const SUM: usize = 1 << 12;

/// The constants of an update, rounded to f32 once.
#[derive(Clone, Copy)]
struct Constants {
    beta1: f32,
    one_minus_beta1: f32,
    beta2: f32,
    one_minus_beta2: f32,
    scale: f32,
    keep: f32,
    rate: f32,
    inv_c2: f32,
    epsilon: f32,
}

kernel! {
    fn update_run<const FMA: bool>(p: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32], c: Constants) {
        for (((p, g), m), v) in p.iter_mut().zip(g).zip(m).zip(v) {
            let g = g * c.scale;
            *m = fma::<FMA>(c.beta1, *m, c.one_minus_beta1 * g);
            *v = fma::<FMA>(c.beta2, *v, c.one_minus_beta2 * g * g);
            *p = fma::<FMA>(*p, c.keep, -(c.rate * *m / ((*v * c.inv_c2).sqrt() + c.epsilon)));
        }
    }
}

kernel! {
    fn squares<const FMA: bool>(x: &[f32]) -> f64 {
        let mut total = 0.0;
        for run in x.chunks(SUM) {
            total += f64::from(dot::<FMA>(run, run));
        }
        total
    }
}

pub(crate) fn update(cpu: &Cpu, p: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32], s: &AdamW) {
    let all = p.len();
    super::check(p, g, m, v);
    let step = s.step as f64;
    let constants = Constants {
        beta1: s.beta1 as f32,
        one_minus_beta1: (1.0 - s.beta1) as f32,
        beta2: s.beta2 as f32,
        one_minus_beta2: (1.0 - s.beta2) as f32,
        scale: s.gradient_scale as f32,
        keep: (1.0 - s.rate * s.weight_decay) as f32,
        rate: (s.rate / (1.0 - s.beta1.powf(step))) as f32,
        inv_c2: (1.0 / (1.0 - s.beta2.powf(step))) as f32,
        epsilon: s.epsilon as f32,
    };
    let (p, m, v) = (Shared::new(p), Shared::new(m), Shared::new(v));
    cpu.each(all.div_ceil(TASK), |i| {
        let at = part(i, TASK, all);
        // SAFETY: parts of different tasks do not overlap.
        let (p, m, v) = unsafe { (p.range(at.clone()), m.range(at.clone()), v.range(at.clone())) };
        update_run(p, &g[at], m, v, constants);
    });
}

pub(crate) fn sum_of_squares(cpu: &Cpu, x: &[f32]) -> f64 {
    let mut partial = vec![0.0; x.len().div_ceil(TASK)];
    let sums = Shared::new(&mut partial);
    cpu.each(x.len().div_ceil(TASK), |i| {
        // SAFETY: each task writes its own sum.
        let sum = unsafe { sums.range(i..i + 1) };
        sum[0] = squares(&x[part(i, TASK, x.len())]);
    });
    partial.iter().sum()
}
