//! Rank correlation: whether two quantities rise together, in whatever steps.

/// Spearman's ρ: Pearson's correlation of the ranks, equal values sharing their mean rank. None for fewer than three pairs, for values that are not
/// numbers, or where one side is the same throughout. Unrelated quantities have a ρ of 0 on average, with a standard deviation of 1/√(n − 1)
/// (Kendall and Gibbons 1990, section 4.4).
#[must_use]
pub fn spearman(pairs: &[(f64, f64)]) -> Option<f64> {
    if pairs.len() < 3 || pairs.iter().any(|(x, y)| x.is_nan() || y.is_nan()) {
        return None;
    }
    let (x, y) = (ranks(pairs.iter().map(|pair| pair.0)), ranks(pairs.iter().map(|pair| pair.1)));
    let middle = (pairs.len() as f64 + 1.0) / 2.0;
    let of = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - middle) * (b - middle)).sum::<f64>();
    let scale = (of(&x, &x) * of(&y, &y)).sqrt();
    (scale > 0.0).then(|| of(&x, &y) / scale)
}

/// Ranks from 1 on; equal values have the mean of theirs.
fn ranks(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let values: Vec<f64> = values.collect();
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    for equal in order.chunk_by(|a, b| values[*a] == values[*b]) {
        let first = ranks_before(&order, equal);
        let mean = first as f64 + (equal.len() as f64 + 1.0) / 2.0;
        equal.iter().for_each(|at| ranks[*at] = mean);
    }
    ranks
}

/// How many places stand before a stretch of `order`.
fn ranks_before(order: &[usize], stretch: &[usize]) -> usize {
    order.iter().position(|at| *at == stretch[0]).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_decide_and_not_distances() {
        assert_eq!(spearman(&[(1.0, 10.0), (2.0, 11.0), (3.0, 900.0)]), Some(1.0));
        assert_eq!(spearman(&[(1.0, 3.0), (2.0, 2.0), (30.0, -5.0)]), Some(-1.0));
        // By hand: ranks 1 2 3 4 5 against 2 1 4 3 5, so 1 − 6·4 / (5·24).
        let found = spearman(&[(1.0, 2.0), (2.0, 1.0), (3.0, 4.0), (4.0, 3.0), (5.0, 5.0)]).unwrap();
        assert!((found - 0.8).abs() < 1e-12, "{found}");
    }

    #[test]
    fn equal_values_share_their_rank() {
        assert_eq!(ranks([5.0, 1.0, 5.0, 9.0, 5.0].into_iter()), [3.0, 1.0, 3.0, 5.0, 3.0]);
        // Ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4: 4.5 over √(4.5 · 5).
        let found = spearman(&[(1.0, 1.0), (2.0, 2.0), (2.0, 3.0), (3.0, 4.0)]).unwrap();
        assert!((found - 4.5 / (4.5f64 * 5.0).sqrt()).abs() < 1e-12, "{found}");
    }

    #[test]
    fn what_does_not_change_or_is_too_little_has_none() {
        assert_eq!(spearman(&[(1.0, 2.0), (2.0, 2.0), (3.0, 2.0)]), None);
        assert_eq!(spearman(&[(1.0, 2.0), (2.0, 3.0)]), None);
        assert_eq!(spearman(&[(1.0, 2.0), (2.0, f64::NAN), (3.0, 2.5)]), None);
    }
}
