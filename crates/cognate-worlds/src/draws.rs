//! Draws by probability, and rows of probabilities.

use cognate_base::random::{ChaCha8Rng, Rng, SliceRandom, unit};

use crate::{Error, Result};

/// How far a row of probabilities may be from summing to 1.
const SUM_TOLERANCE: f64 = 1e-9;

/// Draws a place by its probability.
pub(crate) fn draw(probabilities: &[f64], rng: &mut ChaCha8Rng) -> usize {
    let mut left = unit(rng.next_u64());
    for (place, p) in probabilities.iter().enumerate() {
        left -= p;
        if left < 0.0 {
            return place;
        }
    }
    // Rounding may leave a little beyond the last.
    probabilities.iter().rposition(|p| *p > 0.0).unwrap_or(0)
}

/// Checks that a row is a distribution.
pub(crate) fn distribution(what: impl Fn() -> String, row: &[f64]) -> Result<()> {
    let sum: f64 = row.iter().sum();
    // NaN is in no range.
    if (sum - 1.0).abs() <= SUM_TOLERANCE && row.iter().all(|p| (0.0..=1.0 + SUM_TOLERANCE).contains(p)) {
        Ok(())
    } else {
        Err(Error::NoDistribution { what: what(), sum })
    }
}

/// A whole number below `n`, each as likely as any other up to 2⁻⁵³.
pub(crate) fn below(rng: &mut ChaCha8Rng, n: usize) -> usize {
    (unit(rng.next_u64()) * n as f64) as usize
}

/// One of them, each as likely as any other.
pub(crate) fn pick<'a, T>(items: &'a [T], rng: &mut ChaCha8Rng) -> &'a T {
    &items[below(rng, items.len())]
}

/// The softmax at a temperature of n numbers drawn uniformly from [−0.5, 0.5).
pub(crate) fn softmax(n: usize, temperature: f64, rng: &mut ChaCha8Rng) -> Vec<f64> {
    let x: Vec<f64> = (0..n).map(|_| (unit(rng.next_u64()) - 0.5) / temperature).collect();
    let total = crate::log_sum_exp(&x);
    x.into_iter().map(|x| (x - total).exp()).collect()
}

/// Different places below `n`, at most `count` of them, sorted.
pub(crate) fn some_of(n: usize, count: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
    if 2 * count >= n {
        let mut places: Vec<usize> = (0..n).collect();
        let mut some = places.partial_shuffle(rng, count).0.to_vec();
        some.sort_unstable();
        return some;
    }
    let mut some = std::collections::BTreeSet::new();
    while some.len() < count {
        some.insert(below(rng, n));
    }
    some.into_iter().collect()
}
