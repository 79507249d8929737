//! The difference between two models on the same documents, by the paired bootstrap.
//!
//! Documents are drawn with replacement, each with what both models made of it (Efron and Tibshirani 1993, chapter 13): most of the
//! spread between documents is common to both models and falls out of the difference, which two separate standard errors
//! do not know.

use cognate_base::random::{self, Rng};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A mean difference, second minus first.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// Mean over the documents.
    pub mean: f64,
    /// Standard deviation of the resampled means.
    pub stderr: f64,
    /// Lower end of the percentile interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Documents.
    pub n: u64,
}

/// How to resample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Resampling {
    /// How often; at least 2.
    pub resamples: usize,
    /// Share of the resampled means inside the interval, such as 0.95.
    pub confidence: f64,
    /// Decides the draws.
    pub seed: u64,
}

/// Compares what two models made of the same documents: (document, value) in the same order, as two result files of one task
/// have them.
///
/// # Errors
/// When the documents are not the same, or are fewer than two.
///
/// # Panics
/// When there are fewer than two resamples, or the confidence is not between 0 and 1.
pub fn paired<Id: PartialEq + std::fmt::Debug>(
    first: &[(Id, f64)],
    second: &[(Id, f64)],
    resampling: Resampling,
) -> Result<Difference> {
    let Resampling { resamples, confidence, seed } = resampling;
    assert!(resamples >= 2 && confidence > 0.0 && confidence < 1.0, "{resampling:?}");
    if first.len() != second.len() || first.len() < 2 {
        let problem = format!("{} documents against {}; expected as many, and at least 2", first.len(), second.len());
        return Err(Error::Unpaired { problem });
    }
    if let Some((a, b)) = first.iter().zip(second).find(|(a, b)| a.0 != b.0) {
        return Err(Error::Unpaired { problem: format!("document {:?} stands where the other has {:?}", a.0, b.0) });
    }
    let differences: Vec<f64> = first.iter().zip(second).map(|(a, b)| b.1 - a.1).collect();
    let n = differences.len();
    let mut means: Vec<f64> = (0..resamples)
        .map(|resample| {
            let mut stream = random::stream(seed, "bootstrap", resample as u64);
            // `unit` is below 1, and its product with a whole number of less than 2^53 below that number.
            let total: f64 = (0..n).map(|_| differences[(random::unit(stream.next_u64()) * n as f64) as usize]).sum();
            total / n as f64
        })
        .collect();
    means.sort_by(f64::total_cmp);
    let centre = means.iter().sum::<f64>() / resamples as f64;
    let variance = means.iter().map(|mean| (mean - centre).powi(2)).sum::<f64>() / (resamples - 1) as f64;
    let tail = (1.0 - confidence) / 2.0;
    Ok(Difference {
        mean: differences.iter().sum::<f64>() / n as f64,
        stderr: variance.sqrt(),
        low: quantile(&means, tail),
        high: quantile(&means, 1.0 - tail),
        n: n as u64,
    })
}

/// A quantile of sorted values, between the two nearest ones.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = share * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    below + (above - below) * at.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESAMPLING: Resampling = Resampling { resamples: 2000, confidence: 0.95, seed: 4 };

    fn numbered(values: impl Iterator<Item = f64>) -> Vec<(usize, f64)> {
        values.enumerate().collect()
    }

    #[test]
    fn a_constant_difference_has_no_spread_however_documents_differ() {
        let first = numbered((0..50).map(|i| f64::from(i * i)));
        let second = numbered((0..50).map(|i| f64::from(i * i) + 0.25));
        let found = paired(&first, &second, RESAMPLING).unwrap();
        assert_eq!(found, Difference { mean: 0.25, stderr: 0.0, low: 0.25, high: 0.25, n: 50 });
        assert_eq!(paired(&second, &first, RESAMPLING).unwrap().mean, -0.25);
    }

    #[test]
    fn the_spread_is_that_of_the_mean() {
        let mut noise = random::stream(1, "test", 0);
        let differences: Vec<f64> = (0..400).map(|_| 0.1 + random::normal(&mut noise)).collect();
        let first = numbered(differences.iter().map(|_| 3.0));
        let second = numbered(differences.iter().map(|difference| 3.0 + difference));
        let found = paired(&first, &second, RESAMPLING).unwrap();
        let mean = differences.iter().sum::<f64>() / 400.0;
        let variance = differences.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / 399.0;
        let stderr = (variance / 400.0).sqrt();
        assert!((found.mean - mean).abs() < 1e-12);
        // 2000 resamples know a standard deviation to 1.6 %; four of that.
        assert!((found.stderr / stderr - 1.0).abs() < 0.065, "{found:?} {stderr}");
        // Normal means: 1.96 standard errors on each side; an end of 2000 resamples is known to 0.06 standard errors.
        assert!(((found.mean - found.low) / stderr - 1.96).abs() < 0.24, "{found:?}");
        assert!(((found.high - found.mean) / stderr - 1.96).abs() < 0.24, "{found:?}");
        assert_eq!(found, paired(&first, &second, RESAMPLING).unwrap());
        assert_ne!(found, paired(&first, &second, Resampling { seed: 5, ..RESAMPLING }).unwrap());
    }

    #[test]
    fn other_documents_are_no_pairs() {
        let first = numbered([1.0, 2.0, 3.0].into_iter());
        let error = |second: &[(usize, f64)]| paired(&first, second, RESAMPLING).unwrap_err().to_string();
        assert_eq!(
            error(&first[..2]),
            "the results are not of the same documents: 3 documents against 2; expected as many, and at least 2"
        );
        let error = error(&[(0, 1.0), (2, 1.0), (1, 1.0)]);
        assert_eq!(error, "the results are not of the same documents: document 1 stands where the other has 2");
        assert!(paired(&first[..1], &first[..1], RESAMPLING).is_err());
    }

    #[test]
    fn quantiles_lie_between_neighbours() {
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.5), 2.0);
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.75), 3.0);
        assert_eq!((quantile(&[1.0, 2.0, 4.0], 0.0), quantile(&[1.0, 2.0, 4.0], 1.0)), (1.0, 4.0));
    }
}
