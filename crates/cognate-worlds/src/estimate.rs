//! Means over samples with their standard errors, and sums of exponentials.

use serde::{Deserialize, Serialize};

/// A mean over independent samples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The samples' mean.
    pub mean: f64,
    /// Its standard error s/√n, with s² the samples' variance over n − 1; none for a single sample.
    pub stderr: Option<f64>,
    /// How many samples.
    pub n: usize,
}

impl Estimate {
    /// Of some samples.
    ///
    /// # Panics
    /// Where there are none.
    pub fn of(samples: &[f64]) -> Self {
        assert!(!samples.is_empty(), "a mean needs a sample");
        let n = samples.len() as f64;
        let mean = samples.iter().sum::<f64>() / n;
        let squares: f64 = samples.iter().map(|x| (x - mean).powi(2)).sum();
        let stderr = (samples.len() > 1).then(|| (squares / (n - 1.0) / n).sqrt());
        Self { mean, stderr, n: samples.len() }
    }
}

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
    fn a_mean_has_the_standard_error_of_its_samples() {
        // By hand: mean 3, squares 4 + 1 + 1 + 4 = 10, 10 / 3 / 4.
        let estimate = Estimate::of(&[1.0, 2.0, 4.0, 5.0]);
        assert_eq!(estimate.mean, 3.0);
        assert!((estimate.stderr.unwrap() - (10.0f64 / 12.0).sqrt()).abs() < 1e-15);
        assert_eq!(Estimate::of(&[3.0]).stderr, None);
    }

    #[test]
    fn exponentials_are_summed_beyond_their_range() {
        assert!((log_sum_exp(&[-2000.0, -2000.0]) - (-2000.0 + 2f64.ln())).abs() < 1e-12);
        assert!((log_sum_exp(&[800.0, f64::NEG_INFINITY]) - 800.0).abs() < 1e-12);
        assert_eq!(log_sum_exp(&[]), f64::NEG_INFINITY);
    }
}
