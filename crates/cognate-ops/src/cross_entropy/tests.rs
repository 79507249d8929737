use proptest::prelude::*;

use super::{cpu, reference};
use crate::Cpu;
use crate::testing::{close, finite_differences, numbers, numbers64};

#[test]
fn gradients_are_the_finite_differences() {
    let (rows, vocab, scale) = (3, 7, 0.25);
    let targets = [0, 6, 3];
    let mut logits: Vec<f64> = numbers64(&numbers(1, rows * vocab)).iter().map(|v| 5.0 * v).collect();
    let (mut gradient, mut losses) = (logits.clone(), vec![0.0; rows]);
    reference::forward(&mut losses, &mut gradient, &targets, vocab, Some(scale));
    finite_differences(&mut logits, &gradient, |x| {
        let (mut logits, mut losses) = (x.to_vec(), vec![0.0; rows]);
        reference::forward(&mut losses, &mut logits, &targets, vocab, None);
        scale * losses.iter().sum::<f64>()
    });
}

#[test]
fn equal_logits_cost_the_logarithm_of_the_vocabulary() {
    let device = Cpu::new(1).unwrap();
    let (mut losses, mut logits) = (vec![0.0], vec![3.5; 100]);
    cpu::forward(&device, &mut losses, &mut logits, &[42], 100, None);
    assert!((losses[0] - 100.0f32.ln()).abs() < 1e-6);
}

#[test]
fn a_logit_that_is_not_a_number_reaches_the_loss() {
    let device = Cpu::new(1).unwrap();
    for at in [0, 31, 99] {
        let (mut losses, mut logits) = (vec![0.0], vec![0.0; 100]);
        logits[at] = f32::NAN;
        cpu::forward(&device, &mut losses, &mut logits, &[42], 100, Some(1.0));
        assert!(losses[0].is_nan(), "element {at}");
    }
}

proptest! {
    /// Logits in [−80, 80]: the widest spread at which the smallest term is still a normal number.
    #[test]
    fn fast_agrees_with_the_reference(rows in 1usize..60, vocab in 1usize..400, seed: u64) {
        let device = Cpu::new(2).unwrap();
        let logits: Vec<f32> = numbers(seed, rows * vocab).iter().map(|v| 40.0 * v).collect();
        let targets: Vec<u32> = (0..rows).map(|i| (i * 31 % vocab) as u32).collect();
        let (mut fast, mut plain) = (logits.clone(), numbers64(&logits));
        let (mut losses, mut losses64) = (vec![0.0; rows], vec![0.0; rows]);
        cpu::forward(&device, &mut losses, &mut fast, &targets, vocab, Some(0.5));
        reference::forward(&mut losses64, &mut plain, &targets, vocab, Some(0.5));
        // A loss reaches 80, of which f32 keeps 4e-6; a gradient is at most 0.5.
        close(&losses, &losses64, 1e-5);
        close(&fast, &plain, 1e-6);
    }
}
