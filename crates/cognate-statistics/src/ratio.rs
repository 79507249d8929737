//! Ratios of two totals and means, with their standard errors.

use serde::{Deserialize, Serialize};

use crate::Z_PRINTED;

/// An estimate, such as of nats per token.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The estimate, such as total nats over total tokens.
    pub value: f64,
    /// Standard error over the units drawn, such as documents or pairs; none for fewer than two.
    pub stderr: Option<f64>,
}

impl Estimate {
    /// exp of it; its standard error by the delta method: d exp(x) = exp(x) dx.
    #[must_use]
    pub fn exp(self) -> Self {
        let value = self.value.exp();
        Self { value, stderr: self.stderr.map(|stderr| stderr * value) }
    }

    /// `factor` times it; the factor is positive.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        Self { value: self.value * factor, stderr: self.stderr.map(|stderr| stderr * factor) }
    }

    /// The normal interval of 95 %: value ± 1.96 standard errors; the value twice where there is no standard error.
    #[must_use]
    pub fn interval(self) -> (f64, f64) {
        let half = Z_PRINTED * self.stderr.unwrap_or(0.0);
        (self.value - half, self.value + half)
    }

    /// The mean of independent estimates, one at least: the variance of their mean is the sum of their variances over the square of
    /// their number. Without a standard error where one of them has none.
    #[must_use]
    pub fn mean_of(estimates: impl ExactSizeIterator<Item = Self> + Clone) -> Self {
        let count = estimates.len() as f64;
        let variance: Option<f64> = estimates.clone().map(|one| one.stderr.map(|stderr| stderr * stderr)).sum();
        Self {
            value: estimates.map(|one| one.value).sum::<f64>() / count,
            stderr: variance.map(|variance| variance.sqrt() / count),
        }
    }
}

/// Σy / Σx over units (x, y), such as (tokens, nats) of documents. The standard error is that of the ratio estimator under
/// simple random sampling of units (Cochran 1977, section 2.11): with R = Σy/Σx,
/// SE² = n/(n−1) · Σ(yᵢ − R·xᵢ)² / (Σx)².
pub fn ratio(units: impl Iterator<Item = (f64, f64)> + Clone) -> Estimate {
    let (n, x, y) = units.clone().fold((0.0, 0.0, 0.0), |(n, sx, sy), (x, y)| (n + 1.0, sx + x, sy + y));
    let value = y / x;
    let squares: f64 = units.map(|(x, y)| (y - value * x).powi(2)).sum();
    let stderr = (n >= 2.0).then(|| (n / (n - 1.0) * squares).sqrt() / x);
    Estimate { value, stderr }
}

/// A mean with its standard error s/√n, s² the variance of the values over n − 1.
pub fn mean(values: impl Iterator<Item = f64> + Clone) -> Estimate {
    ratio(values.map(|value| (1.0, value)))
}

#[cfg(test)]
mod tests {
    use cognate_base::random::{self, Rng};

    use super::*;

    #[test]
    fn equal_units_give_the_mean_and_its_standard_error() {
        let values = [1.0, 2.0, 3.0, 4.0, 5.0];
        let estimate = ratio(values.iter().map(|&y| (1.0, y)));
        assert_eq!(estimate.value, 3.0);
        // Standard deviation √2.5 over √5.
        assert!((estimate.stderr.unwrap() - 0.5f64.sqrt()).abs() < 1e-12);
        assert_eq!(ratio([(2.0, 3.0)].into_iter()), Estimate { value: 1.5, stderr: None });
        assert_eq!(ratio([(2.0, 3.0), (4.0, 6.0)].into_iter()).stderr, Some(0.0));
    }

    #[test]
    fn the_normal_interval_lies_around_the_value() {
        let estimate = |value, stderr| Estimate { value, stderr };
        assert_eq!(estimate(2.0, Some(0.5)).interval(), (2.0 - 1.96 * 0.5, 2.0 + 1.96 * 0.5));
        assert_eq!(estimate(2.0, None).interval(), (2.0, 2.0));
    }

    #[test]
    fn errors_of_independent_estimates_add_in_squares() {
        let estimate = |value, stderr| Estimate { value, stderr };
        let both = [estimate(1.0, Some(0.3)), estimate(4.0, Some(0.4))];
        let found = Estimate::mean_of(both.into_iter());
        assert_eq!(found.value, 2.5);
        assert!((found.stderr.unwrap() - 0.25).abs() < 1e-15);
        assert_eq!(Estimate::mean_of([both[0], estimate(4.0, None)].into_iter()).stderr, None);
        assert_eq!(mean([1.0, 2.0].into_iter()), ratio([(1.0, 1.0), (1.0, 2.0)].into_iter()));
    }

    #[test]
    fn a_standard_error_goes_with_its_value() {
        let estimate = |value, stderr| Estimate { value, stderr };
        assert_eq!(estimate(2.0, Some(0.5)).scaled(4.0), estimate(8.0, Some(2.0)));
        assert_eq!(estimate(0.0, Some(0.5)).exp(), estimate(1.0, Some(0.5)));
        assert_eq!(estimate(1.0, Some(0.5)).exp(), estimate(1f64.exp(), Some(0.5 * 1f64.exp())));
        assert_eq!(
            [estimate(2.0, None).scaled(4.0), estimate(0.0, None).exp()],
            [estimate(8.0, None), estimate(1.0, None)]
        );
    }

    #[test]
    fn the_standard_error_is_the_spread_over_samples() {
        // 400 samples of 50 units with lengths 1..=100 and y = 3x + noise that grows with √x: the spread of R over the samples
        // must be what each sample claims (a few percent off by chance: the standard deviation of 400 is known to 3.5 %).
        let mut noise = random::stream(3, "ratio", 0);
        let mut draw = || random::unit(noise.next_u64());
        let samples: Vec<Estimate> = (0..400)
            .map(|_| {
                let units: Vec<(f64, f64)> = (0..50)
                    .map(|_| {
                        let x = 1.0 + (100.0 * draw()).floor();
                        (x, 3.0 * x + 4.0 * x.sqrt() * (draw() - 0.5))
                    })
                    .collect();
                ratio(units.iter().copied())
            })
            .collect();
        let mean = samples.iter().map(|s| s.value).sum::<f64>() / 400.0;
        let spread = (samples.iter().map(|s| (s.value - mean).powi(2)).sum::<f64>() / 399.0).sqrt();
        let claimed = samples.iter().map(|s| s.stderr.unwrap()).sum::<f64>() / 400.0;
        assert!((claimed / spread - 1.0).abs() < 0.12, "claimed {claimed}, is {spread}");
    }
}
