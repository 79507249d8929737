use proptest::prelude::*;

use super::{cpu, reference};
use crate::Cpu;
use crate::testing::{close, finite_differences, numbers, numbers64};

#[test]
fn gradients_are_the_finite_differences() {
    let (rows, ffn) = (2, 5);
    let mut gate_up: Vec<f64> = numbers64(&numbers(1, rows * 2 * ffn)).iter().map(|v| 4.0 * v).collect();
    let dout = numbers64(&numbers(2, rows * ffn));
    let mut gradient = vec![0.0; gate_up.len()];
    reference::backward(&mut gradient, &dout, &gate_up, ffn);
    finite_differences(&mut gate_up, &gradient, |x| {
        let mut out = vec![0.0; rows * ffn];
        reference::forward(&mut out, x, ffn);
        out.iter().zip(&dout).map(|(a, b)| a * b).sum()
    });
}

proptest! {
    /// Gates in [−30, 30], ups in [−30, 30]: far past where the sigmoid saturates.
    #[test]
    fn fast_agrees_with_the_reference(rows in 1usize..150, ffn in 1usize..90, seed: u64) {
        let device = Cpu::new(2).unwrap();
        let gate_up: Vec<f32> = numbers(seed, rows * 2 * ffn).iter().map(|v| 30.0 * v).collect();
        let dout = numbers(seed ^ 1, rows * ffn);
        let (mut fast, mut plain) = (vec![0.0; rows * ffn], vec![0.0; rows * ffn]);
        cpu::forward(&device, &mut fast, &gate_up, ffn);
        reference::forward(&mut plain, &numbers64(&gate_up), ffn);
        // Results reach 900; four roundings of one part in 2^24 each.
        close(&fast, &plain, 900.0 * 4.0 * f64::from(f32::EPSILON));
        let (mut fast, mut plain) = (vec![0.0; rows * 2 * ffn], vec![0.0; rows * 2 * ffn]);
        cpu::backward(&device, &mut fast, &dout, &gate_up, ffn);
        reference::backward(&mut plain, &numbers64(&dout), &numbers64(&gate_up), ffn);
        // |g·(1−σ)| stays below 31, where 1−σ cancels to an absolute error of 2^-24.
        close(&fast, &plain, 30.0 * 31.0 * 4.0 * f64::from(f32::EPSILON));
    }
}
