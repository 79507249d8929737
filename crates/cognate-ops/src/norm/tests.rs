use proptest::prelude::*;

use super::{cpu, reference};
use crate::Cpu;
use crate::testing::{close, finite_differences, numbers, numbers64};

const EPS: f64 = 1e-6;

#[test]
fn gradients_are_the_finite_differences() {
    let (rows, width) = (3, 5);
    let (mut x, mut weight) = (numbers64(&numbers(1, rows * width)), numbers64(&numbers(2, width)));
    let dout = numbers64(&numbers(3, rows * width));
    let value = |x: &[f64], weight: &[f64]| {
        let (mut out, mut inv) = (vec![0.0; x.len()], vec![0.0; rows]);
        reference::forward(&mut out, &mut inv, x, weight, EPS);
        out.iter().zip(&dout).map(|(a, b)| a * b).sum::<f64>()
    };
    let (mut out, mut inv) = (vec![0.0; x.len()], vec![0.0; rows]);
    reference::forward(&mut out, &mut inv, &x, &weight, EPS);
    let (mut dx, mut dweight) = (vec![0.0; x.len()], vec![0.0; width]);
    reference::backward(&mut dx, &mut dweight, &dout, &x, &inv, &weight);
    let fixed = weight.clone();
    finite_differences(&mut x, &dx, |x| value(x, &fixed));
    let fixed = x.clone();
    finite_differences(&mut weight, &dweight, |weight| value(&fixed, weight));
}

proptest! {
    /// Inputs in [−1, 1], so a row's root mean square is about 0.6 and the norm of order 1.
    #[test]
    fn fast_agrees_with_the_reference(rows in 1usize..300, width in 8usize..100, seed: u64) {
        let device = Cpu::new(2).unwrap();
        let (x, w, g) = (numbers(seed, rows * width), numbers(seed ^ 1, width), numbers(seed ^ 2, rows * width));
        let (x64, w64, g64) = (numbers64(&x), numbers64(&w), numbers64(&g));
        let (mut out, mut inv) = (vec![0.0; rows * width], vec![0.0; rows]);
        let (mut out64, mut inv64) = (vec![0.0; rows * width], vec![0.0; rows]);
        cpu::forward(&device, &mut out, &mut inv, &x, &w, EPS as f32);
        reference::forward(&mut out64, &mut inv64, &x64, &w64, EPS);
        // A handful of roundings of numbers of order 1 to 5 (1/rms of a short row).
        close(&out, &out64, 5e-6);
        let (mut dx, mut dw) = (g.clone(), w.clone());
        let (mut dx64, mut dw64) = (g64.clone(), w64.clone());
        cpu::backward(&device, &mut dx, &mut dw, &g, &x, &inv, &w);
        reference::backward(&mut dx64, &mut dw64, &g64, &x64, &inv64, &w64);
        close(&dx, &dx64, 5e-5);
        // A sum over all rows of numbers of order 1.
        close(&dw, &dw64, 1e-6 * (10 + rows) as f64);
    }
}
