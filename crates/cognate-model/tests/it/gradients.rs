//! The whole model's gradient against finite differences, in f64.

use cognate_model::{Batch, Decoder, IGNORE, SoftTargets};
use cognate_ops::Reference;

use crate::{batch, decoder, small};

/// Σ of the losses, in f64.
fn total(model: &mut Decoder<Reference>, batch: &Batch) -> f64 {
    let mut gradients = model.gradients();
    model.loss_and_gradients(batch, &mut gradients, 1.0).unwrap()
}

#[test]
fn every_kind_of_parameter_has_the_gradient_of_finite_differences() {
    for (qk_norm, tied, taught) in [(true, true, false), (false, false, false), (true, true, true)] {
        let mut model = decoder(Reference, small(qk_norm, tied), 3);
        let mut batch = batch(&[5, 1, 7], 97);
        batch.targets[2] = IGNORE;
        batch.targets[8] = IGNORE;
        batch.soft = taught.then(|| teacher(batch.scored(), 0.6));
        let mut gradients = model.gradients();
        model.loss_and_gradients(&batch, &mut gradients, 1.0).unwrap();
        let gradients = gradients.buffer().clone();
        for tensor in model.layout().tensors().to_vec() {
            // Along a fixed direction in each tensor: one number checks all of its elements at once.
            let direction: Vec<f64> = (0..tensor.range.len()).map(|i| (i as f64 * 1.7 + 0.3).sin()).collect();
            let slope: f64 = gradients[tensor.range.clone()].iter().zip(&direction).map(|(g, d)| g * d).sum();
            let mut at = |h: f64| {
                let parameters = model.parameters_mut();
                for (p, d) in parameters[tensor.range.clone()].iter_mut().zip(&direction) {
                    *p += h * d;
                }
                let value = total(&mut model, &batch);
                let parameters = model.parameters_mut();
                for (p, d) in parameters[tensor.range.clone()].iter_mut().zip(&direction) {
                    *p -= h * d;
                }
                value
            };
            // Step h = 1e-5 of numbers of order 0.02 to 1: truncation h²/6 times a third derivative of up to 10^5 (the
            // embeddings are short, so their norms bend sharply), and rounding 1e-14·50/h = 5e-8.
            const H: f64 = 1e-5;
            let found = (at(H) - at(-H)) / (2.0 * H);
            let allowed = 1e-5 * (1.0 + slope.abs());
            assert!((found - slope).abs() < allowed, "{}: differences {found}, gradient {slope}", tensor.name);
        }
    }
}

/// A teacher who knows three tokens behind each of `scored` targets, and leaves a quarter to others.
fn teacher(scored: usize, share: f64) -> SoftTargets {
    let ids = (0..scored as u32).flat_map(|row| [row % 90, row % 90 + 3, row % 90 + 5]).collect();
    SoftTargets { top: 3, share, temperature: 1.7, ids, probabilities: [0.5, 0.125, 0.125].repeat(scored) }
}

#[test]
fn a_teacher_that_counts_nothing_leaves_the_plain_loss_to_the_bit_and_pieces_keep_their_own_rows() {
    let mut model = decoder(Reference, small(true, true), 3);
    let mut plain = batch(&[5, 1, 7], 97);
    plain.targets[3] = IGNORE;
    let mut gradients = model.gradients();
    let loss = model.loss_and_gradients(&plain, &mut gradients, 1.0).unwrap();
    let mut taught = plain.clone();
    taught.soft = Some(teacher(plain.scored(), 0.0));
    let mut same = model.gradients();
    assert_eq!(model.loss_and_gradients(&taught, &mut same, 1.0).unwrap(), loss);
    assert_eq!(same.buffer(), gradients.buffer());
    taught.soft = Some(teacher(plain.scored(), 0.5));
    let mut whole = model.gradients();
    let loss = model.loss_and_gradients(&taught, &mut whole, 1.0).unwrap();
    assert_ne!(whole.buffer(), gradients.buffer());
    // Piece by piece it is the same sum; a row that stood in another piece would give another one.
    let pieces = taught.pieces(4);
    assert_eq!(pieces.len(), 2);
    let mut parts = model.gradients();
    let sum: f64 = pieces.iter().map(|piece| model.loss_and_gradients(piece, &mut parts, 1.0).unwrap()).sum();
    assert!((sum - loss).abs() < 1e-10, "{sum} {loss}");
    let close = parts.buffer().iter().zip(whole.buffer()).all(|(a, b)| (a - b).abs() < 1e-10);
    assert!(close);
}

#[test]
fn tokens_that_are_not_scored_get_no_gradient_through_the_loss() {
    // A document d1, then d2, of which alone the tokens are scored.
    let mut model = decoder(Reference, small(true, false), 4);
    let mut conditional = Batch::new();
    conditional.push_conditional(&[0, 11, 12, 13, 1], &[21, 22, 0]);
    let mut alone = model.gradients();
    model.loss_and_gradients(&conditional, &mut alone, 1.0).unwrap();
    // The same segment with every target scored differs; with d1's targets ignored by hand it is the same, to the bit.
    let tokens = conditional.tokens.clone();
    let mut full_targets = tokens[1..].to_vec();
    full_targets.push(0);
    let mut everything = Batch::new();
    everything.push(&tokens, &full_targets);
    let mut all = model.gradients();
    model.loss_and_gradients(&everything, &mut all, 1.0).unwrap();
    assert_ne!(all.buffer(), alone.buffer());
    full_targets[..4].fill(IGNORE);
    let mut by_hand = Batch::new();
    by_hand.push(&tokens, &full_targets);
    let mut hand = model.gradients();
    model.loss_and_gradients(&by_hand, &mut hand, 1.0).unwrap();
    assert_eq!(hand.buffer(), alone.buffer());
    // Where nothing is scored there is no gradient at all.
    full_targets.fill(IGNORE);
    let mut nothing = Batch::new();
    nothing.push(&tokens, &full_targets);
    let mut none = model.gradients();
    assert_eq!(model.loss_and_gradients(&nothing, &mut none, 1.0).unwrap(), 0.0);
    assert!(none.buffer().iter().all(|g| *g == 0.0));
}
