use proptest::prelude::*;

use super::{AdamW, cpu, reference};
use crate::Cpu;
use crate::testing::{close, numbers, numbers64};

proptest! {
    /// Parameters and gradients in [−1, 1]; ten steps.
    #[test]
    fn fast_agrees_with_the_reference(n in 1usize..40_000, seed: u64) {
        let device = Cpu::new(2).unwrap();
        let mut p = numbers(seed, n);
        let mut p64 = numbers64(&p);
        let (mut m, mut v) = (vec![0.0; n], vec![0.0; n]);
        let (mut m64, mut v64) = (vec![0.0; n], vec![0.0; n]);
        for step in 1..=10 {
            let settings = AdamW {
                rate: 1e-2, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weight_decay: 0.1, step, gradient_scale: 0.7,
            };
            let g = numbers(seed.wrapping_add(step), n);
            cpu::update(&device, &mut p, &g, &mut m, &mut v, &settings);
            reference::update(&mut p64, &numbers64(&g), &mut m64, &mut v64, &settings);
        }
        // Each step moves a parameter by about the rate, with a relative error of a few roundings; m is of order 1. Where
        // v is tiny the quotient m/√v stays bounded by the betas, so errors do not grow.
        close(&p, &p64, 1e-6);
        close(&m, &m64, 1e-6);
        close(&v, &v64, 1e-6);
    }

    #[test]
    fn the_sum_of_squares_does_not_depend_on_threads(n in 0usize..100_000, seed: u64) {
        let x = numbers(seed, n);
        let one = cpu::sum_of_squares(&Cpu::new(1).unwrap(), &x);
        prop_assert_eq!(one, cpu::sum_of_squares(&Cpu::new(2).unwrap(), &x));
        let exact: f64 = x.iter().map(|v| f64::from(*v).powi(2)).sum();
        // Each run of 4096 is summed in f32: 256 additions a lane.
        prop_assert!((one - exact).abs() <= exact * 256.0 * f64::from(f32::EPSILON));
    }
}
