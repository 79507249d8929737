use proptest::prelude::*;

use super::packed::PackedWeight;
use super::{cpu, reference};
use crate::testing::{close, numbers, numbers64};
use crate::{Cpu, Precision};

/// Error bound of a sum of k products: each of k additions rounds once, relative to Σ|a·b| ≤ k for inputs in [−1, 1].
fn bound(k: usize) -> f64 {
    k as f64 * k as f64 * f64::from(f32::EPSILON) * 0.5 + 1e-6
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    /// Inputs in [−1, 1]; shapes around the task sizes and below the padding limit.
    #[test]
    fn products_agree_with_the_reference(rows in 1usize..600, inputs in 1usize..70, outputs in 1usize..300, seed: u64) {
        let device = Cpu::new(2).unwrap();
        let (x, w, g) = (numbers(seed, rows * inputs), numbers(seed ^ 1, outputs * inputs), numbers(seed ^ 2, rows * outputs));
        let (x64, w64, g64) = (numbers64(&x), numbers64(&w), numbers64(&g));
        for add in [false, true] {
            let (mut fast, mut plain) = (g.clone(), g64.clone());
            cpu::forward(&device, &mut fast, &x, &w, inputs, outputs, add);
            reference::forward(&mut plain, &x64, &w64, inputs, outputs, add);
            close(&fast, &plain, bound(inputs));
        }
        let (mut fast, mut plain) = (x.clone(), x64.clone());
        cpu::input_gradient(&device, &mut fast, &g, &w, inputs, outputs);
        reference::input_gradient(&mut plain, &g64, &w64, inputs, outputs);
        close(&fast, &plain, bound(outputs));
        let (mut fast, mut plain) = (w.clone(), w64.clone());
        cpu::weight_gradient(&device, &mut fast, &g, &x, inputs, outputs);
        reference::weight_gradient(&mut plain, &g64, &x64, inputs, outputs);
        close(&fast, &plain, bound(rows));
    }

    #[test]
    fn a_row_has_the_same_bits_whatever_stands_beside_it(
        rows in 1usize..700, inputs in prop::sample::select(vec![48usize, 128, 384, 1024]),
        outputs in prop::sample::select(vec![96usize, 144, 384, 1000]), seed: u64,
    ) {
        let device = Cpu::new(2).unwrap();
        let (x, w) = (numbers(seed, rows * inputs), numbers(seed ^ 1, outputs * inputs));
        let mut all = vec![0.0; rows * outputs];
        cpu::forward(&device, &mut all, &x, &w, inputs, outputs, false);
        let alone = (seed as usize) % rows;
        let mut one = vec![0.0; outputs];
        cpu::forward(&device, &mut one, &x[alone * inputs..][..inputs], &w, inputs, outputs, false);
        prop_assert!(one == all[alone * outputs..][..outputs], "row {} of {}", alone, rows);
    }

    /// Rows around the place where a packed product cuts by rows instead of columns.
    #[test]
    fn a_packed_weight_gives_the_same_bits(rows in 1usize..300, inputs in 1usize..500, outputs in 1usize..400, seed: u64) {
        let device = Cpu::new(2).unwrap();
        let (x, w) = (numbers(seed, rows * inputs), numbers(seed ^ 1, outputs * inputs));
        let packed = PackedWeight::new(&device, &w, inputs, outputs, Precision::F32);
        for add in [false, true] {
            let mut plain = numbers(seed ^ 2, rows * outputs);
            let mut fast = plain.clone();
            cpu::forward(&device, &mut plain, &x, &w, inputs, outputs, add);
            packed.forward(&device, &mut fast, &x, add);
            prop_assert!(plain == fast);
        }
    }

    #[test]
    fn threads_do_not_change_bits(rows in 1usize..900, inputs in 1usize..200, outputs in 1usize..400, seed: u64) {
        let (x, w, g) = (numbers(seed, rows * inputs), numbers(seed ^ 1, outputs * inputs), numbers(seed ^ 2, rows * outputs));
        let run = |threads| {
            let device = Cpu::new(threads).unwrap();
            let (mut out, mut dx, mut dw) = (g.clone(), x.clone(), w.clone());
            cpu::forward(&device, &mut out, &x, &w, inputs, outputs, true);
            cpu::input_gradient(&device, &mut dx, &g, &w, inputs, outputs);
            cpu::weight_gradient(&device, &mut dw, &g, &x, inputs, outputs);
            (out, dx, dw)
        };
        let one = run(1);
        prop_assert!(one == run(2));
        prop_assert!(one == run(4));
    }
}

#[test]
fn matmul_nt_is_the_forward_product() {
    let (m, n, k) = (37, 21, 19);
    let (a, b) = (numbers(1, m * k), numbers(2, n * k));
    let mut fast = vec![9.0; m * n];
    super::matmul_nt(&mut fast, &a, &b, m, n, k);
    let mut plain = vec![0.0; m * n];
    reference::forward(&mut plain, &numbers64(&a), &numbers64(&b), k, n, false);
    close(&fast, &plain, bound(k));
}

/// A constant that is added again and again is rounded in the same direction for as long as the sum has the same exponent: one chain
/// would be off by far more than a chain of at most 192 and then one over the blocks.
#[test]
fn a_long_sum_errs_as_its_blocks_allow() {
    let device = Cpu::new(1).unwrap();
    let k = 40_000;
    let mut chain_fails = 0;
    for constant in [0.1f32, 0.3, 0.7, 1.1] {
        let (x, w) = (vec![constant; k], vec![1.0; k]);
        let mut out = [0.0];
        cpu::forward(&device, &mut out, &x, &w, k, 1, false);
        let exact = f64::from(constant) * k as f64;
        let bound = (192.0 + k as f64 / 192.0) * f64::from(f32::EPSILON) / 2.0 * exact;
        assert!((f64::from(out[0]) - exact).abs() <= bound, "{constant}: {} against {exact}", out[0]);
        let chain: f32 = x.iter().sum();
        chain_fails += usize::from((f64::from(chain) - exact).abs() > bound);
    }
    assert!(chain_fails > 0, "the bound tells nothing apart");
}
