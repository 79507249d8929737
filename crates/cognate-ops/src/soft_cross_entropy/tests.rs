use proptest::prelude::*;

use super::{Rows, cpu, reference};
use crate::testing::{close, finite_differences, numbers, numbers64};
use crate::{Cpu, cross_entropy};

/// Different tokens for each row, and probabilities that leave `rest`.
fn teacher(rows: usize, vocab: usize, top: usize, rest: f64) -> (Vec<u32>, Vec<f64>) {
    let ids = (0..rows).flat_map(|row| (0..top).map(move |i| ((row * 3 + i * 5 + i * i) % vocab) as u32));
    let mut ids: Vec<u32> = ids.collect();
    for row in ids.chunks_mut(top.max(1)) {
        let mut free = 0;
        for i in 0..row.len() {
            while row[..i].contains(&row[i]) {
                row[i] = free;
                free += 1;
            }
        }
    }
    let weights = numbers64(&numbers(9, rows * top)).iter().map(|v| 1.01 + v).collect::<Vec<f64>>();
    let normalise = |row: &[f64]| row.iter().map(|v| (1.0 - rest) * v / row.iter().sum::<f64>()).collect::<Vec<_>>();
    (ids, weights.chunks(top.max(1)).flat_map(normalise).collect())
}

#[test]
fn gradients_are_the_finite_differences() {
    let (rows, vocab, scale) = (3, 7, 0.25);
    let targets = [0, 6, 3];
    for (top, rest, share, temperature) in
        [(3, 0.2, 0.5, 1.0), (3, 0.2, 0.3, 2.5), (1, 0.9, 1.0, 0.7), (7, 0.0, 0.6, 2.0), (4, 0.0, 0.5, 1.5)]
    {
        let (ids, probabilities) = teacher(rows, vocab, top, rest);
        let teacher = Rows { targets: &targets[..], top, ids: &ids, probabilities: &probabilities, share, temperature };
        let mut logits: Vec<f64> = numbers64(&numbers(1, rows * vocab)).iter().map(|v| 5.0 * v).collect();
        let (mut gradient, mut losses) = (logits.clone(), vec![0.0; rows]);
        reference::backward(&mut losses, &mut gradient, vocab, teacher, scale);
        finite_differences(&mut logits, &gradient, |x| {
            let (mut logits, mut losses) = (x.to_vec(), vec![0.0; rows]);
            reference::backward(&mut losses, &mut logits, vocab, teacher, scale);
            scale * losses.iter().sum::<f64>()
        });
    }
}

#[test]
fn a_teacher_that_is_the_model_asks_for_nothing_and_is_taken_at_the_same_temperature() {
    let (vocab, temperature) = (5, 3.0);
    let logits: Vec<f64> = vec![1.0, -2.0, 0.5, 3.0, 0.0];
    let total: f64 = logits.iter().map(|z| (z / temperature).exp()).sum();
    let own: Vec<f64> = logits.iter().map(|z| (z / temperature).exp() / total).collect();
    // Of all tokens, and of two alone.
    for ids in [vec![0, 1, 2, 3, 4], vec![3, 0]] {
        let probabilities: Vec<f64> = ids.iter().map(|id| own[*id as usize]).collect();
        let teacher =
            Rows { targets: &[1], top: ids.len(), ids: &ids, probabilities: &probabilities, share: 1.0, temperature };
        let (mut gradient, mut losses) = (logits.clone(), vec![0.0]);
        reference::backward(&mut losses, &mut gradient, vocab, teacher, 1.0);
        assert!(gradient.iter().all(|g| g.abs() < 1e-12), "{gradient:?}");
        let entropy: f64 = ids.iter().map(|id| -own[*id as usize] * own[*id as usize].ln()).sum();
        let rest = 1.0 - probabilities.iter().sum::<f64>();
        let entropy = if ids.len() < vocab { entropy - rest * rest.ln() } else { entropy };
        assert!((losses[0] - temperature * temperature * entropy).abs() < 1e-12);
    }
}

#[test]
fn a_teacher_of_the_next_token_alone_is_the_plain_loss() {
    let (rows, vocab) = (3, 40);
    let (targets, ones, device) = ([7, 39, 0], [1.0; 3], Cpu::new(1).unwrap());
    let logits: Vec<f32> = numbers(2, rows * vocab).iter().map(|v| 6.0 * v).collect();
    let (mut plain, mut mixed) = (logits.clone(), logits);
    let (mut losses, mut mixed_losses) = (vec![0.0; rows], vec![0.0; rows]);
    cross_entropy::cpu::forward(&device, &mut losses, &mut plain, &targets, vocab, Some(0.5));
    let teacher = Rows {
        targets: &targets[..],
        top: 1,
        ids: &targets[..],
        probabilities: &ones[..],
        share: 0.4,
        temperature: 1.0,
    };
    cpu::backward(&device, &mut mixed_losses, &mut mixed, vocab, teacher, 0.5);
    close(&mixed_losses, &numbers64(&losses), 1e-5);
    close(&mixed, &numbers64(&plain), 1e-6);
}

#[test]
fn a_logit_that_is_not_a_number_reaches_the_loss() {
    let device = Cpu::new(1).unwrap();
    for at in [0, 31, 99] {
        let (mut losses, mut logits) = (vec![0.0], vec![0.0; 100]);
        logits[at] = f32::NAN;
        let teacher =
            Rows { targets: &[42], top: 2, ids: &[31, 5], probabilities: &[0.5, 0.25], share: 0.5, temperature: 2.0 };
        cpu::backward(&device, &mut losses, &mut logits, 100, teacher, 1.0);
        assert!(losses[0].is_nan(), "element {at}");
    }
}

proptest! {
    #[test]
    fn fast_agrees_with_the_reference(rows in 1usize..60, vocab in 1usize..400, top in 0usize..40, seed: u64,
        rest in 0.0f64..0.9, share in 0.0f64..1.0, temperature in 0.5f64..4.0) {
        let device = Cpu::new(2).unwrap();
        let top = top.min(vocab);
        let logits: Vec<f32> = numbers(seed, rows * vocab).iter().map(|v| 20.0 * v).collect();
        let targets: Vec<u32> = (0..rows).map(|i| (i * 31 % vocab) as u32).collect();
        let rest = if top == 0 { 1.0 } else if top == vocab { 0.0 } else { rest };
        let (ids, probabilities) = teacher(rows, vocab, top, rest);
        let probabilities32: Vec<f32> = probabilities.iter().map(|q| *q as f32).collect();
        // What f32 keeps of α, T and q is what both are given.
        let (share32, temperature32) = (share as f32, temperature as f32);
        let probabilities = numbers64(&probabilities32);
        let (mut fast, mut plain) = (logits.clone(), numbers64(&logits));
        let (mut losses, mut losses64) = (vec![0.0; rows], vec![0.0; rows]);
        let teacher32 = Rows { targets: &targets, top, ids: &ids, probabilities: &probabilities32, share: share32, temperature: temperature32 };
        let teacher64 = Rows {
            targets: &targets, top, ids: &ids, probabilities: &probabilities,
            share: f64::from(share32), temperature: f64::from(temperature32),
        };
        cpu::backward(&device, &mut losses, &mut fast, vocab, teacher32, 0.5);
        reference::backward(&mut losses64, &mut plain, vocab, teacher64, 0.5);
        // (1 − α) · 40 + α T² · 40 / T comes to 160, of which f32 keeps 1e-5; so it does of sums of up to 40 terms q.
        close(&losses, &losses64, 2e-4);
        // A gradient is at most T / 2; a rest that is taken as 1 − Σ q is exact to 40 · 2⁻²⁴ only, and P(rest) may be as small.
        close(&fast, &plain, 1e-5);
    }
}
