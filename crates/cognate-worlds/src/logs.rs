//! Sums of exponentials.

/// ln Σ exp x, without overflow; −∞ for nothing.
pub fn log_sum_exp(x: &[f64]) -> f64 {
    let most = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if most == f64::NEG_INFINITY {
        return most;
    }
    most + x.iter().map(|x| (x - most).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponentials_are_summed_beyond_their_range() {
        assert!((log_sum_exp(&[-2000.0, -2000.0]) - (-2000.0 + 2f64.ln())).abs() < 1e-12);
        assert!((log_sum_exp(&[800.0, f64::NEG_INFINITY]) - 800.0).abs() < 1e-12);
        assert_eq!(log_sum_exp(&[]), f64::NEG_INFINITY);
    }
}
