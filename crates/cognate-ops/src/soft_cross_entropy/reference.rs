//! The mixture as its formula says.

use super::Rows;

pub(crate) fn backward(losses: &mut [f64], logits: &mut [f64], vocab: usize, rows: Rows<'_, f64>, scale: f64) {
    super::check(losses, logits, vocab, rows);
    let Rows { targets, top, ids, probabilities, share, temperature } = rows;
    for (row, (loss, logits)) in losses.iter_mut().zip(logits.chunks_exact_mut(vocab)).enumerate() {
        let (ids, probabilities) = (&ids[row * top..][..top], &probabilities[row * top..][..top]);
        let target = targets[row] as usize;
        let known = |j: usize| ids.iter().position(|id| *id as usize == j).map(|at| probabilities[at]);
        let (p, soft) = (softmax(logits, 1.0), softmax(logits, temperature));
        let others: f64 = (0..vocab).filter(|&j| known(j).is_none()).map(|j| soft[j]).sum();
        let rest = if top < vocab { (1.0 - probabilities.iter().sum::<f64>()).max(0.0) } else { 0.0 };
        let mut expected = if rest > 0.0 { -rest * others.ln() } else { 0.0 };
        for (id, q) in ids.iter().zip(probabilities) {
            if *q > 0.0 {
                expected -= q * soft[*id as usize].ln();
            }
        }
        *loss = (1.0 - share) * -p[target].ln() + share * temperature * temperature * expected;
        for (j, z) in logits.iter_mut().enumerate() {
            let one = if j == target { 1.0 } else { 0.0 };
            let c = known(j).unwrap_or_else(|| if rest > 0.0 { rest * soft[j] / others } else { 0.0 });
            let mass = probabilities.iter().sum::<f64>() + rest;
            *z = scale * ((1.0 - share) * (p[j] - one) + share * temperature * (mass * soft[j] - c));
        }
    }
}

fn softmax(logits: &[f64], temperature: f64) -> Vec<f64> {
    let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = logits.iter().map(|z| ((z - top) / temperature).exp()).collect();
    let total: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / total).collect()
}
